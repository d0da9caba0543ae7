"""What is written to pods, against an API server whose answers are scripted."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge import names
from bridge.controller.pod_events import PodEvents
from bridge.controller.pod_writer import KeptPods, PodWriter
from bridge.controller.pool import Pool
from bridge.kube.api.client import KubeClient
from bridge.kube.objects import pods as kube_pods
from bridge.lifecycle import events as ev
from bridge.lifecycle import instructions as do
from bridge.model.ids import GangId, NodeName, PodUid, SlurmJobId
from bridge.model.pod import Condition, Pod
from bridge.state.kube_state import KubeState
from tests.builders import SCHEDULER, a_node, a_pod
from tests.unit.controller.doubles import Heard, Kept, Recorder, a_double, at_work
from tests.unit.kube.apiserver import Answer, ApiServer, connected, drop, ok, refuse, until
from tests.unit.slurm.clocks import ManualClock, settle

PATH = "/api/v1/namespaces/team/pods/web"
GONE, CONFLICT = refuse(404, "NotFound"), refuse(409, "Conflict")
G, NODE = GangId("g"), NodeName("n")
TOLERATIONS = [
    {"key": names.MANAGED_NODE_TAINT, "operator": "Equal", "value": SCHEDULER,
     "effect": "NoExecute"},
    {"key": names.DRAINED_TAINT, "operator": "Exists", "effect": "NoSchedule"},
]  # fmt: skip


def raw(version: int = 1, uid: str = "uid-web", **spec: Any) -> dict[str, Any]:
    """The pod as the API server has it: gated, tolerating managed nodes."""
    base = {
        "schedulerName": SCHEDULER,
        "schedulingGates": [{"name": names.ALLOCATION_GATE}],
        "tolerations": TOLERATIONS,
        "containers": [{"name": "c", "image": "i"}],
    }
    meta = {"name": "web", "namespace": "team", "uid": uid, "resourceVersion": str(version)}
    return {"metadata": meta, "spec": {**base, **spec}, "status": {"phase": "Pending"}}


class Writing:
    def __init__(self, server: ApiServer, kube: KubeClient, kept: KeptPods) -> None:
        self.server, self.clock = server, ManualClock()
        self.heard, self.recorder, self.pool = Heard(), Recorder(), Pool(1)
        self.outage = Kept(self.clock).outage(self.clock)
        self.metrics = Kept(self.clock).metrics
        self.cluster = KubeState(scheduler_name=SCHEDULER)
        self.cluster.upsert_node(a_node(NODE))
        self.pod = kube_pods.parse(raw())
        self.cluster.upsert_pod(self.pod)
        self.writer = PodWriter(
            cluster=self.cluster, kube=kube, pool=self.pool,
            events=PodEvents(a_double(self.recorder)), scheduler_name=SCHEDULER, kept=kept,
            handle=self.heard.handle, failed=self.heard.failed, mark_dirty=self.heard.mark_dirty,
            outage=self.outage, metrics=self.metrics, clock=self.clock,
        )  # fmt: skip

    async def pin(self) -> ev.PinEnded:
        """The pod has its room, and is to be pinned there; the answer."""
        self.cluster.pin(self.pod, NODE)
        self.writer.write(G, do.PinPod(self.pod, NODE, SlurmJobId(7)))
        await until(lambda: bool(self.heard.events))
        ((gang_id, answer),) = self.heard.events
        assert gang_id == G
        assert isinstance(answer, ev.PinEnded)
        assert answer.pod == self.pod.uid
        return answer

    async def write(self, instruction: do.EndPods | do.FailPod | do.SetCondition) -> None:
        self.writer.write(G, instruction)
        await settle()

    def patches(self) -> list[Any]:
        """The bodies of the patches of the pod, in order."""
        return [one.body for one in self.server.seen("PATCH", PATH)]


@asynccontextmanager
async def writing(
    folder: Path, *answers: Answer, kept: KeptPods = "none"
) -> AsyncIterator[Writing]:
    """`answers` are those to patches of the pod."""
    async with ApiServer() as server, connected(server, folder) as kube:
        if answers:
            server.on("PATCH", PATH, *answers)
        it = Writing(server, kube, kept)
        async with at_work(it.pool.run):
            yield it


def holds_room(it: Writing) -> bool:
    """Whether the node counts something as used."""
    snapshot = it.cluster.table.snapshot()
    return bool(snapshot.used.any())


async def test_a_pin_is_one_patch_and_its_answer_is_the_pods_newest_row(tmp_path: Path) -> None:
    """The watch may tell of it later, or earlier."""
    async with writing(tmp_path, ok(raw(2, schedulingGates=[]))) as it:
        answer = await it.pin()
        assert (answer.error, answer.row) == ("", it.cluster.pods[it.pod.uid])
        assert answer.row is not None
        assert answer.row.resource_version == "2"
        (patch,) = it.patches()
        assert patch["metadata"]["labels"] == {names.JOB_ID_LABEL: "7"}
        assert patch["metadata"]["resourceVersion"] == "1"
        assert patch["spec"]["schedulingGates"] == []


@pytest.mark.parametrize(
    ("gang", "kept", "said", "written"),
    [
        ("team/job", "gangs", {}, dict(names.DO_NOT_DISRUPT)),
        ("", "gangs", {}, {}),
        ("", "all", {}, dict(names.DO_NOT_DISRUPT)),
        ("team/job", "none", {}, {}),
        ("team/job", "gangs", {names.DO_NOT_DISRUPT[0][0]: "1h"}, dict(names.DO_NOT_DISRUPT[1:])),
    ],
)
async def test_the_pin_asks_autoscalers_to_leave_the_nodes_of_gangs(
    gang: str, kept: KeptPods, said: dict[str, str], written: dict[str, str], tmp_path: Path
) -> None:
    """Or of all pods, or of none, by the setting; in the same patch, and never against what the
    author has written."""
    async with writing(tmp_path, ok(raw(2, schedulingGates=[])), kept=kept) as it:
        pod = replace(it.pod, annotations=said)
        await it.writer.pin(G, do.PinPod(pod, NODE, SlurmJobId(7), gang=GangId(gang) or None))
        (patch,) = it.patches()
        annotations = patch["metadata"]["annotations"]
        keys = dict(names.DO_NOT_DISRUPT)
        assert {key: text for key, text in annotations.items() if key in keys} == written


async def test_a_pod_that_changed_meanwhile_is_read_anew_and_pinned(tmp_path: Path) -> None:
    """The second patch is made of what the pod is now."""
    async with writing(tmp_path, CONFLICT, ok(raw(6))) as it:
        gates = [{"name": names.ALLOCATION_GATE}, {"name": "others.io/gate"}]
        it.server.on("GET", PATH, ok(raw(5, schedulingGates=gates)))
        assert (await it.pin()).error == ""
        first, second = it.patches()
        assert (first["metadata"]["resourceVersion"], second["metadata"]["resourceVersion"]) == (
            "1", "5",
        )  # fmt: skip
        assert second["spec"]["schedulingGates"] == [{"name": "others.io/gate"}]


async def test_a_new_pod_under_the_old_name_is_not_pinned(tmp_path: Path) -> None:
    """It has another uid: the pod that was to be pinned is gone, and its room is free again."""
    async with writing(tmp_path, CONFLICT) as it:
        it.server.on("GET", PATH, ok(raw(5, uid="uid-another")))
        assert await it.pin() == ev.PinEnded(PodUid("uid-web"), None, "it is gone")
        assert len(it.patches()) == 1
        assert not holds_room(it)


async def test_a_pod_that_is_gone_is_not_pinned(tmp_path: Path) -> None:
    """That is no trouble of the API server's."""
    async with writing(tmp_path, GONE) as it:
        assert (await it.pin()).error == "it is gone"
        assert it.outage.lasting_s is None
        assert not holds_room(it)


