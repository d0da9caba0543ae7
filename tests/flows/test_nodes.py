"""Kubernetes' nodes as Slurm's: registered as they are, healed, removed."""

import contextlib
from collections.abc import Iterator

import pytest

from bridge import names
from tests.arena import manifests
from tests.arena.api import Object, state, wait_for
from tests.arena.arena import (
    NAMESPACE,
    PLAIN_NAMESPACE,
    Arena,
    Nodes,
    condition,
    gated,
    node_of,
    phase,
)
from tests.arena.fixtures import Begin


def test_a_labelled_node_is_registered_with_all_it_has(arena: Arena, begin: Begin) -> None:
    """CPUs, memory, GPUs with their type, the fabric's path, its class and its partition."""
    (name,) = begin(Nodes(count=1, cpus=12, memory_gib=64, gpus=4))
    node = wait_for("it is in Slurm", lambda: arena.slurm.nodes().get(name))
    assert (node["cpus"], node["real_memory"]) == (12, 64 * 1024)
    assert node["gres"].startswith("gpu:h100:4")
    assert "EXTERNAL" in node["state"]
    assert "slurm-bridge" in node["partitions"]
    features = node["features"]
    assert [one for one in features if one.startswith(names.CLASS_FEATURE_PREFIX)]
    assert node["topology"] == _path(arena, name), "else it would be told again and again"


def test_a_node_follows_a_change_of_its_switch(arena: Arena, begin: Begin) -> None:
    """Also while a pod runs there, and to a switch that is new to Slurm; the next pod uses it."""
    (name,) = begin(Nodes(count=1))
    arena.create(manifests.pod("runs", NAMESPACE, gpus=1))
    arena.wait_bound("runs")
    labels = {f"{names.AWS_NETWORK_LAYER_PREFIX}3": "nn-elsewhere"}
    arena.kubernetes.patch(f"/api/v1/nodes/{name}", {"metadata": {"labels": labels}})
    wanted = _path(arena, name)
    assert wanted.endswith(":nn-elsewhere")
    wait_for("Slurm has it there", lambda: arena.slurm.nodes()[name]["topology"] == wanted)
    arena.create(manifests.pod("next", NAMESPACE, gpus=1))
    assert node_of(arena.wait_bound("next")) == name


def test_nodes_join_the_tree_that_slurm_has_though_no_setting_names_it(
    arena: Arena, begin: Begin
) -> None:
    """Slurm tells nobody of its tree: until it shows a node there, a gang of two nodes is refused,
    and its pods say what to set. One annotated node is enough for the others to follow."""
    arena.remove_native()
    first, second = begin(Nodes(count=2), nodes={"topology": "", "intervalS": 1})
    assert {node["topology"] for node in arena.slurm.nodes().values()} == {""}
    arena.create(manifests.job("train", NAMESPACE, count=2, gang=True, gpus=8))
    for pod in arena.wait_pods(2, "say why", _says_no_place, of_job="train", seconds=30):
        assert "set nodes.topology" in _message(pod)
    _place(arena, first, _path(arena, first))
    wait_for(
        "the other follows",
        lambda: arena.slurm.nodes()[second]["topology"] == _path(arena, second),
    )
    pods = arena.wait_pods(2, "are bound", node_of, of_job="train", seconds=40)
    assert {node_of(pod) for pod in pods} == {first, second}


def test_a_node_whose_place_slurm_refuses_is_used_without_one(arena: Arena, begin: Begin) -> None:
    """It is registered, says what is wrong, and takes what needs one node, until it gets a place
    that Slurm has. Its address is followed, too."""
    (name,) = begin(Nodes(count=1), nodes={"topology": "fabric:nowhere", "intervalS": 1})
    assert not arena.slurm.nodes()[name]["topology"]
    note = wait_for("it is told", lambda: _node_event(arena, name, "NotChangedInSlurm"))
    assert "2178" in note
    arena.create(manifests.pod("web", NAMESPACE, gpus=1))
    arena.wait_bound("web")
    _place(arena, name, _path(arena, name))
    wait_for("it has a place", lambda: arena.slurm.nodes()[name]["topology"] == _path(arena, name))
    addresses = [{"type": "InternalIP", "address": "10.77.0.1"}]
    path = f"/api/v1/nodes/{name}/status"
    arena.kubernetes.patch(path, {"status": {"addresses": addresses}})
    wait_for(
        "Slurm has the address",
        lambda: arena.slurm.nodes()[name]["address"] == _address(arena, name) == "10.77.0.1",
    )


