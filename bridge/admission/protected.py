"""What only the bridge may change on a pod that exists: its gate, its pin, what it wrote there.

Taking the gate off by hand starts a pod that Slurm has not placed; a changed pin or job id makes
the extender refuse it, or hides from the bridge what the pod holds. The refusal says how to get
what was probably wanted.
"""

from collections.abc import Iterator

from bridge import names
from bridge.admission import validate, wire
from bridge.model.refusal import Refusal

_RESIZE = "resize"


def refusals(
    *, old: wire.Pod, new: wire.Pod, sub_resource: str, by_bridge: bool
) -> tuple[Refusal, ...]:
    """All that an update of one of our pods must not do; `by_bridge`: the request is our own."""
    if sub_resource == _RESIZE:
        return (
            Refusal(
                "spec.containers[*].resources",
                "a pod that runs under slurm-bridge can't be resized in place, because its Slurm "
                "job can't be. Create a new pod with the other size",
            ),
        )
    if by_bridge:
        return ()
    return (*_gate(old, new), *_pin(old, new), *_marks(old, new), *_parameters(old, new))


def warnings(*, old: wire.Pod, new: wire.Pod) -> tuple[str, ...]:
    """Changes of the job's parameters that come too late, or that nobody reads."""
    before, after = _wishes(old), _wishes(new)
    if before == after:
        return ()
    if old.metadata.labels.get(names.JOB_ID_LABEL):
        return (
            "the pod's Slurm job has its nodes already: changed "
            f"{names.JOB_PREFIX}* annotations have no effect on it",
        )
    fresh = {key: text for key, text in after.items() if key not in before}
    return validate.warnings_about(fresh)


def _gate(old: wire.Pod, new: wire.Pod) -> Iterator[Refusal]:
    if _gated(old) != _gated(new):
        yield Refusal(
            "spec.schedulingGates",
            f"the gate {names.ALLOCATION_GATE} is removed only by slurm-bridge, when Slurm "
            f"has granted nodes (condition {names.ALLOCATED_CONDITION} says what the pod waits "
            "for). To start the pod without Slurm, create it with another spec.schedulerName",
        )


def _pin(old: wire.Pod, new: wire.Pod) -> Iterator[Refusal]:
    if _pinned(old) != _pinned(new):
        yield Refusal(
            "spec.affinity.nodeAffinity",
            "the requirement on metadata.name is the node that Slurm granted; only slurm-bridge "
            "may change it. To ask for certain nodes, create the pod with spec.nodeSelector or "
            f"the annotation {names.JOB_PREFIX}constraints",
        )


def _marks(old: wire.Pod, new: wire.Pod) -> Iterator[Refusal]:
    for field, key, before, after in (
        ("labels", names.JOB_ID_LABEL, old.metadata.labels, new.metadata.labels),
        ("annotations", names.NODE_ANNOTATION, old.metadata.annotations, new.metadata.annotations),
        (
            "annotations",
            names.GANG_ID_ANNOTATION,
            old.metadata.annotations,
            new.metadata.annotations,
        ),
    ):
        if before.get(key) != after.get(key):
            yield Refusal(
                f"metadata.{field}[{key}]",
                "says what Slurm granted and is written only by slurm-bridge; leave it "
                "unchanged. To give the allocation back, delete the pod",
            )


def _parameters(old: wire.Pod, new: wire.Pod) -> Iterator[Refusal]:
    return validate.malformed(changed(old, new))


def changed(old: wire.Pod, new: wire.Pod) -> dict[str, str]:
    """The job's parameters that this update set or changed. Only they are judged: an old mistake
    must not block a controller's update."""
    before = _wishes(old)
    return {key: value for key, value in _wishes(new).items() if before.get(key) != value}


def _wishes(pod: wire.Pod) -> dict[str, str]:
    return {
        key: value
        for key, value in pod.metadata.annotations.items()
        if key.startswith(names.JOB_PREFIX)
    }


def _gated(pod: wire.Pod) -> bool:
    return any(gate.name == names.ALLOCATION_GATE for gate in pod.spec.scheduling_gates or ())


def _pinned(pod: wire.Pod) -> list[tuple[wire.FieldRequirement, ...]]:
    """The node names that each affinity term allows; terms without any say nothing here."""
    affinity = pod.spec.affinity and pod.spec.affinity.node_affinity
    required = affinity and affinity.required_during_scheduling_ignored_during_execution
    terms = required.node_selector_terms if required else ()
    return sorted((term.match_fields for term in terms if term.match_fields), key=repr)
