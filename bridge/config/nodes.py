"""Which conditions, taints and times of Kubernetes nodes bear on new work: the defaults."""

from typing import Final

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
