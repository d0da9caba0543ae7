"""The memory of requests in flight."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.server.budget import Budget
from bridge.server.connections import Connection, Reason, Stage


class Ledger:
    """A budget of 100 bytes; what was cut is written down."""

    def __init__(self, *, small: int = 100) -> None:
        self.budget = Budget(100, small=small)
        self.cut: list[str] = []

    def sender(self, peer: str, name: str = "", *, known: bool = False) -> Connection:
        """A connection whose body is on its way."""

        def cut(reason: Reason) -> None:
            assert reason is Reason.MEMORY
            self.cut.append(name or peer)

        return Connection(peer, cut, known=known, stage=Stage.BODY)


def test_bytes_count_until_the_answer() -> None:
    """What is received counts; what is answered does not any more."""
    ledger = Ledger()
    sender = ledger.sender("a")
    assert ledger.budget.take(sender, 40)
    assert ledger.budget.take(sender, 60)
    assert ledger.budget.used == sender.held == 100
    ledger.budget.give_back(sender)
    ledger.budget.give_back(sender)
    assert ledger.budget.used == sender.held == 0
    assert ledger.cut == []


def test_the_address_with_the_most_gives_back() -> None:
    """A small request gets its memory from the oldest of those who hold the most together."""
    ledger = Ledger()
    large = ledger.sender("honest")
    assert ledger.budget.take(large, 40)
    flood = [ledger.sender("flood", f"flood {number}") for number in range(3)]
    for one in flood:
        assert ledger.budget.take(one, 20)
    assert ledger.budget.take(ledger.sender("api"), 10)
    assert ledger.cut == ["flood 0"]
    assert ledger.budget.used == 90


def test_who_asks_for_too_much_is_cut_itself() -> None:
    """The newcomer counts among the others: a crowd does not push out smaller ones."""
    ledger = Ledger()
    small, large = ledger.sender("small"), ledger.sender("large")
    assert ledger.budget.take(small, 30)
    assert ledger.budget.take(large, 50)
    assert not ledger.budget.take(large, 40)
    assert (ledger.cut, ledger.budget.used) == (["large"], 30)


def test_more_than_there_is() -> None:
    """A request that is larger than the budget gets none of it, and costs nobody anything."""
    ledger = Ledger()
    assert ledger.budget.take(ledger.sender("a"), 90)
    assert not ledger.budget.take(ledger.sender("b"), 101)
    assert ledger.cut == ["b"]


def test_known_callers_give_back_last() -> None:
    """Who has shown a certificate keeps its memory while a stranger holds any."""
    ledger = Ledger()
    assert ledger.budget.take(ledger.sender("scheduler", known=True), 80)
    assert ledger.budget.take(ledger.sender("api"), 15)
    assert ledger.budget.take(ledger.sender("other", known=True), 10)
    assert ledger.cut == ["api"]
    assert not ledger.budget.take(ledger.sender("api"), 11)
    assert ledger.budget.take(ledger.sender("other", known=True), 15)
    assert ledger.cut == ["api", "api", "scheduler"]


def test_calls_are_given_up_last() -> None:
    """What is being handled keeps its memory while its address holds anything else, and costs
    nobody else anything."""
    ledger = Ledger()
    calling, waiting = ledger.sender("flood", "calling"), ledger.sender("flood", "waiting")
    assert ledger.budget.take(calling, 75)
    assert ledger.budget.take(waiting, 20)
    calling.stage = Stage.CALL
    assert ledger.budget.take(ledger.sender("api"), 10)
    assert ledger.cut == ["waiting"]
    assert ledger.budget.take(ledger.sender("other"), 20)
    assert ledger.cut == ["waiting", "calling"]


def test_large_requests_give_way_to_small_ones() -> None:
    """Of one address the newest of the large ones gives back, handled or not, before any small
    one does; of the large ones those that are handled come last."""
    ledger = Ledger(small=10)
    handled = ledger.sender("api", "handled")
    for one in (ledger.sender("api", "first"), handled, ledger.sender("api", "second")):
        assert ledger.budget.take(one, 30)
    handled.stage = Stage.CALL
    assert ledger.budget.take(ledger.sender("api", "small"), 10)
    for _ in range(9):
        assert ledger.budget.take(ledger.sender("api", "small too"), 10)
    assert ledger.cut == ["second", "first", "handled"]
    assert ledger.budget.used == 100
    assert ledger.budget.take(ledger.sender("api", "newest"), 10)
    assert ledger.cut[3:] == ["small"]
    assert not ledger.budget.take(ledger.sender("api", "too large"), 11)
    assert ledger.cut[4:] == ["too large"]


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 60)), max_size=80))
def test_never_more_than_the_budget(steps: list[tuple[int, int]]) -> None:
    """In any order of taking and giving back, what is used is what all hold, within the budget."""
    ledger = Ledger()
    senders = [ledger.sender("abc"[n % 3], known=n == 7) for n in range(8)]
    for number, size in steps:
        sender = senders[number]
        if size:
            took = ledger.budget.take(sender, size)
            assert took == (sender.held > 0)
        else:
            ledger.budget.give_back(sender)
        assert ledger.budget.used == sum(one.held for one in senders) <= 100
