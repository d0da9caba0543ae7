"""A namespace, as far as the bridge cares: who its pods are in Slurm."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Namespace:
    """One namespace. All labels are kept (`managedNamespaceSelector` may name any of them)."""

    name: str
    uid: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Only keys of our domain: those that `bridge.jobs.allowance` reads."""
