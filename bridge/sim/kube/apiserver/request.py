"""Who asks for what: what a request carries besides its object."""

from dataclasses import dataclass, field
from typing import Literal

from bridge.sim.kube.apiserver.kinds import Kind
from bridge.sim.kube.apiserver.objects import Object

Operation = Literal["CREATE", "UPDATE", "DELETE", "CONNECT"]


@dataclass(frozen=True, slots=True)
class User:
    """As admission webhooks are told it."""

    name: str
    groups: tuple[str, ...] = ("system:authenticated",)


ADMIN = User("kubernetes-admin", ("system:masters", "system:authenticated"))
JOB_CONTROLLER = User("system:serviceaccount:kube-system:job-controller")
COLLECTOR = User("system:serviceaccount:kube-system:generic-garbage-collector")
NAMESPACE_CONTROLLER = User("system:serviceaccount:kube-system:namespace-controller")
NODE_CONTROLLER = User("system:serviceaccount:kube-system:node-controller")
POD_COLLECTOR = User("system:serviceaccount:kube-system:pod-garbage-collector")
VOLUME_CONTROLLER = User("system:serviceaccount:kube-system:persistent-volume-binder")
SCHEDULER = User("system:kube-scheduler")


def kubelet_of(node: str) -> User:
    """The kubelet of a node."""
    return User(f"system:node:{node}", ("system:nodes", "system:authenticated"))


@dataclass(slots=True)
class Review:
    """One change on its way through admission. Admission may replace `obj` and add warnings."""

    operation: Operation
    kind: Kind
    namespace: str
    name: str
    obj: Object | None
    old: Object | None
    user: User = ADMIN
    subresource: str = ""
    dry_run: bool = False
    warnings: list[str] = field(default_factory=list)

    @property
    def resource(self) -> str:
        """`pods` or `pods/status`."""
        return f"{self.kind.plural}/{self.subresource}" if self.subresource else self.kind.plural
