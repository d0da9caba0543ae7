"""Kubernetes' side: rights, webhooks, our kube-scheduler."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge import names
from bridge.model import texts
from bridge.preflight.finding import Finding
from bridge.preflight.rights import RIGHTS, Right

_MOST = 8
"""The most rights that one sentence has."""
PATHS = {"mutating": names.MUTATE_PATH, "validating": names.VALIDATE_PATH}


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesSide:
    """What was read of Kubernetes."""

    user: str
    """Whose rights these are."""
    allowed: Mapping[Right, bool]
    """Each right that could be asked for."""
    webhooks: Mapping[str, Iterable[Mapping[str, Any]] | None] = field(default_factory=dict)
    """`mutating` and `validating`: the webhooks of all configurations of that kind; None if they
    may not be read."""
    scheduler_name: str = names.SCHEDULER_NAME
    scheduler_seen: bool | None = None
    """Whether something shows that a kube-scheduler with our profile runs; None: nothing tells."""


def check(side: KubernetesSide) -> list[Finding]:
    """All checks of Kubernetes' side."""
    return [
        *_rights(side),
        *(_webhooks(side, kind) for kind in PATHS),
        _scheduler(side),
    ]


def _rights(side: KubernetesSide) -> list[Finding]:
    name, whose = "rights in Kubernetes", f"of {side.user or 'the bridge'}"
    unasked = [right for right in RIGHTS if right not in side.allowed]
    needed = [str(one) for one in RIGHTS if one.needed and side.allowed.get(one) is False]
    kinds = [str(one) for one in RIGHTS if not one.needed and side.allowed.get(one) is False]
    findings = []
    if needed:
        findings.append(
            Finding(name, "breaks", f"{whose}: not {texts.some_of(tuple(needed), _MOST)}",
                    "the bridge can't do its work", "apply deploy/rbac.yaml")
        )  # fmt: skip
    if kinds:
        findings.append(
            Finding(name, "costs", f"{whose}: not {texts.some_of(tuple(kinds), _MOST)}",
                    "pods of these owners are no gangs, and annotations there are not read",
                    "apply deploy/rbac.yaml")
        )  # fmt: skip
    if unasked:
        findings.append(Finding(name, "unseen", f"{len(unasked)} could not be asked for"))
    return findings or [Finding(name, "ok", f"{whose}: all of deploy/rbac.yaml")]


def _webhooks(side: KubernetesSide, kind: str) -> Finding:
    name, found = f"{kind} webhook", side.webhooks.get(kind)
    if found is None:
        return Finding(name, "unseen", "webhook configurations may not be read with these rights",
                       to_do="run preflight with an admin's kubeconfig")  # fmt: skip
    ours = [one for one in found if _path(one) == PATHS[kind]]
    if not ours:
        return Finding(
            name, "breaks", f"no webhook calls {PATHS[kind]}",
            "pods are not queued in Slurm" if kind == "mutating" else
            "pods that Slurm can't take, or that are not theirs to use, are not refused",
            "apply deploy/webhook.yaml",
        )  # fmt: skip
    bare = [str(one.get("name")) for one in ours
            if not (one.get("clientConfig") or {}).get("caBundle")]  # fmt: skip
    if bare:
        return Finding(
            name, "breaks", f"no caBundle in {texts.some_of(tuple(bare), _MOST)}",
            "the API server does not trust the bridge's certificate: pods are refused",
            "put the CA of the bridge's certificate there",
        )  # fmt: skip
    targets = sorted({_target(one) for one in ours})
    return Finding(name, "ok", f"calls {', '.join(targets)}, with a CA")


def _target(webhook: Mapping[str, Any]) -> str:
    """Whom the webhook calls: a service, or a URL's host."""
    config = webhook.get("clientConfig") or {}
    service = config.get("service") or {}
    if service:
        return f"service {service.get('namespace')}/{service.get('name')}"
    return str(config.get("url") or "").partition("://")[2].partition("/")[0]


def _path(webhook: Mapping[str, Any]) -> str:
    """The path that the webhook calls, of its service or of its URL."""
    config = webhook.get("clientConfig") or {}
    service = config.get("service") or {}
    if service:
        return str(service.get("path") or "/")
    _, _, rest = str(config.get("url") or "").partition("://")
    return "/" + rest.partition("/")[2]


def _scheduler(side: KubernetesSide) -> Finding:
    name = "kube-scheduler"
    if side.scheduler_seen:
        return Finding(name, "ok", f"{side.scheduler_name} was at work lately")
    return Finding(
        name, "unseen", f"nothing shows that a kube-scheduler runs as {side.scheduler_name}",
        "pods that Slurm has placed are not bound without it",
        "see that one runs with deploy/kube-scheduler-config.yaml",
    )  # fmt: skip
