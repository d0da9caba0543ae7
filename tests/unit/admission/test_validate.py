"""What a new pod of ours must not ask for."""

import pytest

from bridge.admission import validate
from tests.unit.admission.manifests import ManifestBuilder, a_manifest

DRA = "deviceclass.resource.kubernetes.io/"
PREFIX = "slurmjob.slinky.slurm.net/"


def refused(pod: ManifestBuilder) -> list[str]:
    return [str(refusal) for refusal in validate.refusals(pod.parsed())]


@pytest.mark.parametrize(
    ("pod", "field", "remedy"),
    [
        (
            a_manifest().on_node("n1"),
            "spec.nodeName: is 'n1'",
            "Remove it; to ask for certain nodes use spec.nodeSelector",
        ),
        (
            a_manifest().with_labels({"scheduler.slinky.slurm.net/slurm-jobid": "7"}),
            "metadata.labels[scheduler.slinky.slurm.net/slurm-jobid]: ",
            "Remove it",
        ),
        (
            a_manifest().annotated({"slinky.slurm.net/slurm-node": "n1"}),
            "metadata.annotations[slinky.slurm.net/slurm-node]: ",
            "Remove it",
        ),
        (
            a_manifest().spec_field("resourceClaims", [{"name": "gpu"}]),
            "spec.resourceClaims: ",
            "Ask for devices in a container's resources instead",
        ),
        (
            a_manifest().with_limits({DRA + "tpu.example.org": "1"}),
            "spec.containers[0].resources: asks for devices of class 'tpu.example.org'",
            "it knows are dra.cpu, gpu.example.com, gpu.nvidia.com",
        ),
        (
            a_manifest().init_requesting({DRA + "tpu.example.org": "1"}),
            "spec.initContainers[0].resources: asks for devices of class",
            "it knows are dra.cpu",
        ),
        (
            a_manifest().with_limits({DRA + "dra.cpu": "2", "cpu": "0"}),
            "spec.containers: ask for CPUs twice",
            "Keep one of the two",
        ),
        (
            a_manifest().with_limits({DRA + "dra.cpu": "2"}).init_requesting({"cpu": "1"}),
            "spec.containers: ask for CPUs twice",
            "Keep one of the two",
        ),
        (
            a_manifest().with_limits({DRA + "dra.cpu": "2"}).pod_level({"cpu": "1"}),
            "spec.containers: ask for CPUs twice",
            "Keep one of the two",
        ),
        (
            a_manifest().with_limits({DRA + "dra.cpu": "2"}).wishing(cpu_per_task="2"),
            f"metadata.annotations[{PREFIX}cpu-per-task]: and {DRA}dra.cpu both say",
            "remove one of them",
        ),
        (
            a_manifest().with_limits({DRA + "gpu.nvidia.com": "1"}).wishing(gres="gpu:1"),
            f"metadata.annotations[{PREFIX}gres]: and {DRA}gpu.nvidia.com both say",
            "remove one of them",
        ),
    ],
)
def test_refusals(pod: ManifestBuilder, field: str, remedy: str) -> None:
    """Each refusal names the field at fault and says what to do instead."""
    (sentence,) = refused(pod)
    assert sentence.startswith(field)
    assert remedy in sentence


@pytest.mark.parametrize(
    ("suffix", "value", "accepted"),
    [
        ("cpu-per-task", "two", "500m, 2"),
        ("cpu-per-task", "0", "between 1 and 65533"),
        ("max-nodes", "-1", "whole number from 1"),
        ("min-nodes", "1.5", "whole number from 1"),
        ("max-nodes", "9" * 12, "whole number from 1"),
        ("mem-per-node", "much", "1.5Gi"),
        ("mem-per-node", "0", "64Gi"),
        ("priority", "high", "whole number from 0"),
        ("timelimit", "-5", "1:30:00 (hours:minutes:seconds)"),
        ("constraints", "rack*2", "[rack1|rack2]&ib"),
        ("gres", "gpu:two:2:3", "gpu:h100:2"),
        ("dependency", "afterok", "afterany:job/prepare"),
        ("timelimit", "an hour", "1:30:00 (hours:minutes:seconds)"),
        ("timelimit", "99999999", "longer than Slurm can count"),
        ("partition", "", "plain word"),
        ("job-name", "a\nb", "plain word"),
        ("gang", "maybe", '"true" nor "false"'),
        ("gang-size", "none", "whole number from 1"),
        ("constraints", "x" * 5000, "more than 1000 characters"),
        ("priority", "1" * 5000, "more than 20 characters"),
    ],
)
def test_malformed_parameters(suffix: str, value: str, accepted: str) -> None:
    """A parameter that can't be read is refused under its own key, with the accepted forms."""
    (sentence,) = refused(a_manifest().annotated({PREFIX + suffix: value}))
    assert sentence.startswith(f"metadata.annotations[{PREFIX}{suffix}]: ")
    assert accepted in sentence
    assert sentence.count(PREFIX + suffix) == 1


