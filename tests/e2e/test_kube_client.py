"""`bridge.kube` against a real API server: does it take what we write, and answer as we think?

Runs against the cluster of $KUBECONFIG, or on a stack of its own. What restarts the API server
wants the latter.
"""

import asyncio
import os
import pathlib
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from bridge import names
from bridge.clock import SystemClock
from bridge.config import KubernetesSettings
from bridge.kube.api import credentials, errors, lines
from bridge.kube.api.client import KubeClient
from bridge.kube.api.events import EventRecorder, ObjectRef
from bridge.kube.api.lease import Lease
from bridge.kube.api.reflector import Change, Deleted, Pace, Reflector, Replaced, Upserted
from bridge.kube.objects import jobs, namespaces, nodes, pods
from bridge.model.ids import NodeName, PodUid, SlurmJobId
from bridge.model.pod import Condition, Pod
from bridge.model.scheduling import Taint, Toleration
from tests.e2e.stack import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1500)]

PORT_BASE = 30200
NODE = NodeName("ip-10-0-0-1.us-west-2.compute.internal")
GATE = {"name": names.ALLOCATION_GATE}
OTHERS = {"name": "example.com/other"}


@pytest.fixture(scope="module")
def own() -> Iterator[Stack | None]:
    """A stack of this module's own, unless a cluster is given."""
    if os.environ.get("KUBECONFIG"):
        yield None
        return
    if os.geteuid() != 0:
        pytest.skip("the stack mounts and chroots: needs root; or set KUBECONFIG")
    with Stack.fresh("kube", PORT_BASE) as stack:
        yield stack


@pytest.fixture
async def client(own: Stack | None) -> AsyncIterator[KubeClient]:
    """A client as the bridge makes it."""
    kubeconfig = os.environ["KUBECONFIG"] if own is None else str(own.kubeconfig)
    client = await KubeClient.connect(
        KubernetesSettings(kubeconfig=kubeconfig), clock=SystemClock()
    )
    yield client
    await client.close()


@pytest.fixture
async def team(client: KubeClient) -> AsyncIterator[str]:
    """A namespace of this test's own."""
    name = f"kube-{secrets.token_hex(4)}"
    await client.create("/api/v1/namespaces", {"metadata": {"name": name}})
    account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
    await eventually(lambda: found(client, account))
    yield name
    await client.delete(f"/api/v1/namespaces/{name}")


async def found(client: KubeClient, path: str) -> bool:
    """Whether something is at `path`."""
    try:
        await client.get(path)
    except errors.NotFound:
        return False
    return True


async def eventually(check: Callable[[], Any], *, timeout_s: float = 60.0) -> Any:
    """The first true answer; the check may be a coroutine function."""
    async with asyncio.timeout(timeout_s):
        while True:
            answer = check()
            if asyncio.iscoroutine(answer):
                answer = await answer
            if answer:
                return answer
            await asyncio.sleep(0.05)  # a real server has nothing else to wait for


async def created(client: KubeClient, team: str, name: str = "a", **spec: Any) -> Pod:
    """A pod that waits behind our gate and one of somebody else."""
    raw = await client.create(
        f"/api/v1/namespaces/{team}/pods",
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "annotations": {names.JOB_PREFIX + "account": "physics"}},
            "spec": {
                "schedulerName": "nobody",
                "schedulingGates": [OTHERS, GATE],
                "containers": [{"name": "main", "image": "any"}],
                **spec,
            },
        },
    )
    return pods.parse(raw)


async def kubectl(own: Stack | None, *arguments: str) -> str:
    """What kubectl prints."""
    program, config = "kubectl", os.environ.get("KUBECONFIG", "")
    if own is not None:
        program, config = str(own.layout.root / "bin" / "kubectl"), str(own.kubeconfig)
    process = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        env={**os.environ, "KUBECONFIG": config},
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    return said.decode()


