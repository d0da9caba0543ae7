"""Rows of what users create: whatever the API server lets through, made at a bounded cost."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import config, names
from bridge.errors import BadInput
from bridge.kube.api import decode, depth
from bridge.kube.objects import metadata, namespaces, owners, pods, volumes
from bridge.model import bounds
from bridge.model.owner import JobSet, Owner, RoleSet
from tests.hostile.measured import cost, refusal

KINDS = config.Settings().workloads.role_kinds
PREFIX = names.JOB_PREFIX
Json = dict[str, Any]


def a_pod(meta: Mapping[str, Any] | None = None, status: Any = None, **spec: Any) -> Json:
    """As the API server sends it."""
    own = {"name": "a", "namespace": "team", "uid": "u-1", "resourceVersion": "7", **(meta or {})}
    return {"metadata": own, "spec": {"containers": [{"name": "c"}], **spec}, "status": status}


def read(api_version: str, kind: str, spec: Any = None, meta: Json | None = None) -> Owner:
    """The row of another object."""
    own = {"name": "x", "namespace": "team", "uid": "u", "resourceVersion": "7", **(meta or {})}
    row: Owner = owners.parser(api_version, kind, KINDS)({"metadata": own, "spec": spec})
    return row


# -- references to owners ----------------------------------------------------------------------

TEXTS = st.one_of(
    st.text(st.characters(), max_size=400),
    st.sampled_from(
        ["", "/", "..", "../../api/v1/secrets?x=", "a/b/c", "v1\r\nHost: x", "\0" * 800, "%2e%2e/"]
    ),
    st.builds(lambda text, count: text * count, st.text(st.characters(), max_size=3),
              st.integers(0, 2000)),
)  # fmt: skip


@given(st.fixed_dictionaries(dict.fromkeys(("apiVersion", "kind", "name", "uid"), TEXTS)))
def test_a_reference_says_what_can_be_printed_and_asked_for(fields: Any) -> None:
    """The API server wants its texts not empty, and nothing else: they go into paths of requests,
    into comments of Slurm jobs, into logs."""
    owner = metadata.reference(fields)
    assert metadata.reference(fields) == owner
    for text, longest in (
        (owner.api_version, bounds.LONGEST_API_VERSION),
        (owner.kind, 128),
        (owner.name, bounds.LONGEST_OBJECT_NAME),
        (owner.uid, bounds.LONGEST_UID),
    ):
        assert len(text) <= longest
        assert text.isprintable()
    allowed = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_")
    assert set(owner.kind) <= allowed
    group, _, version = owner.api_version.rpartition("/")
    assert set(version) <= allowed
    assert set(group) <= allowed
    assert {version, group}.isdisjoint({"..", "."})


@pytest.mark.parametrize("field", ["apiVersion", "kind", "name", "uid"])
@pytest.mark.parametrize(
    ("one", "other"),
    [("\x01" * 800, "\x02" * 800), ("a" * 800, "a" * 801), ("a\0", "a\x01"), ("\ud800", "\ud801")],
    ids=["control", "long", "NUL", "half"],
)
def test_different_references_stay_different(field: str, one: str, other: str) -> None:
    """Two owners of which only the end of a name differs are still two."""
    reference = {"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "u"}
    rows = {metadata.reference({**reference, field: text}) for text in (one, other)}  # type: ignore[typeddict-item]
    assert len(rows) == 2


@pytest.mark.parametrize(
    ("api_version", "kind", "name"),
    [
        ("batch/v1", "Job", "train"),
        ("v1", "Node", "ip-10-0-0-1.ec2.internal"),
        ("kubeflow.org/v2beta1", "MPIJob", "x" * 253),
        ("argoproj.io/v1alpha1", "Workflow", "wf"),
        ("example.com/v1", "Thing", "system:odd name"),
    ],
)
def test_real_references_are_kept(api_version: str, kind: str, name: str) -> None:
    """As they are, letter by letter."""
    uid = "705ab4f5-6393-11e8-b7cc-42010a800002"
    owner = metadata.reference({"apiVersion": api_version, "kind": kind, "name": name, "uid": uid})
    assert (owner.api_version, owner.kind, owner.name, owner.uid) == (api_version, kind, name, uid)


def test_a_pod_with_ten_thousand_owners() -> None:
    """The one that controls it is found."""
    many = [{"apiVersion": "v1", "kind": "K", "name": "n", "uid": f"u{n}"} for n in range(10_000)]
    last = {"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "u", "controller": True}
    row = pods.parse(a_pod({"ownerReferences": [*many, last]}))
    assert row.owner is not None
    assert row.owner.uid == "u"


# -- what is kept of metadata ------------------------------------------------------------------


@pytest.mark.parametrize("parse", [pods.parse, namespaces.parse], ids=["pod", "namespace"])
def test_annotations_are_kept_as_far_as_they_are_read(parse: decode.Parser[Any, Any]) -> None:
    """256 KiB of one, and thousands that nobody reads."""
    many = {f"{PREFIX}x{number}": "y" for number in range(5000)}
    long = {PREFIX + "constraints": "a|" * 100_000, PREFIX + "qos": "high"}
    kept = parse(a_pod({"annotations": {**many, **long}})).annotations
    assert kept.keys() == long.keys()
    assert kept[PREFIX + "qos"] == "high"
    assert len(kept[PREFIX + "constraints"]) == bounds.LONGEST_VALUE + 1


@pytest.mark.parametrize("text", ["9" * 63, "٣", "-1", "", "x", str(2**31)])
@pytest.mark.parametrize(
    "label",
    [
        "jobset.sigs.k8s.io/job-index",
        "leaderworkerset.sigs.k8s.io/worker-index",
        "leaderworkerset.sigs.k8s.io/group-index",
        "apps.kubernetes.io/pod-index",
        "training.kubeflow.org/replica-index",
        names.COMPLETION_INDEX,
    ],
)
def test_an_index_that_is_none_is_left_out(label: str, text: str) -> None:
    """Indexes have 31 bits."""
    row = pods.parse(a_pod({"labels": {label: text}, "annotations": {label: text}}))
    assert label not in row.labels
    assert row.completion_index is None


@pytest.mark.parametrize("seconds", [-1, 0, 2**31, 2**63 - 1])
def test_times_are_bounded(seconds: int) -> None:
    """A grace or a deadline of 292 billion years overflows whatever adds it to a date."""
    row = pods.parse(a_pod(terminationGracePeriodSeconds=seconds, activeDeadlineSeconds=seconds))
    assert 0 <= row.grace_s <= bounds.MOST_SECONDS
    assert row.active_deadline_s is not None
    assert 0 <= row.active_deadline_s <= bounds.MOST_SECONDS


# -- what a pod asks for -----------------------------------------------------------------------


def terms(count: int, requirements: int = 1, values: int = 1) -> Json:
    """A node affinity."""
    one = {"key": "k", "operator": "In", "values": [f"v{n}" for n in range(values)]}
    term = {"matchExpressions": [{**one, "key": f"k{n}"} for n in range(requirements)]}
    required = {"nodeSelectorTerms": [term] * count}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def apart(count: int) -> Json:
    """A pod anti-affinity with itself, in many topologies."""
    every: list[Json] = [{"labelSelector": {}, "topologyKey": f"k{n}"} for n in range(count)]
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": every}}


def about_others(requirements: int = 0, words: int = 0, constraints: int = 0) -> Json:
    """Terms about other pods, with so much in them."""
    asked: list[Json] = [{"key": f"k{n}", "operator": "Exists"} for n in range(requirements)]
    if words:
        values = [f"v{n}" for n in range(words)]
        asked.append({"key": "k", "operator": "In", "values": values})
    one = {"topologyKey": "k", "labelSelector": {"matchExpressions": asked}}
    spread = {"topologyKey": "k", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}
    return {
        "affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [one]}},
        "topologySpreadConstraints": [spread] * constraints,
    }


def asking(count: int, where: str = "containers") -> Json:
    """Containers, each for a resource of its own."""
    return {
        where: [
            {"name": f"c{n}", "resources": {"limits": {f"x.org/r{n}": "1", "cpu": "1m"}}}
            for n in range(count)
        ]
    }


def ports(count: int) -> Json:
    """Of one container."""
    every = [{"hostPort": 1 + n, "containerPort": 1 + n} for n in range(count)]
    return {"containers": [{"name": "c", "ports": every}]}


def mounting(count: int) -> Json:
    """Volumes of claims."""
    claims = [{"persistentVolumeClaim": {"claimName": f"c{n}"}} for n in range(count)]
    return {"volumes": [{"name": f"v{n}", **one} for n, one in enumerate(claims)]}


LISTS: dict[str, tuple[Callable[[int], Json], int]] = {
    "labels": (lambda n: {"nodeSelector": {f"k{i}": "v" for i in range(n)}}, 1000),
    "tolerations": (lambda n: {"tolerations": [{"key": f"k{i}"} for i in range(n)]}, 1000),
    "terms": (lambda n: {"affinity": terms(n)}, 100),
    "requirements": (lambda n: {"affinity": terms(1, n)}, 1000),
    "values": (lambda n: {"affinity": terms(1, 1, n)}, 10_000),
    "topology keys": (lambda n: {"affinity": apart(n)}, 100),
    "spread constraints": (lambda n: about_others(constraints=n - 1), 100),
    "requirements on other pods": (about_others, 256),
    "values of other pods": (lambda n: about_others(words=n), 1000),
    "resources": (asking, 256),
    "host ports": (ports, 1000),
    "claims": (mounting, 256),
}
lists = pytest.mark.parametrize(("make", "most"), LISTS.values(), ids=LISTS)


@lists
def test_more_than_placement_can_ask_about_is_refused(
    make: Callable[[int], Json], most: int
) -> None:
    """In a sentence with both numbers, once it is too much; on a node the pod counts all the same,
    or others would be placed where it is."""
    assert refusal(lambda: pods.parse(a_pod(**make(most)))) is None
    error = refusal(lambda: pods.parse(a_pod(**make(most + 1))))
    assert error is not None
    assert f"{most + 1} " in str(error)
    assert f"at most {most}" in str(error)
    assert error.field.startswith("spec.")
    placed = pods.parse(a_pod(nodeName="n", **{**asking(3), **make(most + 1)})).shape
    assert placed.requests.extended or len(placed.host_ports) == most


def test_gates_are_all_kept() -> None:
    """A pin writes the list anew: one that were left out would open a gate of somebody else."""
    gates = [{"name": f"x.org/{n}"} for n in range(bounds.MOST_GATES + 1)]
    assert len(pods.parse(a_pod(schedulingGates=gates[:-1])).gates) == bounds.MOST_GATES
    assert refusal(lambda: pods.parse(a_pod(schedulingGates=gates))) is not None


def sidecars(count: int) -> Json:
    """One that asks for many resources, and as many init containers after it."""
    amounts = {f"x.org/r{n}": "1" for n in range(count)}
    first = {"name": "s", "restartPolicy": "Always", "resources": {"limits": amounts}}
    others = [{"name": f"i{n}", "resources": {"limits": {"cpu": "1"}}} for n in range(count)]
    return {"initContainers": [first, *others]}


def resized(count: int) -> tuple[Json, Json]:
    """Containers of a pod on a node, each with a status of its own."""
    status = [{"name": f"c{n}", "resources": {"requests": {"cpu": "1"}}} for n in range(count)]
    return asking(count), {"containerStatuses": status}


def on_a_node(make: Callable[[int], Json]) -> Callable[[int], Json]:
    """The pod that has so many."""
    return lambda n: a_pod(nodeName="n", **make(n))


GROWING: dict[str, Callable[[int], Json]] = {
    **{name: on_a_node(make) for name, (make, _) in LISTS.items()},
    "containers": lambda n: a_pod(**asking(n)),
    "init containers": lambda n: a_pod(**asking(n, "initContainers")),
    "sidecars": lambda n: a_pod(nodeName="n", **sidecars(n)),
    "resized containers": lambda n: a_pod(None, resized(n)[1], nodeName="n", **resized(n)[0]),
    "owners": lambda n: a_pod({"ownerReferences": [{"uid": f"u{i}"} for i in range(n)]}),
    "annotations": lambda n: a_pod({"annotations": {f"{PREFIX}x{i}": "" for i in range(n)}}),
    "labels of the pod": lambda n: a_pod({"labels": {f"k{i}": "v" for i in range(n)}}),
    "gates": lambda n: a_pod(schedulingGates=[{"name": f"g{i}"} for i in range(n)]),
}


@pytest.mark.parametrize("make", GROWING.values(), ids=GROWING)
def test_making_a_row_is_linear(make: Callable[[int], Json]) -> None:
    """Twice the items, twice the steps at the most."""
    costs = [cost(partial(pods.parse, make(count))) for count in (250, 500, 1000, 2000)]
    for before, after in pairwise(costs):
        assert after <= 2.4 * before + 500


# -- owners that nobody has checked ------------------------------------------------------------

COUNTS = [-1, 2**31, 2**63, 10**30, 10**5000, True, "3", [], {}, 1.5]


def mpi(**worker: Any) -> Json:
    """A training job's spec."""
    return {"mpiReplicaSpecs": {"Worker": worker}}


