"""What is read of a pod, a node and a Slurm job."""

import json
from typing import Any

from bridge import names
from bridge.sim.demo import snapshot


def raw_job(**fields: Any) -> dict[str, Any]:
    comment = {
        names.ADMIN_COMMENT_KEY: {"cluster": "c", "gang": "g", "owner": "Job/research/train"}
    }
    return {
        "job_id": 7,
        "admin_comment": json.dumps(comment),
        "job_state": ["PENDING"],
        "state_reason": "Resources",
        "partition": "slurm-bridge",
        "priority": {"number": 1000},
        "tasks": {"number": 2},
        "start_time": {"number": 0},
        "scheduled_nodes": "",
        **fields,
    }


def test_a_running_job_tells_its_gpus_by_number() -> None:
    """From gres_detail, type or not, beside other resources."""
    job = snapshot.slurm_job(
        raw_job(
            job_state=["RUNNING"],
            nodes="a,b,c",
            gres_detail=["gpu:h100:3(IDX:0-1,5),efa:1(IDX:7)", "gpu(IDX:2)", ""],
            job_resources={"nodes": {"allocation": [{"name": "a"}, {"name": "b"}, {"name": "c"}]}},
        )
    )
    assert job is not None
    assert job.workload == "train"
    assert job.gpus == {"a": {0, 1, 5}, "b": {2}, "c": frozenset()}
    assert job.nodes == {"a", "b", "c"}


def test_a_waiting_job_tells_when_and_where_it_is_expected() -> None:
    """Once backfill has looked at it."""
    fresh = snapshot.slurm_job(raw_job())
    assert fresh is not None
    assert (fresh.expected_start_s, fresh.planned) == (None, frozenset())
    planned = snapshot.slurm_job(
        raw_job(start_time={"number": 1234}, scheduled_nodes="gpu-[0001-0002],x")
    )
    assert planned is not None
    assert planned.expected_start_s == 1234
    assert planned.planned == {"gpu-0001", "gpu-0002", "x"}


def test_other_peoples_jobs_are_not_looked_at() -> None:
    """Only the bridge's own key makes a job the bridge's."""
    assert snapshot.slurm_job(raw_job(admin_comment="")) is None
    assert snapshot.slurm_job(raw_job(admin_comment='{"else": 1}')) is None


def test_a_pod_tells_its_gate_its_node_and_its_job() -> None:
    """As the API server shows them."""
    raw: dict[str, Any] = {
        "metadata": {
            "uid": "u",
            "name": "train-0-x",
            "labels": {"batch.kubernetes.io/job-name": "train", names.JOB_ID_LABEL: "12"},
        },
        "spec": {
            "nodeName": "gpu-0001",
            "containers": [{"resources": {"limits": {"nvidia.com/gpu": "4"}}}, {}],
        },
        "status": {"phase": "Running"},
    }
    bound = snapshot.pod(raw)
    assert (bound.workload, bound.slurm_job, bound.gpus, bound.holds) == ("train", 12, 4, True)
    raw["spec"] |= {"nodeName": "", "schedulingGates": [{"name": names.ALLOCATION_GATE}]}
    assert snapshot.pod(raw).gated
    raw["spec"]["schedulingGates"] = [{"name": "example.com/other"}]
    assert not snapshot.pod(raw).gated


def test_a_node_knows_the_switches_above_it() -> None:
    """The closest last, whatever the order of the labels."""
    layer = names.AWS_NETWORK_LAYER_PREFIX
    labels = {f"{layer}3": "leaf", f"{layer}1": "spine", f"{layer}2": "block", "other": "x"}
    node = snapshot.node({"metadata": {"name": "gpu-0001", "labels": labels}})
    assert node.switches == ("spine", "block", "leaf")
    assert node.leaf == "leaf"
