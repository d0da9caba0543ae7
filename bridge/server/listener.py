"""Sockets, handshakes and HTTP: what a server accepts, under the limits of `connections` and
`budget`.

aiohttp understands HTTP here; it does not listen. Its own servers accept without a limit, start
each handshake at once, and give a request as long as it likes. So we accept ourselves, and let
handshakes begin at a bounded pace, the addresses in turns: each costs the loop about a
millisecond, which under a flood is then a part of its time only.
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast

from aiohttp import web
from aiohttp.http import HttpProcessingError

from bridge.server import addresses
from bridge.server.budget import DEFAULT_BYTES, Budget
from bridge.server.connections import Connection, Connections, Limits, Reason, Stage
from bridge.server.turns import Pace, Turns
from bridge.server.turnstile import ReadingTurns, Turnstile

_BACKLOG = 1024
_ACCEPTS_AT_ONCE = 32
"""Connections accepted from one socket before the loop does anything else."""
_OPENINGS_PER_S = 300.0
_OPENINGS_AT_ONCE = 20
"""Handshakes: 0.7 ms of processor time each with an ECDSA key, so a fifth of the loop's time."""
_OPENING_INTERVAL_S = 0.01
_SWEEPS = 50
"""The late are looked for so many times within the shortest time limit."""
_RETRY_S = 0.1
_WRITE_BUFFER_BYTES = 32 << 10
"""A caller takes its answer too slowly if more than that is left of it."""
_LARGE_BYTES = 256 << 10
"""Requests that hold more are read on in turns."""
_EXTRA_BYTES = 16 << 10
"""What a request may have beside its body: its headers, and the beginning of the next one."""
_TLS_SHUTDOWN_S = 2.0
_NOT_KEPT = (Stage.CLOSING, Stage.CLOSED)
_NO_DESCRIPTOR = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}

Handler = Callable[[web.BaseRequest, "Caller"], Awaitable[web.StreamResponse]]
"""Answers one request."""
CutTold = Callable[[str, Reason], None]
"""Is told the address of each connection that is cut."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What all servers of a process share."""

    budget: Budget = field(default_factory=lambda: Budget(DEFAULT_BYTES))
    turnstile: Turnstile = field(default_factory=Turnstile)
    reading: ReadingTurns = field(default_factory=ReadingTurns)


class Caller:
    """One connection, and the means to cut it."""

    __slots__ = (
        "_listener",
        "body_bytes",
        "connection",
        "given_up",
        "handling",
        "reading",
        "socket",
        "task",
        "transport",
    )

    connection: Connection
    """Its row in the table."""

    def __init__(self, listener: "Listener", accepted: socket.socket) -> None:
        self._listener = listener
        self.socket: socket.socket | None = accepted
        """Until the loop takes it over."""
        self.task: asyncio.Task[None] | None = None
        """Opens the connection."""
        self.transport: asyncio.Transport | None = None
        """Once it is open."""
        self.reading: asyncio.Timeout | None = None
        """The time limit of the body that is being read."""
        self.handling: asyncio.Task[None] | None = None
        """Handles its call. It may outlive the connection, and holds the memory of the request."""
        self.given_up = False
        """Its call is to be answered at once, since others need the memory of its request."""
        self.body_bytes = 0
        """Size of the body that was read."""

    def took(self, body: bytes | None) -> bytes | None:
        """Note the body that was read, if it is no larger than it may be."""
        self.body_bytes = len(body or b"")
        return body

    def calls(self) -> None:
        """The request is complete, and is handled from now on by the running task."""
        self.handling = asyncio.current_task()
        self._listener.table.calls(self.connection)

    @property
    def may_call(self) -> bool:
        """It need not wait for its turn; a caller with a certificate never needs to."""
        return self.connection.known or self._listener.shared.turnstile.is_open

    async def turn(self) -> None:
        """Wait for its turn."""
        if not self.connection.known:
            await self._listener.shared.turnstile.enter(self.connection.peer)

    def returns(self, seconds: float) -> None:
        """The call has been handled, which took so long."""
        self.handling = None
        self._listener.shared.turnstile.left(self.connection.peer, seconds)

    def cut(self, reason: Reason) -> None:
        """End it, and give up the call that is being handled. Where only the memory of its request
        is needed for others, the caller is told, if its request is understood; and if it is
        complete, the connection is kept."""
        self._listener.cuts(self.connection.peer, reason)
        if reason is Reason.MEMORY and self._give_up():
            return
        if self.handling is not None:
            self.handling.cancel()
        if self.transport is not None:
            if reason is Reason.MEMORY:
                self._listener.table.closed(self.connection)
            self.transport.abort()
        elif self.socket is not None:
            self._listener.forget(self)
            self.socket.close()
            self.socket = None
        elif self.task is not None:
            self.task.cancel()

    def _give_up(self) -> bool:
        """Whether somebody is there who answers the request now: what handles it sees that it is
        cancelled, what waits for its body or its turn sees a timeout."""
        if self.handling is not None:
            self.given_up = True
            self.handling.cancel()
            return True
        if self.reading is None or self.reading.expired():
            return False
        if not self.body_bytes:  # what still comes of it is not kept
            self._listener.table.answered(self.connection, last=True)
        self.reading.reschedule(0.0)
        return True


