"""What a pod says of itself, where no webhook keeps it from saying so."""

from pathlib import Path

from bridge import names
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
    after a restart, and the pod is bound to no node that Slurm has not given it."""
    async with inside(tmp_path, nodes=2) as stack:
        await stack.kubernetes.stop_scheduler()
        await stack.create_pod("liar", gpus=1)
        await until("it is pinned", lambda: names.JOB_ID_LABEL in _labels(stack))
        granted = _annotations(stack)[names.NODE_ANNOTATION]
        other = next(one for one in stack.kubernetes.observe().nodes if one != granted)
        await annotate(stack, "liar", names.NODE_ANNOTATION, other)
        runner = stack.app.runner
        (gang_id,) = runner.machines
        runner._failed(gang_id, RuntimeError("begin anew"))
        await until("it is begun anew", lambda: gang_id in runner.machines)
        pod = stack.pod("liar")
        assert pod is not None
        verdict = runner.verdict(pod["metadata"]["uid"])
        assert verdict is not None
        assert verdict.node is None
        assert f"does not hold node {other}, which the pod names" in verdict.waits_for


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


def _labels(stack: Inside) -> dict[str, str]:
    pod = stack.pod("liar")
    return dict((pod or {"metadata": {}})["metadata"].get("labels") or {})


def _annotations(stack: Inside) -> dict[str, str]:
    pod = stack.pod("liar")
    return dict((pod or {"metadata": {}})["metadata"].get("annotations") or {})
