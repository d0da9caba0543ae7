"""Which objects are a controller's own: what client-go calls the controller reference manager.

A controller looks at what lies in its owner's namespace and names the owner as its controller, by
kind, name and uid (the version is not looked at), and at what names no controller. Of these its
own are those that the owner's selector takes. What names the owner and is not taken is released:
the reference is removed. What names no controller and is taken is adopted.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bridge.sim.kube.apiserver import selectors
from bridge.sim.kube.apiserver.core import ApiServer, Target
from bridge.sim.kube.apiserver.failure import ApiFailure
from bridge.sim.kube.apiserver.kinds import Kind
from bridge.sim.kube.apiserver.objects import Object, controller_of, key_of, owner_reference
from bridge.sim.kube.apiserver.request import User


def controls(owner: Object, obj: Object) -> bool:
    """Whether `obj`, of the same namespace, names `owner` as its controller."""
    reference = controller_of(obj)
    return reference is not None and (reference["kind"], reference["name"], reference["uid"]) == (
        owner["kind"],
        owner["metadata"]["name"],
        owner["metadata"]["uid"],
    )


def selects(owner: Object, obj: Object) -> bool:
    """Whether the labels of `obj` are those that `owner` selects."""
    selector = selectors.from_object(owner["spec"].get("selector"))
    return selector.matches(obj["metadata"].get("labels"))


@dataclass(frozen=True, slots=True)
class Claims:
    """Releases and adopts objects of one kind in the name of one controller."""

    api: ApiServer
    kind: Kind
    user: User
    finalizer: str = ""
    """Comes with an adoption and goes with a release (only Jobs have one)."""

    async def settle(
        self, owner: Object, objects: Iterable[Object], takes: Callable[[Object], bool]
    ) -> None:
        """Release and adopt among `objects`, all of the owner's namespace.

        An owner that is being deleted does neither, and nothing that is being deleted is adopted.
        Raises ApiFailure.
        """
        if owner["metadata"].get("deletionTimestamp"):
            return
        for obj in list(objects):
            mine, taken = controls(owner, obj), takes(obj)
            ending = "deletionTimestamp" in obj["metadata"]
            if mine and not taken:
                await self._patch(obj, lambda now: self._released(now, owner))
            elif taken and controller_of(obj) is None and not ending:
                await self._patch(obj, lambda now: self._adopted(now, owner))

    def _released(self, obj: Object, owner: Object) -> Object:
        finalizers = [one for one in _finalizers(obj) if one != self.finalizer]
        return _with(obj, _other_references(obj, owner), finalizers)

    def _adopted(self, obj: Object, owner: Object) -> Object:
        finalizers = _finalizers(obj)
        if self.finalizer and self.finalizer not in finalizers:
            finalizers = [*finalizers, self.finalizer]
        return _with(obj, [*_other_references(obj, owner), owner_reference(owner)], finalizers)

    async def _patch(self, obj: Object, change: Callable[[Object], Object]) -> None:
        namespace, name = key_of(obj)
        uid = obj["metadata"]["uid"]

        def changed(now: Object) -> Object:
            return change(now) if now["metadata"]["uid"] == uid else now

        try:
            await self.api.patch(Target(self.kind, namespace, name, user=self.user), changed)
        except ApiFailure as problem:
            if problem.code != 404:
                raise


def _finalizers(obj: Object) -> list[str]:
    return list(obj["metadata"].get("finalizers") or ())


def _other_references(obj: Object, owner: Object) -> list[Object]:
    uid = owner["metadata"]["uid"]
    return [one for one in obj["metadata"].get("ownerReferences") or () if one["uid"] != uid]


def _with(obj: Object, references: list[Object], finalizers: list[str]) -> Object:
    fields = {**obj["metadata"], "ownerReferences": references, "finalizers": finalizers}
    return {**obj, "metadata": fields}
