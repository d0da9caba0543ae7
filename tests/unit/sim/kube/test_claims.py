"""Which pods controllers take for theirs, when somebody forges labels and owner references."""

from typing import Any

import pytest

from bridge.sim.kube.apiserver import kinds
from bridge.sim.kube.apiserver.kinds import Kind
from bridge.sim.kube.apiserver.objects import Object, controller_of, owner_reference
from bridge.sim.kube.controllers import job_state
from bridge.sim.kube.controllers.job_state import INDEX, TRACKING
from bridge.sim.kube.embedded import EmbeddedKubernetes
from tests.unit.sim.kube.builders import a_job, a_node, a_pod
from tests.unit.sim.kube.clocks import ManualClock
from tests.unit.sim.kube.test_apps import an_app

CONTROLLER_UID = "batch.kubernetes.io/controller-uid"
UNSERVED = {"apiVersion": "nobody.example/v1"}
"""A reference that the garbage collector can't judge, so that only the controller's word counts."""


async def _create(k8s: EmbeddedKubernetes, clock: ManualClock, owner: Object) -> Object:
    """An owner with its pods on a node."""
    await k8s.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
    await k8s.create(a_node(cpu="100"))
    await k8s.create(owner)
    await clock.advance(5)
    return _get(k8s, KINDS[owner["kind"]], owner["metadata"]["name"])


KINDS: dict[str, Kind] = {
    "Job": kinds.JOBS,
    "ReplicaSet": kinds.REPLICA_SETS,
    "StatefulSet": kinds.STATEFUL_SETS,
    "Pod": kinds.PODS,
}


def _get(k8s: EmbeddedKubernetes, kind: Kind, name: str, namespace: str = "default") -> Object:
    found = k8s.get(kind, name, namespace=namespace)
    assert found is not None, name
    return found


def _forged(owner: Object, name: str = "forged", *, selected: bool, **fields: Any) -> Object:
    """A gated pod whose controller is said to be `owner`; `selected`: with the right labels."""
    pod: Object = a_pod(
        name, gates=["example.com/hold"], owner={**owner_reference(owner), **UNSERVED}
    )
    if selected:
        pod["metadata"]["labels"] = dict(owner["spec"]["selector"]["matchLabels"])
    pod["metadata"].update(fields)
    return pod


def _others(k8s: EmbeddedKubernetes, *but: str) -> list[str]:
    return [name for _, name in k8s.observe().pods if name not in but]


def _owners() -> list[Object]:
    return [
        a_job("own", parallelism=1, completions=1),
        an_app("ReplicaSet", "own", replicas=1),
        an_app("StatefulSet", "own", replicas=1),
    ]


@pytest.mark.parametrize("owner", _owners(), ids=lambda one: str(one["kind"]))
async def test_pods_of_another_namespace_do_not_count(
    k8s: EmbeddedKubernetes, clock: ManualClock, owner: Object
) -> None:
    """Kind, name and uid of the owner, its labels too: in another namespace it is not the owner."""
    owner = await _create(k8s, clock, owner)
    before, pods = owner["status"], _others(k8s)
    for number in range(3):
        name = f"own-{number + 1}"
        await k8s.create(_forged(owner, name, selected=True, namespace="team"))
    await clock.advance(60)
    after = _get(k8s, KINDS[owner["kind"]], "own")["status"]
    assert after == before
    assert {name for space, name in k8s.observe().pods if space == "default"} == set(pods)
    forged = _get(k8s, kinds.PODS, "own-1", "team")
    assert controller_of(forged), "nobody has released it"


