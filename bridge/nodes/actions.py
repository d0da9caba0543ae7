"""What is done about a node, as data; `plan` decides it and `performer` does it."""

from dataclasses import dataclass

from bridge.model.ids import NodeName, SlurmNodeName
from bridge.model.pod import Condition
from bridge.slurm import NodeDefinition


@dataclass(frozen=True, slots=True)
class Register:
    """Make the node in Slurm."""

    node: NodeName
    definition: NodeDefinition
    closed: str = ""
    """The reason with which it is drained at once; "" where jobs may start there."""


@dataclass(frozen=True, slots=True)
class Delete:
    """Take the node out of Slurm; it runs nothing."""

    slurm_node: SlurmNodeName
    why: str
    healing: bool = False
    """The node is deleted only to be registered again, because Slurm had lost it."""


@dataclass(frozen=True, slots=True)
class Drain:
    """Let nothing new start there; or, of a node that is drained, only change the reason."""

    slurm_node: SlurmNodeName
    reason: str


@dataclass(frozen=True, slots=True)
class Undrain:
    """Jobs may start there again."""

    slurm_node: SlurmNodeName


@dataclass(frozen=True, slots=True)
class SetFeatures:
    """All of the node's features, from now on."""

    slurm_node: SlurmNodeName
    features: tuple[str, ...]
    active: tuple[str, ...] | None = None
    """Those of them that are active; None: all."""


@dataclass(frozen=True, slots=True)
class SetTopology:
    """The node's place in Slurm's topology, from now on: `name:root:…:leaf`."""

    slurm_node: SlurmNodeName
    topology: str


@dataclass(frozen=True, slots=True)
class SetAddress:
    """The node's NodeAddr, from now on."""

    slurm_node: SlurmNodeName
    address: str


@dataclass(frozen=True, slots=True)
class AddTaint:
    """Keep pods away that do not wait in Slurm."""

    node: NodeName


@dataclass(frozen=True, slots=True)
class RemoveTaint:
    """The node is not Slurm's any more."""

    node: NodeName


@dataclass(frozen=True, slots=True)
class AddDrainedTaint:
    """Show that an admin has drained the node in Slurm."""

    node: NodeName


@dataclass(frozen=True, slots=True)
class RemoveDrainedTaint:
    """The admin's drain is over, or is shown in another way."""

    node: NodeName


@dataclass(frozen=True, slots=True)
class Cordon:
    """Show that an admin has drained the node in Slurm, by a cordon of ours."""

    node: NodeName


@dataclass(frozen=True, slots=True)
class Uncordon:
    """Take back our own cordon."""

    node: NodeName


@dataclass(frozen=True, slots=True)
class YieldCordon:
    """Somebody has undone our cordon: note that, so that their next one is not taken for ours."""

    node: NodeName


@dataclass(frozen=True, slots=True)
class SetCondition:
    """Write our condition of the node."""

    node: NodeName
    condition: Condition


@dataclass(frozen=True, slots=True)
class CreateReservation:
    """Let no job start on these nodes that would run beyond a time."""

    name: str
    start_s: int
    nodes: tuple[SlurmNodeName, ...]


@dataclass(frozen=True, slots=True)
class ChangeReservation:
    """All nodes of a reservation of ours, from now on."""

    name: str
    nodes: tuple[SlurmNodeName, ...]


@dataclass(frozen=True, slots=True)
class DeleteReservation:
    """No node needs this reservation of ours any more."""

    name: str


@dataclass(frozen=True, slots=True)
class Complain:
    """Something on the node can't be read; its admin is told on the node."""

    node: NodeName
    message: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """The node can't be registered; its admin is told on the node."""

    node: NodeName
    message: str


@dataclass(frozen=True, slots=True)
class TellUnplaced:
    """The node has no place in Slurm's topology; its admin is told on the node."""

    node: NodeName
    message: str


Reserve = CreateReservation | ChangeReservation | DeleteReservation
"""What changes our reservations."""
OfSlurmNode = Delete | Drain | Undrain | SetFeatures | SetTopology | SetAddress
"""What changes a node that Slurm has, by its name there; all else has the node's name in
Kubernetes."""
OnNodes = Register | OfSlurmNode
"""What changes Slurm's nodes."""
InSlurm = OnNodes | Reserve
"""What changes anything in Slurm."""
Mark = AddDrainedTaint | RemoveDrainedTaint | Cordon | Uncordon | YieldCordon | SetCondition
"""What shows a drain in Slurm on the Kubernetes node."""
InKubernetes = AddTaint | RemoveTaint | Mark
"""What changes Kubernetes' nodes."""
OfNode = OnNodes | InKubernetes | Complain | Refuse | TellUnplaced
"""What is about one node."""
Action = OfNode | Reserve

Key = tuple[str, str]
"""What is done, and to which node or reservation, by the name that the action has for it."""


def key_of(action: Action) -> Key:
    """The same for an action that is planned again, also with other contents."""
    what = type(action).__name__
    if isinstance(action, Reserve):
        return what, action.name
    return what, action.slurm_node if isinstance(action, OfSlurmNode) else action.node
