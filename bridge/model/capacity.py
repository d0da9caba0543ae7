"""What a gang needs of nodes, for whoever asks for new ones."""

from dataclasses import dataclass

from bridge import names
from bridge.model.ids import GangId
from bridge.model.scheduling import NodeSelectorTerm, PodShape

_MOST_TERMS = 64


@dataclass(frozen=True, slots=True)
class Part:
    """Tasks of one shape, whose requests are in Slurm's units. At most `per_node` of them run on
    one node; 0 is no limit."""

    shape: PodShape
    count: int
    per_node: int = 0

    @property
    def is_general(self) -> bool:
        """Whether new nodes may do: not if its pods may run on nodes only that are named. Nor if
        there are too many ways to combine what pods and volumes require."""
        affinity_terms = self.shape.affinity_terms
        every = (*self.shape.volume_terms, *(() if affinity_terms is None else (affinity_terms,)))
        ways = 1
        for terms in every:
            ways *= sum(map(is_general, terms))
        named = any(key == names.HOSTNAME_LABEL for key, _ in self.shape.node_selector)
        return not named and 0 < ways <= _MOST_TERMS


@dataclass(frozen=True, slots=True)
class GangNeed:
    """A gang that may need new nodes. Its parts share no node with each other."""

    gang: GangId
    owner: str
    """Kind/namespace/name, as people read it."""
    parts: tuple[Part, ...]
    partition: str = ""
    most_nodes: int = 0
    """The most nodes that a job of the partition may have; 0 is no limit."""
    created_s: float = 0.0
    """When its first pod was created, seconds since the epoch."""


def is_general(term: NodeSelectorTerm) -> bool:
    """Whether the term may match nodes that do not exist yet: it names none."""
    return bool(term.expressions) and not (
        term.fields or any(one.key == names.HOSTNAME_LABEL for one in term.expressions)
    )