async def test_cluster_identity(client: KubeClient) -> None:
    """The cluster's uid is that of kube-system, and the target says where it is."""
    uid = await client.cluster_uid()
    assert len(uid) == 36
    assert client.target.startswith("context ")
    assert ", server https://" in client.target


async def test_as_a_service_account(
    own: Stack | None, client: KubeClient, team: str, tmp_path: pathlib.Path
) -> None:
    """In a pod: the mounted token and CA are enough, the token is rotated, RBAC is told apart."""
    if own is None:
        pytest.skip("its CA is not known")
    account = f"/api/v1/namespaces/{team}/serviceaccounts/default"

    async def mount() -> None:
        asked = await client.create(f"{account}/token", {"spec": {"expirationSeconds": 600}})
        (tmp_path / "token").write_text(asked["status"]["token"])

    (tmp_path / "ca.crt").write_bytes((own.layout.pki / "ca.crt").read_bytes())
    (tmp_path / "token").write_text("not-a-token")
    host, _, port = client.target.rpartition("https://")[2].partition(":")
    places = credentials.Places(
        environ={"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port},
        service_account=tmp_path,
        home=tmp_path,
    )
    inside = await KubeClient.connect(KubernetesSettings(), clock=SystemClock(), places=places)
    try:
        assert inside.target == f"in-cluster, server https://{host}:{port}"
        await mount()  # only now: the first request finds a token that is refused
        with pytest.raises(errors.Forbidden, match=f"system:serviceaccount:{team}:default"):
            await inside.get(pods.PATH)
    finally:
        await inside.close()


async def test_pin(client: KubeClient, team: str) -> None:
    """The one PATCH is accepted; gates, terms and preferences of others survive it."""
    zone = {"key": "zone", "operator": "NotIn", "values": ["x", "y"]}
    generation = {"key": "generation", "operator": "Gt", "values": ["4"]}
    exists = {"key": "gpu", "operator": "Exists"}
    elsewhere = {"key": "metadata.name", "operator": "NotIn", "values": ["other"]}
    here = {"key": "metadata.name", "operator": "In", "values": [NODE]}
    preferred = [{"weight": 5, "preference": {"matchExpressions": [exists]}}]
    required = {
        "nodeSelectorTerms": [
            {"matchExpressions": [zone, generation]},
            {"matchExpressions": [exists], "matchFields": [elsewhere]},
            {},
        ]
    }
    affinity = {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": required,
            "preferredDuringSchedulingIgnoredDuringExecution": preferred,
        }
    }
    pod = await created(client, team, affinity=affinity)
    pinned = await pods.pin(client, pod, node=NODE, job_id=SlurmJobId(4711))

    assert (pinned.job_id, pinned.annotations[names.NODE_ANNOTATION]) == (4711, NODE)
    assert pinned.gates == ("example.com/other",)
    raw = await client.get(pods.path(team, "a"))
    node_affinity = raw["spec"]["affinity"]["nodeAffinity"]
    terms = node_affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert terms == [
        {"matchExpressions": [zone, generation], "matchFields": [here]},
        {"matchExpressions": [exists], "matchFields": [elsewhere, here]},
        {},
    ]
    assert node_affinity["preferredDuringSchedulingIgnoredDuringExecution"] == preferred
    assert pods.parse(raw) == pinned


async def test_pin_without_affinity(client: KubeClient, team: str) -> None:
    """The common pod: one required term, and no gate is left of ours alone."""
    pod = await created(client, team, schedulingGates=[GATE])
    pinned = await pods.pin(client, pod, node=NODE, job_id=SlurmJobId(1))
    assert pinned.gates == ()
    assert pinned.shape.affinity_terms is not None
    (term,) = pinned.shape.affinity_terms
    assert [one.values for one in term.fields] == [(NODE,)]


async def test_pin_of_an_ungated_pod(client: KubeClient, team: str) -> None:
    """Without our gate label and annotation are taken, and the affinity stays as it was."""
    pod = await created(client, team, schedulingGates=[])
    pinned = await pods.pin(client, pod, node=NODE, job_id=SlurmJobId(1))
    assert pinned.job_id == 1
    assert pinned.shape.affinity_terms is None


