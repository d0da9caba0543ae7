"""Which connections may stay."""

from collections.abc import Callable

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bridge.server.connections import Connection, Connections, Limits, Reason, Stage

LIMITS = Limits(connections=4, handshake_s=5, headers_s=3, answer_s=10, idle_s=100, closing_s=2)


class Table:
    """A table with a clock that the test sets; what was cut is written down."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.now_s = 0.0
        self.connections = Connections(limits, now=lambda: self.now_s)
        self.cut: list[tuple[str, Reason]] = []

    def waiting(self, peer: str, name: str = "") -> Connection:
        """A connection that was just accepted."""
        return self.connections.opened(peer, lambda reason: self.cut.append((name or peer, reason)))

    def idle(self, peer: str, name: str = "", *, known: bool = False) -> Connection:
        """A connection that may send requests."""
        connection = self.waiting(peer, name)
        self.connections.shakes_hands(connection)
        self.connections.ready(connection, known=known)
        return connection

    def calling(self, peer: str, name: str = "", *, known: bool = False) -> Connection:
        """A connection whose call is handled."""
        connection = self.idle(peer, name, known=known)
        self.connections.received(connection)
        self.connections.understood(connection)
        self.connections.calls(connection)
        return connection


def test_nobody_is_cut_while_there_is_room() -> None:
    """The limit itself is allowed."""
    table = Table()
    for _ in range(4):
        table.idle("flood")
    assert (len(table.connections), table.cut) == (4, [])


def test_the_address_with_the_most_makes_room() -> None:
    """A newcomer gets in; the crowd loses the one that has been idle longest."""
    table = Table()
    table.idle("api")
    for number in range(3):
        table.idle("flood", f"flood {number}")
    table.waiting("scheduler")
    assert table.cut == [("flood 0", Reason.ROOM)]
    assert len(table.connections) == 4


def test_a_crowd_displaces_itself() -> None:
    """However many come from one address, the others keep theirs."""
    table = Table()
    table.idle("api")
    for number in range(50):
        table.waiting("flood", f"flood {number}")
    assert {name for name, _ in table.cut} == {f"flood {number}" for number in range(47)}


def test_a_used_connection_is_spared() -> None:
    """Of one address, what was used last stays longest."""
    table = Table()
    first = table.idle("nat", "used")
    for number in range(3):
        table.idle("nat", f"unused {number}")
    table.connections.received(first)
    table.connections.understood(first)
    table.connections.calls(first)
    table.connections.answered(first)
    for _ in range(3):
        table.waiting("other")
    assert [name for name, _ in table.cut] == ["unused 0", "unused 1", "unused 2"]


@pytest.mark.parametrize("stage", list(Stage))
def test_any_stage_makes_room(stage: Stage) -> None:
    """A newcomer gets in, whatever the others do."""
    table = Table(Limits(connections=1))
    connection = table.waiting("a")
    connections = table.connections
    steps: list[tuple[Stage, Callable[[], None]]] = [
        (Stage.HANDSHAKE, lambda: connections.shakes_hands(connection)),
        (Stage.IDLE, lambda: connections.ready(connection, known=False)),
        (Stage.HEADERS, lambda: connections.received(connection)),
        (Stage.BODY, lambda: connections.understood(connection)),
        (Stage.CALL, lambda: connections.calls(connection)),
        (Stage.IDLE, lambda: connections.answered(connection)),
        (Stage.ANSWER, lambda: connections.stuck(connection)),
        (Stage.CLOSING, lambda: connections.answered(connection, last=True)),
        (Stage.CLOSED, lambda: connections.closed(connection)),
    ]
    for reached, step in steps:
        if connection.stage is stage:
            break
        step()
        assert connection.stage is reached
    table.waiting("b")
    assert table.cut == ([] if stage is Stage.CLOSED else [("a", Reason.ROOM)])
    assert len(connections) == 1


def test_calls_come_last() -> None:
    """What is being handled is spared while its address has anything else."""
    table = Table()
    for number in range(2):
        table.calling("flood", f"call {number}")
    for number in range(2):
        table.idle("flood", f"idle {number}")
    for _ in range(2):
        table.waiting("api")
    assert [name for name, _ in table.cut] == ["idle 0", "idle 1"]


def test_a_crowd_of_calls() -> None:
    """Calls count among an address's connections: a crowd of them costs nobody else anything."""
    table = Table()
    table.idle("api")
    for number in range(3):
        table.calling("flood", f"call {number}")
    table.waiting("scheduler")
    assert table.cut == [("call 0", Reason.ROOM)]


def test_known_callers_are_spared() -> None:
    """Who has shown a certificate keeps everything while a stranger has anything."""
    table = Table()
    for _ in range(3):
        table.idle("scheduler", known=True)
    table.idle("api")
    table.waiting("newcomer")
    assert table.cut == [("api", Reason.ROOM)]


def test_known_callers_make_room_for_each_other() -> None:
    """With certificates alone in the table, the longest idle one goes."""
    table = Table()
    for number in range(4):
        table.idle("scheduler", f"scheduler {number}", known=True)
    table.waiting("api")
    assert table.cut == [("scheduler 0", Reason.ROOM)]