async def test_a_pod_that_changes_all_the_time_is_given_up_for_now(tmp_path: Path) -> None:
    """After four attempts: its machine tries again after a while, others have their turn."""
    async with writing(tmp_path, CONFLICT) as it:
        it.server.on("GET", PATH, ok(raw(5)))
        assert (await it.pin()).error == "the pod changed at every attempt"
        assert len(it.patches()) == 4


@pytest.mark.parametrize(
    ("answers", "outage", "logs"),
    [((drop(),), True, []), ((refuse(403, "Forbidden"),), False, ["pod.pin_failed"])],
)
async def test_an_outage_is_told_once_and_a_refusal_for_the_pod_it_meets(
    tmp_path: Path,
    logged: list[dict[str, Any]],
    answers: Sequence[Answer],
    outage: bool,
    logs: list[str],
) -> None:
    """Ten thousand pods would say the same."""
    async with writing(tmp_path, *answers) as it:
        answer = await it.pin()
        assert answer.row is None
        assert answer.error
        assert (it.outage.lasting_s is not None) == outage
        assert [line["event"] for line in logged if line["event"].startswith("pod.pin")] == logs
        assert not holds_room(it)


async def test_a_pod_that_the_webhook_did_not_see_is_let_onto_managed_nodes_first(
    tmp_path: Path,
) -> None:
    """Bound without the toleration it would be evicted."""
    answers = (ok(raw(2)), ok(raw(3)))
    async with writing(tmp_path, *answers) as it:
        it.pod = kube_pods.parse(raw(tolerations=[]))
        assert (await it.pin()).error == ""
        toleration, pin = it.patches()
        assert toleration[-1]["path"] == "/spec/tolerations"
        assert pin["metadata"]["resourceVersion"] == "2"