def test_a_node_follows_its_devices(arena: Arena, begin: Begin) -> None:
    """They come late: it is registered again with them. While a pod runs there they go and come
    back, and a pod of somebody else comes and goes: nothing new starts meanwhile, and ours runs on
    in the same job."""
    (name,) = begin(Nodes(count=1), nodes={"intervalS": 1})
    _give_gpus(arena, name, 0)
    wait_for("Slurm has none", lambda: not _has_gpus(arena, name), seconds=40)
    _give_gpus(arena, name, 8)
    wait_for("Slurm has them", lambda: _has_gpus(arena, name), seconds=40)
    arena.create(manifests.pod("runs", NAMESPACE, gpus=0))
    job = arena.job_of(arena.wait_bound("runs"))
    _give_gpus(arena, name, 0)
    assert _drained(arena, name) == f"slurm-bridge: {_LESS}"
    _give_gpus(arena, name, 8)
    wait_for("it is undrained", lambda: not _is_drained(arena.slurm.nodes()[name]))
    arena.create(_takes_devices("other", name, 2))
    assert _drained(arena, name) == f"slurm-bridge: {_LESS}"
    arena.delete_pod("other", PLAIN_NAMESPACE)
    wait_for("it is undrained", lambda: not _is_drained(arena.slurm.nodes()[name]))
    runs = arena.kubernetes.pod(NAMESPACE, "runs")
    assert runs is not None
    assert "deletionTimestamp" not in runs["metadata"]
    assert arena.slurm.job(job["job_id"])["job_state"] == ["RUNNING"]


_LESS = "it has less to give than Slurm knows: registered again once it is idle"


def _give_gpus(arena: Arena, name: str, count: int) -> None:
    amounts = {"nvidia.com/gpu": str(count)}
    status = {"status": {"capacity": amounts, "allocatable": amounts}}
    arena.kubernetes.patch(f"/api/v1/nodes/{name}/status", status)


def _has_gpus(arena: Arena, name: str) -> bool:
    """Whether Slurm has the node's eight; a node that is being registered again is no answer."""
    node = wait_for("it is in Slurm", lambda: arena.slurm.nodes().get(name))
    return str(node["gres"]).startswith("gpu:h100:8")


def _says_no_place(pod: Object) -> bool:
    return "have no place in Slurm's topology" in _message(pod)


def _place(arena: Arena, name: str, place: str) -> None:
    annotations = {names.TOPOLOGY_ANNOTATION: place}
    arena.kubernetes.patch(f"/api/v1/nodes/{name}", {"metadata": {"annotations": annotations}})


def _address(arena: Arena, name: str) -> str:
    addresses = arena.kubernetes.get(f"/api/v1/nodes/{name}")["status"]["addresses"]
    return str(next(one["address"] for one in addresses if one["type"] == "InternalIP"))


def _node_event(arena: Arena, name: str, reason: str) -> str:
    """The last note of such an event on the node; "" while there is none."""
    found = [
        event["note"]
        for event in arena.kubernetes.events("default")
        if event["regarding"].get("name") == name and event["reason"] == reason
    ]
    return found[-1] if found else ""


def _path(arena: Arena, name: str) -> str:
    labels = arena.kubernetes.get(f"/api/v1/nodes/{name}")["metadata"]["labels"]
    path = [labels[f"{names.AWS_NETWORK_LAYER_PREFIX}{level}"] for level in (1, 2, 3)]
    return ":".join(["fabric:root", *path])


def test_a_node_that_loses_its_label_leaves_slurm_and_is_anybodys_again(
    arena: Arena, begin: Begin
) -> None:
    """Registered, drained of nothing, deleted; its taint goes with it."""
    (name,) = begin(Nodes(count=1))
    labels = {"metadata": {"labels": {names.EXTERNAL_NODE_LABEL: None}}}
    arena.kubernetes.patch(f"/api/v1/nodes/{name}", labels)
    wait_for("it is gone from Slurm", lambda: name not in arena.slurm.nodes())
    wait_for("the taint is gone", lambda: not _taints(arena, name))


