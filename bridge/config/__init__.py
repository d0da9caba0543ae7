"""The settings tree and how it is read: file, environment, flags, and the reference of it all.

May import: `bridge.names`, `bridge.errors`. Reads the one file it is given and nothing else; the
environment is handed in.
"""

from bridge.config.capacity import CapacitySettings
from bridge.config.nodes import NodeSettings
from bridge.config.processes import ApiSettings, LeaderSettings, RpcSettings
from bridge.config.section import Section
from bridge.config.settings import (
    Defaults,
    IdentitySettings,
    KubernetesSettings,
    PlacementSettings,
    ServerSettings,
    Settings,
    SlurmSettings,
)
from bridge.config.sources import FILE_VARIABLE, Loaded, load
from bridge.config.workloads import RoleKind, WorkloadSettings

__all__ = [
    "Settings",
    "SlurmSettings",
    "KubernetesSettings",
    "ServerSettings",
    "LeaderSettings",
    "RpcSettings",
    "ApiSettings",
    "NodeSettings",
    "PlacementSettings",
    "WorkloadSettings",
    "CapacitySettings",
    "RoleKind",
    "Defaults",
    "IdentitySettings",
    "Section",
    "Loaded",
    "load",
    "FILE_VARIABLE",
]
