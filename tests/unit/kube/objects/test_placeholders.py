"""What placeholder pods ask for: what a task needs, away from the nodes that are counted."""

from typing import Any

from bridge import names
from bridge.kube.objects import placeholders, pods
from bridge.kube.objects.placeholders import Form
from bridge.model.capacity import Part
from bridge.model.ids import GangId
from bridge.model.resources import Resources
from bridge.model.scheduling import NodeSelectorTerm, PodShape, Requirement, Toleration
from tests.builders import SCHEDULER

G = GangId("team/uid")
LABELLED = Form("capacity", "pause", "", SCHEDULER, by_hostname=False)
NAMING = Form("capacity", "pause", "idle", SCHEDULER, by_hostname=True)
FREE = {"key": names.PRESENT_NODE_LABEL, "operator": "DoesNotExist"}


def zone(name: str) -> NodeSelectorTerm:
    return NodeSelectorTerm((Requirement("zone", "In", (name,)),))


def expression(name: str) -> dict[str, Any]:
    return {"key": "zone", "operator": "In", "values": [name]}


def terms(spec: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """The requirements of each required term."""
    required = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    return [term["matchExpressions"] for term in required["nodeSelectorTerms"]]


def test_a_placeholder_asks_for_what_its_task_needs() -> None:
    """Read back, it is the same shape, but for the toleration of managed nodes and the nodes that
    it keeps away from."""
    shape = PodShape(
        Resources(2000, 5 << 30, 1 << 30, (("hugepages-2Mi", 4 << 20), ("nvidia.com/gpu", 8))),
        node_selector=(("pool", "gpu"),),
        tolerations=(Toleration("team", "Exists"),),
    )
    spec = placeholders.spec(LABELLED, G, Part(shape, 3), ())
    read = pods.parse({"metadata": {"name": "x", "uid": "u"}, "spec": spec}).shape
    assert (read.requests, read.node_selector) == (shape.requests, shape.node_selector)
    assert set(read.tolerations) == {*shape.tolerations, Toleration.managed(SCHEDULER)}
    assert terms(spec) == [[FREE]]
    assert "schedulingGates" not in spec


def test_what_pods_and_volumes_require_is_combined() -> None:
    """Terms are alternatives, so each way to meet all lists is one. A term that names a node is no
    way for a new one."""
    named = NodeSelectorTerm((Requirement(names.HOSTNAME_LABEL, "In", ("n1",)),))
    shape = PodShape(
        affinity_terms=(zone("a"), named), volume_terms=((zone("b"), zone("c")), (zone("d"),))
    )
    spec = placeholders.spec(LABELLED, G, Part(shape, 1), ())
    assert terms(spec) == [
        [expression("a"), expression("b"), expression("d"), FREE],
        [expression("a"), expression("c"), expression("d"), FREE],
    ]


def test_tasks_that_share_no_node_keep_apart() -> None:
    """From the other placeholder pods of their gang."""
    spec = placeholders.spec(LABELLED, G, Part(PodShape(), 2, per_node=1), ())
    (term,) = spec["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term["topologyKey"] == names.HOSTNAME_LABEL
    assert term["labelSelector"]["matchLabels"] == {names.CAPACITY_LABEL: placeholders.group(G)}


def test_a_placeholder_may_name_the_nodes_to_avoid() -> None:
    """Cluster Autoscaler copies labels; where there are no nodes, nothing is avoided."""
    part = Part(PodShape(), 1)
    spec = placeholders.spec(NAMING, G, part, {"b", "a"})
    away = {"key": names.HOSTNAME_LABEL, "operator": "NotIn", "values": ["a", "b"]}
    assert terms(spec) == [[away]]
    assert spec["priorityClassName"] == "idle"
    assert "affinity" not in placeholders.spec(NAMING, G, part, ())


def test_a_placeholder_says_what_it_stands_for() -> None:
    """Another spec is another mark; a mark that nobody understands is of no part."""
    spec = placeholders.spec(LABELLED, G, Part(PodShape(), 1), ())
    other = placeholders.spec(NAMING, G, Part(PodShape(), 1), ())
    mark = placeholders.mark(2, spec)
    assert mark != placeholders.mark(2, other)

    def part_of(text: str) -> int:
        meta = {"name": "x", "uid": "u", "labels": {names.CAPACITY_PART_LABEL: text}}
        return placeholders.part_of(placeholders.parse({"metadata": meta, "spec": spec}))

    assert part_of(mark) == 2
    assert {part_of(text) for text in ("", "x.1", "99999.x", "-1.x")} == {-1}
