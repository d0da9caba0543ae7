"""The namespace controller: a deleted namespace takes its content along."""

from bridge.sim.kube.apiserver import kinds
from bridge.sim.kube.apiserver.core import ApiServer, Target
from bridge.sim.kube.apiserver.failure import ApiFailure
from bridge.sim.kube.apiserver.objects import Object
from bridge.sim.kube.apiserver.request import NAMESPACE_CONTROLLER


class NamespaceController:
    """One for the whole cluster."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api
        self._changes = api.store.subscribe_everything()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            ending = set()
            for change in await self._changes.take():
                fields = change.current.object["metadata"]
                if change.table == kinds.NAMESPACES.table:
                    ending.add(fields["name"])
                elif change.type == "DELETED" and fields.get("namespace"):
                    ending.add(fields["namespace"])
            for name in sorted(ending):
                await self._finalize(name)

    async def _finalize(self, name: str) -> None:
        """Delete what is in a terminating namespace; when it is empty, let the namespace go."""
        stored = self._api.store.get(kinds.NAMESPACES.table, ("", name))
        if stored is None or not stored.object["metadata"].get("deletionTimestamp"):
            return
        target = Target(kinds.NAMESPACES, name=name, user=NAMESPACE_CONTROLLER)
        try:
            if (stored.object.get("status") or {}).get("phase") != "Terminating":
                status = Target(kinds.NAMESPACES, "", name, "status", NAMESPACE_CONTROLLER)
                await self._api.patch(status, _terminating)
            if await self._empty(name):
                await self._api.patch(target, _finalized)
        except ApiFailure as problem:
            if problem.code not in (404, 409):
                raise

    async def _empty(self, name: str) -> bool:
        """Delete the content; whether there is none any more."""
        empty = True
        for kind in self._api.kinds:
            if not kind.namespaced or kind.shares_table_of:
                continue
            for stored in list(self._api.store.scan(kind.table, name)):
                fields = stored.object["metadata"]
                if not fields.get("deletionTimestamp"):
                    await self._delete(Target(kind, name, fields["name"]))
                empty = empty and self._api.store.get(kind.table, (name, fields["name"])) is None
        return empty

    async def _delete(self, target: Target) -> None:
        try:
            await self._api.delete(target, {"propagationPolicy": "Background"})
        except ApiFailure as problem:
            if problem.code != 404:
                raise


def _terminating(namespace: Object) -> Object:
    return {**namespace, "status": {**namespace["status"], "phase": "Terminating"}}


def _finalized(namespace: Object) -> Object:
    return {**namespace, "spec": {**namespace["spec"], "finalizers": []}}
