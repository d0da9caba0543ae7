"""One Slurm cluster over REST: what can be asked of it, in our words.

The calls themselves are in the package `calls`, one module per noun.
"""

from collections.abc import Callable, Sequence
from typing import Self

from bridge.clock import Clock, SystemClock
from bridge.errors import BadInput
from bridge.slurm.answers import Operation
from bridge.slurm.auth import TokenSource
from bridge.slurm.calls.accounting import AccountingCalls
from bridge.slurm.calls.cluster import ClusterCalls
from bridge.slurm.calls.nodes import NodeCalls
from bridge.slurm.calls.partitions import PartitionCalls
from bridge.slurm.calls.reservations import ReservationCalls
from bridge.slurm.calls.submit import SubmitCalls
from bridge.slurm.http import AsyncTransport, Tls
from bridge.slurm.immediate import ImmediateStarts
from bridge.slurm.session import Session
from bridge.slurm.submissions import Submissions


class SlurmClient(
    SubmitCalls, NodeCalls, PartitionCalls, ReservationCalls, ClusterCalls, AccountingCalls
):
    """Async; one for a process. Raises only `bridge.slurm.errors` (and BadInput for what can't be
    written in a request)."""

    def __init__(
        self,
        *,
        endpoints: Sequence[str],
        token: TokenSource,
        user: str = "",
        timeout_s: float = 10.0,
        clock: Clock | None = None,
        transport: AsyncTransport | None = None,
        tls: Tls | None = None,
        proxy: str = "",
    ) -> None:
        """`endpoints`: `http://host:6820`, `https://…`, `unix:///run/slurmrestd.sock`; the next is
        asked when one doesn't answer. `user`: whom the token speaks for (X-SLURM-USER-NAME).
        `proxy`: URL of the HTTP proxy to go through; those in the environment are not used.
        Raises BadInput.
        """
        if not endpoints or isinstance(endpoints, str):
            raise BadInput(
                f"endpoints {endpoints!r}: give a list of addresses, like ['http://host:6820']"
            )
        self._clock = clock or SystemClock()
        self._session = Session(
            endpoints=endpoints,
            token=token,
            user=user,
            timeout_s=timeout_s,
            clock=self._clock,
            transport=transport,
            tls=tls,
            proxy=proxy,
        )
        self._submissions = Submissions()
        self._immediate = ImmediateStarts()

    def write_only_while(self, may_write: Callable[[], bool]) -> None:
        """What would change something is not sent while `may_write` says no: it raises
        Unavailable instead."""
        self._session.may_write = may_write

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the connections."""
        await self._session.close()

    async def negotiate(self) -> str:
        """The REST version that is spoken from now on. Raises ServerTooOld."""
        operation = Operation("agreeing on a REST version")

        async def agree(endpoint: str) -> str:
            return (await self._session.negotiate(endpoint, operation)).version

        return await self._session.on_some_endpoint(agree, operation)
