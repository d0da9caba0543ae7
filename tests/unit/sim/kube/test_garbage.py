"""What becomes of dependents, and of what a namespace holds."""

import random
from typing import Any

import pytest

from bridge.sim.kube.apiserver import kinds
from bridge.sim.kube.apiserver.failure import ApiFailure
from bridge.sim.kube.apiserver.objects import Object, owner_reference
from bridge.sim.kube.embedded import EmbeddedKubernetes
from tests.unit.sim.kube.builders import a_job, a_node, a_pod
from tests.unit.sim.kube.clocks import ManualClock, settle

WONDERS: Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "wonders.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "wonders", "kind": "Wonder"},
        "versions": [{"name": "v1", "served": True, "storage": True}],
    },
}


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


def a_reference(owner: Object, **fields: Any) -> Object:
    """A reference to `owner`, forged in some of its fields."""
    return {**owner_reference(owner), **fields}


@pytest.mark.parametrize(
    ("forged", "collected"),
    [
        ({}, False),
        ({"uid": "0-0-0"}, True),
        ({"name": "other"}, True),
        ({"kind": "ConfigMap"}, True),
        ({"apiVersion": "batch/v1", "kind": "Job"}, True),
        ({"apiVersion": "v1", "kind": "Node"}, True),
        ({"kind": "Nothing"}, False),
        ({"apiVersion": "v9"}, False),
        ({"apiVersion": "nobody.example/v1"}, False),
    ],
)
async def test_owners_are_what_their_references_say(
    k8s: EmbeddedKubernetes, clock: ManualClock, forged: Object, collected: bool
) -> None:
    """Kind, name and uid must be those of one object; of a kind that is not served nothing can be
    said, however often it is asked."""
    owner = await k8s.create(a_pod("owner"))
    await k8s.create(a_pod("child", owner=a_reference(owner, **forged)))
    await clock.advance(120)
    assert (k8s.get(kinds.PODS, "child") is None) is collected


async def test_a_kind_that_is_served_later(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """The dependent of an unknown kind is judged once the kind is defined."""
    ghost = {"apiVersion": "example.com/v1", "kind": "Wonder", "name": "w", "uid": "0-0-0"}
    await k8s.create(a_pod("child", owner=ghost))
    await clock.advance(60)
    assert k8s.get(kinds.PODS, "child") is not None
    await k8s.create(WONDERS)
    await clock.advance(60)
    assert k8s.get(kinds.PODS, "child") is None


async def test_an_owner_in_another_namespace(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """An owner is looked for next to its dependent: elsewhere is nowhere, and an event says so."""
    await k8s.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
    job = await k8s.create(a_job(suspend=True))
    await k8s.create(a_pod("child", namespace="team", owner=a_reference(job)))
    await clock.advance(1)
    assert k8s.get(kinds.PODS, "child", namespace="team") is None
    [event] = [one.object for one in k8s.api.store.scan(kinds.EVENTS.table, "team")]
    assert (event["type"], event["reason"]) == ("Warning", "OwnerRefInvalidNamespace")
    uid = job["metadata"]["uid"]
    assert event["message"] == (
        f"ownerRef [batch/v1/Job, namespace: team, name: j, uid: {uid}] does not exist in "
        'namespace "team"'
    )
    assert k8s.get(kinds.JOBS, "j") is not None


async def test_owners_of_the_whole_cluster(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """A Node owns pods of any namespace; a pod owns nothing that has no namespace."""
    node = await k8s.create(a_node())
    await k8s.create(a_pod("static", owner=a_reference(node)))
    pod = await k8s.create(a_pod("pod"))
    odd = {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": "odd", "ownerReferences": [a_reference(pod, uid="0-0-0")]},
    }
    await k8s.create(odd)
    await clock.advance(60)
    assert k8s.get(kinds.PODS, "static") is not None
    assert k8s.get(kinds.PRIORITY_CLASSES, "odd") is not None
    await k8s.delete(kinds.NODES, "n1")
    await clock.advance(1)
    assert k8s.get(kinds.PODS, "static") is None


async def test_what_one_owner_is_missing(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """With an owner that exists the others are forgotten, unless one can't be judged."""
    solid = a_reference(await k8s.create(a_pod("solid")))
    gone = a_reference(await k8s.create(a_pod("other")), uid="0-0-0", controller=False)
    unknown = {**gone, "kind": "Nothing", "uid": "1-1-1"}
    for name, references in (
        ("judged", [solid, gone]),
        ("unjudged", [solid, gone, unknown]),
        ("unowned", [gone, unknown]),
    ):
        child = a_pod(name)
        child["metadata"]["ownerReferences"] = references
        await k8s.create(child)
    await clock.advance(60)

    def owners(name: str) -> list[str]:
        pod = k8s.get(kinds.PODS, name)
        assert pod is not None
        return [one["uid"] for one in pod["metadata"]["ownerReferences"]]

    assert owners("judged") == [solid["uid"]]
    assert owners("unjudged") == [solid["uid"], "0-0-0", "1-1-1"]
    assert owners("unowned") == ["0-0-0", "1-1-1"]


async def test_foreground_leaves_what_others_own(
    k8s: EmbeddedKubernetes, clock: ManualClock
) -> None:
    """A dependent with another owner forgets the one that waits for it, which may go then."""
    first = await k8s.create(a_pod("first"))
    second = await k8s.create(a_pod("second"))
    child = a_pod("child")
    child["metadata"]["ownerReferences"] = [
        a_reference(first),
        a_reference(second, controller=False),
    ]
    await k8s.create(child)
    await k8s.delete(kinds.PODS, "first", propagation="Foreground")
    await clock.advance(1)
    assert k8s.get(kinds.PODS, "first") is None
    kept = k8s.get(kinds.PODS, "child")
    assert kept is not None
    assert [one["name"] for one in kept["metadata"]["ownerReferences"]] == ["second"]


async def test_a_stranger_blocks_a_foreground_deletion(
    k8s: EmbeddedKubernetes, clock: ManualClock
) -> None:
    """Who blocks is kept by uid alone: a pod of another namespace whose reference names a kind
    that is not served stays, and holds the owner. (So does the real one.)"""
    await k8s.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
    job = await k8s.create(a_job(suspend=True))
    forged = a_reference(job, kind="Nothing")
    await k8s.create(a_pod("stranger", namespace="team", owner=forged))
    await clock.advance(1)
    await k8s.delete(kinds.JOBS, "j", propagation="Foreground")
    await clock.advance(60)
    assert k8s.get(kinds.JOBS, "j") is not None
    await k8s.delete(kinds.PODS, "stranger", namespace="team")
    await clock.advance(1)
    assert k8s.get(kinds.JOBS, "j") is None


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
