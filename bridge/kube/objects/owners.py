"""Any object that owns pods → its row, by its kind.

Few kinds say in their spec how many pods belong together; those have parsers of their own. Every
other kind, known or not, is read for what all have: who owns it, and our annotations on it. A
Workload of `scheduling.k8s.io` is one of them: only its annotations count.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from bridge.config import RoleKind
from bridge.kube.api import decode
from bridge.kube.objects import jobs, jobsets, metadata, owner_wire, roles, templates, wire
from bridge.model import bounds, texts
from bridge.model.owner import LeaderWorkerSet, Owner, OwnerKey, PodGroup, key_of

_STATEFUL_SET = ("apps", "StatefulSet")
_NEXT_ONLY = (("batch", "CronJob"), ("argoproj.io", "CronWorkflow"))
"""Kinds whose `suspend` keeps them from making more, and leaves alone what they have made."""

OwnerParser = decode.Parser[Any, Any]
"""Its rows are Owners; kinds have their own wire forms."""


def parser(api_version: str, kind: str, kinds: Mapping[str, RoleKind]) -> OwnerParser:
    """Reads objects of this kind into rows; `kinds` is the settings' table of kinds of roles."""
    match key_of(api_version, kind):
        case ("batch", "Job"):
            return jobs.parse
        case ("jobset.x-k8s.io", "JobSet"):
            read: Any = partial(jobsets.row, api_version=api_version)
            return decode.Parser(owner_wire.JobSetWire, read, kind=kind)
        case ("leaderworkerset.x-k8s.io", "LeaderWorkerSet"):
            read = partial(_leader_worker_set, api_version=api_version)
            return decode.Parser(owner_wire.LeaderWorkerSetWire, read, kind=kind)
        case ("scheduling.k8s.io" | "scheduling.x-k8s.io", "PodGroup"):
            read = partial(_pod_group, api_version=api_version)
            return decode.Parser(owner_wire.PodGroupWire, read, kind=kind)
    where = _roles_of(api_version, kind, kinds)
    if where is not None:
        read = partial(roles.row, api_version=api_version, kind=kind, where=where)
        return decode.Parser(owner_wire.RoleSetWire, read, kind=kind)
    read = partial(_any, api_version=api_version, kind=kind)
    return decode.Parser(owner_wire.AnyOwner, read, kind=kind)


def _roles_of(api_version: str, kind: str, kinds: Mapping[str, RoleKind]) -> RoleKind | None:
    """By Kind.version.group, else by Kind.group."""
    group, _, version = api_version.rpartition("/")
    return kinds.get(f"{kind}.{version}.{group}") or kinds.get(f"{kind}.{group}")


def _any(found: owner_wire.AnyOwner, api_version: str, kind: str) -> Owner:
    spec: owner_wire.AnySpec = found.get("spec") or {}
    key: OwnerKey = key_of(api_version, kind)
    return Owner(
        **metadata.owner_fields(found.get("metadata") or {}),
        api_version=api_version,
        kind=kind,
        suspended=spec.get("suspend") is True and key not in _NEXT_ONLY,
        replicas=_count(spec.get("replicas")),
        one_by_one=key == _STATEFUL_SET and spec.get("podManagementPolicy") != "Parallel",
    )


def _count(found: object) -> int | None:
    """What `replicas` of a kind that we don't know says, where that is a number of pods."""
    if not isinstance(found, int) or isinstance(found, bool):
        return None
    return found if 0 <= found <= bounds.MOST_PODS else None


def _leader_worker_set(found: owner_wire.LeaderWorkerSetWire, api_version: str) -> LeaderWorkerSet:
    meta: wire.Meta = found.get("metadata") or {}
    spec: owner_wire.LeaderWorkerSetSpec = found.get("spec") or {}
    group: owner_wire.LeaderWorkerTemplate = spec.get("leaderWorkerTemplate") or {}
    leader, replicas, size = group.get("leaderTemplate"), spec.get("replicas"), group.get("size")
    at, namespace = "spec.leaderWorkerTemplate", meta.get("namespace", "")
    worker = templates.row(
        group.get("workerTemplate") or {}, namespace=namespace, at=f"{at}.workerTemplate"
    )
    return LeaderWorkerSet(
        **metadata.owner_fields(meta),
        api_version=api_version,
        replicas=1 if replicas is None else replicas,
        size=1 if size is None else size,
        leader=None
        if leader is None
        else templates.row(leader, namespace=namespace, at=f"{at}.leaderTemplate"),
        worker=replace(worker, own_claims=True) if group.get("volumeClaimTemplates") else worker,
        leader_ready=spec.get("startupPolicy") == "LeaderReady",
    )


def _pod_group(found: owner_wire.PodGroupWire, api_version: str) -> PodGroup:
    """Of Kubernetes or of scheduler-plugins; they share the name, not the fields."""
    spec: owner_wire.PodGroupSpec = found.get("spec") or {}
    gang = (spec.get("schedulingPolicy") or {}).get("gang") or {}
    made_from = (spec.get("podGroupTemplateRef") or {}).get("workload") or {}
    return PodGroup(
        **metadata.owner_fields(found.get("metadata") or {}),
        api_version=api_version,
        least=gang.get("minCount") or spec.get("minMember") or 0,
        workload=texts.printable(made_from.get("workloadName") or "", bounds.LONGEST_OBJECT_NAME),
    )