@pytest.mark.parametrize("count", COUNTS, ids=lambda count: str(type(count).__name__))
def test_counts_have_31_bits(count: Any) -> None:
    """In a CRD they may be anything; a sum of them is a number of pods."""
    for api_version, kind, spec in (
        ("kubeflow.org/v2beta1", "MPIJob", mpi(replicas=count)),
        ("jobset.x-k8s.io/v1alpha2", "JobSet", {"replicatedJobs": [{"replicas": count}]}),
        ("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet", {"replicas": count}),
        ("scheduling.x-k8s.io/v1alpha1", "PodGroup", {"minMember": count}),
        ("batch/v1", "Job", {"parallelism": count}),
        ("batch/v1", "Job", {"completions": count}),
    ):
        error = refusal(partial(read, api_version, kind, spec))
        assert error is not None, kind
        assert len(str(error)) < BadInput.LONGEST
    assert read("apps/v1", "ReplicaSet", {"replicas": count}).replicas is None


AMOUNTS = ["9" * 5000, 10**4000, "٣", "1\n", "1e" + "9" * 50, [], {"a": 1}, True, "-1", None]


@pytest.mark.parametrize("amount", AMOUNTS, ids=lambda one: str(type(one).__name__))
def test_amounts_in_templates_of_crds(amount: Any) -> None:
    """Nobody has checked them: read, or refused in a sentence."""
    template = {"spec": {"containers": [{"resources": {"limits": {"cpu": amount}}}]}}
    error = refusal(lambda: read("kubeflow.org/v2beta1", "MPIJob", mpi(template=template)))
    if error is not None:
        assert len(str(error)) < 500
        assert "containers[0].resources.limits.cpu" in str(error)