def test_a_busy_node_that_loses_its_label_is_emptied_first(arena: Arena, begin: Begin) -> None:
    """Its pod runs on; nothing new starts there; when it has ended the node goes."""
    (name,) = begin(Nodes(count=1))
    arena.create(manifests.pod("runs", NAMESPACE, gpus=1))
    arena.wait_bound("runs")
    labels = {"metadata": {"labels": {names.EXTERNAL_NODE_LABEL: None}}}
    arena.kubernetes.patch(f"/api/v1/nodes/{name}", labels)
    drained = wait_for(
        "it is drained", lambda: _if(arena.slurm.nodes()[name], lambda n: "DRAIN" in n["state"])
    )
    assert drained["reason"].startswith("slurm-bridge: ")
    runs = arena.kubernetes.pod(NAMESPACE, "runs")
    assert runs is not None
    assert "deletionTimestamp" not in runs["metadata"]
    arena.delete_pod("runs")
    wait_for("it is gone from Slurm", lambda: name not in arena.slurm.nodes())


def test_a_node_that_slurm_has_lost_is_made_anew_and_used(arena: Arena, begin: Begin) -> None:
    """NOT_RESPONDING (here after a signal to somebody's job) is healed once the node is idle."""
    (name,) = begin(Nodes(count=1))
    other = arena.slurm.submit(
        name="somebody", partition="slurm-bridge", tasks=1, cpus_per_task=1,
        memory_per_node={"number": 64, "set": True, "infinite": False},
    )  # fmt: skip
    wait_for("it runs", lambda: arena.slurm.job(other)["job_state"] == ["RUNNING"])
    arena.poison(name, other)
    wait_for(
        "Slurm has lost the node",
        lambda: "NOT_RESPONDING" in arena.slurm.nodes().get(name, {"state": []})["state"],
        seconds=60,
    )
    arena.slurm.cancel(other)

    def healed() -> bool:
        node = arena.slurm.nodes().get(name)
        return node is not None and "NOT_RESPONDING" not in node["state"]

    wait_for("it is made anew", healed, seconds=30)
    arena.create(manifests.pod("web", NAMESPACE, gpus=8))
    assert node_of(arena.wait_bound("web", seconds=30)) == name


def test_a_cordoned_node_is_not_pinned_to(arena: Arena, begin: Begin) -> None:
    """Slurm is told to drain it; a grant that was on its way there is given back. Uncordoned it
    is used again at once, also by those who could not use it before."""
    begin(Nodes(count=2))
    nodes = sorted(arena.slurm.nodes())
    arena.cordon(nodes[0], True)
    for number in range(3):
        arena.create(manifests.pod(f"web-{number}", NAMESPACE, gpus=1))
    for number in range(3):
        assert node_of(arena.wait_bound(f"web-{number}", seconds=40)) == nodes[1]
    assert _drained(arena, nodes[0]) == "slurm-bridge: cordoned in Kubernetes"
    arena.create(manifests.job("pair", NAMESPACE, count=2, gang=True, gpus=5))
    arena.wait_pods(2, "are told", condition, of_job="pair")
    arena.cordon(nodes[0], False)
    pair = arena.wait_pods(2, "are bound", node_of, of_job="pair")
    assert {node_of(pod) for pod in pair} == set(nodes)


def test_what_an_admin_has_drained_stays_drained(arena: Arena, begin: Begin) -> None:
    """Whoever cordons and uncordons the node in Kubernetes."""
    (name,) = begin(Nodes(count=1))
    arena.slurm.drain(name, "broken fan")
    arena.cordon(name, True)
    arena.cordon(name, False)
    arena.create(manifests.pod("web", NAMESPACE, gpus=1))
    arena.wait_pod("web", "waits in Slurm", lambda pod: "waits in" in str(condition(pod)))
    node = arena.slurm.nodes()[name]
    assert _is_drained(node)
    assert node["reason"] == "broken fan"


def test_nodes_that_do_not_answer_swallow_no_pods(arena: Arena, begin: Begin) -> None:
    """Two of three nodes go silent: every pod runs on the third, two at a time as they fit, and
    Slurm says of the others why. A node that answers again is used again."""
    *silent, healthy = sorted(begin(Nodes(count=3)))
    with contextlib.ExitStack() as stack:
        for node in silent:
            stack.enter_context(arena.silent(node))
        for number in range(4):
            arena.create(manifests.pod(f"web-{number}", NAMESPACE, gpus=4, run_s=1))
        for number in range(4):
            assert node_of(arena.wait_bound(f"web-{number}", seconds=40)) == healthy
        for node in silent:
            assert _drained(arena, node).startswith("slurm-bridge: not ready in Kubernetes")
    arena.create(manifests.job("three", NAMESPACE, count=3, gang=True, gpus=8))
    pods = arena.wait_pods(3, "are bound", node_of, of_job="three", seconds=40)
    assert {node_of(pod) for pod in pods} == {*silent, healthy}


