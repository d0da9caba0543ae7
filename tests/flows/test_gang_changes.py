"""Gangs that change while they wait or run: smaller and larger again, members that come late."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bridge import names
from tests.arena import manifests
from tests.arena.api import Object, wait_for
from tests.arena.arena import NAMESPACE, Arena, Nodes, node_of
from tests.arena.controllers import Controllers
from tests.arena.fixtures import Begin
from tests.flows.conftest import MANIFESTS
from tests.flows.members import (
    by_rank,
    is_running,
    notes,
    replaced,
    slurm_id,
    tasks,
    told,
    uid,
    waiting_job,
)

JOB = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs/stretch"
SET = f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets/quorum"


def quorum(arena: Arena, count: int) -> list[Object]:
    """The StatefulSet's pods, once just so many run."""

    def mine(pod: Object) -> bool:
        return is_running(pod) and pod["metadata"]["name"].startswith("quorum-")

    return arena.wait_pods(count, "of the StatefulSet run", mine)


def scale(arena: Arena, count: int) -> None:
    """Both of them, to so many pods."""
    arena.kubernetes.patch(JOB, {"spec": {"parallelism": count, "completions": count}})
    arena.kubernetes.patch(SET, {"spec": {"replicas": count}})


def wait_told_of_idle_nodes(arena: Arena, owner: str, pods: list[Object]) -> None:
    """Of four pods two are left: an event and their conditions name the nodes of the others."""
    gone = ", ".join(sorted(node_of(pod) for pod in pods[2:]))
    said = f"still holds {gone}, which no pod of the gang needs"
    (note,) = wait_for(
        "the nodes are named", lambda: notes(arena, "NodesNotNeeded", owner=owner), seconds=45
    )
    assert said in note
    for pod in pods[:2]:
        name = pod["metadata"]["name"]
        arena.wait_pod(name, "names the nodes", lambda pod: said in told(pod)[1])


def test_a_gang_scaled_down_keeps_its_nodes_says_so_and_uses_them_again(
    arena: Arena, begin: Begin
) -> None:
    """An elastic Job and a StatefulSet, four pods each, two, four again: always the same Slurm
    jobs, on the same nodes; meanwhile an event and the conditions name what is held for nobody."""
    begin(Nodes(count=8))
    arena.create(manifests.job("stretch", NAMESPACE, count=4, gang=True, gpus=8))
    arena.create(manifests.stateful_set("quorum", NAMESPACE, count=4, gang=True, gpus=8))
    before = {"stretch": by_rank(arena, 4, job="stretch"), "quorum": quorum(arena, 4)}
    jobs = tasks(arena)
    assert sorted(jobs.values()) == [4, 4]
    scale(arena, 2)
    few = {"stretch": by_rank(arena, 2, job="stretch"), "quorum": quorum(arena, 2)}
    for owner, pods in before.items():
        assert [uid(pod) for pod in few[owner]] == [uid(pod) for pod in pods[:2]]
        wait_told_of_idle_nodes(arena, owner, pods)
    assert tasks(arena) == jobs, "Slurm holds what it held"
    scale(arena, 4)
    after = {"stretch": by_rank(arena, 4, job="stretch"), "quorum": quorum(arena, 4)}
    for owner, pods in before.items():
        assert [node_of(pod) for pod in after[owner]] == [node_of(pod) for pod in pods]
        assert {slurm_id(pod) for pod in after[owner]} == {slurm_id(pods[0])}
        assert not notes(arena, "QueuedAlone", owner=owner)
        name = pods[0]["metadata"]["name"]
        arena.wait_pod(name, "names none", lambda pod: "still holds" not in told(pod)[1])
    assert tasks(arena) == jobs


def test_a_gang_uses_its_nodes_again_after_a_restart(arena: Arena, begin: Begin) -> None:
    """Scaled down, then the bridge begins anew, then scaled up: the same Slurm job, the same four
    nodes."""
    begin(Nodes(count=4))
    path = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs/back"
    arena.create(manifests.job("back", NAMESPACE, count=4, gang=True, gpus=8))
    before = by_rank(arena, 4, job="back")
    arena.kubernetes.patch(path, {"spec": {"parallelism": 2, "completions": 2}})
    by_rank(arena, 2, job="back")
    arena.bridge.kill()
    arena.bridge.start()
    arena.kubernetes.patch(path, {"spec": {"parallelism": 4, "completions": 4}})
    after = by_rank(arena, 4, job="back")
    assert {node_of(pod) for pod in after} == {node_of(pod) for pod in before}
    assert {slurm_id(pod) for pod in after} == {slurm_id(before[0])}


def test_a_member_that_goes_while_the_bridge_is_down_comes_back_to_its_gang(
    arena: Arena, begin: Begin
) -> None:
    """Its replacement takes the place that the Slurm job still holds for it."""
    begin(Nodes(count=4))
    arena.create(manifests.job("gap", NAMESPACE, count=3, gang=True, gpus=8))
    before = by_rank(arena, 3, job="gap")
    arena.bridge.kill()
    arena.delete_pod(before[1]["metadata"]["name"])
    arena.wait_gone(before[1]["metadata"]["name"])
    arena.bridge.start()
    other = replaced(arena, before[1], job="gap")
    assert (slurm_id(other), node_of(other)) == (slurm_id(before[0]), node_of(before[1]))
    assert tasks(arena) == {slurm_id(before[0]): 3}