@pytest.mark.parametrize("owner", _owners(), ids=lambda one: str(one["kind"]))
async def test_what_is_not_selected_is_released(
    k8s: EmbeddedKubernetes, clock: ManualClock, owner: Object
) -> None:
    """A pod of the same namespace that only says to be the owner's loses the reference, and the
    Job's finalizer; it lives on and does not count."""
    owner = await _create(k8s, clock, owner)
    pods = _others(k8s)
    held = [TRACKING] if owner["kind"] == "Job" else ["example.com/hold"]
    await k8s.create(_forged(owner, "own-7", selected=False, finalizers=held))
    await clock.advance(60)
    released = _get(k8s, kinds.PODS, "own-7")
    assert "ownerReferences" not in released["metadata"]
    assert released["metadata"].get("finalizers", []) == [one for one in held if one != TRACKING]
    assert _others(k8s, "own-7") == pods


@pytest.mark.parametrize("owner", _owners(), ids=lambda one: str(one["kind"]))
async def test_what_is_selected_counts(
    k8s: EmbeddedKubernetes, clock: ManualClock, owner: Object
) -> None:
    """With the right labels it is one pod too many, and of these the one that got least far goes:
    the version of the reference is not looked at."""
    owner = await _create(k8s, clock, owner)
    pods = _others(k8s)
    await k8s.create(_forged(owner, "own-7", selected=True))
    await clock.advance(60)
    assert _others(k8s) == pods


