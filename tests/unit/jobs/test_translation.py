"""Any pod becomes a job that holds just what it asks for, or is refused with a reason.

The oracle reads Slurm's words back: how much a job with this text would hold for each task, and
whether a node registered by the bridge could give it.
"""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import BadInput
from bridge.gangs import annotations
from bridge.jobs import jobspec
from bridge.model.devices import ResourceMap, is_slice
from bridge.model.gang import Gang, JobParameters
from bridge.model.ids import GangId
from bridge.model.job import JobIdentity, JobSpec
from bridge.model.resources import Resources
from bridge.model.scheduling import PodShape
from bridge.nodes import definition
from bridge.slurm import gres as slurm_gres
from bridge.state.slurm_facts import NodeFacts, NodeKind, PartitionFacts
from tests.builders import GI, a_node

LABEL = "nvidia.com/gpu.product"
MAP = ResourceMap(
    {
        "nvidia.com/gpu": "gpu",
        "nvidia.com/mig-*": "gpu:*",
        "aws.amazon.com/neuron": "neuron",
        "vpc.amazonaws.com/efa": "efa",
    }
)
RULES = jobspec.Rules(
    partition="p", default_memory_mib=1024, resource_map=MAP, gpu_type_label=LABEL
)
PARTITIONS = PartitionFacts(with_memory_default=frozenset({"easy"}), known=frozenset({"p", "easy"}))
RESOURCES = (
    "nvidia.com/gpu",
    "nvidia.com/mig-1g.10gb",
    "nvidia.com/mig-3g.40gb",
    "aws.amazon.com/neuron",
    "vpc.amazonaws.com/efa",
    "hugepages-2Mi",
    "example.com/odd",
)

requests = st.builds(
    Resources,
    cpu_milli=st.integers(0, 64_000),
    memory_bytes=st.integers(0, 64 * GI),
    ephemeral_bytes=st.integers(0, GI),
    extended=st.dictionaries(st.sampled_from(RESOURCES), st.integers(1, 8)).map(
        lambda counts: tuple(sorted(counts.items()))
    ),
)
wishes = st.builds(
    JobParameters,
    cpu_per_task=st.none() | st.integers(1, 8),
    mem_per_node_mib=st.none() | st.integers(1, 4096),
    gres=st.sampled_from(("", "gpu:2", "gpu:h100:4", "efa:4", "gpu:1g.10gb:2", "neuron:1")),
    partition=st.sampled_from(("", "p", "easy")),
    exclusive=st.none() | st.booleans(),
    min_nodes=st.none() | st.integers(1, 9),
    max_nodes=st.none() | st.integers(1, 9),
)


def translated(gang: Gang, nodes: NodeFacts, per_node: int = 0) -> JobSpec:
    return jobspec.build(
        gang,
        identity=JobIdentity("c", gang.id, 0, gang.owner),
        rules=RULES,
        partitions=PARTITIONS,
        where=jobspec.Where(classes=("class-a",), tasks_per_node=per_node),
        nodes=nodes,
    )


def held(spec: JobSpec) -> dict[str, int]:
    """Devices that one task holds, by GRES name and by name:type."""
    found: dict[str, int] = {}
    for item in slurm_gres.parse(spec.gres_per_task):
        for key in {item.name, f"{item.name}:{item.type}" if item.type else item.name}:
            found[key] = found.get(key, 0) + item.count
    return found


def needed(shape: PodShape) -> dict[str, int]:
    """The same for what a pod uses, of what Slurm counts."""
    found: dict[str, int] = {}
    for resource, count in shape.requests.extended:
        if resource.startswith("nvidia.com/mig-"):
            found["gpu"] = found.get("gpu", 0) + count
            found["gpu:" + resource.removeprefix("nvidia.com/mig-")] = count
        elif "." in resource and not resource.startswith("example"):
            name = resource.rsplit("/", 1)[1]
            found[name] = found.get(name, 0) + count
    return found


@given(requests=requests, parameters=wishes, size=st.integers(1, 9), per_node=st.integers(0, 9))
def test_a_job_holds_what_its_pods_ask_for_or_there_is_none(
    requests: Resources, parameters: JobParameters, size: int, per_node: int
) -> None:
    """Never less; more only where the user said so, and rounding by less than one a CPU."""
    shape = PodShape(requests=requests)
    gang = Gang(GangId("g"), "team", "Job", "train", size, shape, parameters)
    try:
        spec = translated(gang, NodeFacts(), per_node)
    except BadInput as error:
        refusal = str(error)
    else:
        refusal = ""
    if refusal:
        assert "slurmjob.slinky.slurm.net/gres" in refusal
        return
    wished_cpus = parameters.cpu_per_task or 0
    assert spec.tasks == size
    cpus = spec.cpus_per_task
    assert cpus * 1000 >= requests.cpu_milli
    assert cpus == max(1, wished_cpus) or (cpus - 1) * 1000 < requests.cpu_milli
    _check_memory(spec, requests, parameters)
    asked, has = needed(shape), held(spec)
    assert all(has.get(key, 0) >= count for key, count in asked.items())
    if not parameters.gres:
        assert has == asked
        assert spec.tres_per_node == ""
    assert spec.min_nodes is None or 1 <= spec.min_nodes <= size
    assert spec.max_nodes is None or spec.max_nodes >= (spec.min_nodes or 1)


