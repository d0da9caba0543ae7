"""docs/workloads.md's table of what is refused: all of it is, and nothing else."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from bridge.admission.accounts import Accounts
from bridge.admission.identity_validator import IdentityValidator, NothingKnown
from bridge.admission.review import Reviewer
from bridge.admission.scope import Scope
from bridge.jobs import identity
from bridge.model.namespace import Namespace
from bridge.slurm import Association, AssociationLimits
from tests.unit.admission.manifests import (
    ManifestBuilder,
    a_manifest,
    a_namespace,
    pin_term,
    response,
    review,
)

DOCS = Path(__file__).parents[3] / "docs" / "workloads.md"
DRA = "deviceclass.resource.kubernetes.io/"
GATE = "scheduler.slinky.slurm.net/allocation"
JOB_ID = "scheduler.slinky.slurm.net/slurm-jobid"
GANG = "scheduler.slinky.slurm.net/gang"
NODE = "slinky.slurm.net/slurm-node"
TEAM = a_namespace(user="alice:hpc", accounts="physics", partitions="gpu", qos="normal")
ANY = a_namespace(user="alice:hpc")


def table() -> dict[str, str]:
    """what → at, as the docs have it."""
    section = DOCS.read_text().split("## What is refused")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| (.+?) \| .+ \|$", section, re.MULTILINE)
    return {what: at.strip("`") for what, at in rows if what != "what"}


class Slurmdbd(NothingKnown):
    """alice has `accounts` with QOS normal."""

    def __init__(self, *accounts: str) -> None:
        limits = AssociationLimits(qos=("normal",))
        rows = tuple(
            Association(1, "c", one, user="alice", is_default=True, limits=limits)
            for one in accounts
        )
        self.known = Accounts(of_user={"alice": rows}, qos_enforced=True)


@dataclass
class Case:
    """A request that has to be refused."""

    pod: ManifestBuilder
    namespace: Namespace = TEAM
    identity_validator: IdentityValidator = IdentityValidator()
    old: ManifestBuilder | None = None
    sub_resource: str = ""
    uses_nodes: Literal["Pod", "DaemonSet", ""] = ""
    """The kind that the webhook about the use of nodes is asked about."""

    async def told(self) -> dict[str, Any]:
        """The webhook's answer."""
        reviewer = Reviewer(
            pods=Scope(managed_namespaces=frozenset({"team"})),
            namespaces={"team": self.namespace},
            identity_validator=self.identity_validator,
            bridge_users=frozenset({"bridge"}),
        )
        body = review(
            self.pod.build(),
            old=None if self.old is None else self.old.build(),
            operation="CREATE" if self.old is None else "UPDATE",
            sub_resource=self.sub_resource,
        )
        if not self.uses_nodes:
            return response(await reviewer.validate(body))
        if self.uses_nodes == "DaemonSet":
            request = json.loads(body)
            request["request"]["kind"] = {"group": "apps", "version": "v1", "kind": "DaemonSet"}
            request["request"]["object"] = {"spec": {"template": self.pod.build()}}
            body = json.dumps(request).encode()
        return response(await reviewer.validate_use_of_nodes(body))


def wishes(**suffixes: str) -> ManifestBuilder:
    return a_manifest().wishing(**suffixes)


def knowing(*accounts: str) -> IdentityValidator:
    return IdentityValidator(associations=Slurmdbd(*accounts))


def ours() -> ManifestBuilder:
    return a_manifest().ours()


