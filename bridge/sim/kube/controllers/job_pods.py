"""The pods that the Job controller knows, by the Job that they name as their controller.

A Job is its namespace, its name and its uid: a pod of another namespace that names its uid is not
its own.
"""

from collections.abc import Iterator

from bridge.sim.kube.apiserver.objects import Key, Object, controller_of, key_of
from bridge.sim.kube.apiserver.rules.jobs import CONTROLLER_UID
from bridge.sim.kube.apiserver.store import Change

_Owner = tuple[str, str, str]
"""Namespace, name and uid of a Job. Without a name: pods without a controller, by the uid in the
label that generated selectors look for."""


class JobPods:
    """Kept up by the changes of pods."""

    def __init__(self) -> None:
        self._pods: dict[_Owner, dict[Key, Object]] = {}
        self._uids: dict[Key, set[str]] = {}
        """Uids of the Jobs, there or gone, that pods name, by namespace and name."""

    def note(self, change: Change) -> None:
        """Follow a change."""
        if change.previous is not None:
            self._drop(change.previous)
        if change.type != "DELETED":
            self._add(change.current.object)

    def of(self, job: Object) -> list[Object]:
        """Those that name the Job."""
        return list(self._pods.get((*key_of(job), job["metadata"]["uid"]), {}).values())

    def unowned(self, job: Object) -> list[Object]:
        """Those of its namespace without a controller that the Job's selector may take."""
        namespace, _ = key_of(job)
        if not job["spec"].get("manualSelector"):
            return list(self._pods.get((namespace, "", job["metadata"]["uid"]), {}).values())
        return [
            pod
            for owner, pods in self._pods.items()
            if owner[:2] == (namespace, "")
            for pod in pods.values()
        ]

    def of_others(self, key: Key, uid: str | None) -> Iterator[Object]:
        """Those that name a Job at `key` which has another uid than the one there."""
        for other in sorted(self._uids.get(key, set()) - {uid}):
            yield from list(self._pods.get((*key, other), {}).values())

    def _add(self, pod: Object) -> None:
        owner = _owner(pod)
        if owner is not None:
            self._pods.setdefault(owner, {})[key_of(pod)] = pod
            if owner[1]:
                self._uids.setdefault(owner[:2], set()).add(owner[2])

    def _drop(self, pod: Object) -> None:
        owner = _owner(pod)
        pods = self._pods.get(owner, {}) if owner is not None else {}
        pods.pop(key_of(pod), None)
        if owner is None or pods:
            return
        self._pods.pop(owner, None)
        uids = self._uids.get(owner[:2], set())
        uids.discard(owner[2])
        if not uids:
            self._uids.pop(owner[:2], None)


def named_job(pod: Object) -> Key | None:
    """Namespace and name of the Job that controls a pod; None when no Job does."""
    reference = controller_of(pod)
    if reference is None or reference["kind"] != "Job":
        return None
    return pod["metadata"]["namespace"], reference["name"]


def _owner(pod: Object) -> _Owner | None:
    reference = controller_of(pod)
    namespace = pod["metadata"]["namespace"]
    if reference is None:
        return namespace, "", (pod["metadata"].get("labels") or {}).get(CONTROLLER_UID, "")
    return (namespace, reference["name"], reference["uid"]) if reference["kind"] == "Job" else None
