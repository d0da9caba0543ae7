"""The endpoints about reservations."""

from bridge.sim.slurm import hosts, reserve
from bridge.sim.slurm.answers import Answer, Call, Envelope
from bridge.sim.slurm.cluster import Cluster
from bridge.sim.slurm.description import Site
from bridge.sim.slurm.errors import (
    DATA_CONVERSION,
    DATA_FLAG,
    DATA_NOT_A_DICTIONARY,
    INVALID_RESERVATION,
    NO_ERROR,
    NODE_CONFIGURATION_UNAVAILABLE,
    NODES_BUSY,
    REST_INVALID_QUERY,
    NotEmulated,
    Refused,
    status_of,
)
from bridge.sim.slurm.fields import RESERVATION_FIELDS, RESERVATION_FLAGS
from bridge.sim.slurm.job import YEAR_MIN
from bridge.sim.slurm.reservations import Reservation
from bridge.sim.slurm.wire import (
    Complaints,
    Json,
    number,
    read_names,
    read_number,
    read_text,
    time_of,
)

_NOT_EMULATED = (
    "accounts",
    "burst_buffer",
    "core_count",
    "groups",
    "licenses",
    "max_start_delay",
    "purge_completed",
    "tres",
)
_SHOWN_FLAGS = ("MAINT", "IGNORE_JOBS", "OVERLAP", "SPEC_NODES", "ALL_NODES")
"""All that are emulated, in slurmrestd's order."""
_TAKEN_AWAY = {"NO_MAINT", "NO_IGNORE_JOBS"}
_NEVER = 2**32 - 2
"""How slurmrestd writes a time that nobody said."""
_ONE_PARTITION = (
    ". Note, unless nodes are directly requested a reservation must exist in a single partition. "
    "If no partition is requested the default partition is assumed."
)


class ReservationsApi:
    """`/reservations/`, `/reservation/{name}`, `POST /reservation`."""

    def __init__(self, cluster: Cluster, envelope: Envelope, site: Site) -> None:
        self._cluster = cluster
        self._envelope = envelope
        self._site = site

    def everything(self, call: Call) -> Answer:
        """All that have not ended."""
        return self._shown(list(self._cluster.reservations), call.now)

    def get(self, call: Call) -> Answer:
        """One of them; 200 with error 0 where there is none at all."""
        found = self._cluster.reservations.get(call.argument)
        if found is not None:
            return self._shown([found], call.now)
        if not any(self._cluster.reservations):
            about = "Unable to query reservations"
            return self._envelope.refused(NO_ERROR, about, "slurm_load_reservations()")
        about = f"Unable to find reservation {call.argument}"
        return self._envelope.refused(REST_INVALID_QUERY, about, "_get_single_reservation")

    def _shown(self, reservations: list[Reservation], now: float) -> Answer:
        shown: list[Json] = [_show(one) for one in reservations]
        return self._envelope.answer({"reservations": shown, "last_update": time_of(now)})

    def delete(self, call: Call) -> Answer:
        """Remove one that no job names."""
        try:
            self._cluster.unreserve(call.argument, call.now)
        except Refused as refused:
            about = f"Error deleting reservation {call.argument}"
            return self._envelope.refused(refused.number, about, "slurm_delete_reservation")
        return self._envelope.answer({})

    def post(self, call: Call) -> Answer:
        """Make one, or change the one of that name. An unknown flag makes the answer a 500 *and*
        the reservation.
        """
        complaints = Complaints()
        if not isinstance(call.body, dict):
            about = "Rejecting list when dictionary expected"
            complaints.error(DATA_NOT_A_DICTIONARY, about, "#/")
            return self._unreadable(complaints)
        wish = _read(call.body, complaints)
        if any(error["error_number"] == DATA_CONVERSION for error in complaints.errors):
            return self._unreadable(complaints)
        if not wish.name:
            return self._refused(
                INVALID_RESERVATION, "Reservation must be given.", "_mod_reservation", complaints
            )
        old = self._cluster.reservations.get(wish.name)
        lacks = "" if old else reserve.missing(wish)
        if lacks:
            source = "validate_resv_create_desc"
            return self._refused(INVALID_RESERVATION, lacks, source, complaints)
        refusal = self._create(wish, complaints, call.now) if old is None else None
        if old is not None:
            refusal = self._change(old, wish, complaints, call.now)
        if refusal is not None:
            return refusal
        if complaints.errors:
            return self._envelope.answer({}, complaints, status=500)
        return self._envelope.answer({"reservations": [_echo(call.body, wish)]}, complaints)

    def _create(self, wish: reserve.Wish, complaints: Complaints, now: float) -> Answer | None:
        try:
            reserve.create(self._cluster, wish, self._site.users, now)
        except Refused as refused:
            counted = not wish.nodes and refused.number in (
                NODE_CONFIGURATION_UNAVAILABLE,
                NODES_BUSY,
            )
            about = f" {wish.name}" if not counted else f"{wish.name}{_ONE_PARTITION}"
            about = f"Error creating reservation {about}"
            return self._refused(refused.number, about, "slurm_create_reservation", complaints)
        return None

    def _change(
        self, old: Reservation, wish: reserve.Wish, complaints: Complaints, now: float
    ) -> Answer | None:
        try:
            reserve.change(self._cluster, old, wish, self._site.users, now)
        except Refused as refused:
            about = f"Error updating reservation {wish.name}"
            return self._refused(refused.number, about, "slurm_update_reservation", complaints)
        return None

    def _unreadable(self, complaints: Complaints) -> Answer:
        about = "Rejecting request. Failure parsing parameters"
        return self._refused(REST_INVALID_QUERY, about, "_parse_resv_desc", complaints)

    def _refused(self, number: int, about: str, source: str, complaints: Complaints) -> Answer:
        complaints.error(number, about, source)
        return self._envelope.answer({}, complaints, status=status_of(number))


