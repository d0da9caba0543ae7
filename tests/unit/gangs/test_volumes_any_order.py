"""Storage in any order of changes, against the rule for one node, spelled out."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from bridge.gangs.volumes import Volumes
from bridge.model.ids import NodeName
from bridge.model.pod import Pod
from bridge.model.scheduling import NodeSelectorTerm, PodShape, Requirement
from bridge.model.volume import Claim, ClaimKey, StorageClass, Volume, VolumeName, VolumeTerms
from bridge.placement.filters.feasibility import feasible
from bridge.placement.table import NodeTable
from tests.builders import SCHEDULER, a_node, a_pod

ZONES = ("a", "b", "c")
NODES = {f"n-{zone}": {"zone": zone} for zone in ZONES}
CLAIMS, DISKS, CLASSES = ("c1", "c2"), ("d1", "d2", "d3"), ("late", "local", "now")

Row = Claim | Volume | StorageClass
Change = tuple[str, Row]


def terms(zones: frozenset[str]) -> VolumeTerms:
    return (NodeSelectorTerm((Requirement("zone", "In", tuple(sorted(zones))),)),)


some_zones = st.frozensets(st.sampled_from(ZONES), min_size=1, max_size=2)
disks = st.builds(
    Volume,
    name=st.sampled_from(DISKS).map(VolumeName),
    resource_version=st.just("1"),
    available=st.booleans(),
    claim=st.none() | st.tuples(st.just("team"), st.sampled_from(CLAIMS)),
    claim_uid=st.sampled_from(["", "uid-c1"]),
    storage_class=st.sampled_from(CLASSES),
    size_bytes=st.sampled_from([1, 3]),
    affinity=st.none() | some_zones.map(terms),
    zones=st.lists(some_zones.map(terms), max_size=1).map(tuple),
    deleting=st.booleans(),
)
claims = st.builds(
    lambda name, disk, bound, **fields: Claim(
        namespace="team", name=name, uid=f"uid-{name}", resource_version="1",
        volume=VolumeName(disk), bound=bound and bool(disk), **fields,
    ),
    name=st.sampled_from(CLAIMS),
    disk=st.sampled_from(["", *DISKS]),
    bound=st.booleans(),
    storage_class=st.sampled_from(["", *CLASSES]),
    size_bytes=st.sampled_from([1, 2]),
    phase=st.sampled_from(["Pending", "Pending", "Lost"]),
    selected_node=st.sampled_from(["", "", "n-b"]).map(NodeName),
    deleting=st.sampled_from([False, False, True]),
)  # fmt: skip
classes = st.builds(
    lambda name, topologies: StorageClass(
        name, "1", waits=name != "now", provisions=name != "local", topologies=topologies
    ),
    name=st.sampled_from(CLASSES),
    topologies=st.just(()) | some_zones.map(terms),
)
changes = st.lists(
    st.tuples(st.sampled_from(["upsert", "upsert", "remove"]), claims | disks | classes),
    max_size=25,
)


def play(volumes: Volumes, change: Change) -> set[ClaimKey]:
    match change:
        case "upsert", Claim() as row:
            return volumes.upsert_claim(row)
        case "upsert", Volume() as row:
            return volumes.upsert_volume(row)
        case "upsert", StorageClass() as row:
            return volumes.upsert_class(row)
        case _, Claim() as row:
            return volumes.remove_claim(row.key)
        case _, Volume() as row:
            return volumes.remove_volume(row.name)
        case _, row:
            return volumes.remove_class(row.name)


def mounting(claim: str) -> Pod:
    return replace(a_pod().build(), volume_claims=(claim,))


def left_of(history: list[Change]) -> dict[tuple[type, object], Row]:
    """What there is in the end."""
    left: dict[tuple[type, object], Row] = {}
    for what, row in history:
        left.pop((type(row), row.name), None)
        if what == "upsert":
            left[type(row), row.name] = row
    return left


def table() -> NodeTable:
    made = NodeTable(class_ignore_keys=(), scheduler_name=SCHEDULER)
    for name, labels in NODES.items():
        made.upsert(replace(a_node(name), labels=labels, taints=()))
    return made


@given(changes)
def test_every_change_names_the_claims_for_which_something_is_different(
    history: list[Change],
) -> None:
    """And what was before leaves no trace."""
    volumes = Volumes()
    for change in history:
        before = {name: volumes.of(mounting(name)) for name in CLAIMS}
        touched = play(volumes, change) | volumes.concerned_by_free()
        for name in CLAIMS:
            if volumes.of(mounting(name)) != before[name]:
                assert ("team", name) in touched
    fresh = Volumes()
    for row in left_of(history).values():
        play(fresh, ("upsert", row))
    for name in CLAIMS:
        assert volumes.of(mounting(name)) == fresh.of(mounting(name))


@given(changes)
def test_a_pod_waits_or_may_run_exactly_where_kube_scheduler_would_let_it(
    history: list[Change],
) -> None:
    """Node by node, by the rule as kube-scheduler goes about it."""
    volumes, left = Volumes(), left_of(history)
    for change in history:
        play(volumes, change)
    snapshot = table().snapshot()
    for name in CLAIMS:
        view = volumes.of(mounting(name))
        allowed = {node for node, labels in NODES.items() if oracle(left, name, node, labels)}
        shape = PodShape(volume_terms=view.terms)
        found = feasible(snapshot, shape, now=False)
        mine = (
            set() if view.waits_for else {n for n in NODES if found.mask[snapshot.row(NodeName(n))]}
        )
        assert mine == allowed


def oracle(
    left: dict[tuple[type, object], Row], name: str, node: str, labels: dict[str, str]
) -> bool:
    """Whether the node would pass."""
    claim = left.get((Claim, name))
    if not isinstance(claim, Claim) or claim.deleting or claim.phase == "Lost":
        return False
    disks = [row for row in left.values() if isinstance(row, Volume)]
    if claim.bound:
        mine = [row for row in disks if row.name == claim.volume]
        return any(
            reached(row.affinity, labels) and all(reached(one, labels) for one in row.zones)
            for row in mine
        )
    kind = left.get((StorageClass, claim.storage_class))
    if claim.volume or not isinstance(kind, StorageClass) or not kind.waits:
        return False
    makes = kind.provisions and (not kind.topologies or reached(kind.topologies, labels))
    if claim.selected_node:
        return claim.selected_node == node
    good = [d for d in disks if d.size_bytes >= claim.size_bytes and not d.deleting]
    kept = [d for d in good if d.claim == claim.key and d.claim_uid in ("", claim.uid)]
    free = [d for d in good if d.claim is None and d.available and d.storage_class == kind.name]
    return makes or any(reached(d.affinity, labels) for d in kept or free)


def reached(terms: VolumeTerms | None, labels: dict[str, str]) -> bool:
    return terms is None or any(
        all(labels[one.key] in one.values for one in term.expressions) for term in terms
    )