placed = {"scheduler.slinky.slurm.net/slurm-jobid": "7"}
CASES: dict[str, Callable[[], Case]] = {
    "a node chosen beforehand": lambda: Case(a_manifest().on_node("n1")),
    "a job id of another pod": lambda: Case(a_manifest().with_labels(placed)),
    "a granted node of another pod": lambda: Case(a_manifest().annotated({NODE: "n1"})),
    "a gang of another pod": lambda: Case(a_manifest().annotated({GANG: "team/uid"})),
    "a DaemonSet that names our scheduler": lambda: Case(ours().owned_by("DaemonSet")),
    "a DaemonSet that tolerates the taint of Slurm's nodes": lambda: Case(
        a_manifest().tolerating({"operator": "Exists"}), uses_nodes="DaemonSet"
    ),
    "a pod of another scheduler that tolerates this taint": lambda: Case(
        a_manifest().tolerating({"operator": "Exists"}), uses_nodes="Pod"
    ),
    "DRA claims": lambda: Case(a_manifest().spec_field("resourceClaims", [{"name": "gpu"}])),
    "a DeviceClass that Slurm's allocations can't name": lambda: Case(
        a_manifest().with_limits({DRA + "tpu.example.org": "1"})
    ),
    "CPUs as `cpu` and as DeviceClass `dra.cpu`": lambda: Case(
        a_manifest().with_limits({DRA + "dra.cpu": "2", "cpu": "2"})
    ),
    "annotation `cpu-per-task` beside DeviceClass `dra.cpu`": lambda: Case(
        wishes(cpu_per_task="2").with_limits({DRA + "dra.cpu": "2"})
    ),
    "annotation `gres` beside a DeviceClass of GPUs": lambda: Case(
        wishes(gres="gpu:1").with_limits({DRA + "gpu.nvidia.com": "1"})
    ),
    "an annotation that can't be read": lambda: Case(wishes(timelimit="soon")),
    "`min-nodes` above `max-nodes`": lambda: Case(wishes(min_nodes="4", max_nodes="2")),
    "more of something than the bridge reads ([limits](security.md#limits))": lambda: Case(
        a_manifest().spec_field("volumes", [{"persistentVolumeClaim": {}}] * 257)
    ),
    "an account that the namespace does not allow": lambda: Case(wishes(account="bio")),
    "a partition that the namespace does not allow": lambda: Case(wishes(partition="cpu")),
    "a QOS that the namespace does not allow": lambda: Case(wishes(qos="high")),
    "another user than the namespace's": lambda: Case(wishes(user_id="root")),
    "another group than the namespace's": lambda: Case(wishes(group_id="root")),
    "a priority of its own, unless `identity.podsSetPriority` is on": lambda: Case(
        wishes(priority="9")
    ),
    "a namespace that names no user, where one is required": lambda: Case(
        a_manifest(), a_namespace(), IdentityValidator(identity.Rules(required=True))
    ),
    "a namespace whose annotation can't be read": lambda: Case(
        a_manifest(), a_namespace(user="alice")
    ),
    "an account that the user does not have in slurmdbd": lambda: Case(
        wishes(account="bio"), ANY, knowing("physics")
    ),
    "a QOS that the account does not have in slurmdbd": lambda: Case(
        wishes(qos="high"), ANY, knowing("physics")
    ),
    "a user without any account in slurmdbd": lambda: Case(a_manifest(), ANY, knowing()),
    "a pod that changes its size (`pods/resize`)": lambda: Case(
        ours(), old=ours(), sub_resource="resize"
    ),
    "our gate taken off by hand": lambda: Case(ours(), old=ours().gated(GATE)),
    "our pin changed by hand": lambda: Case(
        ours().required_terms(pin_term("n2")), old=ours().required_terms(pin_term("n1"))
    ),
    "our job id changed by hand": lambda: Case(ours(), old=ours().with_labels(placed)),
    "our node changed by hand": lambda: Case(
        ours().annotated({NODE: "n2"}), old=ours().annotated({NODE: "n1"})
    ),
    "our gang changed by hand": lambda: Case(ours().annotated({GANG: "team/uid"}), old=ours()),
}


def test_the_table_is_whole() -> None:
    """Each line of the docs has its case here, and each case its line."""
    assert table().keys() == CASES.keys()


@pytest.mark.parametrize("what", CASES)
async def test_each_line_is_refused(what: str) -> None:
    """For that one reason, at the field that the docs name."""
    told = await CASES[what]().told()
    assert told["allowed"] is False
    assert told["status"]["message"].startswith(table()[what] + ": ")


async def test_ephemeral_containers() -> None:
    """They take no resources, so they are allowed even if somebody's rules ask us."""
    debugger = [{"name": "debug", "image": "busybox", "targetContainerName": "main"}]
    new = ours().gated(GATE).spec_field("ephemeralContainers", debugger)
    told = await Case(new, old=ours().gated(GATE), sub_resource="ephemeralcontainers").told()
    assert told["allowed"] is True
