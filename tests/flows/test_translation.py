"""What a pod's words become in Slurm."""

from bridge import names
from tests.arena import manifests
from tests.arena.arena import NAMESPACE, Arena, Nodes, condition
from tests.arena.fixtures import Begin


def test_a_pods_parameters_stand_in_its_job(arena: Arena, begin: Begin) -> None:
    """Raised numbers, the type of its GPUs, time, name and constraints, as Slurm shows them."""
    begin(Nodes(count=2))
    words = {
        "cpu-per-task": "6",
        "mem-per-node": "4Gi",
        "gres": "gpu:h100:1",
        "timelimit": "1:30:00",
        "job-name": "mine",
        "constraints": "slurm-bridge|elsewhere",
        "wckey": "w",
    }
    annotations = {names.JOB_PREFIX + key: value for key, value in words.items()}
    pod = manifests.pod(
        "web", NAMESPACE, gpus=2, cpu="3500m", memory="3Gi", annotations=annotations
    )
    arena.create(pod)
    job = arena.job_of(arena.wait_bound("web"))
    (node,) = job["job_resources"]["nodes"]["allocation"]
    assert (node["cpus"]["count"], node["memory"]["allocated"]) == (6, 4096)
    assert job["gres_detail"][0].startswith("gpu:h100:2(")
    assert job["tres_per_task"] == "gres/gpu:h100:2"
    assert job["time_limit"]["number"] == 90
    assert (job["name"], job["wckey"]) == ("mine", "w")
    assert job["current_working_directory"] == f"/{NAMESPACE}/pod/web"
    assert job["comment"] == f"Pod/{NAMESPACE}/web of Kubernetes"
    assert job["features"].startswith("class-")
    assert "elsewhere" not in job["features"]


def test_a_pod_waits_until_the_job_that_it_depends_on_has_succeeded(
    arena: Arena, begin: Begin
) -> None:
    """Out of the queue, as a placeholder's end in Slurm doesn't tell; told so on the pod."""
    begin(Nodes(count=1))
    key = f"{names.JOB_PREFIX}dependency"
    arena.create(manifests.pod("after", NAMESPACE, annotations={key: "afterok:job/first"}))

    words = "job/first in namespace"
    arena.wait_pod(
        "after", words, lambda pod: words in (condition(pod) or {"message": ""})["message"]
    )
    arena.create(manifests.job("first", NAMESPACE, run_s=0.5))
    arena.wait_bound("after", seconds=60)
    first = arena.kubernetes.get(f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs/first")
    assert first["status"]["succeeded"] == 1
