"""Kubeflow's training kinds: MPIJob (mpi-operator), PyTorchJob (training-operator), TrainJob.

Played: pods and Jobs with their names, labels and owners, as they are after a creation. Not
played: restarts, clean-up policies, secrets, services, environment.
"""

import copy

from tests.arena.api import Object
from tests.arena.controllers import world as seen
from tests.arena.controllers.jobset import JOBSET
from tests.arena.controllers.world import JOB, POD, Kind, World

MPI_JOB = Kind("kubeflow.org/v2beta1", "MPIJob", "mpijobs")
PYTORCH_JOB = Kind("kubeflow.org/v1", "PyTorchJob", "pytorchjobs")
TRAIN_JOB = Kind("trainer.kubeflow.org/v1alpha1", "TrainJob", "trainjobs")
RUNTIME = Kind("trainer.kubeflow.org/v1alpha1", "TrainingRuntime", "trainingruntimes")
_PREFIX = "training.kubeflow.org/"
STEP = "trainer.kubeflow.org/trainjob-ancestor-step"


def mpijobs(world: World) -> None:
    """Workers are pods of the MPIJob's own, the launcher is the pod of a Job."""
    for mpijob in world.live(MPI_JOB):
        name, roles = mpijob["metadata"]["name"], mpijob["spec"]["mpiReplicaSpecs"]
        marks = {_PREFIX + "operator-name": "mpi-operator", _PREFIX + "job-name": name}
        for index in range(roles["Worker"]["replicas"]):
            about = {_PREFIX + "job-role": "worker", _PREFIX + "replica-index": str(index)}
            pod = seen.marked(roles["Worker"]["template"], names=marks | about, notes={})
            host = f"{name}-worker-{index}"
            pod["spec"] = {
                "restartPolicy": "Never", **pod["spec"], "hostname": host, "subdomain": name,
            }  # fmt: skip
            pod["metadata"]["name"] = host
            world.create(POD, mpijob, pod)
        if not _launcher_may_come(world, mpijob):
            continue
        launcher = seen.marked(
            roles["Launcher"]["template"],
            names={**marks, _PREFIX + "job-role": "launcher"},
            notes={},
        )
        host = f"{name}-launcher"
        launcher["spec"] = {
            "restartPolicy": "OnFailure", **launcher["spec"], "hostname": host, "subdomain": name,
        }  # fmt: skip
        head = {"name": host, "labels": {"app": name}}
        world.create(JOB, mpijob, {"metadata": head, "spec": {"template": launcher}})


def _launcher_may_come(world: World, mpijob: Object) -> bool:
    """At once, or when all workers are ready."""
    if mpijob["spec"].get("launcherCreationPolicy") != "WaitForWorkersReady":
        return True
    workers = world.children(POD, mpijob)
    ready = sum(seen.is_true(worker, "Ready") for worker in workers)
    return bool(ready >= mpijob["spec"]["mpiReplicaSpecs"]["Worker"]["replicas"])


def pytorchjobs(world: World) -> None:
    """All pods are the PyTorchJob's own; workers look for their master first."""
    for job in world.live(PYTORCH_JOB):
        name, roles = job["metadata"]["name"], job["spec"]["pytorchReplicaSpecs"]
        for role, body in roles.items():
            for index in range(body["replicas"]):
                lower = role.lower()
                marks = {
                    _PREFIX + "operator-name": "pytorchjob-controller",
                    _PREFIX + "job-name": name,
                    _PREFIX + "replica-type": lower,
                    _PREFIX + "replica-index": str(index),
                }
                if role == "Master":
                    marks[_PREFIX + "job-role"] = "master"
                pod = seen.marked(copy.deepcopy(body["template"]), names=marks, notes={})
                pod["metadata"]["name"] = f"{name}-{lower}-{index}"
                pod["spec"].setdefault("restartPolicy", body.get("restartPolicy", "Never"))
                if "Master" in roles and role != "Master":
                    pod["spec"]["initContainers"] = [_looks_for_master(name)]
                world.create(POD, job, pod)


def _looks_for_master(job: str) -> Object:
    return {
        "name": "init-pytorch",
        "image": "example.invalid/alpine:1",
        "command": ["sh", "-c", f"until nslookup {job}-master-0; do sleep 1; done"],
        "resources": {
            "limits": {"cpu": "100m", "memory": "20Mi"},
            "requests": {"cpu": "50m", "memory": "10Mi"},
        },
    }


def trainjobs(world: World) -> None:
    """A JobSet of the same name, from the runtime, with the TrainJob's number of nodes."""
    for train in world.live(TRAIN_JOB):
        runtime = world.find(RUNTIME, train["spec"]["runtimeRef"]["name"])
        if runtime is None:
            continue
        spec = copy.deepcopy(runtime["spec"]["template"]["spec"])
        nodes = train["spec"]["trainer"].get("numNodes") or runtime["spec"]["mlPolicy"]["numNodes"]
        for replicated in spec["replicatedJobs"]:
            template = replicated["template"]
            if template["metadata"]["labels"].get(STEP) == "trainer":
                template["spec"] |= {"parallelism": nodes, "completions": nodes}
        head = {"name": train["metadata"]["name"], "annotations": {}, "labels": {}}
        world.create(JOBSET, train, {"metadata": head, "spec": spec})