def _read(body: dict[str, Json], complaints: Complaints) -> reserve.Wish:
    for name in _NOT_EMULATED:
        if body.get(name):
            raise NotEmulated(f"{name} of a reservation")
    if body.get("node_list") == []:
        raise NotEmulated("a reservation that shall look for nodes anew")
    complaints.unknown_fields(body, RESERVATION_FIELDS, "DATA_PARSER_RESERVATION_DESC_MSG", "#/")
    minutes = _number(body, "duration", complaints)
    users = read_names(body, "users", complaints, "#/") or []
    if any(word[:1] in "+-" for word in users):
        raise NotEmulated("users added to a reservation or taken from it")
    return reserve.Wish(
        name=read_text(body, "name", complaints, "#/") or "",
        start_s=_number(body, "start_time", complaints),
        end_s=_number(body, "end_time", complaints),
        duration_s=None if minutes is None else 60.0 * minutes,
        nodes=tuple(read_names(body, "node_list", complaints, "#/") or []),
        node_count=_number(body, "node_count", complaints) or 0,
        partition=read_text(body, "partition", complaints, "#/") or "",
        users=tuple(name for word in users for name in word.split(",") if name),
        features=read_text(body, "features", complaints, "#/") or "",
        flags=frozenset(_flags(body, complaints)),
    )


def _number(body: dict[str, Json], name: str, complaints: Complaints) -> int | None:
    value = body.get(name)
    if isinstance(value, str) and not value.isdigit():
        if name.endswith("_time"):
            raise NotEmulated(f"{name} of a reservation in words")
        complaints.error(DATA_CONVERSION, f'Expected integer but got "{value}"', f"#/{name}/")
        return None
    read = read_number(body, name, complaints, "#/")
    if name == "duration" and read.value == 0:
        raise NotEmulated("a reservation of no duration")
    return YEAR_MIN if read.infinite else read.value


def _flags(body: dict[str, Json], complaints: Complaints) -> list[str]:
    known = []
    for index, flag in enumerate(body.get("flags") or []):
        if flag not in RESERVATION_FLAGS:
            complaints.error(DATA_FLAG, f'Unknown flag "{flag}"', f"#/flags[{index}]/")
        elif flag not in _SHOWN_FLAGS and flag not in _TAKEN_AWAY:
            raise NotEmulated(f"flag {flag} of a reservation")
        else:
            known.append(str(flag))
    return known


def _show(one: Reservation) -> dict[str, Json]:
    return {
        "accounts": "",
        "burst_buffer": "",
        "core_count": one.cores,
        "core_specializations": [],
        "end_time": time_of(one.end_s),
        "features": one.features,
        "flags": [flag for flag in _SHOWN_FLAGS if flag in one.flags],
        "groups": "",
        "licenses": "",
        "max_start_delay": 0,
        "name": one.name,
        "node_count": len(one.nodes),
        "node_list": hosts.compress(one.nodes),
        "partition": one.partition,
        "purge_completed": {"time": number(300)},
        "start_time": time_of(one.start_s),
        "tres": f"cpu={one.cpus}",
        "users": ",".join(one.users),
    }


def _echo(body: dict[str, Json], wish: reserve.Wish) -> dict[str, Json]:
    """What slurmrestd has understood."""
    return {
        "accounts": [],
        "burst_buffer": "",
        "comment": body.get("comment") or "",
        "core_count": number(None),
        "duration": number(None if wish.duration_s is None else int(wish.duration_s) // 60),
        "end_time": time_of(_NEVER if wish.end_s is None else wish.end_s),
        "features": wish.features,
        "flags": list(body.get("flags") or []),
        "groups": [],
        "licenses": [],
        "max_start_delay": number(None),
        "name": wish.name,
        "node_count": number(wish.node_count or None),
        "node_list": list(wish.nodes),
        "partition": wish.partition,
        "purge_completed": {"time": number(None)},
        "start_time": time_of(_NEVER if wish.start_s is None else wish.start_s),
        "tres": [],
        "users": list(wish.users),
    }