async def test_stale_pin(client: KubeClient, team: str) -> None:
    """A pod that changed since it was read: 409, nothing written; read anew it works."""
    pod = await created(client, team)
    await client.patch(pods.path(team, "a"), {"metadata": {"labels": {"changed": "yes"}}})
    with pytest.raises(errors.Conflict):
        await pods.pin(client, pod, node=NODE, job_id=SlurmJobId(1))
    newest = pods.parse(await client.get(pods.path(team, "a")))
    assert newest.gated_by_us
    assert (await pods.pin(client, newest, node=NODE, job_id=SlurmJobId(1))).job_id == 1


async def test_lost_answer(client: KubeClient, team: str) -> None:
    """A pin repeated because its answer got lost conflicts, and the pod shows that it was done."""
    pod = await created(client, team)
    pinned = await pods.pin(client, pod, node=NODE, job_id=SlurmJobId(1))
    with pytest.raises(errors.Conflict):
        await pods.pin(client, pod, node=NODE, job_id=SlurmJobId(1))
    assert pods.parse(await client.get(pods.path(team, "a"))) == pinned


async def test_no_way_back(client: KubeClient, team: str) -> None:
    """An ungated pod can be neither pinned elsewhere nor gated again."""
    pod = await created(client, team, schedulingGates=[GATE])
    pinned = await pods.pin(client, pod, node=NODE, job_id=SlurmJobId(1))
    pretended = replace(pinned, gates=(names.ALLOCATION_GATE,))
    with pytest.raises(errors.Invalid) as caught:
        await pods.pin(client, pretended, node=NodeName("other"), job_id=SlurmJobId(1))
    assert caught.value.status == 422
    with pytest.raises(errors.KubeError):
        await client.patch(pods.path(team, "a"), {"spec": {"schedulingGates": [GATE]}})


async def test_namesake(client: KubeClient, team: str) -> None:
    """A uid that is another's: the API server refuses each write, and we say NotFound."""
    pod = await created(client, team)
    other = replace(pod, uid=PodUid("11111111-2222-3333-4444-555555555555"))
    body = {"metadata": {"uid": other.uid}}
    with pytest.raises(errors.KubeError) as caught:
        await client.patch(pods.path(team, "a"), body)
    assert caught.value.status == 422
    assert "metadata.uid" in caught.value.fields

    condition = Condition(names.ALLOCATED_CONDITION, "False")
    writes: list[Callable[[], Coroutine[Any, Any, Pod]]] = [
        lambda: pods.pin(client, other, node=NODE, job_id=SlurmJobId(1)),
        lambda: pods.add_tolerations(client, other, Toleration.ours("s")),
        lambda: pods.set_condition(client, other, condition),
        lambda: pods.fail(client, other, reason="R", message="m"),
    ]
    for write in writes:
        with pytest.raises(errors.NotFound):
            await write()
    with pytest.raises(errors.NotFound):
        await client.delete(pods.path(team, "a"), uid=other.uid)
    await pods.delete(client, other)
    assert pods.parse(await client.get(pods.path(team, "a"))) == pod


async def test_bind(client: KubeClient, team: str) -> None:
    """A Binding for another uid is 409; ours binds; a second one is 409."""
    pod = await created(client, team, schedulingGates=[])
    binding = {"namespace": team, "name": "a", "node": NODE}
    with pytest.raises(errors.Conflict):
        await pods.bind(client, uid=PodUid("11111111-2222-3333-4444-555555555555"), **binding)  # type: ignore[arg-type]
    await pods.bind(client, uid=pod.uid, **binding)  # type: ignore[arg-type]
    assert pods.parse(await client.get(pods.path(team, "a"))).node_name == NODE
    with pytest.raises(errors.Conflict, match="already assigned"):
        await pods.bind(client, uid=pod.uid, **binding)  # type: ignore[arg-type]