@pytest.mark.parametrize(
    "name", ["a b", "x" * 400, "nvidia.com/mig-1g.5gb:1,license/matlab", "\0", "gpu\n"]
)
def test_a_resource_in_a_template_has_a_name_of_kubernetes(name: str) -> None:
    """It becomes part of what Slurm is asked for."""
    template = {"spec": {"containers": [{"resources": {"limits": {name: "1"}}}]}}
    error = refusal(lambda: read("kubeflow.org/v2beta1", "MPIJob", mpi(template=template)))
    assert error is not None
    assert "is no resource's name" in str(error)


def test_roles_are_bounded() -> None:
    """A training job of thousands of roles, and a JobSet of thousands of jobs."""
    named = {f"role{n}": {"replicas": 1} for n in range(bounds.MOST_ROLES + 1)}
    error = refusal(lambda: read("kubeflow.org/v2beta1", "MPIJob", {"mpiReplicaSpecs": named}))
    assert error is not None
    assert "257 roles; slurm-bridge reads at most 256" in str(error)
    jobs = [{"name": f"j{n}"} for n in range(bounds.MOST_ROLES + 1)]
    error = refusal(lambda: read("jobset.x-k8s.io/v1alpha2", "JobSet", {"replicatedJobs": jobs}))
    assert error is not None
    assert "257 replicated jobs" in str(error)