@pytest.mark.parametrize(
    ("how", "told"), [("silent", "not ready"), ("cordoned", "cordoned"), ("sick", "unhealthy")]
)
def test_a_grant_on_a_node_that_is_closed_meanwhile_is_not_waited_for(
    arena: Arena, begin: Begin, how: str, told: str
) -> None:
    """Slurm grants it while the bridge is away, and then the node goes silent, is cordoned, or gets
    a bad condition: the grant goes back with that reason, and the pod runs elsewhere at once."""
    nodes = begin(Nodes(count=2))
    blockers = {node: _fill(arena, node) for node in nodes}
    arena.create(manifests.pod("web", NAMESPACE, gpus=1))
    arena.wait_pod("web", "waits in Slurm", lambda pod: "waits in" in str(condition(pod)))
    (web,) = {int(job["job_id"]) for job in arena.slurm.live_jobs()} - set(blockers.values())
    closed, other = nodes
    arena.bridge.kill()
    arena.slurm.cancel(blockers[closed])
    wait_for("it is granted", lambda: arena.slurm.job(web)["nodes"] == closed)
    with _closed(arena, closed, how):
        arena.slurm.cancel(blockers[other])
        arena.bridge.start()
        assert node_of(arena.wait_bound("web", seconds=40)) == other
        notes = [
            event["note"]
            for event in arena.kubernetes.events(NAMESPACE)
            if event["reason"] == "GrantUnusable"
        ]
        assert any(f"{closed}: {told}" in note for note in notes)


def _fill(arena: Arena, node: str) -> int:
    """Somebody's job that takes all CPUs of the node; it runs."""
    job_id = arena.slurm.submit(
        name="somebody", partition="slurm-bridge", tasks=1, cpus_per_task=Nodes().cpus,
        required_nodes=[node], memory_per_node={"number": 64, "set": True, "infinite": False},
    )  # fmt: skip
    wait_for("it runs", lambda: state(arena.slurm.job(job_id)) == "RUNNING")
    return job_id


@contextlib.contextmanager
def _closed(arena: Arena, node: str, how: str) -> Iterator[None]:
    """While the context lasts nothing new may start on the node."""
    if how == "silent":
        with arena.silent(node):
            yield
        return
    if how == "sick":
        arena.kubernetes.set_node_condition(node, type="KernelDeadlock", status="True")
        yield
        arena.kubernetes.set_node_condition(node, type="KernelDeadlock", status="False")
        return
    arena.cordon(node, True)
    yield
    arena.cordon(node, False)


def _is_drained(node: Object) -> bool:
    return "DRAIN" in node["state"]


def _drained(arena: Arena, name: str) -> str:
    """Until the node is drained in Slurm; the reason."""
    drained = wait_for("it is drained", lambda: _if(arena.slurm.nodes()[name], _is_drained))
    return str(drained["reason"])


def test_pods_whose_node_goes_before_they_are_bound_are_not_stuck(
    arena: Arena, begin: Begin
) -> None:
    """A Job's pod is made anew and runs elsewhere; a bare one fails and says why."""
    (first,) = begin(Nodes(count=1))
    arena.stop_scheduler()
    arena.create(manifests.job("train", NAMESPACE, gpus=1))
    arena.create(manifests.pod("bare", NAMESPACE, gpus=1))
    (pinned,) = arena.wait_pods(1, "is pinned", _pinned, of_job="train")
    arena.wait_pod("bare", "is pinned", _pinned)
    arena.kubernetes.delete(f"/api/v1/nodes/{first}")
    arena.wait_registered(arena.add_nodes(Nodes(count=1, prefix="new")))
    arena.start_scheduler()
    failed = arena.wait_pod("bare", "fails", lambda p: p["status"]["phase"] == "Failed", seconds=60)
    assert failed["status"]["reason"] == "PlaceLost"
    assert first in failed["status"]["message"]
    (anew,) = arena.wait_pods(1, "is bound", node_of, of_job="train", seconds=60)
    assert anew["metadata"]["uid"] != pinned["metadata"]["uid"]
    assert node_of(anew) != first