async def test_gated_pods_are_not_bound(client: KubeClient, team: str) -> None:
    """While a gate is left the API server binds nothing."""
    pod = await created(client, team)
    with pytest.raises(errors.KubeError):
        await pods.bind(client, namespace=team, name="a", uid=pod.uid, node=NODE)


async def test_conditions(client: KubeClient, team: str) -> None:
    """Conditions are merged by type, their time moves with their status, others are kept."""
    pod = await created(client, team)

    async def written(kind: str) -> Mapping[str, Any]:
        raw = await client.get(pods.path(team, "a"))
        (one,) = [one for one in raw["status"]["conditions"] if one["type"] == kind]
        return dict(one)

    waiting = Condition(names.ALLOCATED_CONDITION, "False", "Priority", "third in the queue")
    pod = await pods.set_condition(client, pod, waiting)
    assert pod.allocated == waiting
    first = await written(names.ALLOCATED_CONDITION)
    assert first["lastTransitionTime"].endswith("Z")

    nearer = Condition(names.ALLOCATED_CONDITION, "False", "Resources", "next")
    pod = await pods.set_condition(client, pod, nearer)
    second = await written(names.ALLOCATED_CONDITION)
    assert (second["message"], second["lastTransitionTime"]) == (
        "next",
        first["lastTransitionTime"],
    )
    pod = await pods.mark_disrupted(client, pod, reason="PreemptionBySlurm", message="by job 7")
    disrupted = await written(names.DISRUPTION_TARGET)
    assert (disrupted["status"], disrupted["reason"]) == ("True", "PreemptionBySlurm")
    assert pod.allocated == nearer
    assert (await written("PodScheduled"))["reason"] == "SchedulingGated"


async def test_fail(client: KubeClient, team: str) -> None:
    """A bare pod that can't run is Failed with our reason, gated or not."""
    pod = await created(client, team)
    failed = await pods.fail(client, pod, reason="NodeGone", message="n1 left the cluster")
    assert (failed.phase, failed.status_reason, failed.ended) == ("Failed", "NodeGone", True)


@pytest.mark.parametrize("own_ones", [True, False])
async def test_toleration(client: KubeClient, team: str, own_ones: bool) -> None:
    """The toleration is added to those there are, with their seconds; a stale row conflicts."""
    mine = [{"key": "x", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 9}]
    pod = await created(client, team, tolerations=mine if own_ones else [])
    before = (await client.get(pods.path(team, "a")))["spec"].get("tolerations", [])
    changed = await pods.add_tolerations(client, pod, Toleration.ours("slurm-bridge-scheduler"))
    after = (await client.get(pods.path(team, "a")))["spec"]["tolerations"]
    assert after[: len(before)] == before
    assert after[len(before) :] == [
        {
            "key": names.MANAGED_NODE_TAINT,
            "operator": "Equal",
            "value": "slurm-bridge-scheduler",
            "effect": "NoExecute",
        },
        {"key": names.DRAINED_TAINT, "operator": "Exists", "effect": "NoSchedule"},
    ]
    with pytest.raises(errors.Conflict):
        await pods.add_tolerations(client, pod, Toleration.ours("slurm-bridge-scheduler"))
    assert (await pods.pin(client, changed, node=NODE, job_id=SlurmJobId(1))).job_id == 1


async def test_delete(client: KubeClient, team: str) -> None:
    """A pod is deleted; deleting it again is all right."""
    pod = await created(client, team)
    await pods.delete(client, pod, grace_s=0)
    await pods.delete(client, pod)
    assert not await found(client, pods.path(team, "a"))


