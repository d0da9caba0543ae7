"""What only the bridge may change on a pod that exists."""

import pytest

from bridge.admission import protected
from tests.unit.admission.manifests import ManifestBuilder, a_manifest, pin_term

GATE = "scheduler.slinky.slurm.net/allocation"
JOB_ID = "scheduler.slinky.slurm.net/slurm-jobid"
NODE = "slinky.slurm.net/slurm-node"
ZONE = {"key": "zone", "operator": "In", "values": ["a"]}


def queued() -> ManifestBuilder:
    return a_manifest().ours().gated(GATE)


def placed() -> ManifestBuilder:
    pod = a_manifest().ours().with_labels({JOB_ID: "7"}).annotated({NODE: "n1"})
    return pod.required_terms(pin_term("n1"))


def refused(
    old: ManifestBuilder,
    new: ManifestBuilder,
    *,
    sub_resource: str = "",
    by_bridge: bool = False,
) -> list[str]:
    found = protected.refusals(
        old=old.parsed(), new=new.parsed(), sub_resource=sub_resource, by_bridge=by_bridge
    )
    return [str(refusal) for refusal in found]


FORBIDDEN = [
    (queued(), a_manifest().ours(), "spec.schedulingGates: ", "another spec.schedulerName"),
    (
        placed(),
        placed().required_terms(pin_term("n2")),
        "spec.affinity.nodeAffinity: ",
        "spec.nodeSelector",
    ),
    (
        queued(),
        queued().required_terms(pin_term("n2")),
        "spec.affinity.nodeAffinity: ",
        "create the pod with spec.nodeSelector",
    ),
    (placed(), placed().with_labels({JOB_ID: "8"}), f"metadata.labels[{JOB_ID}]: ", "delete"),
    (queued(), queued().with_labels({JOB_ID: "8"}), f"metadata.labels[{JOB_ID}]: ", "delete"),
    (placed(), placed().annotated({NODE: "n2"}), f"metadata.annotations[{NODE}]: ", "delete"),
]


@pytest.mark.parametrize(("old", "new", "field", "remedy"), FORBIDDEN)
def test_forbidden_by_hand(
    old: ManifestBuilder, new: ManifestBuilder, field: str, remedy: str
) -> None:
    """Gate, pin, job id and node are the bridge's; the refusal says what to do instead."""
    (sentence,) = refused(old, new)
    assert sentence.startswith(field)
    assert remedy in sentence


@pytest.mark.parametrize(("old", "new", "field", "remedy"), FORBIDDEN)
def test_allowed_to_the_bridge(
    old: ManifestBuilder, new: ManifestBuilder, field: str, remedy: str
) -> None:
    """The bridge itself may change all of it."""
    del field, remedy
    assert refused(old, new, by_bridge=True) == []


def test_removal_counts_as_a_change() -> None:
    """Taking the job id or the node off hides what the pod holds."""
    bare = a_manifest().ours().required_terms(pin_term("n1"))
    assert len(refused(placed(), bare)) == 2


@pytest.mark.parametrize("by_bridge", [True, False])
def test_resize_in_place(by_bridge: bool) -> None:
    """The Slurm job holds what the pod asked for, so nobody resizes it in place."""
    (sentence,) = refused(placed(), placed(), sub_resource="resize", by_bridge=by_bridge)
    assert sentence.startswith("spec.containers[*].resources: ")
    assert "Create a new pod" in sentence


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (queued(), queued().labelled(team="a")),
        (queued(), queued().annotated({"note": "x"})),
        (queued().gated("example.com/wait", GATE), queued()),
        (queued(), queued().required_terms({"matchExpressions": [ZONE]})),
        (placed(), placed().required_terms(pin_term("n1", ZONE))),
        (queued(), queued().wishing(partition="gpu")),
        (queued().wishing(timelimit="soon"), queued().wishing(timelimit="soon").labelled(a="b")),
        (queued().wishing(timelimit="soon"), queued()),
    ],
)
def test_free_to_everybody(old: ManifestBuilder, new: ManifestBuilder) -> None:
    """Labels of users, other gates, a tighter selector and readable wishes are theirs to change,
    and an old mistake does not block an update of something else."""
    assert refused(old, new) == []


def test_a_wish_that_becomes_malformed() -> None:
    """A changed parameter is checked as a new one is."""
    (sentence,) = refused(queued(), queued().wishing(timelimit="soon"))
    assert sentence.startswith("metadata.annotations[slurmjob.slinky.slurm.net/timelimit]: ")


def test_a_wish_that_comes_too_late() -> None:
    """A parameter that is changed once the job has its nodes has no effect; its author is told."""
    (warning,) = protected.warnings(old=placed().parsed(), new=placed().wishing(qos="x").parsed())
    assert "has its nodes already" in warning
    assert "no effect" in warning


def test_a_misspelt_wish_added_later() -> None:
    """An unknown parameter is told when it is added, not at each later update."""
    misspelt = queued().wishing(time_limit="60")
    (warning,) = protected.warnings(old=queued().parsed(), new=misspelt.parsed())
    assert "did you mean" in warning
    again = queued().wishing(time_limit="60").wishing(qos="high")
    assert protected.warnings(old=misspelt.parsed(), new=again.parsed()) == ()
