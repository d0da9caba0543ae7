"""Scores of candidate nodes, from what is known of the pod's gang and of Slurm's nodes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bridge.model.ids import NodeName, PodUid, SlurmNodeName
from bridge.placement.score import ScoreWeights, score
from bridge.state.kube_state import KubeState
from bridge.state.slurm_state import SlurmState


@dataclass(frozen=True, slots=True)
class NodeScores:
    """A `contracts.Scores` by the score core."""

    cluster: KubeState
    slurm_state: SlurmState
    weights: ScoreWeights

    def __call__(self, uid: PodUid, candidates: Sequence[NodeName], /) -> Sequence[int]:
        """One score per candidate, 0 to 10; all 0 for a pod that is not known."""
        pod = self.cluster.pods.get(uid)
        if pod is None:
            return [0] * len(candidates)
        found = score(
            self.cluster.table.snapshot(),
            pod.shape,
            candidates,
            near=self._rest_of_the_gang(uid),
            node_weights=self._by_node(self.slurm_state.node_weights, candidates),
            tiers=self._by_node(self.slurm_state.tiers, candidates),
            weights=self.weights,
        )
        return [int(value) for value in found]

    def _rest_of_the_gang(self, uid: PodUid) -> list[NodeName]:
        gang_id = self.cluster.gang_of(uid)
        if gang_id is None:
            return []
        others = (pod for pod in self.cluster.pods_of(gang_id) if pod.uid != uid and not pod.ended)
        return [pod.node for pod in others if pod.node]

    def _by_node(
        self, known: Mapping[SlurmNodeName, int], candidates: Sequence[NodeName]
    ) -> dict[NodeName, int]:
        nodes = self.cluster.nodes
        return {
            name: known[slurm_name]
            for name in candidates
            if name in nodes and (slurm_name := nodes[name].slurm_name) in known
        }
