"""What becomes of dependents, and of what a namespace holds."""

import random

import pytest

from bridge.sim.kube.apiserver import kinds
from bridge.sim.kube.apiserver.failure import ApiFailure
from bridge.sim.kube.apiserver.objects import Object, owner_reference
from bridge.sim.kube.embedded import EmbeddedKubernetes
from tests.unit.sim.kube.builders import a_job, a_pod
from tests.unit.sim.kube.clocks import ManualClock, settle


async def _family(k8s: EmbeddedKubernetes) -> Object:
    """A parent with two children."""
    parent = await k8s.create(a_pod("parent"))
    for name in ("a", "b"):
        await k8s.create(a_pod(name, owner=owner_reference(parent)))
    await settle()
    return parent


async def test_background(k8s: EmbeddedKubernetes) -> None:
    """The owner goes at once, its dependents after it."""
    await _family(k8s)
    await k8s.delete(kinds.PODS, "parent")
    assert k8s.get(kinds.PODS, "parent") is None
    await settle()
    assert k8s.observe().pods == {}


async def test_orphan(k8s: EmbeddedKubernetes) -> None:
    """The dependents stay and forget their owner."""
    await _family(k8s)
    await k8s.delete(kinds.PODS, "parent", propagation="Orphan")
    await settle()
    pods = k8s.observe().pods
    assert {name for _, name in pods} == {"a", "b"}
    assert all("ownerReferences" not in pod["metadata"] for pod in pods.values())


async def test_foreground(k8s: EmbeddedKubernetes) -> None:
    """The owner waits until its dependents are gone."""
    parent = await k8s.create(a_pod("parent"))
    child = a_pod("a", owner=owner_reference(parent), finalizers=["example.com/hold"])
    await k8s.create(child)
    await settle()
    await k8s.delete(kinds.PODS, "parent", propagation="Foreground")
    await settle()
    waiting = k8s.get(kinds.PODS, "parent")
    assert waiting is not None
    assert waiting["metadata"]["finalizers"] == ["foregroundDeletion"]
    await k8s.patch(
        kinds.PODS, "a", lambda pod: {**pod, "metadata": {**pod["metadata"], "finalizers": []}}
    )
    await settle()
    assert k8s.observe().pods == {}


async def test_owner_that_never_was(k8s: EmbeddedKubernetes) -> None:
    """An object whose owner doesn't exist is collected."""
    ghost = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "uid": "0-0-0"}}
    await k8s.create(a_pod(owner=owner_reference(ghost)))
    await settle()
    assert k8s.observe().pods == {}


async def test_one_of_two_owners(k8s: EmbeddedKubernetes) -> None:
    """With another owner left an object stays."""
    first = await k8s.create(a_pod("first"))
    second = await k8s.create(a_pod("second"))
    child = a_pod("child")
    child["metadata"]["ownerReferences"] = [
        owner_reference(first),
        owner_reference(second, controller=False),
    ]
    await k8s.create(child)
    await settle()
    await k8s.delete(kinds.PODS, "first")
    await settle()
    assert k8s.get(kinds.PODS, "child") is not None
    await k8s.delete(kinds.PODS, "second")
    await settle()
    assert k8s.get(kinds.PODS, "child") is None


async def test_grandchildren(k8s: EmbeddedKubernetes) -> None:
    """A chain of any length is collected to its end."""
    owner = await k8s.create(a_pod("p0"))
    for index in range(1, 6):
        owner = await k8s.create(a_pod(f"p{index}", owner=owner_reference(owner)))
    await settle()
    await k8s.delete(kinds.PODS, "p0")
    await settle()
    assert k8s.observe().pods == {}


@pytest.mark.parametrize("seed", range(5))
async def test_nothing_leaks_nothing_is_lost(k8s: EmbeddedKubernetes, seed: int) -> None:
    """In a random forest exactly the descendants of what was deleted go."""
    rng = random.Random(seed)
    parents: dict[str, str | None] = {}
    made: dict[str, Object] = {}
    for index in range(20):
        name = f"p{index}"
        parent = rng.choice([None, *made]) if made else None
        owner = owner_reference(made[parent]) if parent else None
        made[name] = await k8s.create(a_pod(name, owner=owner))
        parents[name] = parent
    await settle()
    victim = rng.choice(list(made))
    await k8s.delete(kinds.PODS, victim)
    await settle()

    def doomed(name: str | None) -> bool:
        return name is not None and (name == victim or doomed(parents[name]))

    assert {name for _, name in k8s.observe().pods} == {n for n in made if not doomed(n)}


async def test_a_podgroup_outlives_its_pods(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """Deleted while a pod of it lives, it goes when that has ended."""
    spec = {"schedulingPolicy": {"gang": {"minCount": 1}}}
    head = {"apiVersion": "scheduling.k8s.io/v1alpha2", "kind": "PodGroup"}
    for name in ("used", "unused"):
        await k8s.create({**head, "metadata": {"name": name}, "spec": spec})
    member = a_pod("member", gates=["example.com/hold"])
    member["spec"]["schedulingGroup"] = {"podGroupName": "used"}
    await k8s.create(member)
    for name in ("used", "unused"):
        await k8s.delete(kinds.POD_GROUPS, name)
    await settle()
    assert k8s.get(kinds.POD_GROUPS, "unused") is None
    assert k8s.get(kinds.POD_GROUPS, "used") is not None
    await k8s.delete(kinds.PODS, "member", grace_s=0)
    await settle()
    assert k8s.get(kinds.POD_GROUPS, "used") is None


async def test_namespace_takes_its_content_along(
    k8s: EmbeddedKubernetes, clock: ManualClock
) -> None:
    """A deleted namespace ends when everything in it has; until then nothing new is let in."""
    await k8s.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
    job = a_job(parallelism=2, completions=2)
    job["metadata"]["namespace"] = "team"
    await k8s.create(job)
    await clock.advance(1)
    held = a_pod("held", namespace="team", finalizers=["example.com/hold"])
    await k8s.create(held)
    await k8s.delete(kinds.NAMESPACES, "team")
    await clock.advance(1)
    assert {name for space, name in k8s.observe().pods if space == "team"} == {"held"}
    assert k8s.observe().jobs == {}
    with pytest.raises(ApiFailure, match="because it is being terminated"):
        await k8s.create(a_pod("late", namespace="team"))
    await k8s.patch(
        kinds.PODS,
        "held",
        lambda pod: {**pod, "metadata": {**pod["metadata"], "finalizers": []}},
        namespace="team",
    )
    await clock.advance(1)
    assert k8s.get(kinds.NAMESPACES, "team") is None
