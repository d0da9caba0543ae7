"""The open connections of one server: how many there may be, how long each may take, who is cut.

Anybody in the pod network can reach our ports, and a caller that we must not miss comes without a
name: the API server shows no certificate. So no newcomer is turned away. When the table is full,
the address with the most connections loses one of them: the one that has been of no use for the
longest time, and only if all its calls are being handled, the call that has been so for the
longest. A caller with a client certificate of our CA (kube-scheduler) loses none while anybody
else has one.

This module is pure bookkeeping. Whoever owns the sockets reports what happens, and gives each
connection a function that cuts it.
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass, field


class Stage(enum.Enum):
    """What a connection does."""

    WAITING = "waiting"
    """It is accepted, and waits until it may shake hands."""
    HANDSHAKE = "handshake"
    IDLE = "idle"
    """No byte of a request has come."""
    HEADERS = "headers"
    """A request has begun."""
    BODY = "body"
    """The headers are known; the body is on its way, or the call waits for its turn."""
    CALL = "call"
    """The call is handled."""
    ANSWER = "answer"
    """The answer is written, and the caller does not take it."""
    CLOSING = "closing"
    """It was answered for the last time; what still comes is not kept."""
    CLOSED = "closed"
    """It is not in the table any more."""


class Reason(enum.Enum):
    """Why a connection is cut: the label of the metric."""

    ROOM = "room"
    """Another connection needed its place in the table."""
    MEMORY = "memory"
    """Other requests needed the memory that its request holds."""
    HANDSHAKE = "handshake"
    """The handshake failed, or took too long."""
    REQUEST = "request"
    """The request took too long."""
    IDLE = "idle"
    """No request came for a long time."""
    ANSWER = "answer"
    """The answer was not taken."""
    MALFORMED = "malformed"
    """What came is no HTTP."""


_LATE = {
    Stage.WAITING: Reason.HANDSHAKE,
    Stage.HANDSHAKE: Reason.HANDSHAKE,
    Stage.IDLE: Reason.IDLE,
    Stage.HEADERS: Reason.REQUEST,
    Stage.ANSWER: Reason.ANSWER,
    Stage.CLOSING: Reason.IDLE,
}
"""A body has its limit where it is read, and a call in its handler."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the connections of one server may take. Times in seconds."""

    connections: int = 2048
    """Open at once; more than that are not kept."""
    handshake_s: float = 5.0
    """From being accepted to the end of the handshake."""
    headers_s: float = 5.0
    """From the first byte of a request to the end of its headers."""
    body_s: float = 10.0
    """From there to the end of its body."""
    answer_s: float = 10.0
    """For the caller to take its answer."""
    idle_s: float = 180.0
    """Without a request. Go's clients keep an idle connection for 90 s, and the side that sends
    should be the first to close."""
    closing_s: float = 5.0
    """From the last answer to the end of the connection."""


@dataclass(slots=True, eq=False)
class Connection:
    """One connection. `peer` is the address that it comes from."""

    peer: str
    cut: Callable[[Reason], None]
    """Ends it. Called at most once, and not after `Connections.closed`."""
    known: bool = False
    """It has shown a client certificate of our CA."""
    stage: Stage = Stage.WAITING
    deadline_s: float = 0.0
    held: int = 0
    """Bytes that its request holds: a part of the `Budget`."""


@dataclass(frozen=True, slots=True)
class _Peer:
    """The connections of one address, in the order in which they were last of use."""

    spare: dict[Connection, None] = field(default_factory=dict)
    calling: dict[Connection, None] = field(default_factory=dict)
    """Their calls are being handled."""

    def __len__(self) -> int:
        return len(self.spare) + len(self.calling)


_Peers = dict[str, _Peer]


