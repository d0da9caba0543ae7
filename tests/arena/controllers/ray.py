"""RayCluster and RayJob (KubeRay).

A RayCluster has a head pod and groups of workers, all its own. A RayJob owns a RayCluster, and when
that is up a Job whose pod submits. Not played: autoscaling, restarts, services.
"""

import copy

from tests.arena.api import Object
from tests.arena.controllers import world as seen
from tests.arena.controllers.world import JOB, POD, Kind, World, labels

RAY_CLUSTER = Kind("ray.io/v1", "RayCluster", "rayclusters")
RAY_JOB = Kind("ray.io/v1", "RayJob", "rayjobs")
GROUP = "ray.io/group"


def rayjobs(world: World) -> None:
    """A cluster for each RayJob, then the Job that submits to it."""
    for rayjob in world.live(RAY_JOB):
        name = rayjob["metadata"]["name"]
        marks = {
            "ray.io/originated-from-cr-name": name,
            "ray.io/originated-from-crd": "RayJob",
        }
        clusters = world.children(RAY_CLUSTER, rayjob)
        if not clusters:
            head = {"generateName": f"{name}-", "labels": marks}
            manifest = {"metadata": head, "spec": rayjob["spec"]["rayClusterSpec"]}
            world.create(RAY_CLUSTER, rayjob, manifest)
        elif all(_is_up(world, cluster) for cluster in clusters):
            template = copy.deepcopy(rayjob["spec"]["submitterPodTemplate"])
            head = {"name": name, "labels": marks}
            spec = {"backoffLimit": 2, "template": template}
            world.create(JOB, rayjob, {"metadata": head, "spec": spec})


def _is_up(world: World, cluster: Object) -> bool:
    wanted = 1 + sum(group["replicas"] for group in cluster["spec"]["workerGroupSpecs"])
    pods = world.children(POD, cluster)
    return bool(sum(1 for pod in pods if seen.is_true(pod, "Ready")) == wanted)


def reconcile(world: World) -> None:
    """Every RayCluster has its head, each group its workers."""
    for cluster in world.live(RAY_CLUSTER):
        there = [labels(pod)[GROUP] for pod in world.children(POD, cluster)]
        spec = cluster["spec"]
        if "headgroup" not in there:
            world.create(POD, cluster, _pod(cluster, spec["headGroupSpec"], "head", "headgroup"))
        for group in spec["workerGroupSpecs"]:
            name = group["groupName"]
            for _ in range(group["replicas"] - there.count(name)):
                world.create(POD, cluster, _pod(cluster, group, "worker", name))


def _pod(cluster: Object, group: Object, kind: str, name: str) -> Object:
    owner = cluster["metadata"]["name"]
    marks = {
        "ray.io/is-ray-node": "yes",
        "ray.io/cluster": owner,
        "ray.io/node-type": kind,
        GROUP: name,
        "ray.io/identifier": f"{owner}-{kind}",
        "app.kubernetes.io/name": "kuberay",
        "app.kubernetes.io/created-by": "kuberay-operator",
    }
    pod = seen.marked(copy.deepcopy(group["template"]), names=marks, notes={})
    middle = "head" if kind == "head" else f"{name}-worker"
    pod["metadata"]["generateName"] = f"{owner}-{middle}-"
    return pod
