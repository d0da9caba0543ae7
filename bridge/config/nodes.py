"""The settings for nodes, and which conditions, taints and times of theirs bear on new work."""

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from bridge import names
from bridge.config.section import Section

UNHEALTHY: Final = (
    # kubelet, cloud controllers
    "NetworkUnavailable=True",
    "DiskPressure=True",
    "MemoryPressure=True",
    "PIDPressure=True",
    # node-problem-detector: what it calls permanent
    "KernelDeadlock=True",
    "ReadonlyFilesystem=True",
    "XfsShutdown=True",
    "CperHardwareErrorFatal=True",
    "CorruptDockerOverlay2=True",
    "KubeletUnhealthy=True",
    "ContainerRuntimeUnhealthy=True",
    "FrequentKubeletRestart=True",
    "FrequentDockerRestart=True",
    "FrequentContainerdRestart=True",
    "FrequentUnregisterNetDevice=True",
    # EKS node monitoring agent
    "AcceleratedHardwareReady=False",
    "ContainerRuntimeReady=False",
    "KernelReady=False",
    "NetworkingReady=False",
    "StorageReady=False",
    # AKS
    "GPUMissing=True",
    "NVLinkStatusInactive=True",
    "XIDErrors=True",
    "IBLinkFlapping=True",
    "UnhealthyNvidiaDevicePlugin=True",
    "FilesystemCorruptionProblem=True",
    "KubeletProblem=True",
    "ContainerRuntimeProblem=True",
    # NVSentinel: a condition of it is True for a fatal fault
    "GpuAllWatch=True",
    "GpuDriverWatch=True",
    "GpuInforomWatch=True",
    "GpuMcuWatch=True",
    "GpuMemWatch=True",
    "GpuNvlinkWatch=True",
    "GpuNvswitchFatalWatch=True",
    "GpuPcieWatch=True",
    "GpuPmuWatch=True",
    "GpuPowerWatch=True",
    "GpuSmWatch=True",
    "GpuThermalWatch=True",
    "GpuDcgmConnectivityFailure=True",
    "SysLogsGPUFallenOff=True",
    "SysLogsSXIDError=True",
    "SysLogsXIDError=True",
)
"""Conditions of nodes, as Type=Status."""

DRAINING: Final = (
    "node.kubernetes.io/out-of-service",
    "node.cloudprovider.kubernetes.io/shutdown",
    "karpenter.sh/disrupted",
    "karpenter.sh/disruption",
    "ToBeDeletedByClusterAutoscaler",
    "aws-node-termination-handler/*",
    "cloud.google.com/impending-node-termination",
    "remediator.kubernetes.azure.com/unschedulable",
)
"""Keys of taints of nodes that are about to go, or that are off."""


def _condition(text: str) -> str:
    if not re.fullmatch(r"[^=\s]{1,316}=(True|False|Unknown)", text):
        raise ValueError(f"{text!r} is no condition; write it like KernelDeadlock=True")
    return text


def _taint_key(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][^*\s]*\*?", text):
        raise ValueError(f"{text!r} is no key of taints; a * may stand at the end only")
    return text


NodeCondition = Annotated[str, AfterValidator(_condition)]
TaintKey = Annotated[str, AfterValidator(_taint_key)]