def test_names_of_roles_are_printable() -> None:
    """They stand in logs, and two that look alike are still two."""
    odd: Json = {"\x01" * 800: {}, "\x02" * 800: {}, "Worker": {}}
    row = read("kubeflow.org/v2beta1", "MPIJob", {"mpiReplicaSpecs": odd})
    assert isinstance(row, RoleSet)
    assert len({role.name for role in row.roles}) == 3
    assert all(role.name.isprintable() and len(role.name) < 300 for role in row.roles)
    jobs = [{"name": "\x01" * 800}, {"name": "y", "dependsOn": [{"name": "\x01" * 800}]}]
    found = read("jobset.x-k8s.io/v1alpha2", "JobSet", {"replicatedJobs": jobs})
    assert isinstance(found, JobSet)
    assert found.replicated_jobs[1].after == (found.replicated_jobs[0].name,)


def test_a_claim_names_no_end_of_a_node() -> None:
    """Whoever may make a claim writes its annotations and its selector."""
    annotations = {"volume.kubernetes.io/selected-node": "n" * 200_000}
    raw: Json = {"metadata": {"name": "c", "namespace": "t", "annotations": annotations}}
    row = volumes.parse_claim({**raw, "spec": {"accessModes": ["ReadWriteOnce"] * 5000}})
    assert len(row.selected_node) <= bounds.LONGEST_OBJECT_NAME
    assert row.access_modes == ("ReadWriteOnce",)
    one = {"key": "k", "operator": "NotIn", "values": ["v"]}
    for expressions in ([one] * 33, [{**one, "values": ["v"] * 257}]):
        selector = {"matchExpressions": expressions}
        error = refusal(partial(volumes.parse_claim, {**raw, "spec": {"selector": selector}}))
        assert error is not None
        assert error.field == "spec.selector"


