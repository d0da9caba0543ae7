"""What is kept of slurmdbd, in the background."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from bridge.admission.accounts import Accounts
from bridge.admission.associations import Associations
from bridge.model.namespace import Namespace
from bridge.slurm import Association, ServerTooOld, Unavailable
from tests.unit.admission.manifests import a_namespace
from tests.unit.slurm.clocks import ManualClock, settle


class Slurmdbd:
    """Answers from what tests put in, and remembers what it was asked."""

    def __init__(self, *rows: Association, enforce: tuple[str, ...] = ("associations",)) -> None:
        self.rows = rows
        self.enforce = enforce
        self.error: Exception | None = None
        self.asked: list[str] = []

    async def configuration(self) -> Mapping[str, Any]:
        if self.error is not None:
            raise self.error
        return {"AccountingStorageEnforce": list(self.enforce), "ClusterName": "here"}

    async def list_associations(
        self, *, user: str = "", cluster: str = ""
    ) -> tuple[Association, ...]:
        assert cluster == "here"
        self.asked.append(user)
        wanted = user.lower().split(",")
        return tuple(row for row in self.rows if row.user in wanted)


def row(user: str, account: str) -> Association:
    return Association(1, "here", account, user=user)


def kept(
    slurmdbd: Slurmdbd, *users: str, interval_s: float = 120, clock: ManualClock | None = None
) -> Associations:
    namespaces = {
        f"n{number}": a_namespace(f"n{number}", user=user) for number, user in enumerate(users)
    }
    clock = clock or ManualClock()
    return Associations(slurmdbd, namespaces=namespaces, interval_s=interval_s, clock=clock)


async def test_the_users_that_namespaces_name() -> None:
    """They alone are asked for, each once; numbers and what can't be read are left out."""
    slurmdbd = Slurmdbd(row("alice", "physics"), row("alice", "chem"), row("carol", "bio"))
    found = kept(slurmdbd, "Alice:hpc", "bob:hpc", "Alice:other", "1001:1001", "no group")
    await found.refresh()
    assert slurmdbd.asked == ["Alice,bob"]
    assert {user: [one.account for one in rows] for user, rows in found.known.of_user.items()} == {
        "alice": ["physics", "chem"],
        "bob": [],
    }
    assert found.known.qos_enforced is False


async def test_many_users() -> None:
    """Are asked for in parts: they stand in a URL."""
    slurmdbd = Slurmdbd(row("u120", "physics"))
    found = kept(slurmdbd, *(f"u{number}:g" for number in range(121)))
    await found.refresh()
    assert [one.count(",") + 1 for one in slurmdbd.asked] == [50, 50, 21]
    assert len(found.known.of_user) == 121
    assert [one.account for one in found.known.of_user["u120"]] == ["physics"]


async def test_qos_that_are_enforced() -> None:
    """As slurm.conf says."""
    slurmdbd = Slurmdbd(enforce=("associations", "limits", "qos"))
    found = kept(slurmdbd, "alice:hpc")
    await found.refresh()
    assert found.known.qos_enforced is True


@pytest.mark.parametrize(
    ("slurmdbd", "users"),
    [
        (Slurmdbd(enforce=()), ("alice:hpc",)),
        (Slurmdbd(enforce=("limits",)), ("alice:hpc",)),
        (Slurmdbd(), ()),
        (Slurmdbd(), ("1001:1001",)),
    ],
)
async def test_nothing_to_know(slurmdbd: Slurmdbd, users: tuple[str, ...]) -> None:
    """Where Slurm enforces no associations, or nobody is named, nothing is asked."""
    found = kept(slurmdbd, *users)
    await found.refresh()
    assert found.known == Accounts()
    assert slurmdbd.asked == []


@pytest.mark.parametrize("error", [Unavailable("slurmdbd is away"), ServerTooOld("no /conf")])
async def test_what_can_not_be_read(error: Exception) -> None:
    """Leaves nothing known, so that nothing is refused for it, until it can be read again."""
    slurmdbd = Slurmdbd()
    found = kept(slurmdbd, "alice:hpc")
    await found.refresh()
    assert "alice" in found.known.of_user
    slurmdbd.error = error
    await found.refresh()
    assert found.known == Accounts()
    slurmdbd.error = None
    await found.refresh()
    assert "alice" in found.known.of_user


async def test_when_it_is_read() -> None:
    """At once, then each interval; sooner when somebody asks, but not without a pause."""
    clock, slurmdbd = ManualClock(), Slurmdbd()
    found = kept(slurmdbd, "alice:hpc", clock=clock)
    task = asyncio.create_task(found.run())
    await settle()
    assert len(slurmdbd.asked) == 1
    await clock.advance(120)
    assert len(slurmdbd.asked) == 2
    for _ in range(20):
        found.trigger()
    await clock.advance(3)
    assert len(slurmdbd.asked) == 2
    await clock.advance(2)
    assert len(slurmdbd.asked) == 3
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_never() -> None:
    """An interval of 0 asks nobody."""
    slurmdbd = Slurmdbd()
    await kept(slurmdbd, "alice:hpc", interval_s=0).run()
    assert slurmdbd.asked == []


async def test_a_namespace_that_came_later() -> None:
    """Is seen at the next look: the namespaces are read each time."""
    slurmdbd, namespaces = Slurmdbd(), dict[str, Namespace]()
    found = Associations(slurmdbd, namespaces=namespaces, interval_s=9, clock=ManualClock())
    await found.refresh()
    assert found.known == Accounts()
    namespaces["team"] = a_namespace(user="alice:hpc")
    await found.refresh()
    assert "alice" in found.known.of_user