def test_all_mistakes_at_once() -> None:
    """Nobody corrects mistakes one by one: every one is told in the first refusal."""
    pod = a_manifest().on_node("n1").wishing(timelimit="soon", max_nodes="many")
    assert len(refused(pod)) == 3


@pytest.mark.parametrize(
    "pod",
    [
        a_manifest(),
        a_manifest().with_limits({"nvidia.com/gpu": "8", "cpu": "4"}).wishing(gres="gpu:8"),
        a_manifest().with_limits({DRA + "gpu.nvidia.com": "1", "cpu": "4"}),
        a_manifest().with_limits({DRA + "dra.cpu": "2"}).wishing(gres="gpu:8"),
        a_manifest().with_labels({"scheduler.slinky.slurm.net/slurm-jobid": ""}),
        a_manifest().annotated({"slinky.slurm.net/slurm-node": ""}),
        a_manifest().spec_field("topologySpreadConstraints", [{"maxSkew": 1}]),
        a_manifest().spec_field("resourceClaims", None),
        a_manifest().wishing(
            account="physics",
            constraints="a100&ib",
            cpu_per_task="200m",
            exclusive="FALSE",
            gres="gpu:v100:2",
            group_id="1000",
            job_name="train",
            licenses="matlab:1",
            max_nodes="4",
            mem_per_node="64Gi",
            min_nodes="2",
            partition="gpu",
            priority="100",
            qos="high",
            reservation="maint",
            timelimit="60",
            user_id="alice",
            wckey="paper",
            gang="true",
            gang_size="4",
        ),
    ],
)
def test_accepted(pod: ManifestBuilder) -> None:
    """What the Go bridge's manifests use is accepted without a word."""
    assert refused(pod) == []
    assert validate.warnings(pod.parsed()) == ()


def test_unknown_parameter_names_the_nearest() -> None:
    """A misspelt parameter has no effect; its author is told, with the key that was meant."""
    (warning,) = validate.warnings(a_manifest().wishing(time_limit="60").parsed())
    assert f"{PREFIX}time-limit is not known" in warning
    assert f"did you mean {PREFIX}timelimit?" in warning


@pytest.mark.parametrize(
    ("key", "instead"),
    [
        ("user", "user-id"),
        ("group", "group-id"),
        ("accounts", "account"),
        ("partitions", "partition"),
    ],
)
def test_what_counts_on_a_namespace_only(key: str, instead: str) -> None:
    """A pod's author who writes an admin's annotation is told the one that pods have."""
    (warning,) = validate.warnings(a_manifest().annotated({PREFIX + key: "a"}).parsed())
    assert warning == (
        f"annotation {PREFIX}{key} has an effect only on a namespace; on a pod write "
        f"{PREFIX}{instead}"
    )


def test_unknown_parameter_without_a_neighbour() -> None:
    """Where nothing is near, nothing is proposed."""
    (warning,) = validate.warnings(a_manifest().wishing(qqqqqq="1").parsed())
    assert "has no effect" in warning
    assert "did you mean" not in warning


def test_the_prefix_of_before_1_0() -> None:
    """The Go bridge's old prefix is still in its examples; who uses it is told the new one."""
    pod = a_manifest().annotated({"slinky.slurm.net/job-name": "a", "slinky.slurm.net/x": "b"})
    (warning,) = validate.warnings(pod.parsed())
    assert warning == (
        f"annotation slinky.slurm.net/job-name has no effect any more; write {PREFIX}job-name"
    )


def test_warnings_fit_what_kubernetes_shows() -> None:
    """The API server cuts a warning at 256 characters; ours are shorter."""
    pod = a_manifest().annotated({PREFIX + "time-limit" + "x" * 50: "1", PREFIX + "tmelimit": "1"})
    lines = validate.warnings(pod.parsed())
    assert lines
    assert all(len(line) <= 256 for line in lines)
