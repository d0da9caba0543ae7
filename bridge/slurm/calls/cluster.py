"""The cluster as a whole."""

from collections.abc import Mapping, Sequence
from typing import Any

from bridge.slurm import answers
from bridge.slurm.answers import Operation
from bridge.slurm.calls.base import Calls
from bridge.slurm.cluster import Controller, License, Share, Statistics
from bridge.slurm.errors import NotAuthorised, Unavailable
from bridge.slurm.http import Request


class ClusterCalls(Calls):
    """`/ping/`, `/diag/`, `/licenses/`, `/shares`, `/conf`, `/reconfigure/`, and `/util/`."""

    async def ping(self) -> None:
        """Returns when slurmctld answers and accepts our token; raises otherwise."""
        operation = Operation("pinging slurmctld")
        controllers = await self._controllers(operation)
        if any(one.up for one in controllers):
            return
        said = "; ".join(f"{one.host}: {one.status or 'does not respond'}" for one in controllers)
        if "authentication" in said.lower():
            raise NotAuthorised(
                f"{operation.tried}: {said}; look whether the token is valid and not expired"
            )
        raise Unavailable(
            f"{operation.tried}: {said or 'no controller is configured'}; look whether slurmctld "
            "runs",
            by_slurm=True,
        )

    async def list_controllers(self) -> tuple[Controller, ...]:
        """The slurmctld of the cluster, primary and backups, up or not."""
        return await self._controllers(Operation("listing controllers"))

    async def _controllers(self, operation: Operation) -> tuple[Controller, ...]:
        return await self._read(operation, "/ping/", lambda wire, answer: wire.controllers(answer))

    async def statistics(self) -> Statistics:
        """slurmctld's own figures (sdiag)."""
        return await self._read(
            Operation("reading statistics"), "/diag/", lambda wire, answer: wire.statistics(answer)
        )

    async def list_licenses(self) -> tuple[License, ...]:
        """All that are configured, with how many are used."""
        return await self._read(
            Operation("listing licenses"), "/licenses/", lambda wire, answer: wire.licenses(answer)
        )

    async def list_shares(
        self, *, accounts: Sequence[str] = (), users: Sequence[str] = ()
    ) -> tuple[Share, ...]:
        """Fair share: of all, or of some accounts (and their users) or users. Needs accounting.

        slurmrestd 26.05 takes both as parameters and tells of all the same, so they are left out.
        """
        found = await self._read(
            Operation("listing shares"), "/shares", lambda wire, answer: wire.shares(answer)
        )
        return tuple(
            line
            for line in found
            if (not accounts or (line.parent if line.user else line.name) in accounts)
            and (not users or (line.user and line.name in users))
        )

    async def configuration(self) -> Mapping[str, Any]:
        """slurm.conf as slurmctld has it, under Slurm's own names. Since v0.0.45.

        Raises ServerTooOld.
        """
        return await self._read(
            Operation("reading the configuration"),
            "/conf",
            lambda wire, answer: wire.configuration(answer),
        )

    async def reconfigure(self) -> None:
        """Have all daemons read their configuration again."""
        await self._change(Operation("reconfiguring Slurm"), "GET", "/reconfigure/")

    async def expand_hostlist(self, text: str) -> tuple[str, ...]:
        """What slurmrestd makes of a host list; `hostlist.expand` does the same without asking."""
        operation = Operation(f"expanding the host list {text[:80]!r}")
        return await self._convert(operation, "hostnames", {"hostlist": text})

    async def compress_hostnames(self, names: Sequence[str]) -> str:
        """What slurmrestd writes for these names, in their order; see `hostlist.compress`."""
        operation = Operation(f"compressing {len(names)} host names")
        return ",".join(await self._convert(operation, "hostlist", {"hostnames": list(names)}))

    async def _convert(
        self, operation: Operation, key: str, body: Mapping[str, Any]
    ) -> tuple[str, ...]:
        answer, wire = await self._session.ask(
            operation, lambda _: Request("POST", f"/{key}", body, plugin="util")
        )
        return answers.read(answer, operation, lambda found: wire.hosts(answers.parsed(found), key))