def test_a_node_whose_kubelet_refuses_a_pod_is_not_tried_again(arena: Arena, begin: Begin) -> None:
    """The Job's next pod goes elsewhere, though Slurm would take the same node again."""
    begin(Nodes(count=2))
    arena.create(manifests.job("train", NAMESPACE, gpus=1))
    (pod,) = arena.wait_pods(1, "is bound", node_of, of_job="train")
    refused = {"phase": "Failed", "reason": "OutOfcpu", "message": "Node didn't have enough cpu"}
    name = pod["metadata"]["name"]
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{name}/status"
    arena.kubernetes.patch(path, {"status": refused})
    (anew,) = arena.wait_pods(
        1, "is bound", lambda p: node_of(p) and p["metadata"]["name"] != name, of_job="train",
        seconds=60,
    )  # fmt: skip
    assert node_of(anew) != node_of(pod)


def _pinned(pod: Object) -> bool:
    return names.JOB_ID_LABEL in pod["metadata"].get("labels", {})


def _taints(arena: Arena, name: str) -> list[Object]:
    spec = arena.kubernetes.get(f"/api/v1/nodes/{name}")["spec"]
    return [one for one in spec.get("taints") or () if one["key"] == names.MANAGED_NODE_TAINT]


def _if(node: Object, test: object) -> Object | None:
    return node if callable(test) and test(node) else None


def _takes_devices(name: str, node: str, gpus: int) -> Object:
    """A pod of another scheduler, put onto the node by whoever made it."""
    spec = {
        **manifests.pod_spec(gpus=gpus),
        "restartPolicy": "Never",
        "nodeName": node,
        "tolerations": [{"operator": "Exists"}],
    }
    return manifests.pod(name, PLAIN_NAMESPACE, spec=spec)


def test_devices_that_somebody_else_holds_are_not_waited_for(arena: Arena, begin: Begin) -> None:
    """Slurm counts a node's GPUs as free which a pod of another scheduler holds: the gang's job
    leaves that node out from the start, and no grant is of no use."""
    nodes = sorted(begin(Nodes(count=3)))
    arena.create(_takes_devices("other", nodes[0], 2))
    arena.wait_pod("other", "runs", lambda pod: phase(pod) == "Running", namespace=PLAIN_NAMESPACE)
    arena.create(manifests.job("train", NAMESPACE, count=2, gang=True, gpus=8, cpu="1"))
    pods = arena.wait_pods(2, "are bound", node_of, of_job="train", seconds=60)
    assert {node_of(pod) for pod in pods} == set(nodes[1:])
    assert not _useless_grants(arena, nodes)
    (job,) = arena.slurm.live_jobs()
    assert nodes[0] in str(job["excluded_nodes"])
    assert len(arena.slurm.live_jobs()) == 1


def test_a_grant_that_stays_useless_is_asked_for_less_and_less(arena: Arena, begin: Begin) -> None:
    """The only node is half somebody else's: the pod says so, and Slurm is not asked each second.
    When the other pod goes, ours runs."""
    (node,) = begin(Nodes(count=1))
    arena.create(_takes_devices("other", node, 2))
    arena.wait_pod("other", "runs", lambda pod: phase(pod) == "Running", namespace=PLAIN_NAMESPACE)
    before = {int(job["job_id"]) for job in arena.slurm.jobs()}
    arena.create(manifests.pod("waits", NAMESPACE, gpus=8))
    waits = arena.wait_pod("waits", "says why", _names_the_devices, seconds=30)
    assert not gated(waits) or condition(waits)
    arena.hold_for(10.0, lambda: arena.bridge.running)
    asked = {int(job["job_id"]) for job in arena.slurm.jobs()} - before
    assert len(asked) <= 6, "many grants that nobody can use"
    arena.delete_pod("other", PLAIN_NAMESPACE)
    arena.wait_bound("waits", seconds=60)


def _names_the_devices(pod: Object) -> bool:
    return "nvidia.com/gpu" in (condition(pod) or {}).get("message", "")


TPU = "google.com/tpu"


def _give_tpus(arena: Arena, nodes: list[str], count: int) -> None:
    amounts = {TPU: str(count)}
    for node in nodes:
        status = {"status": {"capacity": amounts, "allocatable": amounts}}
        arena.kubernetes.patch(f"/api/v1/nodes/{node}/status", status)


def _tpu_pod(name: str, count: int = 4) -> Object:
    made = manifests.pod(name, NAMESPACE, cpu="1")
    resources = made["spec"]["containers"][0]["resources"]
    resources["limits"] = {TPU: str(count)}
    resources["requests"][TPU] = str(count)
    return made