async def test_a_pod_that_ended_while_it_was_pinned_has_no_row(tmp_path: Path) -> None:
    """Its end, which the watch has told, is newer than the answer."""
    async with writing(tmp_path, ok(raw(2))) as it:
        it.cluster.pin(it.pod, NODE)
        it.writer.write(G, do.PinPod(it.pod, NODE, SlurmJobId(7)))
        it.cluster.remove_pod(it.pod.uid)
        await until(lambda: bool(it.heard.events))
        assert it.heard.events == [(G, ev.PinEnded(it.pod.uid, None, ""))]
        assert it.pod.uid not in it.cluster.pods


CONDITION = Condition(names.ALLOCATED_CONDITION, "False", "Queued", "waits")
STATUS = f"{PATH}/status"


async def test_a_condition_that_could_not_be_written_is_told_to_the_machine(
    tmp_path: Path,
) -> None:
    """Else it would hold it for written, and never write it again."""
    async with writing(tmp_path) as it:
        it.server.on("PATCH", STATUS, refuse(403, "Forbidden"))
        await it.write(do.SetCondition(it.pod, CONDITION))
        await until(lambda: bool(it.heard.events))
        assert it.heard.events == [(G, ev.NotTold(it.pod.uid))]


async def test_a_condition_of_a_pod_that_is_gone_is_nothing(tmp_path: Path) -> None:
    """Nobody reads it any more."""
    async with writing(tmp_path) as it:
        it.server.on("PATCH", STATUS, GONE)
        await it.write(do.SetCondition(it.pod, CONDITION))
        await it.server.until(1, "PATCH", STATUS)
        await settle()
        assert not it.heard.events


async def test_what_a_write_comes_back_with_is_taken_in(tmp_path: Path) -> None:
    """The gang that it touches has its turn."""
    async with writing(tmp_path) as it:
        it.server.on("PATCH", STATUS, ok(raw(9)))
        await it.write(do.SetCondition(it.pod, CONDITION))
        await until(lambda: bool(it.heard.dirty))
        assert it.cluster.pods[it.pod.uid].resource_version == "9"


async def test_pins_and_ends_go_before_conditions(tmp_path: Path) -> None:
    """A pod waits for its nodes, or holds others up; a sentence can wait."""
    async with writing(tmp_path, ok(raw(2))) as it:
        it.server.on("PATCH", STATUS, ok(raw(3)))
        it.server.on("DELETE", PATH, ok({}))
        it.writer.write(G, do.SetCondition(it.pod, CONDITION))
        it.writer.write(G, do.EndPods((it.pod,), "JobEnded", "over"))
        it.writer.write(G, do.PinPod(it.pod, NODE, SlurmJobId(7)))
        await it.server.until(3, "PATCH")
        await it.server.until(1, "DELETE")
        await it.server.until(3, "PATCH")
        said = [(one.method, one.path) for one in it.server.requests]
        assert said == [("PATCH", PATH), ("PATCH", STATUS), ("DELETE", PATH), ("PATCH", STATUS)]


