"""Slurm's side: its configuration, partitions, nodes, and who we are there."""

import base64
import binascii
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bridge import slurm
from bridge.model import texts
from bridge.model.devices import ResourceMap, split
from bridge.model.node import Node
from bridge.nodes import sinks
from bridge.preflight.finding import Finding

_MOST = 5
"""The most names that one sentence has."""
_OLDEST: Final = "v0.0.44"
"""The REST version that came with Slurm 25.11."""
_ENOUGH_TOKENS = 1000
_NEEDS_45: Final = "slurmrestd tells its configuration since REST v0.0.45 (Slurm 26.05)"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmSide:
    """What was read of Slurm, and the settings that matter there."""

    version: str
    """The REST version that is spoken."""
    configuration: Mapping[str, Any] | None
    """slurm.conf under Slurm's own names; None where slurmrestd does not tell."""
    partitions: Sequence[slurm.Partition]
    qos: Sequence[slurm.Qos]
    """Empty where there is no accounting."""
    nodes: Sequence[slurm.SlurmNode]
    user: str
    """Who the token is; "" if that can't be told."""
    admin_level: str | None
    """The user's AdminLevel in the accounting; None if that can't be read."""
    kube_nodes: Sequence[Node]
    """The Kubernetes nodes that are to be registered."""
    partition: str
    """The setting `partition`."""
    resource_map: Mapping[str, str]

    @property
    def external(self) -> list[slurm.SlurmNode]:
        """The external nodes that are registered."""
        return [node for node in self.nodes if node.external]

    @property
    def sink(self) -> bool:
        """Whether a sink answers for external nodes."""
        return bool(sinks.answered(self.nodes))

    def parameters(self, key: str) -> list[str]:
        """A value of slurm.conf that is a list."""
        found = (self.configuration or {}).get(key) or []
        return [str(one) for one in found] if isinstance(found, list) else str(found).split(",")


def check(side: SlurmSide) -> list[Finding]:
    """All checks of Slurm's side, in the order in which an admin would mend things."""
    return [finding for one in _CHECKS for finding in one(side)]


