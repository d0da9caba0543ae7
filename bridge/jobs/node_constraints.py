"""Where a shape may run, in Slurm's terms: node classes, excluded nodes, required nodes."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from bridge import names
from bridge.errors import BadInput
from bridge.jobs import answers, jobspec, tasks
from bridge.jobs.answers import Answers
from bridge.model import node_class
from bridge.model.devices import ResourceMap
from bridge.model.ids import NodeName
from bridge.model.pod_identity import PodIdentity
from bridge.model.resources import Resources
from bridge.model.scheduling import PodShape
from bridge.placement.filters import feasible, pod_selectors, uncounted
from bridge.placement.filters.classes import class_of, classes, feasible_classes
from bridge.placement.filters.density import Density, density
from bridge.placement.fit import chosen
from bridge.placement.fit.neighbours import Kind
from bridge.placement.table import Snapshot
from bridge.placement.table.interning import Bools
from bridge.state.kube_state import KubeState
from bridge.state.slurm_state import SlurmState

_MOST_COMPONENTS = 8
"""The most components of a het job that are checked together."""


class NoNodes(BadInput):
    """No node can ever take the pods: the cluster lacks nodes."""


class NodeConstraints:
    """Finds where shapes may run; each answer is kept until nodes or Slurm's features change."""

    def __init__(
        self, *, cluster: KubeState, slurm_state: SlurmState, resource_map: ResourceMap
    ) -> None:
        self._cluster = cluster
        self._slurm_state = slurm_state
        self._map = resource_map
        self._known: Answers[
            tuple[PodShape, tuple[NodeName, ...], tuple[str, ...]], jobspec.Where | BadInput
        ] = Answers()
        self._never: Answers[tuple[Kind, int], str] = Answers()
        self._densities: Answers[tuple[PodShape, tuple[str, ...]], Density] = Answers()

    def of(
        self,
        shape: PodShape,
        excluded: tuple[NodeName, ...],
        identity: PodIdentity | None = None,
    ) -> jobspec.Where:
        """Where one pod of this shape may run, `excluded` left out. `identity` says who the pods
        are: they may keep themselves apart. If a volume can be reached only from excluded nodes,
        none is left out: no other node will ever do.

        Raises BadInput when no node that Slurm knows is left.
        """
        snapshot, slurm = self._cluster.table.snapshot(), self._slurm_state

        def find() -> jobspec.Where | BadInput:
            try:
                return self._find(snapshot, shape, excluded, apart)
            except BadInput as error:
                return error

        apart = pod_selectors.keys_apart(snapshot.namespaces, shape, identity)
        follows_from = (*answers.of_nodes(snapshot), slurm.features, slurm.nodes.gres_names)
        found = self._known.of(follows_from, (shape, excluded, apart), find)
        if isinstance(found, BadInput):
            raise type(found)(*found.args, field=found.field)
        return found

    def has_room(self, shape: PodShape, size: int) -> bool:
        """Whether, as Kubernetes sees it, `size` pods of this shape could start now.

        Raises BadInput where `of` does.
        """
        free = int(feasible(self._cluster.table.snapshot(), shape, now=True).mask.sum())
        return free * max(1, self.of(shape, ()).tasks_per_node) >= size

    def why_never(self, kind: Kind, size: int) -> str:
        """Why no nodes can ever take `size` pods of the kind together, by what the pods say about
        each other; "" if some can."""
        snapshot = self._cluster.table.snapshot()
        follows_from = (*answers.of_nodes(snapshot), snapshot.namespaces)

        def find() -> str:
            able = feasible(snapshot, kind.shape, now=False).names()
            return chosen.why_never(snapshot, kind, size, able)

        return self._never.of(follows_from, (kind, size), find)

    def can_run(self, shape: PodShape) -> bool:
        """As `tasks.Nodes`."""
        try:
            self.of(shape, ())
        except BadInput:
            return False
        return True

    def takes_all_of(self, shape: PodShape, other: PodShape) -> bool:
        """As `tasks.Nodes`."""
        mine, others = (self._able(replace(one, requests=Resources())) for one in (shape, other))
        return bool(mine.any() and (others | ~mine).all())

    def can_hold(self, components: Sequence[tasks.Tasks], *, alone: bool) -> bool:
        """As `tasks.Nodes`."""
        return self.lacking(components, alone=alone) is None

    def lacking(self, components: Sequence[tasks.Tasks], *, alone: bool) -> tuple[int, int] | None:
        """(nodes needed, nodes there) of components that can't ever be placed, as they share none.

        Exact where all nodes of a component hold as many of its tasks: then no set of components
        may need more nodes than there are for them (Hall's theorem).
        """
        needs = []
        for one in components[:_MOST_COMPONENTS]:
            most = self._density(self._cluster.table.snapshot(), one.shape).most
            per_node = min(most, 1) if alone else most
            able = self._able(one.shape)
            if not per_node:
                return one.count, 0
            needs.append((-(-one.count // per_node), able))
        for size in range(1, len(needs) + 1):
            for some in combinations(needs, size):
                needed = sum(count for count, _ in some)
                there = int(np.logical_or.reduce([able for _, able in some]).sum())
                if needed > there:
                    return needed, there
        return None

    def _density(self, snapshot: Snapshot, shape: PodShape, apart: tuple[str, ...] = ()) -> Density:
        return self._densities.of(
            answers.of_nodes(snapshot), (shape, apart), lambda: density(snapshot, shape, apart)
        )

    def _able(self, shape: PodShape) -> Bools:
        return feasible(self._cluster.table.snapshot(), shape, now=False).mask

    def _find(
        self,
        snapshot: Snapshot,
        shape: PodShape,
        excluded: tuple[NodeName, ...],
        apart: tuple[str, ...],
    ) -> jobspec.Where:
        """Slurm has no "one of these nodes": several named ones are said as their classes without
        the other nodes of these.
        """
        found = feasible(snapshot, shape, now=False)
        if not found.mask.any():
            # Slurm, with `defer`, would take the job and let it wait for ever.
            reason = found.summary() or "the cluster has no nodes"
            raise NoNodes(
                f"no node can ever take this pod: {reason}. Ask for what the nodes have, or add "
                "nodes that can take it; the pod is retried automatically when nodes change"
            )
        if shape.volume_terms and excluded and set(found.names()) <= set(excluded):
            excluded = ()
        whole, named = feasible_classes(snapshot, shape)
        wanted, left_out, required = set(whole), set(excluded), tuple(named)
        if len(named) > 1 or (named and whole):
            members = classes(snapshot)
            for name in {key for node in named if (key := class_of(snapshot, node))}:
                wanted.add(name)
                left_out |= set(members[name]) - set(named)
            required = ()
        counted = self._map.within(self._slurm_state.nodes.gres_names)
        able, unfit = uncounted.able(snapshot, shape, wanted, resource_map=counted)
        wanted, left_out = set(able), left_out | set(unfit)
        features = self._slurm_state.features
        known = sorted(one for one in wanted if features & {one, node_class.hybrid(one)})
        if not known and not required:
            raise BadInput(
                "none of the nodes that can take this pod is registered in Slurm yet. Nodes with "
                f"label {names.EXTERNAL_NODE_LABEL} are registered within seconds; if one is not, "
                "events on the node say why"
            )
        nodes, dense = self._cluster.nodes, self._density(snapshot, shape, apart)
        where = jobspec.Where(
            classes=tuple(known),
            required=tuple(nodes[name].slurm_name for name in required if name in nodes),
            tasks_per_node=dense.most,
            round_memory_down=dense.memory_is_tight,
        )
        return where.without(nodes[name].slurm_name for name in left_out if name in nodes)