class Connections:
    """The table. `now` is a clock that only grows, in seconds."""

    def __init__(self, limits: Limits, *, now: Callable[[], float]) -> None:
        self._limits = limits
        self._now = now
        self._open: dict[Connection, None] = {}
        self._strangers: _Peers = {}
        self._known: _Peers = {}

    def __len__(self) -> int:
        return len(self._open)

    def opened(self, peer: str, cut: Callable[[Reason], None]) -> Connection:
        """A connection is accepted; if there is no place for it, another one is cut."""
        if len(self._open) >= self._limits.connections:
            self.make_room()
        connection = Connection(peer, cut)
        connection.deadline_s = self._now() + self._limits.handshake_s
        self._open[connection] = None
        self._spare(connection)
        return connection

    def make_room(self) -> None:
        """Cut the connection that can be spared first, if there is any."""
        peers = self._strangers or self._known
        if peers:
            most = peers[max(peers, key=lambda peer: len(peers[peer]))]
            victim = next(iter(most.spare or most.calling))
            self.closed(victim)
            victim.cut(Reason.ROOM)

    def shakes_hands(self, connection: Connection) -> None:
        """It is its turn; the time since it was accepted counts."""
        if connection.stage is Stage.WAITING:
            connection.stage = Stage.HANDSHAKE

    def ready(self, connection: Connection, *, known: bool) -> None:
        """Requests may come now. `known`: it has shown a certificate."""
        if connection.stage is Stage.CLOSED:
            return
        self._forget(connection)
        connection.known = known
        self._idle(connection)

    def received(self, connection: Connection) -> None:
        """Bytes of a request have come."""
        if connection.stage is Stage.IDLE:
            connection.stage = Stage.HEADERS
            connection.deadline_s = self._now() + self._limits.headers_s
            peer = self._peer(connection)
            del peer.spare[connection]
            peer.spare[connection] = None

    def understood(self, connection: Connection) -> None:
        """The headers of a request are complete."""
        if connection.stage not in (Stage.CALL, Stage.CLOSED):
            connection.stage = Stage.BODY

    def calls(self, connection: Connection) -> None:
        """The call is handled from now on."""
        if connection.stage is not Stage.CLOSED:
            connection.stage = Stage.CALL
            peer = self._peer(connection)
            peer.spare.pop(connection, None)
            peer.calling[connection] = None

    def answered(self, connection: Connection, *, last: bool = False) -> None:
        """The request is answered. `last`: the connection is not kept."""
        if connection.stage is Stage.CLOSED:
            return
        self._idle(connection)
        if last:
            connection.stage = Stage.CLOSING
            connection.deadline_s = self._now() + self._limits.closing_s

    def stuck(self, connection: Connection) -> None:
        """The caller does not take its answer as fast as it is written."""
        if connection.stage not in (Stage.CALL, Stage.CLOSED):
            connection.stage = Stage.ANSWER
            connection.deadline_s = self._now() + self._limits.answer_s

    def unstuck(self, connection: Connection) -> None:
        """The caller has taken its answer."""
        if connection.stage is Stage.ANSWER:
            connection.stage = Stage.IDLE
            connection.deadline_s = self._now() + self._limits.idle_s

    def closed(self, connection: Connection) -> None:
        """It is gone. One that was cut has left the table already."""
        if connection.stage is not Stage.CLOSED:
            connection.stage = Stage.CLOSED
            del self._open[connection]
            self._forget(connection)

    def postpone(self, seconds: float) -> None:
        """The loop has stood still for so long: nobody was late meanwhile."""
        for connection in self._open:
            connection.deadline_s += seconds

    def cut_late(self) -> None:
        """Cut what has taken too long."""
        now_s = self._now()
        for connection in [one for one in self._open if one.deadline_s <= now_s]:
            if reason := _LATE.get(connection.stage):
                self.closed(connection)
                connection.cut(reason)

    def _idle(self, connection: Connection) -> None:
        connection.stage = Stage.IDLE
        connection.deadline_s = self._now() + self._limits.idle_s
        self._spare(connection)

    def _spare(self, connection: Connection) -> None:
        """It is the last of its address that can be spared."""
        peer = self._peer(connection)
        peer.calling.pop(connection, None)
        peer.spare.pop(connection, None)
        peer.spare[connection] = None

    def _peer(self, connection: Connection) -> _Peer:
        peers = self._known if connection.known else self._strangers
        peer = peers.get(connection.peer)
        if peer is None:
            peer = peers[connection.peer] = _Peer()
        return peer

    def _forget(self, connection: Connection) -> None:
        peers = self._known if connection.known else self._strangers
        peer = peers[connection.peer]
        peer.spare.pop(connection, None)
        peer.calling.pop(connection, None)
        if not peer:
            del peers[connection.peer]
