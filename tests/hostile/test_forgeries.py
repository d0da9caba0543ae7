"""What Kubernetes itself makes of forged owners and labels, on both stacks alike.

What stories about hostile tenants suppose of it stands here: which pods the garbage collector
takes, which a Job counts, under whose name daemon pods come. All of it happens outside of managed
namespaces, to pods behind a gate that nobody opens.
"""

from typing import Any

from tests.arena import manifests
from tests.arena.api import Object, wait_for
from tests.arena.arena import PLAIN_NAMESPACE, Arena, Nodes
from tests.arena.fixtures import Begin

OTHER = "default"
"""A namespace beside, which no story clears."""
HOLD = [{"name": "example.com/hold"}]
UNSERVED = {"apiVersion": "nobody.example/v1"}
CONTROLLER_UID = "batch.kubernetes.io/controller-uid"


def held_job(arena: Arena, name: str = "real", **fields: Any) -> Object:
    """A Job whose pods wait for ever."""
    made = manifests.job(name, PLAIN_NAMESPACE, schedulingGates=HOLD)
    made["spec"].update(fields)
    return arena.create(made)


def forged(
    arena: Arena,
    owner: Object,
    name: str,
    *,
    ns: str = PLAIN_NAMESPACE,
    labels: Object | None = None,
    reference: Object | None = None,
) -> Object:
    """A pod whose controller is said to be `owner`, forged in some fields of the reference."""
    made = manifests.pod(name, ns, schedulingGates=HOLD)
    said = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
        **(reference or {}),
    }
    made["metadata"] |= {"ownerReferences": [said], "labels": labels or {}}
    if ns == OTHER:
        arena.delete_pod(name, ns)  # of a story that went wrong
    return arena.create(made)


def owners(arena: Arena, name: str, ns: str = PLAIN_NAMESPACE) -> list[Object] | None:
    """A pod's owner references; None when it is gone or going."""
    pod = arena.kubernetes.pod(ns, name)
    if pod is None or "deletionTimestamp" in pod["metadata"]:
        return None
    found: list[Object] = pod["metadata"].get("ownerReferences") or []
    return found


def wait_released(arena: Arena, name: str) -> None:
    """Until a pod is there that names no owner any more."""
    wait_for(f"{name} is released", lambda: owners(arena, name) == [])


def status_of(arena: Arena, job: str) -> Object:
    path = f"/apis/batch/v1/namespaces/{PLAIN_NAMESPACE}/jobs/{job}"
    status: Object = arena.kubernetes.get(path)["status"]
    return status


def test_what_the_garbage_collector_takes(arena: Arena, begin: Begin) -> None:
    """Pods of owners that are not where and what their references say; of a kind that is not
    served it takes nothing."""
    begin()
    job = held_job(arena, suspend=True)
    forged(arena, job, "unserved-group", reference=UNSERVED)
    forged(arena, job, "unserved-kind", reference={"kind": "Nothing"})
    forged(arena, job, "unserved-version", reference={"apiVersion": "batch/v9"})
    wrong: dict[str, Object] = {
        "another-uid": {"uid": "00000000-0000-4000-8000-000000000000"},
        "another-name": {"name": "nobody"},
        "another-kind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "a-node": {"apiVersion": "v1", "kind": "Node"},
    }
    for name, fields in wrong.items():
        forged(arena, job, name, reference=fields)
        arena.wait_gone(name, namespace=PLAIN_NAMESPACE)
    forged(arena, job, "another-namespace", ns=OTHER)
    arena.wait_gone("another-namespace", namespace=OTHER)
    wait_for(
        "an event says why",
        lambda: (
            "OwnerRefInvalidNamespace"
            in [one["reason"] for one in arena.kubernetes.events(OTHER, "another-namespace")]
        ),
    )
    assert owners(arena, "unserved-kind")
    for name in ("unserved-group", "unserved-version"):
        wait_released(arena, name)