def test_a_gang_changed_while_the_bridge_is_down_is_asked_for_as_it_is(
    arena: Arena, begin: Begin
) -> None:
    """It waits in Slurm meanwhile: its job has the new size under its id."""
    begin(Nodes(count=1))
    arena.create(manifests.pod("first", NAMESPACE, gpus=8))
    arena.wait_bound("first")
    arena.create(manifests.job("resized", NAMESPACE, count=2, gang=True, gpus=1))
    job_id = waiting_job(arena)["job_id"]
    arena.bridge.kill()
    path = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs/resized"
    arena.kubernetes.patch(path, {"spec": {"parallelism": 4, "completions": 4}})
    arena.bridge.start()
    wait_for("its job has four tasks", lambda: tasks(arena).get(job_id) == 4)
    arena.delete_pod("first")
    assert {slurm_id(pod) for pod in by_rank(arena, 4, job="resized")} == {job_id}


def test_a_het_gang_changed_while_the_bridge_is_down_is_asked_for_as_it_is(
    defined: None, arena: Arena, begin: Begin, created: list[Path]
) -> None:
    """Only its workers are more by then, who are the second component of its waiting job: that one
    asks for them, under its id."""
    begin(Nodes(count=2, zones=("us-west-2a", "us-west-2b")))
    selector = {"topology.kubernetes.io/zone": "us-west-2b"}
    arena.create(manifests.pod("first", NAMESPACE, gpus=8, nodeSelector=selector))
    arena.wait_bound("first")
    with Controllers(arena.kubernetes, NAMESPACE, ("mpijob",), tls=arena.loopback_tls()):
        created.append(MANIFESTS / "mpijob-two-zones.yaml")
        arena.create_file(created[0])

        def waiting() -> dict[int, int]:
            jobs = [one for one in arena.slurm.live_jobs() if one["job_state"] == ["PENDING"]]
            return {int(job["job_id"]): int(job["tasks"]["number"]) for job in jobs}

        wait_for("two components wait", lambda: sorted(waiting().values()) == [1, 2])
        launcher, workers = sorted(waiting())
        arena.bridge.kill()
        path = f"/apis/kubeflow.org/v2beta1/namespaces/{NAMESPACE}/mpijobs/apart"
        more = {"spec": {"mpiReplicaSpecs": {"Worker": {"replicas": 3}}}}
        arena.kubernetes.patch(path, more)
        arena.bridge.start()
        wait_for("three are asked for", lambda: waiting() == {launcher: 1, workers: 3})
        arena.delete_pod("first")
        pods = arena.wait_pods(4, "run", is_running, seconds=60)
        assert {slurm_id(pod) for pod in pods} == {launcher}
        arena.delete_file(created[0])
        wait_for("its pods are gone", lambda: not arena.kubernetes.pods(NAMESPACE), seconds=75)


def test_a_gang_that_begins_anew_leaves_out_pods_that_run_on_their_own(
    arena: Arena, begin: Begin
) -> None:
    """Four nodes. Scaled up from two to four while it runs, so that two pods run on their own; then
    its job ends. The next one is for the other two, which fit."""
    begin(Nodes(count=4))
    arena.create(manifests.job("grown", NAMESPACE, count=2, gang=True, gpus=8))
    members = by_rank(arena, 2, job="grown")
    path = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs/grown"
    arena.kubernetes.patch(path, {"spec": {"parallelism": 4, "completions": 4}})
    alone = by_rank(arena, 4, job="grown")[2:]
    arena.slurm.cancel(slurm_id(members[0]))
    again = [replaced(arena, pod, job="grown", seconds=60) for pod in members]
    (job_id,) = {slurm_id(pod) for pod in again}
    assert tasks(arena) == {job_id: 2} | {slurm_id(pod): 1 for pod in alone}


def test_a_gang_scaled_to_nothing_holds_nothing(arena: Arena, begin: Begin) -> None:
    """A StatefulSet: nobody waits for pods to come back. Scaled up, it queues again."""
    begin(Nodes(count=2))
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets/quiet"
    slow = {"terminationGracePeriodSeconds": 5}
    manifest = manifests.stateful_set("quiet", NAMESPACE, count=2, gang=True, gpus=8)
    manifest["spec"]["template"]["metadata"]["annotations"] = {manifests.DIE_SECONDS: "1"}
    manifest["spec"]["template"]["spec"] |= slow
    arena.create(manifest)
    arena.wait_pods(2, "run", is_running)
    arena.kubernetes.patch(path, {"spec": {"replicas": 0}})
    wait_for("its pods are gone", lambda: not arena.kubernetes.pods(NAMESPACE))
    arena.wait_idle(seconds=10)
    assert not notes(arena, "InvalidRequest", owner="quiet")
    arena.kubernetes.patch(path, {"spec": {"replicas": 2}})
    arena.wait_pods(2, "run", is_running)
    assert list(tasks(arena).values()) == [2]


