"""What the pods of a gang are told of the new nodes that they wait for."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from bridge.model import texts


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence without its full stop, and the reason of the event that says it first."""

    text: str = ""
    reason: str = ""


NOTHING: Final = Note()


def asked(pods: int, at_s: float, until_s: float, said: str = "") -> Note:
    """The nodes were asked for and have not come; `said` is what the autoscaler says of it."""
    whose = "one of its pods" if pods == 1 else f"{pods} of its pods"
    return Note(
        f"It waits for new nodes for {whose}: the autoscaler was asked at {texts.time(at_s)}; "
        f"if they have not come by {texts.time(until_s)}, the request is withdrawn and made again "
        f"later{f'. {said}' if said else ''}",
        "NewNodesAsked",
    )


def too_many(nodes: int, most: int) -> Note:
    """The gang needs more nodes than may be asked for."""
    return Note(
        f"It needs up to {nodes} new nodes: that is more than the partition gives a job, or than "
        f"may be asked of the autoscaler now (capacity.maxNodes is {most}, for all gangs together)",
        "TooManyNewNodes",
    )


def paused(again_s: float, why: str = "") -> Note:
    """The nodes did not come in time; or, if the autoscaler said so, will not come, and `why`."""
    return Note(
        "The autoscaler was asked for new nodes, which did not come"
        f"{'' if why else ' in time'}; it is asked again in the minute of "
        f"{datetime.fromtimestamp(again_s, UTC):%Y-%m-%dT%H:%MZ}{f'. {why}' if why else ''}",
        "NewNodesNotCome",
    )


def failed(error: str) -> Note:
    """The request could not be made."""
    return Note(f"The autoscaler can't be asked for new nodes: {error}", "NewNodesNotAsked")
