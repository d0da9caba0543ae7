"""The way to slurmrestd: which endpoint, which REST version, which token.

Each call picks the endpoint that answered last and speaks the newest version that both know. A
request that is safe to repeat goes on to the next endpoint when one doesn't answer; one that isn't
goes on only when it surely never left.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from bridge.clock import Clock
from bridge.errors import BadInput
from bridge.slurm import answers
from bridge.slurm.answers import Operation
from bridge.slurm.auth import WORD, TokenSource
from bridge.slurm.errors import ServerTooOld, Unavailable
from bridge.slurm.http import Answer, AsyncTransport, Http, Request, Tls
from bridge.slurm.wire import VERSIONS, Wire

T = TypeVar("T")


class Session:
    """Endpoints, versions, token: what all calls of one client share."""

    def __init__(
        self,
        *,
        endpoints: Sequence[str],
        token: TokenSource,
        user: str,
        timeout_s: float,
        clock: Clock,
        transport: AsyncTransport | None,
        tls: Tls | None,
        proxy: str,
    ) -> None:
        self._http = Http(
            endpoints=endpoints, timeout_s=timeout_s, transport=transport, tls=tls, proxy=proxy
        )
        if user and not WORD.fullmatch(user):
            raise BadInput(f"user {user!r}: give the name that slurmctld's host knows, as one word")
        self._token = token
        self._user = user
        self._clock = clock
        self._wires: dict[str, Wire] = {}
        self._preferred = self._http.endpoints[0]
        self.may_write: Callable[[], bool] = lambda: True
        """Asked before each request that changes something."""

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.close()

    async def ask(
        self,
        operation: Operation,
        request: Callable[[Wire], Request],
        *,
        unless: bytes = b"",
    ) -> tuple[Answer, Wire]:
        """An answer that is well, and the version it is in. `unless`: bytes judged before."""

        def judge(answer: Answer) -> None:
            if not (unless and answer.body == unless):
                answers.check(answer, operation)

        return await self.call(operation, request, judge=judge)

    async def call(
        self,
        operation: Operation,
        request: Callable[[Wire], Request],
        *,
        judge: Callable[[Answer], None] = lambda _: None,
    ) -> tuple[Answer, Wire]:
        """An answer of some endpoint that `judge` doesn't raise for, and the version it is in."""

        async def on(endpoint: str) -> tuple[Answer, Wire]:
            for last in (False, True):
                wire = self._wires.get(endpoint) or await self.negotiate(endpoint, operation)
                asked = request(wire)
                path = f"/{asked.plugin}/{wire.version}{asked.path}"
                below = Request(asked.method, path, asked.body)
                answer = await self._send(endpoint, below, operation)
                if last or asked.plugin != "slurm" or not answers.is_unknown_path(answer):
                    break
                self._wires.pop(endpoint, None)  # upgraded since we agreed
            judge(answer)
            return answer, wire

        return await self.on_some_endpoint(on, operation)

    async def on_some_endpoint(
        self, call: Callable[[str], Awaitable[T]], operation: Operation
    ) -> T:
        """Try the endpoints in turn, as far as that is safe."""
        start = self._http.endpoints.index(self._preferred)
        order = self._http.endpoints[start:] + self._http.endpoints[:start]
        for endpoint, following in zip(order, (*order[1:], None), strict=True):
            try:
                result = await call(endpoint)
            except Unavailable as error:
                self._preferred = following or order[0]
                may_repeat = error.nothing_done or operation.safe
                if following is None or error.by_slurm or not may_repeat:
                    raise
            else:
                self._preferred = endpoint
                return result
        raise AssertionError("the last endpoint returns or raises")

    async def negotiate(self, endpoint: str, operation: Operation) -> Wire:
        """The newest version that both know. What fails here has done nothing."""
        for wire in VERSIONS:
            request = Request("GET", f"/slurm/{wire.version}/ping/")
            try:
                answer = await self._send(endpoint, request, operation)
                if answers.is_unknown_path(answer):
                    continue
                answers.envelope(answer, operation)
            except Unavailable as error:
                error.nothing_done = True
                raise
            self._wires[endpoint] = wire
            return wire
        ours = ", ".join(wire.version for wire in VERSIONS)
        theirs = ", ".join(await self._versions_of(endpoint, operation))
        if not theirs:
            raise ServerTooOld(
                f"{operation.tried}: slurmrestd at {endpoint} names no REST version, this client "
                f"speaks {ours}; start slurmrestd with the slurmctld plugin (-s slurmctld)"
            )
        raise ServerTooOld(
            f"{operation.tried}: slurmrestd at {endpoint} speaks REST {theirs}, this client "
            f"{ours}; use Slurm 25.11 or later, or a newer client"
        )

    async def _versions_of(self, endpoint: str, operation: Operation) -> list[str]:
        answer = await self._send(endpoint, Request("GET", "/openapi/v3"), operation)
        try:
            paths = answers.parsed(answer.body)["paths"]
            found = {path.split("/")[2] for path in paths if path.startswith("/slurm/v")}
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            return []
        return sorted(found)

    async def _send(self, endpoint: str, request: Request, operation: Operation) -> Answer:
        """With the token; a refused one is read again, and when it is another, tried once more."""
        for last in (False, True):
            token = await self._token.get(clock=self._clock)
            if request.method != "GET" and not self.may_write():
                raise Unavailable(
                    f"{operation.tried}: not sent, since this process does not lead",
                    nothing_done=True,
                )
            answer = await self._http.send(
                endpoint, request, headers=self._headers(token), tried=operation.tried
            )
            refused = answer.status in (401, 511)
            if last or not refused:
                return answer
            if not await self._token.renew(refused=token, clock=self._clock):
                return answer
        raise AssertionError("the second round returns")

    def _headers(self, token: str) -> dict[str, str]:
        headers = {"X-SLURM-USER-TOKEN": token} if token else {}
        if self._user:
            headers["X-SLURM-USER-NAME"] = self._user
        return headers
