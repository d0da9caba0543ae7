"""The real Karpenter for stories on the real stack; its nodes are kwok's."""

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bridge import names
from tests.arena.api import Object, wait_for
from tests.arena.arena import Nodes
from tests.arena.real import RealArena
from tests.e2e.stack import karpenter, programs

_POOLS = "/apis/karpenter.sh/v1/nodepools"
_CLAIMS = "/apis/karpenter.sh/v1/nodeclaims"
_CLASSES = "/apis/karpenter.kwok.sh/v1alpha1/kwoknodeclasses"
_TYPE = "g8.48xlarge"
_ZONE = "us-west-2a"


class Karpenter:
    """Karpenter, with one NodePool of nodes of this kind, as docs/autoscaling.md has it."""

    def __init__(self, arena: RealArena, kind: Nodes) -> None:
        self._arena = arena
        self._kind = kind

    @property
    def made(self) -> int:
        """As `Autoscaler`."""
        return karpenter.nodes_made(self._arena.stack.layout)

    def limit(self, nodes: int) -> None:
        """As `Autoscaler`."""
        limits = {"nvidia.com/gpu": str(nodes * self._kind.gpus)}
        self._arena.kubernetes.patch(f"{_POOLS}/gpu", {"spec": {"limits": limits}})

    @contextlib.contextmanager
    def running(self) -> Iterator["Karpenter"]:
        """From now on nodes come and go; at the end its nodes are gone."""
        kubernetes = self._arena.kubernetes
        with tempfile.TemporaryDirectory() as folder:
            types = Path(folder) / "types.json"
            types.write_text(json.dumps([_instance_type(self._kind)]))
            self._arena.stack.start_karpenter(types)
        try:
            for one in (_node_class(), _node_pool()):
                self._arena.stack.run_kubectl("apply", "-f", "-", stdin=json.dumps(one))
            yield self
        finally:
            kubernetes.delete(f"{_POOLS}/gpu")
            wait_for(
                "Karpenter's nodes are gone",
                lambda: not kubernetes.get(_CLAIMS)["items"],
                seconds=60,
            )
            kubernetes.delete(f"{_CLASSES}/default")
            self._arena.stack.stop(programs.KARPENTER)


def _instance_type(kind: Nodes) -> Object:
    offering = {
        "Price": 90.0,
        "Available": True,
        "Requirements": [
            {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]},
            {"key": "topology.kubernetes.io/zone", "operator": "In", "values": [_ZONE]},
        ],
    }
    return {
        "name": _TYPE,
        "architecture": "amd64",
        "operatingSystems": ["linux"],
        "offerings": [offering],
        "resources": {
            "cpu": str(kind.cpus),
            "memory": f"{kind.memory_gib}Gi",
            "ephemeral-storage": "1Ti",
            "pods": "110",
            "nvidia.com/gpu": str(kind.gpus),
        },
    }


def _node_class() -> Object:
    return {
        "apiVersion": "karpenter.kwok.sh/v1alpha1",
        "kind": "KWOKNodeClass",
        "metadata": {"name": "default"},
    }


def _node_pool() -> Object:
    return {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": "gpu"},
        "spec": {
            "template": {
                "metadata": {
                    "labels": {"type": "kwok", names.EXTERNAL_NODE_LABEL: "true"},
                    "annotations": {
                        names.EXTERNAL_NODE_PARTITIONS_ANNOTATION: "slurm-bridge",
                        names.TOPOLOGY_ANNOTATION: "fabric:root:karpenter",
                    },
                },
                "spec": {
                    "nodeClassRef": {
                        "group": "karpenter.kwok.sh",
                        "kind": "KWOKNodeClass",
                        "name": "default",
                    },
                    "expireAfter": "Never",
                    "taints": [
                        {
                            "key": names.MANAGED_NODE_TAINT,
                            "value": names.SCHEDULER_NAME,
                            "effect": "NoExecute",
                        }
                    ],
                    "requirements": [
                        {
                            "key": "node.kubernetes.io/instance-type",
                            "operator": "In",
                            "values": [_TYPE],
                        }
                    ],
                },
            },
            "disruption": {
                "consolidationPolicy": "WhenEmpty",
                "consolidateAfter": "5s",
                "budgets": [{"nodes": "100%"}],
            },
        },
    }
