"""Nodes that exist only in the API server, with kwok as their kubelet.

They look like nodes of a GPU cluster on AWS: extended resources, the labels of the GPU operator
and of EC2's network topology. Names are dealt to places by a seed, so that code that takes the
order of names for the order of the fabric is found out.
"""

import concurrent.futures
import dataclasses
import http.client
import json
import random
import time
from collections import abc

from tests.e2e.stack import access, errors

EXTERNAL_NODE_LABEL = "scheduler.slinky.slurm.net/external-node"
PARTITIONS_ANNOTATION = "scheduler.slinky.slurm.net/external-node-partitions"

_CONNECTIONS = 8


@dataclasses.dataclass(frozen=True, slots=True)
class Pool:
    """Nodes of one kind. The defaults are an AWS p5.48xlarge, half its CPUs."""

    count: int = 4
    prefix: str = "gpu"
    """Names are `<prefix>-0001` and so on."""
    suffix: str = ""
    """Appended to names, say `.us-west-2.compute.internal`."""
    cpus: int = 96
    memory_gib: int = 1024
    gpus: int = 8
    efa: int = 32
    pods: int = 110
    gpu_product: str = "NVIDIA-H100-80GB-HBM3"
    instance_type: str = "p5.48xlarge"
    zones: tuple[str, ...] = ("us-west-2a",)
    """Each zone has a spine (layer 1) of its own."""
    nodes_per_leaf: int = 8
    """How many nodes share a layer-3 switch, the closest."""
    leaves_per_block: int = 4
    """How many layer-3 switches share a layer-2 switch."""
    partitions: str = "slurm-bridge"
    """Slurm partitions, by annotation."""
    external: bool = True
    """Whether the node carries the label that has the bridge register it."""
    seed: int = 0
    first: int = 1
    """Number of the first name, to add to a pool."""
    labels: abc.Mapping[str, str] = dataclasses.field(default_factory=dict)
    annotations: abc.Mapping[str, str] = dataclasses.field(default_factory=dict)
    taints: tuple[abc.Mapping[str, str], ...] = ()
    """As in `spec.taints`."""

    def objects(self) -> list[dict[str, object]]:
        """Give the Node objects, in order of names."""
        places = list(range(self.count))
        random.Random(self.seed).shuffle(places)
        return [self._node(self.first + i, place) for i, place in enumerate(places)]

    def names(self) -> list[str]:
        """Give the names, in order."""
        return [self._name(self.first + i) for i in range(self.count)]

    def _name(self, number: int) -> str:
        return f"{self.prefix}-{number:04d}{self.suffix}"

    def _node(self, number: int, place: int) -> dict[str, object]:
        name = self._name(number)
        labels = {
            "type": "kwok",
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            "node.kubernetes.io/instance-type": self.instance_type,
            **self._fabric(place),
        }
        resources = {
            "cpu": str(self.cpus),
            "memory": f"{self.memory_gib}Gi",
            "ephemeral-storage": "1Ti",
            "pods": str(self.pods),
        }
        if self.gpus:
            labels["nvidia.com/gpu.product"] = self.gpu_product
            labels["nvidia.com/gpu.count"] = str(self.gpus)
            resources["nvidia.com/gpu"] = str(self.gpus)
        if self.efa:
            resources["vpc.amazonaws.com/efa"] = str(self.efa)
        if self.external:
            labels[EXTERNAL_NODE_LABEL] = ""
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": name,
                "labels": {**labels, **self.labels},
                "annotations": {PARTITIONS_ANNOTATION: self.partitions, **self.annotations},
            },
            "spec": {
                "taints": [dict(taint) for taint in self.taints],
                "providerID": f"aws:///{self._zone(place)}/i-{number:017x}",
            },
            "status": {
                "allocatable": resources,
                "capacity": resources,
                # Loopback: whoever connects to a node (slurmctld does) is refused at once.
                "addresses": [
                    {"type": "InternalIP", "address": _loopback(number)},
                    {"type": "Hostname", "address": name},
                ],
                "nodeInfo": _NODE_INFO,
            },
        }

    def _zone(self, place: int) -> str:
        per_zone = -(-self.count // len(self.zones))
        return self.zones[place // per_zone]

    def _fabric(self, place: int) -> dict[str, str]:
        zone = self._zone(place)
        leaf = place // self.nodes_per_leaf
        block = leaf // self.leaves_per_block
        key = "topology.k8s.aws/network-node-layer"
        return {
            "topology.kubernetes.io/region": zone[:-1],
            "topology.kubernetes.io/zone": zone,
            f"{key}-1": f"nn-1{self.zones.index(zone):016x}",
            f"{key}-2": f"nn-2{block:016x}",
            f"{key}-3": f"nn-3{leaf:016x}",
        }


def create(cluster: access.Access, pool: Pool, *, timeout_s: float = 60.0) -> list[str]:
    """Create the pool's nodes, wait until each is ready, give their names.

    Nodes that exist are left as they are. Raises CommandFailed if the API server refuses one,
    ComponentFailed if they are not ready in time.
    """
    bodies = [json.dumps(node) for node in pool.objects()]
    shares = [bodies[start::_CONNECTIONS] for start in range(_CONNECTIONS)]
    with concurrent.futures.ThreadPoolExecutor(_CONNECTIONS) as threads:
        for _ in threads.map(lambda share: _post(cluster, share), shares):
            pass
    wanted = set(pool.names())
    deadline = time.monotonic() + timeout_s
    while left := wanted - ready(cluster):
        if time.monotonic() > deadline:
            some = ", ".join(sorted(left)[:5])
            raise errors.ComponentFailed(f"{len(left)} nodes not ready in {timeout_s} s: {some}")
        time.sleep(0.2)
    return pool.names()


def ready(cluster: access.Access) -> set[str]:
    """Give the names of nodes that are Ready and no longer tainted as not ready."""
    found = set()
    for node in json.loads(cluster.get("/api/v1/nodes?resourceVersion=0") or '{"items": []}')[
        "items"
    ]:
        conditions = {one["type"]: one["status"] for one in node["status"].get("conditions", [])}
        taints = {taint["key"] for taint in node["spec"].get("taints", [])}
        if conditions.get("Ready") == "True" and "node.kubernetes.io/not-ready" not in taints:
            found.add(node["metadata"]["name"])
    return found


def kill_kubelet(cluster: access.Access, name: str) -> None:
    """Have the node's kubelet die: nobody plays its pods any more, Ready becomes Unknown at once.

    The node lifecycle controller then taints it as unreachable, as after a real grace period.
    """
    cluster.kubectl("label", "node", name, "type-")
    condition = {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}
    patch = json.dumps({"status": {"conditions": [condition]}})
    cluster.kubectl("patch", "node", name, "--subresource=status", "--type=strategic", "-p", patch)


def revive_kubelet(cluster: access.Access, name: str) -> None:
    """Undo kill_kubelet."""
    cluster.kubectl("label", "node", name, "type=kwok")


def _post(cluster: access.Access, bodies: abc.Iterable[str]) -> None:
    connection = cluster.connect()
    try:
        for body in bodies:
            connection.request("POST", "/api/v1/nodes", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = response.read().decode()
            if response.status not in (http.client.CREATED, http.client.CONFLICT):
                message = f"creating a node: the API server answered {response.status}: {answer}"
                raise errors.CommandFailed(message)
    finally:
        connection.close()


def _loopback(number: int) -> str:
    return f"127.{1 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


_NODE_INFO = {
    "architecture": "amd64",
    "bootID": "",
    "containerRuntimeVersion": "kwok",
    "kernelVersion": "kwok",
    "kubeProxyVersion": "",
    "kubeletVersion": "kwok",
    "machineID": "",
    "operatingSystem": "linux",
    "osImage": "kwok",
    "systemUUID": "",
}
