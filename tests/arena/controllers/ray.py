"""RayCluster (KubeRay): a head pod and groups of workers, all the RayCluster's own.

Not played: autoscaling, restarts, services.
"""

import copy

from tests.arena.api import Object
from tests.arena.controllers import world as seen
from tests.arena.controllers.world import POD, Kind, World, labels

RAY_CLUSTER = Kind("ray.io/v1", "RayCluster", "rayclusters")
GROUP = "ray.io/group"


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
