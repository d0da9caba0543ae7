"""Who a pod would be in Slurm, as admission judges it."""

from collections.abc import Mapping
from typing import Any

import pytest

from bridge.admission.accounts import Accounts
from bridge.admission.identity_validator import IdentityValidator
from bridge.admission.review import Reviewer
from bridge.admission.scope import Scope
from bridge.jobs import identity
from bridge.model.namespace import Namespace
from bridge.slurm import Association, AssociationLimits
from tests.unit.admission.manifests import (
    ManifestBuilder,
    a_manifest,
    a_namespace,
    response,
    review,
)

PREFIX = "slurmjob.slinky.slurm.net/"
TEAM = a_namespace(user="alice:hpc", accounts="physics,chem", partitions="gpu", qos="normal")


class Known:
    """What was read of slurmdbd, and whether a newer look was asked for."""

    def __init__(self, *accounts: str, default: str = "") -> None:
        rows = tuple(
            Association(
                1, "c", account, user="alice", is_default=account == default,
                limits=AssociationLimits(qos=("normal",)),
            )
            for account in accounts
        )  # fmt: skip
        self.known = Accounts(of_user={"alice": rows}, qos_enforced=True)
        self.triggered = 0

    def trigger(self) -> None:
        self.triggered += 1


def reviewer(identity_validator: IdentityValidator, namespace: Namespace = TEAM) -> Reviewer:
    return Reviewer(
        pods=Scope(managed_namespaces=frozenset({"team"})),
        namespaces={"team": namespace},
        identity_validator=identity_validator,
        bridge_users=frozenset({"bridge"}),
    )


async def judged(
    pod: ManifestBuilder, identity_validator: IdentityValidator, namespace: Namespace = TEAM
) -> str:
    """The refusal; "" when it is allowed."""
    told = response(await reviewer(identity_validator, namespace).validate(review(pod.build())))
    return "" if told["allowed"] else str(told["status"]["message"])


@pytest.mark.parametrize(
    "wishes",
    [{}, {"account": "chem"}, {"partition": "gpu"}, {"qos": "normal"}, {"user_id": "alice"}],
)
async def test_what_the_namespace_allows(wishes: dict[str, str]) -> None:
    """Taken without a word."""
    assert await judged(a_manifest().wishing(**wishes), IdentityValidator()) == ""


async def test_everything_else_at_once() -> None:
    """Each under its own annotation, once."""
    pod = a_manifest().wishing(account="bio", partition="cpu", qos="high", user_id="root")
    told = await judged(pod, IdentityValidator())
    for suffix in ("account", "partition", "qos", "user-id"):
        assert told.count(f"metadata.annotations[{PREFIX}{suffix}]: ") == 1
        assert f"]: annotation {PREFIX}" not in told


async def test_run_as_user_decides_nothing() -> None:
    """A number inside a container is nobody in Slurm."""
    pod = a_manifest().spec_field("securityContext", {"runAsUser": 0, "runAsGroup": 0})
    assert await judged(pod, IdentityValidator(), TEAM) == ""


async def test_a_namespace_that_can_not_be_read() -> None:
    """Its pods are nobody one could tell: refused, with what its admin has to correct."""
    told = await judged(a_manifest(), IdentityValidator(), a_namespace(user="al ice"))
    assert f"annotation {PREFIX}user of namespace team: 'al ice': write user:group" in told
    assert "ask the namespace's admin" in told


async def test_a_required_user() -> None:
    """As the settings say; an owner may still name one where pods choose."""
    strict = identity.Rules(required=True)
    assert "names no Slurm user" in await judged(
        a_manifest(), IdentityValidator(strict), a_namespace()
    )
    free = IdentityValidator(identity.Rules(required=True, pods_choose_user=True))
    owned = a_manifest().owned_by("Job")
    assert await judged(owned, free, a_namespace()) == ""
    assert "names no Slurm user" in await judged(a_manifest(), free, a_namespace())


async def test_a_namespace_that_is_not_known_yet() -> None:
    """Its pods are let in: the controller knows it before it submits."""
    unknown = Reviewer(
        pods=Scope(managed_namespaces=frozenset({"team"})),
        namespaces={},
        identity_validator=IdentityValidator(identity.Rules(required=True)),
    )
    assert response(await unknown.validate(review(a_manifest().build())))["allowed"] is True


@pytest.mark.parametrize(
    ("pod", "known", "said"),
    [
        (a_manifest(), Known("physics", default="physics"), ""),
        (a_manifest(), Known("chem", default="chem"), "account physics. The user's accounts are"),
        (
            a_manifest().wishing(account="chem"),
            Known("physics"),
            "Slurm refuses jobs of user alice",
        ),
        (a_manifest(), Known(), "alice, who has no account"),
        # An owner that we don't see may name any that the namespace allows.
        (a_manifest().owned_by("Job"), Known("chem"), ""),
        (a_manifest().owned_by("Job"), Known("bio"), "account physics or chem"),
        (a_manifest().owned_by("Job").wishing(account="physics"), Known("chem"), "The user's"),
    ],
)
async def test_what_slurm_would_refuse(pod: ManifestBuilder, known: Known, said: str) -> None:
    """Refused at once; and what was read may be old, so it is read again soon."""
    told = await judged(pod, IdentityValidator(associations=known))
    assert (said in told) if said else told == ""
    assert known.triggered == bool(said)


async def test_the_settings_partition() -> None:
    """Where nobody names one, associations are asked for the settings' partition."""
    known = Known()
    row = Association(1, "c", "physics", user="alice", partition="cpu", is_default=True)
    known.known = Accounts(of_user={"alice": (row,)})
    identity_validator = IdentityValidator(partition="slurm-bridge", associations=known)
    told = await judged(a_manifest(), identity_validator, a_namespace(user="alice:hpc"))
    assert "no account for partition slurm-bridge" in told
    cpu = a_manifest().wishing(partition="cpu")
    assert await judged(cpu, identity_validator, a_namespace(user="alice:hpc")) == ""


@pytest.mark.parametrize(
    ("before", "after", "user", "said"),
    [
        ({}, {"account": "bio"}, "alice", f"metadata.annotations[{PREFIX}account]: 'bio'"),
        ({}, {"account": "chem"}, "alice", ""),
        ({}, {"account": "bio"}, "bridge", ""),
        ({"account": "bio"}, {"account": "bio"}, "alice", ""),
        ({"account": "bio"}, {"account": "bio", "timelimit": "5"}, "alice", ""),
        ({"account": "chem"}, {}, "alice", ""),
    ],
)
async def test_an_update(
    before: Mapping[str, str], after: Mapping[str, str], user: str, said: str
) -> None:
    """Only what the update changed is judged: a controller's must not fail over an old mistake."""
    old: Any = a_manifest().ours().wishing(**before).build()
    new = a_manifest().ours().wishing(**after).labelled(a="b").build()
    told = response(
        await reviewer(IdentityValidator()).validate(
            review(new, old=old, operation="UPDATE", user=user)
        )
    )
    assert told["allowed"] is not bool(said)
    if said:
        assert said in told["status"]["message"]