# -- anything at all ---------------------------------------------------------------------------

LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(), max_size=5),
    st.sampled_from([10**4000, "9" * 5000, "2", "Always", "In", "Exists"]),
)  # fmt: skip
FIELDS = st.sampled_from(
    ["spec", "template", "containers", "initContainers", "resources", "limits", "requests", "cpu",
     "nodeSelector", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution",
     "nodeSelectorTerms", "matchExpressions", "key", "operator", "values", "tolerations", "volumes",
     "persistentVolumeClaim", "claimName", "ephemeral", "name", "replicas", "mpiReplicaSpecs",
     "Worker", "runPolicy", "suspend", "replicatedJobs", "dependsOn", "parallelism", "completions",
     "leaderWorkerTemplate", "workerTemplate", "size", "minMember", "schedulingGates", "ports",
     "hostPort", "podAntiAffinity", "labelSelector", "topologyKey", "overhead", "metadata", "x"]
)  # fmt: skip
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=5),
    max_leaves=25,
)
OBJECTS = st.dictionaries(FIELDS, ANYTHING, max_size=6)


def parsers() -> Iterator[decode.Parser[Any, Any]]:
    """Of every kind that users create."""
    yield from (pods.parse, volumes.parse_claim)
    for api_version, kind in (
        ("batch/v1", "Job"),
        ("jobset.x-k8s.io/v1alpha2", "JobSet"),
        ("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet"),
        ("scheduling.x-k8s.io/v1alpha1", "PodGroup"),
        ("kubeflow.org/v2beta1", "MPIJob"),
        ("example.com/v1", "Thing"),
    ):
        yield owners.parser(api_version, kind, KINDS)


@pytest.mark.parametrize("parse", list(parsers()), ids=lambda parse: parse._kind)
@given(meta=OBJECTS, spec=OBJECTS, status=OBJECTS)
def test_an_object_is_a_row_or_refused(
    parse: decode.Parser[Any, Any], meta: Any, spec: Any, status: Any
) -> None:
    """In a sentence of bounded length, and nothing else is raised."""
    raw = {"metadata": {"name": "x", **meta}, "spec": spec, "status": status}
    error = refusal(lambda: parse(raw))
    assert error is None or len(str(error)) <= BadInput.LONGEST


# -- JSON without end --------------------------------------------------------------------------


def nested(levels: int) -> Json:
    """As managed fields can be, or a CRD that prunes nothing."""
    whole: Json = {}
    inner = whole
    for _ in range(levels):
        inner["f:x"] = {"[": '"}]\\"', "f:y": [1, "]"]}
        inner = inner["f:x"]
    return whole


def encoded(raw: Any) -> bytes:
    """As Go would, which has no limit of levels."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    try:
        return json.dumps(raw).encode()
    finally:
        sys.setrecursionlimit(before)


@pytest.mark.parametrize("levels", [90, 150, 250, 3000])
def test_one_deep_object_costs_the_others_nothing(levels: int) -> None:
    """The parser stops at 200 levels; the list that the object stands in is read all the same."""
    deep = a_pod({"managedFields": [{"fieldsV1": nested(levels)}], "name": "b", "uid": "u-2"})
    body = {"metadata": {"resourceVersion": "9"}, "items": [a_pod(), deep, a_pod()]}
    rows = list(pods.parse.page(encoded(body)).items)
    assert [getattr(row, "name", row) for row in rows] == ["a", "b", "a"]
    event = pods.parse.event(encoded({"type": "ADDED", "object": deep}))
    assert getattr(event.item, "name", event.item) == "b"


@given(st.recursive(LEAVES.filter(lambda leaf: leaf != 10**4000), lambda inner: st.lists(inner)
                    | st.dictionaries(st.text(max_size=3), inner), max_leaves=30))  # fmt: skip
def test_what_is_not_deep_stays_as_it_is(value: Any) -> None:
    """Brackets in strings are no brackets."""
    data = json.dumps(value).encode()
    assert depth.shallow(data) == data


def test_cutting_is_linear() -> None:
    """Each piece is looked at once."""
    costs = [cost(partial(depth.shallow, encoded(nested(n)))) for n in (500, 1000, 2000)]
    assert all(after <= 2.2 * before for before, after in pairwise(costs))
