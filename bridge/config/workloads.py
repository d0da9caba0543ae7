"""Settings of workloads: kinds whose pods have several roles, and the paths of the roles in specs.

The table below follows the kinds' own controllers (kubeflow's training-operator v1.9 and
mpi-operator v2beta1: field names of the specs, labels that the controllers put on pods).
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from pydantic import AfterValidator, Field, field_validator

from bridge.config.section import Section

_KIND = re.compile(r"^[A-Z][A-Za-z0-9]*(\.v[0-9][a-z0-9]*)?\.[a-z0-9-]+(\.[a-z0-9-]+)+$")
_PATH = re.compile(r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$")
_LABEL = re.compile(r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$")


def _path(text: str) -> str:
    if not _PATH.match(text):
        raise ValueError("not a path; write names with dots between, like spec.mpiReplicaSpecs")
    return text


def _in_spec(text: str) -> str:
    if not _path(text).startswith("spec."):
        raise ValueError("not a path in the spec; write it like spec.mpiReplicaSpecs")
    return text


def _in_spec_or_none(text: str) -> str:
    return _in_spec(text) if text else ""


def _condition(text: str) -> str:
    path, equals, value = text.partition("=")
    if text and not (equals and value and _in_spec(path)):
        raise ValueError("no condition; write it like spec.launcherCreationPolicy=AtStartup")
    return text


def _label(text: str) -> str:
    if text and not _LABEL.match(text):
        raise ValueError("not a label's key; write it like training.kubeflow.org/replica-type")
    return text


class RoleKind(Section):
    """A kind of several roles: where the roles are in its objects, and the labels of its pods."""

    roles: Annotated[str, AfterValidator(_in_spec)]
    """Path of the map from a role's name to its replicas and template."""
    replicas: Annotated[str, AfterValidator(_path)] = "replicas"
    """Path of the count inside a role; a role without a count has one pod."""
    template: Annotated[str, AfterValidator(_path)] = "template"
    """Path of the pod template inside a role."""
    role_label: Annotated[str, AfterValidator(_label)] = "training.kubeflow.org/replica-type"
    """Label on a pod that names its role; upper and lower case are the same."""
    index_label: Annotated[str, AfterValidator(_label)] = "training.kubeflow.org/replica-index"
    """Label on a pod with the index of the pod in its role."""
    order: tuple[str, ...] = ()
    """Roles in the order of their ranks; roles that are not named follow, by name."""
    late: tuple[str, ...] = ()
    """Roles whose pods the controller makes only when the pods of the other roles are ready: the
    gang does not wait for them."""
    late_if: Annotated[str, AfterValidator(_condition)] = ""
    """Condition under which `late` applies: a path in the spec, `=`, and the value there; "" for
    always."""
    elastic: Annotated[str, AfterValidator(_in_spec_or_none)] = ""
    """Path that makes an object elastic if it has any value but false: the object's pods are no
    gang; "" for kinds that are never elastic."""


KNOWN_KINDS: Mapping[str, RoleKind] = MappingProxyType(
    {
        "MPIJob.kubeflow.org": RoleKind(
            roles="spec.mpiReplicaSpecs",
            role_label="training.kubeflow.org/job-role",
            order=("Launcher", "Worker"),
            late=("Launcher",),
            late_if="spec.launcherCreationPolicy=WaitForWorkersReady",
        ),
        "MPIJob.v1.kubeflow.org": RoleKind(
            roles="spec.mpiReplicaSpecs", order=("Launcher", "Worker")
        ),
        "PyTorchJob.kubeflow.org": RoleKind(
            roles="spec.pytorchReplicaSpecs",
            order=("Master", "Worker"),
            elastic="spec.elasticPolicy",
        ),
        "TFJob.kubeflow.org": RoleKind(
            roles="spec.tfReplicaSpecs",
            order=("Chief", "Master", "Worker", "PS", "Evaluator"),
            elastic="spec.enableDynamicWorker",
        ),
        "XGBoostJob.kubeflow.org": RoleKind(
            roles="spec.xgbReplicaSpecs", order=("Master", "Worker")
        ),
        "PaddleJob.kubeflow.org": RoleKind(
            roles="spec.paddleReplicaSpecs",
            order=("Master", "Worker"),
            elastic="spec.elasticPolicy",
        ),
        "JAXJob.kubeflow.org": RoleKind(roles="spec.jaxReplicaSpecs", order=("Worker",)),
    }
)
"""The kinds that need no setting."""


class WorkloadSettings(Section):
    """How owners' specs become gangs."""

    kinds: dict[str, RoleKind] = Field(default={})
    """Further kinds of several roles, or replacements of the known kinds, by `Kind.group` or
    `Kind.version.group`: `{MyJob.example.com: {roles: spec.replicaSpecs, roleLabel:
    example.com/role, indexLabel: example.com/index, order: [Leader, Worker]}}`. docs/workloads.md
    has the known kinds and every field."""

    @field_validator("kinds")
    @classmethod
    def _are_kinds(cls, value: dict[str, RoleKind]) -> dict[str, RoleKind]:
        for name in value:
            if not _KIND.match(name):
                raise ValueError(f"{name} is no kind; write Kind.group, like MPIJob.kubeflow.org")
        return value

    @property
    def role_kinds(self) -> Mapping[str, RoleKind]:
        """The known kinds and the kinds of the setting `kinds`, which win."""
        return {**KNOWN_KINDS, **self.kinds}

    @property
    def pod_labels(self) -> frozenset[str]:
        """Labels of pods that say their role and index in any of these kinds."""
        kinds = self.role_kinds.values()
        return frozenset({*(one.role_label for one in kinds), *(one.index_label for one in kinds)})
