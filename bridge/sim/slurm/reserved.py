"""What reservations mean to a job that wants to start."""

from bridge.sim.slurm.errors import NODE_CONFIGURATION_UNAVAILABLE, Refused
from bridge.sim.slurm.job import Request
from bridge.sim.slurm.nodes import Bools, NodeTable
from bridge.sim.slurm.partition import Partition
from bridge.sim.slurm.place import Placer
from bridge.sim.slurm.reservations import Room
from bridge.sim.slurm.submit import NODE_UNAVAILABLE_NOW, RESERVATION_NOT_USABLE, Caveat

NODE_NOT_AVAILABLE = "ReqNodeNotAvail, May be reserved for other job"
MAINTENANCE = "ReqNodeNotAvail, Reserved for maintenance"


def at_submit(
    request: Request, room: Room, partition: Partition, placer: Placer, table: NodeTable, now: float
) -> Caveat:
    """Raises Refused (2014) for a job that its own reservation could never serve."""
    if not room.begun:
        return Caveat(RESERVATION_NOT_USABLE, "Reservation")
    if not room.restricts:
        return Caveat()
    wanted = placer.may_use(request, partition)
    if request.reservation and not _fits(request, room, wanted, placer, table, now):
        raise Refused(NODE_CONFIGURATION_UNAVAILABLE)
    why = why_not(request, room, wanted & table.usable, placer, table, now)
    if not why:
        return Caveat()
    return Caveat(NODE_UNAVAILABLE_NOW if why == NODE_NOT_AVAILABLE else 0, "ReqNodeNotAvail", why)


def why_not(
    request: Request, room: Room, wanted: Bools, placer: Placer, table: NodeTable, now: float
) -> str:
    """Slurm's words for a job that would not fit into what reservations leave of the wanted nodes,
    even if nothing ran there; "" for one that would.
    """
    if not room.restricts or _fits(request, room, wanted, placer, table, now):
        return ""
    maintained = room.windows.for_maintenance(now, now + request.limit_s, wanted)
    return MAINTENANCE if maintained else NODE_NOT_AVAILABLE


def _fits(
    request: Request, room: Room, wanted: Bools, placer: Placer, table: NodeTable, now: float
) -> bool:
    left = room.of(wanted, now, now + request.limit_s)
    return placer.attempt(request, table.empty(), left).tasks is not None
