"""Who asks for what: what a request carries besides its object."""

from dataclasses import dataclass, field
from typing import Final, Literal

from bridge.sim.kube.apiserver.kinds import Kind
from bridge.sim.kube.apiserver.objects import Object

Operation = Literal["CREATE", "UPDATE", "DELETE", "CONNECT"]

_ACCOUNT: Final = "system:serviceaccount:"
_OF_SYSTEM: Final = (f"{_ACCOUNT}kube-system:", "system:kube-", "system:node:")


@dataclass(frozen=True, slots=True)
class User:
    """As admission webhooks are told it."""

    name: str
    groups: tuple[str, ...] = ("system:authenticated",)
    bound: bool = False
    """An ordinary user: may do what RoleBindings grant (`rights`), and impersonate nobody."""


def impersonated(name: str, groups: tuple[str, ...]) -> User:
    """Whom an administrator acts for. Parts of the system keep the rights of the system."""
    accounts: tuple[str, ...] = ()
    if name.startswith(_ACCOUNT) and not groups:
        namespace = name.removeprefix(_ACCOUNT).partition(":")[0]
        accounts = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
    of_system = name.startswith(_OF_SYSTEM) or "system:masters" in groups
    return User(name, (*groups, *accounts, "system:authenticated"), bound=not of_system)


def controller(name: str) -> User:
    """A controller of kube-controller-manager, each with a service account of its own."""
    return impersonated(f"{_ACCOUNT}kube-system:{name}", ())


def kubelet_of(node: str) -> User:
    """The kubelet of a node."""
    return User(f"system:node:{node}", ("system:nodes", "system:authenticated"))


ADMIN = User("kubernetes-admin", ("system:masters", "system:authenticated"))
JOB_CONTROLLER = controller("job-controller")
COLLECTOR = controller("generic-garbage-collector")
NAMESPACE_CONTROLLER = controller("namespace-controller")
NODE_CONTROLLER = controller("node-controller")
POD_COLLECTOR = controller("pod-garbage-collector")
VOLUME_CONTROLLER = controller("persistent-volume-binder")
SCHEDULER = User("system:kube-scheduler")


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