async def test_taints(client: KubeClient) -> None:
    """Our taint comes and goes; others' stay, also when all write at once."""
    name = NodeName(f"n-{secrets.token_hex(4)}")
    theirs = {"key": "theirs", "value": "v", "effect": "NoSchedule"}
    await client.create(
        nodes.PATH,
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}},
    )
    try:
        await client.patch(f"{nodes.PATH}/{name}", {"spec": {"taints": [theirs]}})
        wanted = [Taint(f"ours-{i}", "s", "NoExecute") for i in range(3)]
        await asyncio.gather(*(nodes.add_taint(client, name, one) for one in wanted))
        await nodes.add_taint(client, name, wanted[0])
        row = nodes.parse(await client.get(f"{nodes.PATH}/{name}"))
        assert {*wanted, Taint("theirs", "v", "NoSchedule")} <= set(row.taints)
        for one in wanted:
            row = await nodes.remove_taint(client, name, one)
        assert Taint("theirs", "v", "NoSchedule") in row.taints
        assert not {*wanted} & set(row.taints)
    finally:
        await client.delete(f"{nodes.PATH}/{name}")


async def test_events(client: KubeClient, own: Stack | None, team: str) -> None:
    """What we say about a pod is in `kubectl describe`, once, with its count."""
    pod = await created(client, team)
    recorder = EventRecorder(client, clock=SystemClock(), instance="e2e", repeat_s=1.0)
    task = asyncio.create_task(recorder.run())
    try:
        about = ObjectRef("Pod", "v1", team, "a", pod.uid)
        for _ in range(3):
            recorder.emit(
                regarding=about,
                type="Warning",
                reason="WaitingInSlurm",
                note="job 4711 waits: (Priority), place 3 in the queue",
                action="Queue",
            )
        path = f"/apis/events.k8s.io/v1/namespaces/{team}/events"

        async def counted() -> bool:
            items = (await client.get(path))["items"]
            return [one.get("series", {}).get("count") for one in items] == [3]

        await eventually(counted)
        assert recorder.dropped == 0
        described = await kubectl(own, "-n", team, "describe", "pod", "a")
        assert "WaitingInSlurm" in described
        assert "job 4711 waits: (Priority), place 3 in the queue" in described
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_rows(client: KubeClient, team: str) -> None:
    """Jobs, namespaces and pods as a real server defaults them can be read."""
    job = jobs.parse(
        await client.create(
            f"/apis/batch/v1/namespaces/{team}/jobs",
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": {"name": "j", "annotations": {names.JOB_PREFIX + "qos": "high"}},
                "spec": {
                    "suspend": True,
                    "parallelism": 2,
                    "template": {
                        "spec": {
                            "restartPolicy": "Never",
                            "containers": [
                                {
                                    "name": "c",
                                    "image": "i",
                                    "resources": {"limits": {"cpu": "1500m"}},
                                }
                            ],
                        }
                    },
                },
            },
        )
    )
    assert (job.parallelism, job.completions, job.suspended) == (2, None, True)
    assert job.template.shape.requests.cpu_milli == 1500
    row = namespaces.parse(await client.get(f"/api/v1/namespaces/{team}"))
    assert row.labels["kubernetes.io/metadata.name"] == team
    pod = await created(client, team, hostNetwork=True, schedulerName="slurm-bridge-scheduler")
    assert (pod.scheduler_name, pod.phase) == ("slurm-bridge-scheduler", "Pending")
    assert pod.created_s > 1.6e9


class Mirror:
    """A sink that holds what there is."""

    def __init__(self) -> None:
        self.rows: dict[str, Pod] = {}
        self.lists = 0

    def __call__(self, change: Change[Pod]) -> None:
        match change:
            case Replaced(rows):
                self.lists += 1
                self.rows = {row.name: row for row in rows}
            case Upserted(row):
                self.rows[row.name] = row
            case Deleted(row):
                self.rows.pop(row.name, None)


