"""The objects that own pods, as far as they decide how pods wait together."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.model.pod import OwnerReference
from bridge.model.scheduling import PodShape


@dataclass(frozen=True, slots=True)
class PodTemplate:
    """A pod template's part that matters before its pods exist."""

    shape: PodShape = PodShape()
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Only keys of our domain."""
    subdomain: str = ""
    active_deadline_s: int | None = None


@dataclass(frozen=True, slots=True)
class BatchJob:
    """A batch/v1 Job; counts are as the API server defaulted them."""

    uid: str
    namespace: str
    name: str
    resource_version: str
    parallelism: int = 1
    completions: int | None = 1
    """None: a work queue, done when one pod succeeds and all have ended."""
    indexed: bool = False
    suspended: bool = False
    finished: bool = False
    """Condition Complete or Failed is True: no pod will be created any more."""
    deleting: bool = False
    active_deadline_s: int | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Only keys of our domain."""
    template: PodTemplate = PodTemplate()
    owner: OwnerReference | None = None
