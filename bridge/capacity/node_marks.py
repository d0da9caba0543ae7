"""What is written to present nodes while others are asked for.

Nodes of one gang come one after the other, and stand empty until the last one has come; so do the
nodes that were there before. An autoscaler removes empty nodes; then the more would be missing, and
so on without end. So the nodes that count for a gang are held while its request stays, and a little
longer: until its pods are there.
"""

from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

from bridge import names
from bridge.clock import Clock
from bridge.kube.api import errors
from bridge.kube.api.client import KubeClient
from bridge.kube.objects import nodes as kube_nodes
from bridge.model.ids import NodeName
from bridge.model.node import Node
from bridge.state.kube_state import KubeState

_HOLD_S = 30.0
"""How long nodes are held after they were last needed for a request."""

Work = Callable[[], Coroutine[Any, Any, None]]


class NodeMarks:
    """Marks and holds nodes. `by_label`: nodes get the label that says that they are present."""

    def __init__(
        self, *, cluster: KubeState, kube: KubeClient, clock: Clock, by_label: bool
    ) -> None:
        self._cluster = cluster
        self._kube = kube
        self._clock = clock
        self._by_label = by_label
        self._holding = (
            names.KARPENTER_DO_NOT_DISRUPT if by_label else names.CLUSTER_AUTOSCALER_NO_SCALE_DOWN
        )
        self._needed_s: dict[NodeName, float] = {}
        """When each held node was last needed."""

    @property
    def any_held(self) -> bool:
        """Whether some node is held."""
        return any(map(_is_held, self._cluster.nodes.values()))

    def set(self, counted: Collection[NodeName], to_label: Collection[NodeName]) -> Sequence[Work]:
        """What is to be written: all that are `counted` are held, and these get the label."""
        now_s, works = self._clock.monotonic(), []
        for name in sorted({*counted, *to_label}):
            node = self._cluster.nodes.get(name)
            if node is None:
                continue
            labels: dict[str, str] = {}
            annotations: dict[str, str] = {}
            if self._by_label and name in to_label and names.PRESENT_NODE_LABEL not in node.labels:
                labels = {names.PRESENT_NODE_LABEL: "true"}
            if _is_held(node):
                self._needed_s[name] = now_s
            elif name in counted and self._holding not in node.annotations:  # else it is an admin's
                annotations = {
                    self._holding: "true", names.HELD_NODE_ANNOTATION: self._holding
                }  # fmt: skip
            if labels or annotations:
                works.append(partial(self._write, name, labels, annotations))
        return works

    def release(self, counted: Collection[NodeName]) -> Sequence[Work]:
        """What is to be written: nodes that are not `counted` any more are not held any more."""
        now_s, works = self._clock.monotonic(), []
        for name, node in self._cluster.nodes.items():
            if not _is_held(node) or name in counted:
                continue
            if now_s >= self._needed_s.setdefault(name, now_s) + _HOLD_S:
                holding = node.annotations[names.HELD_NODE_ANNOTATION]
                nothing = {names.HELD_NODE_ANNOTATION: None, holding: None}
                works.append(partial(self._write, name, {}, nothing))
        for name in self._needed_s.keys() - self._cluster.nodes.keys():
            del self._needed_s[name]
        return works

    async def _write(
        self, name: NodeName, labels: Mapping[str, str], annotations: Mapping[str, str | None]
    ) -> None:
        try:
            row = await kube_nodes.mark(self._kube, name, labels, annotations)
        except errors.NotFound:
            return
        if name in self._cluster.nodes:
            self._cluster.upsert_node(row)


def _is_held(node: Node) -> bool:
    return node.annotations.get(names.HELD_NODE_ANNOTATION) in (
        names.KARPENTER_DO_NOT_DISRUPT,
        names.CLUSTER_AUTOSCALER_NO_SCALE_DOWN,
    )