def test_a_stranger_can_hold_a_foreground_deletion(arena: Arena, begin: Begin) -> None:
    """Who blocks an owner is kept by uid alone."""
    begin()
    job = held_job(arena, suspend=True)
    forged(arena, job, "stranger", ns=OTHER, reference={"kind": "Nothing"})
    path = f"/apis/batch/v1/namespaces/{PLAIN_NAMESPACE}/jobs/real"
    arena.kubernetes.delete(path, propagation="Foreground")
    other = held_job(arena, "other", suspend=True)
    forged(arena, other, "child")
    gone = f"/apis/batch/v1/namespaces/{PLAIN_NAMESPACE}/jobs/other"
    arena.kubernetes.delete(gone, propagation="Foreground")
    wait_for("the other Job is gone", lambda: arena.kubernetes.find(gone) is None)
    assert arena.kubernetes.find(path) is not None
    arena.delete_pod("stranger", OTHER)
    wait_for("the Job is gone", lambda: arena.kubernetes.find(path) is None)


def test_which_pods_a_job_counts(arena: Arena, begin: Begin) -> None:
    """Those of its namespace that it selects, whatever the version of the reference; what it does
    not select it releases, and what is elsewhere is nothing to it."""
    begin()
    job = held_job(arena, "counting")
    labels = {CONTROLLER_UID: job["metadata"]["uid"], "job-name": "counting"}
    arena.wait_pods(1, "is made", lambda _: True, namespace=PLAIN_NAMESPACE, of_job="counting")
    forged(arena, job, "elsewhere", ns=OTHER, labels=labels, reference=UNSERVED)
    forged(arena, job, "released", reference=UNSERVED)
    wait_released(arena, "released")
    forged(arena, job, "counted", labels=labels, reference=UNSERVED)
    wait_for("one of two goes", lambda: deleted_by(arena, "counting") == 1)
    free = manifests.pod("free", PLAIN_NAMESPACE, schedulingGates=HOLD)
    free["metadata"]["labels"] = labels
    arena.create(free)
    wait_for("one of two goes again", lambda: deleted_by(arena, "counting") == 2)
    wait_for("one is active", lambda: status_of(arena, "counting").get("active") == 1)
    arena.wait_pods(1, "is left", lambda _: True, namespace=PLAIN_NAMESPACE, of_job="counting")
    assert owners(arena, "elsewhere", OTHER)
    arena.delete_pod("elsewhere", OTHER)
    assert owners(arena, "released") == []


def deleted_by(arena: Arena, job: str) -> int:
    """How many pods the Job controller has deleted as too many. (Which ones is open: they are of
    the same second.)"""
    events = arena.kubernetes.events(PLAIN_NAMESPACE, job)
    return sum(one["reason"] == "SuccessfulDelete" for one in events)


def test_daemon_pods_are_the_controllers(arena: Arena, begin: Begin) -> None:
    """One for each node, tied to it by affinity, controlled by the DaemonSet; a mirror pod needs a
    node and nobody asks who makes it."""
    nodes = begin(Nodes(count=2))
    template: Object = {
        "metadata": {"labels": {"app": "agent"}},
        "spec": {
            **manifests.pod_spec(cpu="100m"),
            "tolerations": [{"operator": "Exists"}],
        },
    }
    daemons = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "agent", "namespace": PLAIN_NAMESPACE},
        "spec": {"selector": {"matchLabels": {"app": "agent"}}, "template": template},
    }
    arena.create(daemons)
    pods = arena.wait_pods(
        2, "are bound", lambda pod: pod["spec"].get("nodeName"), namespace=PLAIN_NAMESPACE
    )
    assert {pod["spec"]["nodeName"] for pod in pods} == set(nodes)
    for pod in pods:
        (owner,) = pod["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["controller"]) == ("DaemonSet", True)
        assert "serviceAccountName" in pod["spec"]
    arena.kubernetes.delete(f"/apis/apps/v1/namespaces/{PLAIN_NAMESPACE}/daemonsets/agent")
    wait_for("they are gone", lambda: not arena.kubernetes.pods(PLAIN_NAMESPACE), seconds=60)
    with arena.tenant(namespace=PLAIN_NAMESPACE) as user:
        mirror = manifests.pod("mirror", PLAIN_NAMESPACE)
        mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
        refused = user.try_create(mirror)
        assert refused.status_code == 422, refused.text
        assert "must set spec.nodeName" in refused.text
        mirror["spec"]["nodeName"] = nodes[0]
        assert user.try_create(mirror).status_code == 201
        arena.delete_pod("mirror", PLAIN_NAMESPACE)
