"""Questions about callers: whose token it is, and what he may do. Nothing is stored."""

from collections.abc import Mapping

from bridge.sim.kube.apiserver import failure, rights
from bridge.sim.kube.apiserver.core import Target
from bridge.sim.kube.apiserver.failure import ApiFailure
from bridge.sim.kube.apiserver.kinds import Kind
from bridge.sim.kube.apiserver.objects import Object
from bridge.sim.kube.apiserver.request import ADMIN, User, impersonated
from bridge.sim.kube.apiserver.store import Store

NAMES = frozenset(
    {"tokenreviews", "selfsubjectreviews", "selfsubjectaccessreviews", "subjectaccessreviews"}
)


class Reviews:
    """`tokens` maps bearer tokens to users; None where everybody is administrator without one."""

    def __init__(
        self, store: Store, known: tuple[Kind, ...], tokens: Mapping[str, User] | None
    ) -> None:
        self._store = store
        self._known = known
        self._tokens = tokens

    def answer(self, name: str, review: Object, asking: User) -> Object:
        """The review with its status. Raises a 403 for whoever may not ask about others."""
        if asking.bound and not name.startswith("self"):
            group = "authentication" if name == "tokenreviews" else "authorization"
            why = f'User "{asking.name}" cannot create resource "{name}" at the cluster scope'
            raise failure.forbidden(name, f"{group}.k8s.io", "", why)
        spec = review.get("spec") or {}
        match name:
            case "tokenreviews":
                status = self._whose(str(spec.get("token") or ""))
            case "selfsubjectreviews":
                status = {"userInfo": _told(asking)}
            case "subjectaccessreviews":
                status = {"allowed": self._may(spec)}
            case _:
                status = {"allowed": True}
        return {**review, "status": status}

    def _whose(self, token: str) -> Object:
        user = (self._tokens or {}).get(token)
        if user is None:
            return {"user": {}, "error": "invalid bearer token"}
        return {"authenticated": True, "user": _told(user)}

    def _may(self, spec: Object) -> bool:
        name, groups = str(spec.get("user") or ""), tuple(spec.get("groups") or ())
        users = {user.name: user for user in (ADMIN, *(self._tokens or {}).values())}
        user = users.get(name) or impersonated(name, groups)
        asked = spec.get("resourceAttributes") or {}
        group, resource = asked.get("group", ""), asked.get("resource", "")
        for kind in self._known:
            if (kind.group, kind.plural) == (group, resource):
                target = Target(kind, asked.get("namespace", ""), asked.get("name", ""), user=user)
                try:
                    rights.check(self._store, asked.get("verb", ""), target)
                except ApiFailure:
                    return False
                return True
        return not user.bound


def _told(user: User) -> Object:
    return {"username": user.name, "groups": list(user.groups)}
