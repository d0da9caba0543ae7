"""Pods made of honoured features: none is refused, each becomes the bridge's and nothing else."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.admission.identity_validator import IdentityValidator
from bridge.admission.review import Reviewer
from bridge.admission.scope import Scope
from bridge.gangs import annotations
from bridge.jobs import identity
from tests.unit.admission import honoured
from tests.unit.admission.manifests import a_namespace, patched, response, review

TEAM = a_namespace(
    user="alice:hpc", accounts="physics,chem", partitions="gpu,cpu", qos="normal,high"
)
REVIEWER = Reviewer(
    pods=Scope(managed_namespaces=frozenset({"team"})),
    namespaces={"team": TEAM},
    identity_validator=IdentityValidator(identity.Rules(pods_set_priority=True)),
)
GATE = {"name": "scheduler.slinky.slurm.net/allocation"}


@given(pod=honoured.pods, dry_run=st.booleans())
async def test_none_is_refused(pod: dict[str, Any], dry_run: bool) -> None:
    """Neither as its author wrote it nor as it looks after us; and nobody is warned."""
    mutated = response(await REVIEWER.mutate(review(pod, dry_run=dry_run)))
    assert mutated["allowed"] is True
    after = patched(pod, mutated["patch"])
    for one in (pod, after):
        told = response(await REVIEWER.validate(review(one, dry_run=dry_run)))
        assert told == {"uid": "review-1", "allowed": True}


@given(honoured.pods)
async def test_nothing_of_the_authors_is_lost(pod: dict[str, Any]) -> None:
    """Scheduler, gate and toleration are added to what was there; a second call adds nothing."""
    mutated = response(await REVIEWER.mutate(review(pod)))
    after = patched(pod, mutated["patch"])
    assert "patch" not in response(await REVIEWER.mutate(review(after)))
    spec, before = after.pop("spec"), pod["spec"]
    assert after == {key: value for key, value in pod.items() if key != "spec"}
    assert spec.pop("schedulerName") == "slurm-bridge-scheduler"
    assert spec.pop("schedulingGates") == [*before.get("schedulingGates", ()), GATE]
    *theirs, managed, drained = spec.pop("tolerations")
    assert theirs == list(before.get("tolerations", ()))
    assert managed["key"] == "slinky.slurm.net/managed-node"
    assert drained["key"] == "slinky.slurm.net/drained"
    added = ("schedulerName", "schedulingGates", "tolerations")
    assert spec == {key: value for key, value in before.items() if key not in added}


@pytest.mark.parametrize("suffix", honoured.ANNOTATIONS)
def test_every_annotation_is_known(suffix: str) -> None:
    """What is drawn is what the bridge reads."""
    assert annotations.unknown({honoured.PREFIX + suffix: "x"}) == ()


@given(honoured.pods)
async def test_the_answer_is_of_the_request_alone(pod: dict[str, Any]) -> None:
    """The same body gets the same answer, whatever was asked before: reinvocation is safe."""
    body = review(pod)
    first = [await call(body) for call in (REVIEWER.mutate, REVIEWER.validate)]
    again = [await call(body) for call in (REVIEWER.mutate, REVIEWER.validate)]
    assert first == again