async def test_a_pod_that_slurm_ends_is_told_why_and_deleted(tmp_path: Path) -> None:
    """In this order: what is deleted can't be told any more."""
    async with writing(tmp_path) as it:
        it.server.on("PATCH", STATUS, ok(raw(2))).on("DELETE", PATH, ok({}))
        await it.write(do.EndPods((it.pod,), "PreemptedBySlurm", "preempted"))
        await it.server.until(1, "DELETE")
        assert [one.method for one in it.server.requests] == ["PATCH", "DELETE"]
        (condition,) = it.server.requests[0].body["status"]["conditions"]
        assert (condition["type"], condition["reason"]) == ("DisruptionTarget", "PreemptedBySlurm")
        assert it.recorder.told == [("PreemptedBySlurm", "preempted")]


@pytest.mark.parametrize(("most_s", "sent"), [(None, None), (10, 10), (600, None)])
async def test_a_pod_gets_no_more_grace_than_there_is_time(
    tmp_path: Path, most_s: int | None, sent: int | None
) -> None:
    """Slurm takes the node then; a pod that needs less keeps its own grace of 30 s."""
    async with writing(tmp_path) as it:
        it.server.on("PATCH", STATUS, ok(raw(2))).on("DELETE", PATH, ok({}))
        await it.write(do.EndPods((it.pod,), "PreemptedBySlurm", "preempted", most_s))
        await it.server.until(1, "DELETE")
        assert it.server.requests[1].body.get("gracePeriodSeconds") == sent


async def test_a_pod_that_is_gone_before_its_end_is_told_is_not_deleted_again(
    tmp_path: Path, logged: list[dict[str, Any]]
) -> None:
    """A new pod under its name must not be hit."""
    async with writing(tmp_path) as it:
        it.server.on("PATCH", STATUS, GONE)
        await it.write(do.EndPods((it.pod,), "PreemptedBySlurm", "preempted"))
        await it.server.until(1, "PATCH")
        await settle()
        assert not it.server.seen("DELETE")
        assert not any(line["event"] == "pod.delete_failed" for line in logged)


async def test_each_pod_of_a_gang_that_ends_is_ended_by_itself(tmp_path: Path) -> None:
    """One that can't be deleted keeps no other."""
    async with writing(tmp_path) as it:
        second = a_pod("second").build()
        other = "/api/v1/namespaces/team/pods/second"
        it.server.on("PATCH", STATUS, refuse(500, "InternalError"))
        it.server.on("PATCH", f"{other}/status", ok(raw(2))).on("DELETE", other, ok({}))
        await it.write(do.EndPods((it.pod, second), "JobEnded", "over"))
        await it.server.until(1, "DELETE", other)


async def test_a_pod_that_nobody_would_make_anew_is_set_to_failed(tmp_path: Path) -> None:
    """It stays and says why."""
    async with writing(tmp_path) as it:
        it.server.on("PATCH", STATUS, ok(raw(2)))
        await it.write(do.FailPod(it.pod, "JobEnded", "Slurm ended it"))
        await until(lambda: bool(it.heard.dirty))
        assert it.server.requests[0].body["status"]["phase"] == "Failed"
        assert it.recorder.told == [("JobEnded", "Slurm ended it")]


async def test_a_mistake_while_a_pod_is_written_is_its_gangs_fault(tmp_path: Path) -> None:
    """The next gang's pod is written by the same worker."""
    async with writing(tmp_path) as it:
        it.server.on("PATCH", STATUS, ok(raw(2)))
        broken: Pod = a_double(type("Broken", (), {"namespace": "team", "key": "team/broken"})())
        it.writer.write(GangId("h"), do.SetCondition(broken, CONDITION))
        await it.write(do.SetCondition(it.pod, CONDITION))
        await until(lambda: bool(it.heard.dirty))
        ((gang_id, _),) = it.heard.faults
        assert gang_id == "h"