def test_a_group_that_is_scaled_away_holds_nothing(
    defined: None, arena: Arena, begin: Begin, created: list[Path]
) -> None:
    """A LeaderWorkerSet of two groups, then one, then two."""
    begin(Nodes(count=4))
    path = f"/apis/leaderworkerset.x-k8s.io/v1/namespaces/{NAMESPACE}/leaderworkersets/llm"
    played = ("leaderworkerset",)
    with Controllers(arena.kubernetes, NAMESPACE, played, tls=arena.loopback_tls()):
        created.append(MANIFESTS / "lws.yaml")
        arena.create_file(created[0])
        arena.wait_pods(6, "run", is_running)
        before = tasks(arena)
        assert sorted(before.values()) == [3, 3]
        arena.kubernetes.patch(path, {"spec": {"replicas": 1}})
        left = {slurm_id(pod): 3 for pod in arena.wait_pods(3, "are left", is_running)}
        wait_for("one job is left", lambda: tasks(arena) == left, seconds=40)
        arena.kubernetes.patch(path, {"spec": {"replicas": 2}})
        arena.wait_pods(6, "run", is_running)
        assert sorted(tasks(arena).values()) == [3, 3]
        arena.delete_file(created[0])
        wait_for("its pods are gone", lambda: not arena.kubernetes.pods(NAMESPACE), seconds=75)


def test_a_launcher_that_waits_for_its_workers_is_not_missed(
    defined: None, arena: Arena, begin: Begin, created: list[Path]
) -> None:
    """launcherCreationPolicy WaitForWorkersReady, and workers that are ready only long after the
    time that missing members have: nobody is ended, and the launcher takes its slot."""
    begin(Nodes(count=2), gangs={"membersTimeoutS": 4})
    with Controllers(arena.kubernetes, NAMESPACE, ("mpijob",), tls=arena.loopback_tls()):
        created.append(MANIFESTS / "mpijob-launcher-last.yaml")
        arena.create_file(created[0])
        workers = arena.wait_pods(2, "are bound", node_of)
        pods = arena.wait_pods(3, "run", is_running)
        assert {uid(pod) for pod in workers} < {uid(pod) for pod in pods}
        (job_id,) = {slurm_id(pod) for pod in pods}
        assert set(tasks(arena)) == {job_id}
        assert not notes(arena, "MembersMissing", owner="slow")
        arena.delete_file(created[0])
        wait_for("its pods are gone", lambda: not arena.kubernetes.pods(NAMESPACE), seconds=75)


class Reader:
    """Reads what the pods of a Job are told, all the time."""

    def __init__(self, arena: Arena, job: str) -> None:
        self.read: dict[str, list[str]] = {}
        """By pod: the reasons that its condition gave, one after the other."""
        self._arena, self._job = arena, job
        self._stop = threading.Event()
        self._error: BaseException | None = None

    @contextmanager
    def reading(self) -> Iterator[None]:
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while not self._stop.wait(0.03):
                self._look()
            self._look()
        except BaseException as error:  # told by reading()
            self._error = error

    def _look(self) -> None:
        for pod in self._arena.kubernetes.pods(NAMESPACE, of_job=self._job):
            known, reason = self.read.setdefault(uid(pod), []), told(pod)[0]
            if reason and known[-1:] != [reason]:
                known.append(reason)


def test_a_pod_that_has_its_place_is_never_told_again_to_wait_for_room(
    arena: Arena, begin: Begin
) -> None:
    """A node is Slurm's to give again while the pod of before still dies there: the gang is told,
    gets its places when the pod is gone, and from then on reads only that."""
    begin(Nodes(count=2))
    slow = {manifests.DIE_SECONDS: "12"}  # what is told changes every ten seconds at most
    arena.create(manifests.pod("before", NAMESPACE, gpus=8, grace_s=30, annotations=slow))
    arena.slurm.cancel(slurm_id(arena.wait_bound("before")))
    arena.wait_pod("before", "is told to end", lambda pod: "deletionTimestamp" in pod["metadata"])
    reader = Reader(arena, "patient")
    with reader.reading():
        arena.create(manifests.job("patient", NAMESPACE, count=4, gang=True, gpus=4))
        pods = by_rank(arena, 4, job="patient")
        for pod in pods:
            name = pod["metadata"]["name"]
            arena.wait_pod(name, "reads so", lambda pod: told(pod)[0] == "Allocated", seconds=25)
    assert arena.kubernetes.pod(NAMESPACE, "before") is None
    for pod in pods:
        read = reader.read[uid(pod)]
        if read[0] == "Queued":  # Slurm took a moment
            del read[0]
        assert read == ["WaitingForRoom", "Allocated"]
        assert names.ALLOCATION_GATE not in str(pod["spec"])