def token_user(token: str) -> str:
    """The user whom a JWT names (`sun`, or `username`); "" if it names none."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, binascii.Error):
        return ""
    found = claims.get("sun") or claims.get("username") if isinstance(claims, dict) else None
    return found if isinstance(found, str) else ""


def _version(side: SlurmSide) -> list[Finding]:
    new = tuple(map(int, side.version[1:].split("."))) >= tuple(map(int, _OLDEST[1:].split(".")))
    if new:
        return [Finding("Slurm's version", "ok", f"REST {side.version}")]
    return [
        Finding(
            "Slurm's version",
            "breaks",
            f"REST {side.version}",
            "Slurm before 25.11 has no external jobs",
            "upgrade Slurm to 25.11 or later",
        )
    ]


def _token(side: SlurmSide) -> list[Finding]:
    name, slurm_user = "token's user", (side.configuration or {}).get("SlurmUser")
    shown = side.user or "not named by the token"
    level = side.admin_level or ""
    if level in ("Operator", "Administrator"):
        return [Finding(name, "ok", f"{shown} ({level})")]
    if side.user in ("root", slurm_user):
        return [Finding(name, "ok", f"{shown}, who may do everything in Slurm")]
    if side.admin_level is None or not side.user or slurm_user is None:
        return [
            Finding(
                name,
                "unseen",
                f"{shown}; whether it is an operator can't be read",
                to_do="see that it is SlurmUser, an operator or an administrator",
            )
        ]
    return [
        Finding(
            name,
            "breaks",
            f"{shown} (AdminLevel {level})",
            "it may submit jobs for no other user, register no nodes, and slurmrestd hangs when it "
            "cancels jobs of others",
            f"sacctmgr modify user {shown} set AdminLevel=Operator, or a token of SlurmUser",
        )
    ]


def _partition(side: SlurmSide) -> list[Finding]:
    name, known = "partition of the settings", {one.name: one for one in side.partitions}
    if not side.partition:
        return [Finding(name, "ok", "Slurm's default")]
    found = known.get(side.partition)
    if found is None:
        return [
            Finding(
                name,
                "breaks",
                f"{side.partition} does not exist",
                "no pod without a partition of its own is queued",
                "create it, or correct the setting `partition`",
            )
        ]
    if not found.up:
        return [
            Finding(name, "breaks", f"{found.name} is {found.state}", "no pod starts",
                    f"scontrol update partition={found.name} state=UP")
        ]  # fmt: skip
    return [Finding(name, "ok", found.name)]


def _sink(side: SlurmSide) -> list[Finding]:
    if side.sink:
        lacking = {node.name for node in side.external} - sinks.answered(side.nodes)
        if not lacking:
            return [Finding("sink", "ok", "answers for all external nodes")]
        return [
            Finding(
                "sink",
                "costs",
                f"does not answer for {_some(lacking)}: they have another address",
                "running gangs give nothing back there",
                "set nodes.address, and drain these nodes until they are registered again",
            )
        ]
    return [
        Finding(
            "sink",
            "costs",
            "there is none",
            "running gangs give no nodes back; Slurm gives up nodes for some seconds after a "
            "preemption with GraceTime, scontrol suspend, or an admin's shrink",
            "docs/nodes.md, The sink",
        )
    ]


def _grace(side: SlurmSide) -> list[Finding]:
    """That of partitions or that of QOS counts, as PreemptType says; both if it is not known."""
    goes_by = side.parameters("PreemptType")
    with_grace: list[str] = []
    if "preempt/qos" not in goes_by:
        with_grace += [f"{one.name} ({one.grace_s} s)" for one in side.partitions if one.grace_s]
    if "preempt/partition_prio" not in goes_by:
        with_grace += [
            f"QOS {one.name} ({one.limits.grace_s} s)" for one in side.qos if one.limits.grace_s
        ]
    if not with_grace:
        return [Finding("GraceTime", "ok", "no job that is preempted has it")]
    found = _some(with_grace)
    if side.sink:
        return [Finding("GraceTime", "ok", found)]
    return [
        Finding(
            "GraceTime",
            "costs",
            f"{found}, without a sink",
            "Slurm gives up the nodes of each job that is preempted, until the bridge has "
            "registered them again",
            "run a sink, or set GraceTime=0",
        )
    ]


def _preempt_mode(side: SlurmSide) -> list[Finding]:
    bad = {"GANG", "SUSPEND"}
    found = [f"PreemptMode={one}" for one in side.parameters("PreemptMode") if one in bad]
    found += [
        f"{one.name}: {mode}" for one in side.partitions
        for mode in sorted(bad & (one.preempt_modes or frozenset()))
    ]  # fmt: skip
    if found:
        return [
            Finding(
                "PreemptMode",
                "breaks",
                _some(found),
                "Slurm gives resources away while the pods still use them",
                "PreemptMode=CANCEL or REQUEUE",
            )
        ]
    if side.configuration is None:
        return [Finding("PreemptMode", "unseen", _NEEDS_45)]
    return [Finding("PreemptMode", "ok", ",".join(side.parameters("PreemptMode")) or "OFF")]


def _over_subscribe(side: SlurmSide) -> list[Finding]:
    name = "OverSubscribe"
    if all(one.over_subscribe is None for one in side.partitions):
        return [Finding(name, "unseen", _NEEDS_45)]
    forced = [one.name for one in side.partitions if (one.over_subscribe or "").startswith("FORCE")]
    alone = [
        one.name for one in side.partitions
        if one.over_subscribe == "EXCLUSIVE" or (one.exclusive or "NO") not in ("NO", "")
    ]  # fmt: skip
    findings = []
    if forced:
        findings.append(
            Finding(name, "breaks", f"FORCE in {_some(forced)}", "Slurm gives one CPU to two jobs",
                    "OverSubscribe=NO")
        )  # fmt: skip
    if alone:
        findings.append(
            Finding(name, "costs", f"EXCLUSIVE in {_some(alone)}", "each job has whole nodes",
                    "OverSubscribe=NO, unless that is meant")
        )  # fmt: skip
    return findings or [Finding(name, "ok", "no partition gives CPUs twice or whole nodes only")]


def _threads(side: SlurmSide) -> list[Finding]:
    name = "threads of external nodes"
    several = [node.name for node in side.external if int(node.raw.get("threads") or 1) > 1]
    if several:
        return [
            Finding(
                name,
                "costs",
                f"more than one per core on {_some(several)}",
                "a job of one CPU takes a whole core: the node is full half-way",
                "delete these nodes in Slurm once they are idle: the bridge makes them anew",
            )
        ]
    return [Finding(name, "ok", f"one per core on {len(side.external)} nodes")]


def _memory(side: SlurmSide) -> list[Finding]:
    findings = []
    if side.configuration is None:
        findings.append(Finding("memory is counted", "unseen", _NEEDS_45))
    else:
        found = ",".join(side.parameters("SelectTypeParameters"))
        if "MEMORY" in found.upper():
            findings.append(Finding("memory is counted", "ok", found))
        else:
            findings.append(
                Finding(
                    "memory is counted",
                    "costs",
                    f"SelectTypeParameters={found or '(none)'}",
                    "Slurm grants nodes without room; the bridge gives these grants back",
                    "SelectTypeParameters=CR_Core_Memory",
                )
            )
    without = [
        one.name for one in side.partitions
        if not (one.def_mem_per_cpu_mib or one.def_mem_per_node_mib) and one.total_nodes
    ]  # fmt: skip
    if without:
        findings.append(
            Finding(
                "DefMem*",
                "costs",
                f"none in {_some(without)}",
                "a native job that names no memory gets that of whole nodes; pods get the setting "
                "defaults.memory",
                "DefMemPerCPU in these partitions",
            )
        )
    else:
        findings.append(Finding("DefMem*", "ok", "in each partition with nodes"))
    return findings


def _rate(side: SlurmSide) -> list[Finding]:
    name = "rate limit"
    if side.configuration is None:
        return [Finding(name, "unseen", _NEEDS_45)]
    found = [one for one in side.parameters("SlurmctldParameters") if one.startswith("rl_")]
    if "rl_enable" not in found:
        return [Finding(name, "ok", "off")]
    sizes = [one.partition("=")[2] for one in found if one.startswith("rl_bucket_size=")]
    size = int(sizes[0]) if sizes and sizes[0].isdigit() else 30
    shown = f"rl_enable with {size} requests at once"
    if size >= _ENOUGH_TOKENS:
        return [Finding(name, "ok", shown)]
    return [
        Finding(
            name,
            "costs",
            shown,
            "all pods' jobs are the requests of one user, who has to wait",
            f"rl_bucket_size={_ENOUGH_TOKENS} and rl_refill_rate=100, or without rl_enable",
        )
    ]


def _gres(side: SlurmSide) -> list[Finding]:
    if side.configuration is None:
        return [Finding("GresTypes", "unseen", _NEEDS_45)]
    known = set(side.parameters("GresTypes"))
    gres = ResourceMap(side.resource_map)
    lacking = {
        f"{split(gres[resource])[0]} (for {resource})"
        for node in side.kube_nodes
        for resource, count in node.allocatable.extended
        if count and resource in gres and split(gres[resource])[0] not in known
    }
    if lacking:
        return [
            Finding(
                "GresTypes",
                "costs",
                f"lacks {_some(lacking)}, which nodes have",
                "Slurm does not count them: the bridge alone does, and no fair share knows of them",
                "add them to GresTypes and restart slurmctld",
            )
        ]
    return [Finding("GresTypes", "ok", ",".join(sorted(known)) or "none")]


def _node_count(side: SlurmSide) -> list[Finding]:
    if side.configuration is None:
        return [Finding("MaxNodeCount", "unseen", _NEEDS_45)]
    most = side.configuration.get("MaxNodeCount")
    registered = {node.name for node in side.nodes}
    needed = len(registered | {node.slurm_name for node in side.kube_nodes})
    if not isinstance(most, int):
        return [Finding("MaxNodeCount", "unseen", f"Slurm does not tell; {needed} are needed")]
    if most >= needed:
        return [Finding("MaxNodeCount", "ok", f"{most}, for {needed} nodes")]
    return [
        Finding(
            "MaxNodeCount",
            "breaks",
            f"{most}, for {needed} nodes",
            "Slurm refuses to register the others",
            "raise it and restart slurmctld",
        )
    ]


def _tree_width(side: SlurmSide) -> list[Finding]:
    if side.configuration is None:
        return [Finding("TreeWidth", "unseen", _NEEDS_45)]
    width = side.configuration.get("TreeWidth")
    if not side.sink or not isinstance(width, int) or width >= len(side.external):
        return [Finding("TreeWidth", "ok", str(width))]
    return [
        Finding(
            "TreeWidth",
            "costs",
            f"{width}, with {len(side.external)} external nodes",
            "a sink does not hand messages on: where Slurm speaks to more nodes at a time (an "
            "admin's shrink), it gives up the others for some seconds",
            "TreeWidth=65533",
        )
    ]


def _some(names: Collection[str]) -> str:
    return texts.some_of(tuple(sorted(names)), _MOST)


_CHECKS: Final[tuple[Callable[[SlurmSide], list[Finding]], ...]] = (
    _version, _token, _partition, _node_count, _preempt_mode, _over_subscribe, _sink, _grace,
    _tree_width, _threads, _memory, _rate, _gres,
)  # fmt: skip