def test_devices_that_slurm_does_not_count_are_not_given_twice(arena: Arena, begin: Begin) -> None:
    """Slurm would pack both pods onto the first node. The second runs on the other one, and the
    third waits with a sentence, without a job, until one of them has ended."""
    nodes = begin(Nodes(count=2))
    _give_tpus(arena, nodes, 4)
    for name in ("first", "second"):
        arena.create(_tpu_pod(name))
        arena.wait_bound(name)
    bound = {name: arena.kubernetes.pod(NAMESPACE, name) for name in ("first", "second")}
    assert {node_of(pod) for pod in bound.values() if pod} == set(nodes)
    arena.create(_tpu_pod("third"))
    told = arena.wait_pod("third", "says why", lambda pod: TPU in _message(pod), seconds=30)
    assert f"2 nodes: 0 of 4 {TPU} free" in _message(told)
    assert len(arena.slurm.live_jobs()) == 2
    arena.delete_pod("first")
    arena.wait_bound("third", seconds=30)


def test_a_job_that_waits_follows_who_holds_such_devices(arena: Arena, begin: Begin) -> None:
    """While it waits for CPUs, its node fills up with TPUs and empties again: no grant is lost."""
    nodes = sorted(begin(Nodes(count=2, cpus=8)))
    _give_tpus(arena, nodes, 4)
    for name in ("fills-a", "fills-b"):
        arena.create(manifests.pod(name, NAMESPACE, cpu="6"))
        arena.wait_bound(name)
    waits = _tpu_pod("waits")
    waits["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "4"
    arena.create(waits)
    wait_for("it has a job", lambda: len(arena.slurm.live_jobs()) == 3)
    arena.create(_tpu_pod("takes"))
    takes = arena.wait_bound("takes")
    excluded = node_of(takes)
    wait_for(
        "its job leaves the full node out",
        lambda: any(excluded in str(job.get("excluded_nodes")) for job in arena.slurm.live_jobs()),
        seconds=30,
    )
    for name in ("fills-a", "fills-b"):
        arena.delete_pod(name)
    bound = arena.wait_bound("waits", seconds=30)
    assert node_of(bound) != excluded
    assert not _useless_grants(arena, nodes)


def test_devices_with_a_gres_are_counted_by_slurm(arena: Arena, begin: Begin) -> None:
    """The third pod keeps its place in Slurm's queue, and no job leaves a node out. (`efa` is what
    both Slurms have among their GresTypes.)"""
    nodes = begin(
        Nodes(count=2, gpus=0), resourceMap={"nvidia.com/gpu": "gpu", "google.com/tpu": "efa"}
    )
    _label(arena, nodes, None)
    wait_for("they are gone from Slurm", lambda: not arena.slurm.nodes())
    _give_tpus(arena, nodes, 4)
    _label(arena, nodes, "")
    arena.wait_registered(nodes)
    for name in ("first", "second", "third"):
        arena.create(_tpu_pod(name))
    wait_for("each has a job", lambda: len(arena.slurm.live_jobs()) == 3)
    waits = wait_for("two of them run", lambda: _third_of(arena.slurm.live_jobs()))
    assert "efa" in str(waits["tres_per_task"])
    assert not waits.get("excluded_nodes")
    first = arena.wait_pods(2, "run", node_of)[0]
    arena.delete_pod(first["metadata"]["name"])
    arena.wait_pods(2, "run", node_of)


def _label(arena: Arena, nodes: list[str], value: str | None) -> None:
    labels = {names.EXTERNAL_NODE_LABEL: value}
    for node in nodes:
        arena.kubernetes.patch(f"/api/v1/nodes/{node}", {"metadata": {"labels": labels}})


def _third_of(jobs: list[Object]) -> Object | None:
    """The one that waits, when the others run."""
    waiting = [job for job in jobs if state(job) == "PENDING"]
    return waiting[0] if len(jobs) == 3 and len(waiting) == 1 else None


def _useless_grants(arena: Arena, nodes: list[str]) -> list[str]:
    """What pods were told of grants on these nodes that were given back."""
    return [
        event["note"]
        for event in arena.kubernetes.events(NAMESPACE)
        if event["reason"] == "GrantUnusable" and any(node in event["note"] for node in nodes)
    ]


def _message(pod: Object) -> str:
    return str((condition(pod) or {}).get("message", ""))
