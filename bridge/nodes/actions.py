"""What is done about a node, as data; `plan` decides it and `performer` does it."""

from dataclasses import dataclass

from bridge.model.ids import NodeName, SlurmNodeName
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
class Refuse:
    """The node can't be registered; its admin is told on the node."""

    node: NodeName
    message: str


@dataclass(frozen=True, slots=True)
class TellUnplaced:
    """The node has no place in Slurm's topology; its admin is told on the node."""

    node: NodeName
    message: str


InSlurm = Register | Delete | Drain | Undrain | SetFeatures | SetTopology | SetAddress
"""What changes Slurm's nodes."""
Action = InSlurm | AddTaint | RemoveTaint | Refuse | TellUnplaced

Key = tuple[str, str]
"""What is done, and to which node, by the name that the action has for it."""


def key_of(action: Action) -> Key:
    """The same for an action that is planned again, also with other contents."""
    match action:
        case Register(node) | Refuse(node) | TellUnplaced(node):
            name: str = node
        case AddTaint(node) | RemoveTaint(node):
            name = node
        case _:
            name = action.slurm_node
    return type(action).__name__, name