class NodeSettings(Section):
    """How Kubernetes nodes become Slurm nodes. Nodes that Slurm knows already keep the types of
    their GPUs until they are registered again; their address and topology follow at once."""

    address: str = ""
    """NodeAddr of every external node, written as the sink's own NodeAddr is (docs/nodes.md, "The
    sink"); "" takes each node's InternalIP."""
    topology: str = Field(default="", pattern=r"^([^:\s]+:[^:\s]+)?$")
    """Name of Slurm's topology and its root switch, `name:root`. The bridge makes the nodes'
    switches below this root from their network-node-layer labels, else from `topologyLabels`, else
    from their zone. With "" the root is the one below which Slurm's nodes are already; while none
    is, or there are several, only nodes with the annotation `topology.slinky.slurm.net/spec` get a
    place. The annotation always wins."""
    topology_labels: tuple[str, ...] = ()
    """Keys of node labels that name a node's switches, from the top to the leaf, for nodes without
    network-node-layer labels; a node needs all of them. The name of a lower switch carries those
    above it before its own (`building-1.rack-7`)."""
    cpu_headroom_milli: int = Field(default=500, ge=0)
    """CPU, in thousandths, that is kept free on each node when it is registered in Slurm, in
    addition to the requests of the pods there that Slurm does not place. It is a buffer for these
    pods: while they ask for no more than that in addition (a DaemonSet's new version, a debugging
    pod that comes and goes), the node stays as it is; otherwise it is drained, and registered again
    with less. What is left is rounded down to whole CPUs, and the fraction adds to the buffer: 500
    costs a node of any size one CPU or none."""
    memory_headroom_mib: int = Field(default=1024, ge=0)
    """Memory, in MiB, that is kept free on each node as `cpuHeadroomMilli` is. 1024 is a thousandth
    of a node with 1 TiB; use less on small nodes."""
    hybrid_sharing: bool = False
    """Whether native jobs and pods may be on one hybrid node (with slurmd and kubelet) at the same
    time. false keeps such a node to one side at a time: jobs of pods that may be granted a hybrid
    node are `exclusive`, also on other nodes; if `mcsLabel` is set and Slurm has
    MCSPlugin=mcs/label, only native jobs are kept off their nodes, but then Slurm preempts neither
    side for the other. true shares a node by Slurm's count of its CPUs, memory and GRES. Do not
    share nodes with GPUs: Slurm and the kubelet each choose the devices, and may choose the same
    one."""
    interval_s: float = Field(default=1.0, ge=0.1)
    """Time between two looks at Slurm's nodes, in seconds; a change in Kubernetes leads to a look
    at once. Nodes are listed only if they have changed, and every 30 s. If looks take long, they
    come less often, so that they take a tenth of the time; while Slurm does not answer, the time
    grows, up to 30 s."""
    gpu_type_label: str = "nvidia.com/gpu.product"
    """Node label from whose value the GPU's type in Slurm is made, if `resourceMap` gives none: a
    known model's name (`NVIDIA-H100-80GB-HBM3` is `h100`), else the whole value."""
    class_ignore_keys: tuple[str, ...] = (
        names.HOSTNAME_LABEL,
        "topology.k8s.aws/instance-id",
        "eks.amazonaws.com/instance-id",
        "alpha.eksctl.io/instance-id",
        "csi.volume.kubernetes.io/nodeid",
        "node.kubernetes.io/instance-id",
        "topology.ebs.csi.aws.com/zone-id",
    )
    """Labels that are different on each node and are therefore ignored in node classes."""
    drained_in_slurm: Literal["taint", "cordon", "none"] = "taint"
    """How a Kubernetes node shows that an admin has drained it in Slurm, or set it down, in
    addition to the condition `slinky.slurm.net/Drained`: by the taint `slinky.slurm.net/drained`
    (NoSchedule), which pods that Slurm places tolerate; by a cordon, with which not even pods that
    replace others of a running gang start there; or not at all."""
    unhealthy_conditions: tuple[NodeCondition, ...] = UNHEALTHY
    """Conditions, `Type=Status`, of nodes on which nothing new may start: the node is drained in
    Slurm, with the condition as the reason, as long as it has one of them. Of several the first in
    this order is told."""
    draining_taints: tuple[TaintKey, ...] = DRAINING
    """Keys of taints with the same meaning, told after conditions; a `*` at the end stands for the
    rest of the key."""
    end_time_keys: tuple[str, ...] = (names.AVAILABLE_UNTIL,)
    """Labels or annotations of a node that say until when it exists: RFC 3339
    (`2026-11-30T12:00:00Z`), `20261130T120000Z`, or seconds since 1970. From that time on, rounded
    down to five minutes, Slurm has a reservation of the node, so that no job starts there that
    would run longer; of several times the earliest counts."""
