"""Events on pods, which their authors see."""

from bridge.kube.api.events import EventRecorder, ObjectRef
from bridge.lifecycle import instructions as do
from bridge.model.owner import Owner
from bridge.model.pod import Pod


class PodEvents:
    """Writes events on pods."""

    def __init__(self, recorder: EventRecorder) -> None:
        self._recorder = recorder

    def tell(self, instruction: do.EmitEvent) -> None:
        """Writes an event on a pod that waits."""
        self._recorder.emit(
            regarding=_reference(instruction.pod),
            type=instruction.type,
            reason=instruction.reason,
            note=instruction.note,
            action="Wait",
        )

    def tell_owner(self, owner: Owner, reason: str, note: str) -> None:
        """Writes a warning on the owner of pods."""
        self._recorder.emit(
            regarding=ObjectRef(
                kind=owner.kind, api_version=owner.api_version, namespace=owner.namespace,
                name=owner.name, uid=owner.uid,
            ),
            type="Warning", reason=reason, note=note, action="Wait",
        )  # fmt: skip

    def tell_of_end(self, pod: Pod, reason: str, message: str, *, action: str) -> None:
        """Writes that the bridge ends the pod."""
        self._recorder.emit(
            regarding=_reference(pod), type="Warning", reason=reason, note=message, action=action
        )


def _reference(pod: Pod) -> ObjectRef:
    return ObjectRef(
        kind="Pod", api_version="v1", namespace=pod.namespace, name=pod.name, uid=pod.uid
    )