@asynccontextmanager
async def mirrored(
    client: KubeClient, team: str, *, pace: Pace | None = None, **params: str
) -> AsyncIterator[Mirror]:
    """What the reflector makes of the namespace's pods."""
    mirror = Mirror()
    reflector = Reflector(
        client,
        path=f"/api/v1/namespaces/{team}/pods",
        parse=pods.parse,
        key=lambda row: row.uid,
        params=params,
        sink=mirror,
        clock=SystemClock(),
        name="pods",
        pace=pace or Pace(page=7),
    )
    task = asyncio.create_task(reflector.run())
    try:
        async with asyncio.timeout(60):
            await reflector.wait_for_sync()
        yield mirror
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def truth(client: KubeClient, team: str) -> dict[str, Pod]:
    """What the API server has."""
    items = (await client.get(f"/api/v1/namespaces/{team}/pods"))["items"]
    return {one["metadata"]["name"]: pods.parse(one) for one in items}


async def answers(client: KubeClient, team: str) -> bool:
    """Whether the API server is there."""
    try:
        await truth(client, team)
    except errors.Unavailable:
        return False
    return True


async def test_reflector(client: KubeClient, team: str) -> None:
    """Paged list and watch hold exactly what the API server holds, through every change."""
    made = await asyncio.gather(*(created(client, team, f"p-{i}") for i in range(30)))
    async with mirrored(client, team, fieldSelector="spec.schedulerName=nobody") as mirror:
        assert mirror.rows == {pod.name: pod for pod in made}
        await created(client, team, "other", schedulerName="somebody")
        for pod in made[:10]:
            await pods.pin(client, pod, node=NODE, job_id=SlurmJobId(1))
        await asyncio.gather(*(pods.delete(client, pod, grace_s=0) for pod in made[10:20]))
        await created(client, team, "last")
        wanted = await truth(client, team)
        del wanted["other"]
        await eventually(lambda: mirror.rows == wanted)
        assert (mirror.lists, len(mirror.rows)) == (1, 21)


async def test_version_of_long_ago(own: Stack | None, client: KubeClient, team: str) -> None:
    """A watch from before what the API server remembers is Gone, however it says so."""
    if own is None:
        pytest.skip("not our cluster")
    await asyncio.to_thread(own.restart, "kube-apiserver")  # forgets what it had cached
    await eventually(lambda: answers(client, team))
    params = {"watch": "1", "resourceVersion": "1", "timeoutSeconds": "5"}

    async def watch() -> None:
        async with client.stream(pods.PATH, params, silence_s=20) as chunks:
            async for line in lines.split(chunks):
                status = pods.parse.event(line).status
                if status is not None:
                    raise errors.from_status("watch", status)

    with pytest.raises(errors.Gone):
        await watch()


async def test_two_candidates(client: KubeClient, team: str) -> None:
    """Of two candidates one leads; when it gives up, the other does."""
    one, other = (
        Lease(client, namespace=team, name="l", identity=name, clock=SystemClock())
        for name in ("one", "other")
    )
    await one.acquire()
    waiting = asyncio.create_task(other.acquire())
    holding = asyncio.create_task(one.hold())
    await asyncio.sleep(3)  # more than one renewal
    assert one.leading
    assert not waiting.done()
    holding.cancel()
    await asyncio.gather(holding, return_exceptions=True)
    await one.release()
    async with asyncio.timeout(20):
        await waiting
    assert (one.leading, other.leading) == (False, True)


async def test_api_server_dies(own: Stack | None, client: KubeClient, team: str) -> None:
    """Through a killed API server and a dead etcd nothing is lost and nothing is invented."""
    if own is None:
        pytest.skip("not our cluster")
    made = await asyncio.gather(*(created(client, team, f"p-{i}") for i in range(10)))
    async with mirrored(client, team) as mirror:
        for component in ("kube-apiserver", "etcd"):
            await asyncio.to_thread(own.restart, component)
            await eventually(lambda: answers(client, team))
            victim = made[0] if component == "etcd" else made[1]
            await pods.delete(client, victim, grace_s=0)
            await created(client, team, f"after-{component}")
            wanted = await truth(client, team)
            await eventually(lambda wanted=wanted: mirror.rows == wanted)  # type: ignore[misc]
        assert len(mirror.rows) == 10