class Listener:
    """Accepts connections on `address` and has `handler` answer their requests.

    `limits` hold for this listener alone. The rest of a body that was refused unread is taken for
    `linger_s`, so that its sender sees the answer.
    """

    def __init__(
        self,
        *,
        address: addresses.Address,
        handler: Handler,
        limits: Limits,
        shared: Shared,
        cuts: CutTold,
        linger_s: float = 1.0,
    ) -> None:
        self._address = address
        self._handler = handler
        self._limits = limits
        self.shared = shared
        self.cuts = cuts
        self.options: dict[str, Any] = {
            "access_log": None,
            "auto_decompress": False,  # a small body could become a very large one
            "keepalive_timeout": 86_400.0,  # the table has the time limits
            "lingering_time": linger_s,
        }
        """Of aiohttp's request handlers."""
        self._context: ssl.SSLContext | None = None
        self._loop = asyncio.get_running_loop()
        self.table = Connections(limits, now=self._loop.time)
        self._waiting: Turns[Caller] = Turns()
        self._pace = Pace(rate=_OPENINGS_PER_S, burst=_OPENINGS_AT_ONCE)
        self._opener: asyncio.TimerHandle | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._sweep_s = min(limits.handshake_s, limits.headers_s, limits.answer_s) / _SWEEPS
        self._sockets: list[socket.socket] = []
        self._opening: set[asyncio.Task[None]] = set()
        self._server = web.Server(self._serve, access_log=None)
        self._runner: web.ServerRunner | None = None

    async def start(self, context: ssl.SSLContext | None = None, *, stop_s: float = 10.0) -> int:
        """Listen, with TLS if there is a `context`; the port. What is in flight at the stop is
        given `stop_s`. Raises ConfigError when the address can't be used."""
        self._context = context
        self._sockets = await addresses.bound(self._address)
        self._runner = web.ServerRunner(self._server, shutdown_timeout=stop_s)
        await self._runner.setup()
        for one in self._sockets:
            one.listen(_BACKLOG)
            self._loop.add_reader(one, self._accept, one)
        self._sweep()
        return int(self._sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """No new connection; then, once what is in flight is answered, none at all."""
        for one in self._sockets:
            self._loop.remove_reader(one)
            one.close()
        self._sockets = []
        while self._waiting:
            waiting = self._waiting.next().socket
            if waiting is not None:
                waiting.close()
        opening = list(self._opening)
        for task in opening:
            task.cancel()
        await asyncio.gather(*opening, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()
        for handle in (self._opener, self._sweeper):
            if handle is not None:
                handle.cancel()

    # -- accept and open -----------------------------------------------------------------------

    def _accept(self, listening: socket.socket) -> None:
        for number in range(_ACCEPTS_AT_ONCE):
            try:
                accepted, place = listening.accept()
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                if error.errno in _NO_DESCRIPTOR:
                    if number == 0:  # else there may be nobody left to accept
                        self._rest(listening)
                    break
                continue  # the caller has gone already
            accepted.setblocking(False)
            caller = Caller(self, accepted)
            caller.connection = self.table.opened(place[0], caller.cut)
            self._waiting.add(caller.connection.peer, caller)
        self._open_next()

    def _rest(self, listening: socket.socket) -> None:
        """No descriptor is left in this process: give one back, and try again a little later."""
        self.table.make_room()
        self._loop.remove_reader(listening)
        self._loop.call_later(_RETRY_S, self._accept_again, listening)

    def _accept_again(self, listening: socket.socket) -> None:
        if listening in self._sockets:
            self._loop.add_reader(listening, self._accept, listening)

    def forget(self, caller: Caller) -> None:
        """It need not be opened any more."""
        self._waiting.drop(caller.connection.peer, caller)

    def _open_next(self) -> None:
        if self._opener is not None:
            return
        while self._waiting:
            if not self._pace.may_start(self._loop.time()):
                self._opener = self._loop.call_later(_OPENING_INTERVAL_S, self._open_more)
                return
            caller = self._waiting.next()
            caller.task = self._loop.create_task(self._open(caller), name="connection")
            self._opening.add(caller.task)
            caller.task.add_done_callback(self._opening.discard)

    def _open_more(self) -> None:
        self._opener = None
        self._open_next()

    async def _open(self, caller: Caller) -> None:
        accepted, caller.socket = caller.socket, None
        if accepted is None:
            return  # it was cut in the meantime
        self.table.shakes_hands(caller.connection)
        try:
            await self._loop.connect_accepted_socket(
                lambda: _Http(self, self._server, caller),
                accepted,
                ssl=self._context,
                ssl_shutdown_timeout=_TLS_SHUTDOWN_S if self._context else None,
            )
        except OSError:  # no TLS came of it
            self.cuts(caller.connection.peer, Reason.HANDSHAKE)
        except asyncio.CancelledError:
            pass  # it was cut
        finally:
            if caller.transport is None:
                self.table.closed(caller.connection)

    # -- requests ------------------------------------------------------------------------------

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        caller = cast("_Http", request.protocol).caller
        connection = caller.connection
        self.table.understood(connection)
        caller.body_bytes, caller.given_up = 0, False
        last = False
        try:
            response = await self._handler(request, caller)
            if connection.held > caller.body_bytes + _EXTRA_BYTES:
                response.force_close()  # more requests at once than anybody needs to send
            last = response.keep_alive is False
            return response
        finally:
            self.shared.budget.give_back(connection)
            self.table.answered(connection, last=last)

    def _sweep(self) -> None:
        """Cut the late. What came while the loop had no time for it is read after this only."""
        now_s = self._loop.time()
        if self._sweeper is not None and now_s - self._sweeper.when() > self._sweep_s:
            self.table.postpone(now_s - self._sweeper.when())
        self.table.cut_late()
        self._sweeper = self._loop.call_later(self._sweep_s, self._sweep)


class _Http(web.RequestHandler):
    """aiohttp's side of a connection, with what the table is to know of it."""

    __slots__ = ("_listener", "caller")

    def __init__(self, listener: Listener, server: web.Server, caller: Caller) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **listener.options)
        self._listener = listener
        self.caller = caller

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        caller = self.caller
        caller.transport = cast("asyncio.Transport", transport)
        caller.transport.set_write_buffer_limits(high=_WRITE_BUFFER_BYTES)
        known = bool(transport.get_extra_info("peercert"))
        self._listener.table.ready(caller.connection, known=known)
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        connection = self.caller.connection
        if data and connection.stage not in _NOT_KEPT:
            self._listener.table.received(connection)
            if not self._listener.shared.budget.take(connection, len(data)):
                return
        super().data_received(data)
        if connection.held > _LARGE_BYTES and not connection.known and self.caller.transport:
            self._listener.shared.reading.wait(connection.peer, self.caller.transport)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if status == 400:
            self._listener.cuts(self.caller.connection.peer, Reason.MALFORMED)
        return super().handle_error(request, status, exc, message)

    def log_exception(self, *args: Any, **details: Any) -> None:
        if not isinstance(details.get("exc_info"), HttpProcessingError):  # it is counted
            super().log_exception(*args, **details)

    def pause_writing(self) -> None:
        connection, transport = self.caller.connection, self.caller.transport
        if transport is not None:
            self._listener.table.stuck(connection)
            self._listener.shared.budget.take(connection, transport.get_write_buffer_size())
        super().pause_writing()

    def resume_writing(self) -> None:
        self._listener.shared.budget.give_back(self.caller.connection)
        self._listener.table.unstuck(self.caller.connection)
        super().resume_writing()

    def connection_lost(self, exc: BaseException | None) -> None:
        if self.caller.handling is None:
            self._listener.shared.budget.give_back(self.caller.connection)
        self._listener.table.closed(self.caller.connection)
        super().connection_lost(exc)
