"""The rights of deploy/rbac.yaml: what each is for, and what is lost without it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Right:
    """One verb on one kind of object, in all namespaces."""

    group: str
    resource: str
    """With its subresource: `pods/binding`."""
    verb: str
    needed: bool = True
    """False: without it only the owners of that kind are not known."""

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{f'.{self.group}' if self.group else ''}"

    def review(self, user: str = "") -> tuple[str, Mapping[str, Any]]:
        """The path and body of the question whether we have it, or, if it is named, a `user`."""
        resource, _, subresource = self.resource.partition("/")
        attributes = {"group": self.group, "resource": resource, "verb": self.verb}
        if subresource:
            attributes["subresource"] = subresource
        kind = "SubjectAccessReview" if user else "SelfSubjectAccessReview"
        spec: dict[str, Any] = {"resourceAttributes": attributes}
        if user:
            spec |= {"user": user, "groups": _groups(user)}
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
        return f"/apis/authorization.k8s.io/v1/{kind.lower()}s", body


def _groups(user: str) -> list[str]:
    prefix = "system:serviceaccount:"
    if not user.startswith(prefix):
        return ["system:authenticated"]
    namespace = user.removeprefix(prefix).partition(":")[0]
    return [
        "system:serviceaccounts",
        f"system:serviceaccounts:{namespace}",
        "system:authenticated",
    ]


def _rights() -> Iterator[Right]:
    for group, resources, verbs in _NEEDED:
        yield from (Right(group, one, verb) for one in resources for verb in verbs)
    for group, resources in _OWNERS:
        for resource in resources:
            yield from (Right(group, resource, verb, needed=False) for verb in ("list", "watch"))


_NEEDED: Final[tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]] = (
    ("", ("pods",), ("get", "list", "watch", "patch", "delete")),
    ("", ("pods/status",), ("patch",)),
    ("", ("pods/binding",), ("create",)),
    ("", ("nodes",), ("get", "list", "watch", "patch")),
    ("", ("nodes/status",), ("patch",)),
    ("", ("namespaces",), ("get", "list", "watch")),
    ("", ("persistentvolumeclaims", "persistentvolumes"), ("list", "watch")),
    ("storage.k8s.io", ("storageclasses",), ("list", "watch")),
    ("events.k8s.io", ("events",), ("create", "patch")),
    ("authentication.k8s.io", ("tokenreviews",), ("create",)),
    ("authorization.k8s.io", ("subjectaccessreviews",), ("create",)),
)
_OWNERS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("batch", ("jobs", "cronjobs")),
    ("apps", ("deployments", "replicasets", "statefulsets")),
    ("jobset.x-k8s.io", ("jobsets",)),
    ("leaderworkerset.x-k8s.io", ("leaderworkersets",)),
    ("scheduling.k8s.io", ("podgroups", "workloads")),
    ("scheduling.x-k8s.io", ("podgroups",)),
    ("kubeflow.org", ("mpijobs", "pytorchjobs", "tfjobs", "xgboostjobs", "paddlejobs", "jaxjobs")),
    ("trainer.kubeflow.org", ("trainjobs",)),
    ("ray.io", ("rayjobs", "rayclusters", "rayservices")),
)
RIGHTS: Final = tuple(_rights())
