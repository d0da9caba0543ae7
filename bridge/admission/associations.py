"""Keeps what admission knows of slurmdbd, in the background: no request ever waits for it.

Only the users that namespaces name are asked for, so it costs a few kilobytes however many users
the site has. Whatever can't be read (no slurmdbd, one that is down, a slurmrestd that does not
tell its configuration) leaves nothing known, and nothing is refused for it.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import structlog

from bridge import slurm
from bridge.admission.accounts import Accounts
from bridge.clock import Clock, sleep_until_triggered
from bridge.errors import BadInput, BridgeError
from bridge.jobs import allowance
from bridge.model.namespace import Namespace

log = structlog.get_logger(__name__)

_AT_ONCE = 50
"""Users in one question: they stand in its URL."""
_LEAST_PAUSE_S = 5.0
"""Between two looks, however often one is asked for."""


class Accounting(Protocol):
    """The part of `slurm.SlurmClient` that is asked."""

    async def configuration(self) -> Mapping[str, Any]:
        """slurm.conf."""

    async def list_associations(
        self, *, user: str = "", cluster: str = ""
    ) -> tuple[slurm.Association, ...]:
        """Those of some users (names with commas between)."""


class Associations:
    """What is known now is `known`; `run` keeps it fresh."""

    def __init__(
        self,
        client: Accounting,
        *,
        namespaces: Mapping[str, Namespace],
        interval_s: float,
        clock: Clock,
    ) -> None:
        self.known = Accounts()
        self._client = client
        self._namespaces = namespaces
        self._interval_s = interval_s
        self._clock = clock
        self._triggered = asyncio.Event()
        self._trouble = ""

    def trigger(self) -> None:
        """Look again soon: a namespace has changed, or a pod was refused for what may be old."""
        self._triggered.set()

    async def run(self) -> None:
        """Until cancelled; returns at once where the settings say never to ask."""
        pause_s = min(_LEAST_PAUSE_S, self._interval_s)
        while self._interval_s:
            self._triggered.clear()
            await self.refresh()
            await self._clock.sleep(pause_s)
            await sleep_until_triggered(self._clock, self._interval_s - pause_s, self._triggered)

    async def refresh(self) -> None:
        """Read it once; never raises for what Slurm answers or doesn't."""
        try:
            self.known, trouble = await self._read(), ""
        except BridgeError as error:
            self.known, trouble = Accounts(), str(error)
        if trouble and trouble != self._trouble:
            log.warning("associations.not_read", error=trouble)
        self._trouble = trouble

    async def _read(self) -> Accounts:
        users = sorted(set(_users(self._namespaces)))
        if not users:
            return Accounts()
        settings = await self._client.configuration()
        enforced = {str(one).lower() for one in settings.get("AccountingStorageEnforce") or ()}
        if "associations" not in enforced:
            return Accounts()
        found: dict[str, tuple[slurm.Association, ...]] = dict.fromkeys(map(str.lower, users), ())
        for some in _parts(users):
            rows = await self._client.list_associations(
                user=",".join(some), cluster=str(settings.get("ClusterName") or "")
            )
            for row in rows:
                name = row.user.lower()
                found[name] = (*found.get(name, ()), row)
        return Accounts(of_user=found, qos_enforced="qos" in enforced)


def _users(namespaces: Mapping[str, Namespace]) -> Iterator[str]:
    """Those named by name, as written."""
    for namespace in namespaces.values():
        try:
            user = allowance.of(namespace).user
        except BadInput:
            continue
        if user and not user.isdigit():
            yield user


def _parts(users: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(users), _AT_ONCE):
        yield users[start : start + _AT_ONCE]
