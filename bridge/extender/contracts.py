"""What the extender is handed: it looks nothing up by itself."""

from collections.abc import Sequence
from typing import Protocol

from bridge.model.ids import NodeName, PodUid
from bridge.model.pod_placement import PodPlacement


class Placements(Protocol):
    """What is known of each pod's place in Slurm."""

    def of(self, uid: PodUid) -> PodPlacement | None:
        """The pod's placement; None for a pod that is not known (or no longer, or not yet)."""

    async def confirm(self, placement: PodPlacement) -> bool:
        """Ask Slurm itself: does the job run, and is it this pod's gang's?

        Raises Unreachable when Slurm does not answer.
        """


class Binder(Protocol):
    """The two requests to the API server that binding needs.

    Both raise `bridge.kube.api.errors.KubeError`; `bind` raises its `Conflict` for a 409.
    """

    async def bind(self, *, namespace: str, name: str, uid: PodUid, node: NodeName) -> None:
        """POST the Binding, with the uid, so that a new pod under an old name is not bound."""

    async def node_of(self, *, namespace: str, name: str, uid: PodUid) -> NodeName | None:
        """The node that the pod with this uid is bound to; None when it is unbound or gone."""


class Scores(Protocol):
    """How well nodes suit a pod."""

    def __call__(self, uid: PodUid, names: Sequence[NodeName], /) -> Sequence[int]:
        """One score per name, 0 (worst) to 10; in the names' order."""