@pytest.mark.parametrize(
    ("stage", "limit_s", "reason"),
    [
        (Stage.WAITING, 5, Reason.HANDSHAKE),
        (Stage.HANDSHAKE, 5, Reason.HANDSHAKE),
        (Stage.IDLE, 100, Reason.IDLE),
        (Stage.HEADERS, 3, Reason.REQUEST),
        (Stage.ANSWER, 10, Reason.ANSWER),
        (Stage.CLOSING, 2, Reason.IDLE),
    ],
)
def test_each_stage_has_its_limit(stage: Stage, limit_s: float, reason: Reason) -> None:
    """What lasts longer than it may is cut, for its own reason."""
    table = Table()
    if stage in (Stage.WAITING, Stage.HANDSHAKE):
        connection = table.waiting("a")
        if stage is Stage.HANDSHAKE:
            table.connections.shakes_hands(connection)
    else:
        connection = table.idle("a")
    if stage is Stage.HEADERS:
        table.connections.received(connection)
    elif stage is Stage.ANSWER:
        table.connections.stuck(connection)
    elif stage is Stage.CLOSING:
        table.connections.answered(connection, last=True)
    assert connection.stage is stage
    table.now_s = limit_s - 0.1
    table.connections.cut_late()
    assert table.cut == []
    table.now_s = limit_s
    table.connections.cut_late()
    assert (table.cut, len(table.connections)) == ([("a", reason)], 0)


def test_waiting_for_the_handshake_counts() -> None:
    """The time until the turn of a handshake is a part of its limit."""
    table = Table()
    connection = table.waiting("a")
    table.now_s = 4.0
    table.connections.shakes_hands(connection)
    table.now_s = 5.0
    table.connections.cut_late()
    assert table.cut == [("a", Reason.HANDSHAKE)]


def test_time_in_which_the_loop_stood_does_not_count() -> None:
    """Nobody is late for what nobody could take."""
    table = Table()
    table.waiting("a")
    table.now_s = 7.0
    table.connections.postpone(6.0)
    table.connections.cut_late()
    assert table.cut == []
    table.now_s = 11.0
    table.connections.cut_late()
    assert table.cut == [("a", Reason.HANDSHAKE)]


def test_more_bytes_give_no_more_time() -> None:
    """Who sends its headers byte by byte has the time of the first byte."""
    table = Table()
    connection = table.idle("a")
    for second in range(4):
        table.now_s = second
        table.connections.received(connection)
        table.connections.cut_late()
    assert table.cut == [("a", Reason.REQUEST)]


def test_calls_and_bodies_are_not_late_here() -> None:
    """A body has its limit where it is read, a call in its handler."""
    table = Table()
    connection = table.calling("a")
    body = table.idle("b")
    table.connections.received(body)
    table.connections.understood(body)
    table.now_s = 10_000.0
    table.connections.cut_late()
    assert table.cut == []
    table.connections.answered(connection)
    table.now_s = 10_099.0
    table.connections.cut_late()
    assert table.cut == []


def test_an_answer_that_is_taken() -> None:
    """A caller that reads its answer late, but in time, may send its next request."""
    table = Table()
    connection = table.calling("a")
    table.connections.answered(connection)
    table.connections.stuck(connection)
    table.connections.unstuck(connection)
    table.now_s = 99.0
    table.connections.cut_late()
    assert (table.cut, connection.stage) == ([], Stage.IDLE)


class AnyOrder(RuleBasedStateMachine):
    """Whatever is reported in whatever order: the table keeps its limit and its books."""

    @initialize()
    def begin(self) -> None:
        self.table = Table()
        self.all: list[Connection] = []

    @rule(peer=st.sampled_from("abc"))
    def open(self, peer: str) -> None:
        self.all.append(self.table.waiting(peer))

    @rule(
        number=st.integers(0, 99),
        what=st.sampled_from(
            ["shakes_hands", "received", "understood", "calls", "stuck", "unstuck", "closed"]
        ),
    )
    def report(self, number: int, what: str) -> None:
        if self.all:
            getattr(self.table.connections, what)(self.all[number % len(self.all)])

    @rule(number=st.integers(0, 99), flag=st.booleans(), ready=st.booleans())
    def report_more(self, number: int, flag: bool, ready: bool) -> None:
        if self.all:
            connection = self.all[number % len(self.all)]
            if ready:
                self.table.connections.ready(connection, known=flag)
            else:
                self.table.connections.answered(connection, last=flag)

    @rule(seconds=st.integers(0, 20))
    def wait(self, seconds: int) -> None:
        self.table.now_s += seconds
        self.table.connections.cut_late()

    @invariant()
    def limited(self) -> None:
        """Never more than the limit; open is what is not closed."""
        if hasattr(self, "table"):
            open_ = [one for one in self.all if one.stage is not Stage.CLOSED]
            assert len(self.table.connections) == len(open_) <= LIMITS.connections


TestAnyOrder = AnyOrder.TestCase