async def test_a_stateful_set_goes_by_names(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """A pod with its labels and another name is released; one with its name takes the place."""
    owner = await _create(k8s, clock, an_app("StatefulSet", "own", replicas=1))
    await k8s.create(_forged(owner, "forged", selected=True))
    await k8s.create(_forged(owner, "own-1", selected=True))
    await clock.advance(5)
    assert controller_of(_get(k8s, kinds.PODS, "forged")) is None
    await k8s.patch(
        kinds.STATEFUL_SETS, "own", lambda one: {**one, "spec": {**one["spec"], "replicas": 2}}
    )
    await k8s.create(_forged(owner, "own-1", selected=True))
    await clock.advance(60)
    assert sorted(_others(k8s)) == ["forged", "own-0", "own-1"]
    taken = _get(k8s, kinds.PODS, "own-1")
    assert taken["spec"]["schedulingGates"], "the set has made no pod of its own"


@pytest.mark.parametrize(
    "owner",
    [
        a_job("own", manualSelector=True, selector={"matchLabels": {"app": "own"}}, parallelism=1),
        an_app("ReplicaSet", "own", replicas=1),
    ],
    ids=lambda one: str(one["kind"]),
)
async def test_what_nobody_controls_is_adopted(
    k8s: EmbeddedKubernetes, clock: ManualClock, owner: Object
) -> None:
    """A pod with the right labels and no controller gets one (and a Job's finalizer)."""
    await k8s.create(a_pod("free", labels={"app": "own"}, gates=["example.com/hold"]))
    await k8s.create(a_pod("other", labels={"app": "else"}, gates=["example.com/hold"]))
    owner["spec"]["template"].setdefault("metadata", {})["labels"] = {"app": "own"}
    owner = await _create(k8s, clock, owner)
    free = _get(k8s, kinds.PODS, "free")
    assert controller_of(free) == owner_reference(owner)
    assert (TRACKING in free["metadata"].get("finalizers", [])) is (owner["kind"] == "Job")
    assert controller_of(_get(k8s, kinds.PODS, "other")) is None
    assert _others(k8s) == ["free", "other"], "the owner needs no pod of its own"


async def test_a_label_is_enough_to_be_a_jobs(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """A pod that carries a Job's controller-uid is adopted, and then one too many."""
    job = await _create(k8s, clock, a_job("own", parallelism=1, completions=1))
    [mine] = _others(k8s)
    labels = {CONTROLLER_UID: job["metadata"]["uid"]}
    await k8s.create(a_pod("forged", labels=labels, gates=["example.com/hold"]))
    await clock.advance(60)
    assert _others(k8s) == [mine]
    messages = [one.object["message"] for one in k8s.api.store.scan(kinds.EVENTS.table)]
    assert "Deleted pod: forged" in messages


async def test_a_tracked_stray_loses_the_finalizer(
    k8s: EmbeddedKubernetes, clock: ManualClock
) -> None:
    """Without a controller nobody counts it: it can be deleted."""
    await k8s.create(a_pod("stray", finalizers=[TRACKING, "example.com/hold"]))
    await clock.advance(5)
    kept = _get(k8s, kinds.PODS, "stray")["metadata"]["finalizers"]
    assert kept == ["example.com/hold"]


@pytest.mark.parametrize("index", ["", "x", "-1", "7", "²", "9" * 5000, None])
async def test_an_indexed_job_wants_an_index(
    k8s: EmbeddedKubernetes, clock: ManualClock, index: str | None
) -> None:
    """A pod without a valid index is surplus; were it finished it would not count either."""
    spec: Any = {"completionMode": "Indexed", "parallelism": 2, "completions": 2}
    job = await _create(k8s, clock, a_job("own", **spec))
    pods = _others(k8s)
    notes = {} if index is None else {INDEX: index}
    finished = _forged(job, selected=True, annotations=notes, finalizers=[TRACKING])
    finished["spec"].pop("schedulingGates")
    finished["status"] = {"phase": "Succeeded"}
    counts = job_state.tally(job, [finished], now_s=clock.time())
    assert (counts.succeeded, counts.completed, counts.won) == (0, frozenset(), ())
    await k8s.create(_forged(job, selected=True, annotations=notes))
    await clock.advance(60)
    assert _others(k8s) == pods


async def test_the_younger_of_an_index_goes(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """Of two pods of one index that got equally far, the older stays."""
    waiting = a_pod(gates=["example.com/hold"])
    spec: Any = {"completionMode": "Indexed", "parallelism": 1, "completions": 1}
    job = await _create(k8s, clock, a_job("own", pod=waiting, **spec))
    [mine] = _others(k8s)
    await k8s.create(_forged(job, selected=True, annotations={INDEX: "0"}))
    await clock.advance(5)
    assert _others(k8s) == [mine]


async def test_only_what_is_tracked_has_succeeded(
    k8s: EmbeddedKubernetes, clock: ManualClock
) -> None:
    """A pod that ends without the finalizer was counted before, or is not the Job's."""
    spec: Any = {"completionMode": "Indexed", "parallelism": 1, "completions": 2}
    job = await _create(k8s, clock, a_job("own", **spec))
    pod = _forged(job, selected=True, annotations={INDEX: "1"})
    pod["status"] = {"phase": "Succeeded"}
    assert job_state.tally(job, [pod], now_s=clock.time()).completed == frozenset()
    pod["metadata"]["finalizers"] = [TRACKING]
    assert job_state.tally(job, [pod], now_s=clock.time()).completed == {1}


async def test_templates_give_labels_annotations_and_finalizers(
    k8s: EmbeddedKubernetes, clock: ManualClock
) -> None:
    """A template names neither its pods nor other owners for them."""
    forged = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "0-0-0"}
    metadata = {
        "name": "mine",
        "namespace": "team",
        "labels": {"app": "own"},
        "annotations": {"a": "b"},
        "finalizers": ["example.com/hold"],
        "ownerReferences": [{**forged, "controller": True}],
    }
    for owner in _owners():
        name = owner["kind"].lower()
        owner["metadata"]["name"] = name
        owner["spec"].setdefault("selector", {"matchLabels": {"app": "own"}})
        owner["spec"]["template"]["metadata"] = metadata
        if owner["kind"] == "Job":
            del owner["spec"]["selector"]
        await k8s.create(owner)
        await clock.advance(5)
        [pod] = [one for _, one in k8s.observe().pods.items() if _is_of(one, owner)]
        made = pod["metadata"]
        assert made["name"].startswith(f"{name}-")
        assert [one["kind"] for one in made["ownerReferences"]] == [owner["kind"]]
        assert made["labels"]["app"] == "own"
        assert made["annotations"]["a"] == "b"
        assert "example.com/hold" in made["finalizers"]


def _is_of(pod: Object, owner: Object) -> bool:
    return bool((controller_of(pod) or {}).get("kind") == owner["kind"])
