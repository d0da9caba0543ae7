"""What followers know after any changes, wherever they stood."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from bridge.model.ids import GangId, NodeName, PodUid
from bridge.rpc import placement_ledger
from bridge.rpc.placement_ledger import Batch, PlacementLedger, Row

PODS = st.sampled_from("abcdef").map(PodUid)
CHANGES = st.lists(st.tuples(PODS, st.sampled_from(["", "node-1", "node-2", None])), max_size=12)


def row(pod: str, node: str = "node-1") -> Row:
    return Row(PodUid(pod), NodeName(node), None, GangId("gang"))


@dataclass
class Follower:
    """Keeps what it is told, as rpc.follower does."""

    cursor: str = ""
    rows: dict[PodUid, Row] = field(default_factory=dict)

    def take(self, batches: list[Batch]) -> None:
        for batch in batches:
            if batch.is_whole:
                self.rows.clear()
            for pod in batch.gone:
                self.rows.pop(pod, None)
            self.rows.update({one.pod: one for one in batch.rows})
            self.cursor = batch.cursor


def change(ledger: PlacementLedger, pod: PodUid, node: str | None) -> None:
    if node is None:
        ledger.drop(pod)
    else:
        ledger.put(row(pod, node))


def known(ledger: PlacementLedger) -> dict[PodUid, Row]:
    return {pod: one for pod, (_, one) in ledger.rows.items()}


@given(st.lists(CHANGES, min_size=1, max_size=6), st.data())
def test_a_follower_knows_all_rows_wherever_it_stood(
    rounds: list[list[tuple[PodUid, str | None]]], data: st.DataObject
) -> None:
    """Also one that missed some rounds, or was told another term's words before."""
    ledger = PlacementLedger("term-1")
    follower = Follower(cursor=data.draw(st.sampled_from(["", "term-0/3", "term-1/99", "x"])))
    follower.rows[PodUid("old")] = row("old")
    for changes in rounds:
        for pod, node in changes:
            change(ledger, pod, node)
        if data.draw(st.booleans()):
            follower.take(ledger.since(follower.cursor))
            assert follower.rows == known(ledger)
    follower.take(ledger.since(follower.cursor))
    assert follower.rows == known(ledger)
    assert follower.cursor == ledger.cursor


def test_only_what_changed_is_told_again() -> None:
    """A row that says the same is no news."""
    ledger = PlacementLedger("t")
    for name in "abc":
        assert ledger.put(row(name))
    follower = Follower()
    follower.take(ledger.since(""))
    assert not ledger.put(row("a"))
    assert ledger.put(row("b", "node-2"))
    (batch,) = ledger.since(follower.cursor)
    assert batch == Batch(cursor=ledger.cursor, rows=(row("b", "node-2"),))


def test_a_follower_that_missed_more_than_is_remembered_is_told_everything() -> None:
    """Else it would keep a pod for ever."""
    ledger = PlacementLedger("t")
    ledger.put(row("stays"))
    follower = Follower()
    follower.take(ledger.since(""))
    for number in range(placement_ledger._MOST_GONE + 1):
        ledger.put(row(f"pod-{number}"))
        ledger.drop(PodUid(f"pod-{number}"))
    (batch,) = ledger.since(follower.cursor)
    assert batch.is_whole
    assert [one.pod for one in batch.rows] == ["stays"]


def test_a_long_list_comes_in_parts() -> None:
    """The cursor moves with the last one: who loses the others begins anew."""
    ledger = PlacementLedger("t")
    for number in range(2_500):
        ledger.put(row(f"pod-{number}"))
    parts = ledger.since("")
    assert [len(part.rows) for part in parts] == [1_000, 1_000, 500]
    assert [part.is_whole for part in parts] == [True, False, False]
    assert [part.is_complete for part in parts] == [False, False, True]
    assert [part.cursor for part in parts] == ["", "", ledger.cursor]