def _check_memory(spec: JobSpec, requests: Resources, parameters: JobParameters) -> None:
    least = max(-(-requests.memory_bytes // (1 << 20)), parameters.mem_per_node_mib or 0)
    if spec.memory_mib_per_node is None and spec.memory_mib_per_cpu is None:
        assert (least, spec.partition) == (0, "easy")
        return
    least = least or 1024
    if spec.memory_mib_per_node is not None:
        assert spec.tasks == 1 or spec.tasks_per_node == 1
        assert spec.memory_mib_per_node == least
    else:
        assert spec.memory_mib_per_cpu is not None
        per_task = spec.memory_mib_per_cpu * spec.cpus_per_task
        assert least <= per_task < least + spec.cpus_per_task


@given(requests=requests, allocatable=requests, product=st.sampled_from(("", "NVIDIA-H100-80GB")))
def test_a_node_gives_in_slurm_what_it_gives_in_kubernetes(
    requests: Resources, allocatable: Resources, product: str
) -> None:
    """One map for both sides: a pod that fits the node's allocatable fits its registration, and
    one that wants more of a device than there is does not (where whole GPUs of no known type, or
    none, stand beside slices, Slurm can't tell, and placement has to).
    """
    base = replace(a_node(), labels={LABEL: product} if product else {})
    amounts = replace(allocatable, cpu_milli=64_000, memory_bytes=64 * GI)
    node = replace(base, allocatable=amounts)
    rules = definition.Rules(cluster="c" * 8, gpu_type_label=LABEL, resource_map=MAP)
    defined = definition.define(node, node_class="class-a", others=Resources(), rules=rules)
    devices = frozenset((item.name, item.type) for item in defined.gres)
    facts = NodeFacts((NodeKind(frozenset(defined.features), devices),))
    gang = Gang(GangId("g"), "team", "Pod", "web", 1, PodShape(requests=requests))
    try:
        spec = translated(gang, facts)
    except BadInput:
        return  # whole GPUs and slices, the former of no known type
    fits = all(
        node.allocatable.get(name) >= count
        for name, count in requests.extended
        if MAP.get(name) is not None
    )
    has = {(item.name, item.type): item.count for item in defined.gres}
    gives = all(
        has.get((item.name, item.type), 0) >= item.count
        if item.type
        else sum(n for (name, _), n in has.items() if name == item.name) >= item.count
        for item in slurm_gres.parse(spec.gres_per_task)
    )
    cpus = spec.cpus_per_task <= defined.cpus
    memory = (spec.memory_mib_per_node or 0) <= defined.memory_mib
    assert cpus
    assert memory
    sliced = any(is_slice(kind) for _, kind in has)
    if fits or not sliced or ("gpu", "h100") in has:
        assert gives == fits


@pytest.mark.parametrize(
    "text",
    ["hugepages-2Mi", "hugepages-1Gi", "example.com/odd", "ephemeral-storage"],
)
def test_what_slurm_does_not_count_is_in_no_job(text: str) -> None:
    """Nor in its memory: allocatable memory never held huge pages. Placement counts it."""
    asked = Resources(cpu_milli=1000, memory_bytes=GI, extended=((text, 4 * GI),))
    gang = Gang(GangId("g"), "team", "Pod", "web", 1, PodShape(requests=asked))
    spec = translated(gang, NodeFacts())
    assert (spec.gres_per_task, spec.tres_per_node, spec.memory_mib_per_node) == ("", "", 1024)


def test_devices_that_slurm_has_no_name_for_are_left_to_placement() -> None:
    """Slurm would refuse the job (2072)."""
    asked = Resources(extended=(("aws.amazon.com/neuron", 2), ("nvidia.com/gpu", 1)))
    gang = Gang(GangId("g"), "team", "Pod", "web", 1, PodShape(requests=asked))
    spec = translated(gang, NodeFacts(gres_names=frozenset({"gpu", "efa"})))
    assert spec.gres_per_task == "gres/gpu:1"


@given(st.text(max_size=30))
def test_any_text_of_an_annotation_is_refused_at_once_or_can_be_built(text: str) -> None:
    """What admission takes, the translation takes: nothing fails only in the queue."""
    for suffix in ("constraints", "gres"):
        try:
            parameters = annotations.parse({f"slurmjob.slinky.slurm.net/{suffix}": text})
        except BadInput:
            continue
        translated(Gang(GangId("g"), "team", "Pod", "web", 1, PodShape(), parameters), NodeFacts())
