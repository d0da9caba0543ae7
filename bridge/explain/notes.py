"""Further facts of a gang that waits: what its jobs leave out, what is short, what is reserved."""

from collections.abc import Iterable, Iterator
from typing import Final

from bridge.explain import times
from bridge.lifecycle.machine import GangMachine
from bridge.model.job import JobFacts
from bridge.slurm.reservations import Reservation

_MOST_RESERVATIONS: Final = 3


def asks_for_reservations(facts: JobFacts) -> bool:
    """Whether reservations may be what a waiting job waits for."""
    return facts.reason.startswith(("Reservation", "ReqNodeNotAvail", "BeginTime"))


def of(
    machine: GangMachine,
    *,
    left_out: str,
    shortage: str,
    reservations: Iterable[Reservation],
    now_s: float,
) -> tuple[str, ...]:
    """The facts, each a sentence without its full stop. `left_out` names nodes that its jobs leave
    out, `shortage` says why no nodes suffice at the moment."""
    found: list[str] = []
    run = machine.known.run
    status = machine.status()
    if shortage and shortage not in status.trouble and shortage != status.lack.shortage:
        found.append(f"Slurm's nodes do not suffice: {shortage}")
    if status.lack.new_nodes:
        found.append(status.lack.new_nodes)
    if left_out and left_out not in status.trouble:
        found.append(f"Its jobs leave out nodes for a while, as grants there were of no use: "
                     f"{left_out}")  # fmt: skip
    if run is not None and run.facts is not None and asks_for_reservations(run.facts):
        named = run.spec.reservation if run.spec is not None else ""
        found += _reserved(named, reservations, now_s)
    if machine.known.demand.singletons:
        count = machine.known.demand.singletons
        found.append(
            f"{count} pods of the same owner queue on their own, not as a part of this gang"
        )
    return tuple(found)


def _reserved(named: str, reservations: Iterable[Reservation], now_s: float) -> Iterator[str]:
    known = [one for one in reservations if one.end_s is None or one.end_s > now_s]
    if named and named not in {one.name for one in known}:
        yield f"Slurm has no reservation {named} (any more)"
    shown = [one for one in known if one.name == named or (not named and "MAINT" in one.flags)]
    shown.sort(key=lambda one: one.start_s or 0)
    for one in shown[:_MOST_RESERVATIONS]:
        what = "Maintenance" if "MAINT" in one.flags else "Reservation"
        nodes = f" of {one.node_count} node{'s' if one.node_count != 1 else ''}"
        begin = times.at(one.start_s) if one.start_s else "now"
        end = times.ahead(one.end_s, now_s) if one.end_s else "further notice"
        yield f"{what} {one.name}{nodes}: from {begin} until {end}"
