"""What a pod says of itself, where no webhook keeps it from saying so."""

from pathlib import Path

import pytest

from bridge import names
from bridge.controller import recovery
from bridge.sim.kube.apiserver import kinds
from tests.arena import manifests
from tests.arena.api import Object
from tests.hostile.inside import Inside, inside, until


async def annotate(stack: Inside, name: str, key: str, text: str) -> None:
    def change(pod: Object) -> Object:
        meta = pod["metadata"]
        return {**pod, "metadata": {**meta, "annotations": {**meta["annotations"], key: text}}}

    await stack.kubernetes.patch(kinds.PODS, name, change, namespace="team")


async def test_a_node_that_the_job_does_not_hold_is_nobodys_place(tmp_path: Path) -> None:
    """Pinned, not yet bound, and its annotation names another node: the gang is begun anew, as
    after a restart, and the pod is ended, as it can't run where Slurm has given it a place."""
    async with inside(tmp_path, nodes=2) as stack:
        await stack.kubernetes.stop_scheduler()
        await stack.create_pod("liar", gpus=1)
        await until("it is pinned", lambda: names.JOB_ID_LABEL in _labels(stack))
        granted = _annotations(stack)[names.NODE_ANNOTATION]
        other = next(one for one in stack.kubernetes.observe().nodes if one != granted)
        await annotate(stack, "liar", names.NODE_ANNOTATION, other)
        controller = stack.app.controller
        (gang_id,) = controller.gangs.machines
        controller.loop.failed(gang_id, RuntimeError("begin anew"))
        await until("it is begun anew", lambda: gang_id in controller.gangs.machines)
        await until("it is ended", lambda: "NodeTakenBySlurm" in _events(stack))
        pod = stack.pod("liar")
        assert pod is None or not pod["spec"].get("nodeName")


async def test_what_a_pod_says_of_its_place_takes_nobodys_room(tmp_path: Path) -> None:
    """A forged job id and node hold nothing: whoever is granted that node is placed there."""
    async with inside(tmp_path, nodes=1) as stack:
        (node,) = stack.kubernetes.observe().nodes
        liar = manifests.pod(
            "liar", "team", gpus=8, annotations={names.NODE_ANNOTATION: node},
            schedulerName=names.SCHEDULER_NAME, schedulingGates=[{"name": "example.com/hold"}],
        )  # fmt: skip
        liar["metadata"]["labels"] = {names.JOB_ID_LABEL: "999"}
        await stack.kubernetes.create(liar)
        await stack.create_pod("honest", "elsewhere", gpus=8)
        await until("the honest one runs", lambda: stack.runs("honest", "elsewhere"))


async def test_an_owner_that_cant_be_looked_up_keeps_nobody_else_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its group's API server is away (or it has none): its pod waits and is told, others run, also
    after a restart, and no job of others is taken for a leak."""
    monkeypatch.setattr(recovery, "_RESOLVE_S", 1.0)
    async with inside(tmp_path, nodes=2) as stack:
        stack.kubernetes.faults.fail(503, times=10**6, path="/apis/away.example")
        owner = {"apiVersion": "away.example/v1", "kind": "Thing", "name": "x", "uid": "x"}
        pod = manifests.pod("waits", "team", gpus=1, schedulerName=names.SCHEDULER_NAME)
        pod["metadata"]["ownerReferences"] = [{**owner, "controller": True}]
        await stack.kubernetes.create(pod)
        await stack.create_pod("runs", "elsewhere", gpus=1)
        await until("the other one runs", lambda: stack.runs("runs", "elsewhere"))
        await stack.end()
        await stack.start()
        await stack.create_pod("later", "elsewhere", gpus=1)
        await until("a later one is pinned", lambda: _is_pinned(stack, "later", "elsewhere"))
        await until("it is told", lambda: "OwnerNotRead" in _events(stack), seconds=40)
        assert len(stack.live_jobs()) == 2
        stack.kubernetes.faults.clear()
        await until("it is queued on its own", lambda: _is_pinned(stack, "waits", "team"))


def _is_pinned(stack: Inside, name: str, namespace: str) -> bool:
    pod = stack.pod(name, namespace)
    return pod is not None and names.JOB_ID_LABEL in (pod["metadata"].get("labels") or {})


def _events(stack: Inside) -> set[str]:
    events = stack.kubernetes.api.store.scan(kinds.EVENTS.table)
    return {str(one.object.get("reason")) for one in events}


def _labels(stack: Inside) -> dict[str, str]:
    pod = stack.pod("liar")
    return dict((pod or {"metadata": {}})["metadata"].get("labels") or {})


def _annotations(stack: Inside) -> dict[str, str]:
    pod = stack.pod("liar")
    return dict((pod or {"metadata": {}})["metadata"].get("annotations") or {})
