"""What in Slurm would break the bridge, or costs something."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from bridge.model.ids import SlurmNodeName
from bridge.preflight import slurm_side
from bridge.preflight.finding import Finding
from bridge.preflight.slurm_side import SlurmSide
from bridge.slurm import Partition, Qos, QosLimits, SlurmNode
from tests.builders import a_node

PARTITION = Partition(
    "slurm-bridge", def_mem_per_cpu_mib=1024, over_subscribe="NO", exclusive="NO",
    preempt_modes=frozenset({"CLUSTER_GLOBAL"}), total_nodes=2,
)  # fmt: skip
N2 = SlurmNodeName("n2")
SINK = SlurmNode(SlurmNodeName("sink"), frozenset({"IDLE"}), address="sink", port=6818)
EXTERNAL = SlurmNode(
    SlurmNodeName("n1"), frozenset({"IDLE", "EXTERNAL"}), address="sink", port=6818,
    raw={"threads": 1},
)  # fmt: skip
CONF: dict[str, Any] = {
    "SlurmUser": "slurm",
    "PreemptMode": ["CANCEL"],
    "PreemptType": "preempt/partition_prio",
    "SelectTypeParameters": ["CR_CORE_MEMORY"],
    "SlurmctldParameters": [],
    "GresTypes": ["gpu"],
    "MaxNodeCount": 100,
    "TreeWidth": 65533,
}
GOOD = SlurmSide(
    version="v0.0.45", configuration=CONF, partitions=[PARTITION], qos=[], nodes=[SINK, EXTERNAL],
    user="slurm", admin_level="None", kube_nodes=[a_node("n1")], partition="slurm-bridge",
    resource_map={"nvidia.com/gpu": "gpu", "vpc.amazonaws.com/efa": "efa"},
)  # fmt: skip


def conf(**changes: Any) -> SlurmSide:
    """A good Slurm, configured otherwise in something."""
    return replace(GOOD, configuration={**CONF, **changes})


def part(**changes: Any) -> SlurmSide:
    """A good Slurm whose partition is otherwise."""
    return replace(GOOD, partitions=[replace(PARTITION, **changes)])


def bad(side: SlurmSide) -> list[Finding]:
    """All findings but the good ones."""
    return [one for one in slurm_side.check(side) if one.level != "ok"]


def test_a_good_slurm_has_nothing_to_mend() -> None:
    """Each check says what it has found."""
    assert bad(GOOD) == []
    assert all(one.found for one in slurm_side.check(GOOD))


@pytest.mark.parametrize(
    ("side", "check", "level", "words"),
    [
        (replace(GOOD, version="v0.0.43"), "Slurm's version", "breaks", "v0.0.43"),
        (replace(GOOD, user="bob"), "token's user", "breaks", "bob"),
        (replace(GOOD, user="bob", admin_level=None), "token's user", "unseen", "bob"),
        (replace(GOOD, partition="gone"), "partition of the settings", "breaks", "gone"),
        (part(state="DOWN"), "partition of the settings", "breaks", "DOWN"),
        (conf(MaxNodeCount=1), "MaxNodeCount", "breaks", "1, for 2 nodes"),
        (conf(PreemptMode=["GANG", "SUSPEND"]), "PreemptMode", "breaks", "GANG"),
        (part(preempt_modes=frozenset({"SUSPEND"})), "PreemptMode", "breaks", "slurm-bridge"),
        (part(over_subscribe="FORCE:4"), "OverSubscribe", "breaks", "slurm-bridge"),
        (part(over_subscribe="EXCLUSIVE"), "OverSubscribe", "costs", "EXCLUSIVE"),
        (part(exclusive="YES"), "OverSubscribe", "costs", "EXCLUSIVE"),
        (replace(GOOD, nodes=[EXTERNAL]), "sink", "costs", "none"),
        (
            replace(GOOD, nodes=[SINK, EXTERNAL, replace(EXTERNAL, name=N2, address="x")]),
            "sink", "costs", "n2",
        ),
        (conf(TreeWidth=0), "TreeWidth", "costs", "0, with 1"),
        (
            replace(GOOD, nodes=[SINK, replace(EXTERNAL, raw={"threads": 2})]),
            "threads of external nodes", "costs", "n1",
        ),
        (conf(SelectTypeParameters=["CR_CORE"]), "memory is counted", "costs", "CR_CORE"),
        (part(def_mem_per_cpu_mib=None), "DefMem*", "costs", "slurm-bridge"),
        (conf(SlurmctldParameters=["rl_enable"]), "rate limit", "costs", "30 requests"),
        (conf(GresTypes=[]), "GresTypes", "costs", "gpu (for nvidia.com/gpu)"),
    ],
)  # fmt: skip
def test_what_is_otherwise_is_found(side: SlurmSide, check: str, level: str, words: str) -> None:
    """With what it costs and what to do."""
    (found,) = bad(side)
    assert (found.check, found.level) == (check, level)
    assert words in found.found
    assert found.to_do
    assert found.costs or level == "unseen"


def test_grace_without_a_sink_is_told_for_each_partition() -> None:
    """With a sink it costs nothing."""
    with_grace = replace(PARTITION, grace_s=60)
    assert bad(replace(GOOD, partitions=[with_grace])) == []
    found = bad(replace(GOOD, partitions=[with_grace], nodes=[EXTERNAL]))
    assert [one.check for one in found] == ["sink", "GraceTime"]
    assert "slurm-bridge (60 s)" in found[1].found


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("preempt/partition_prio", ["slurm-bridge (60 s)"]),
        ("preempt/qos", ["QOS low (30 s)"]),
        (None, ["QOS low (30 s)", "slurm-bridge (60 s)"]),
    ],
)
def test_the_grace_that_counts_is_told(kind: str | None, found: list[str]) -> None:
    """PreemptType says whether it is that of partitions or that of QOS."""
    side = replace(
        GOOD,
        configuration={**CONF, "PreemptType": kind},
        partitions=[replace(PARTITION, grace_s=60)],
        qos=[Qos(1, "low", QosLimits(grace_s=30)), Qos(2, "normal", QosLimits(grace_s=0))],
        nodes=[EXTERNAL],
    )
    (told,) = [one for one in bad(side) if one.check == "GraceTime"]
    assert told.found == ", ".join(found) + ", without a sink"


@pytest.mark.parametrize("level", ["Operator", "Administrator"])
def test_an_operators_token_will_do(level: str) -> None:
    """As SlurmUser's."""
    assert bad(replace(GOOD, user="bridge", admin_level=level)) == []


def test_a_large_budget_is_enough() -> None:
    """Of requests."""
    assert bad(conf(SlurmctldParameters=["rl_enable", "rl_bucket_size=5000"])) == []


def test_what_an_older_slurmrestd_does_not_tell_is_said_plainly() -> None:
    """Nothing is called good that was not seen."""
    old = replace(
        GOOD, version="v0.0.44", configuration=None,
        partitions=[replace(PARTITION, over_subscribe=None, exclusive=None, preempt_modes=None)],
    )  # fmt: skip
    unseen = {one.check for one in bad(old)}
    assert all(one.level == "unseen" for one in bad(old))
    assert {"PreemptMode", "OverSubscribe", "memory is counted", "rate limit", "GresTypes",
            "MaxNodeCount", "TreeWidth", "token's user"} >= unseen  # fmt: skip
    assert len(unseen) >= 7


def test_a_token_names_its_user() -> None:
    """As Slurm's own tokens do; nonsense names nobody."""

    def token(**claims: str) -> str:
        payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
        return f"e30.{payload}.c2ln"

    assert slurm_side.token_user(token(sun="slurm")) == "slurm"
    assert slurm_side.token_user(token(username="ops")) == "ops"
    for nonsense in ("", "a.b", "a.###.c", token()):
        assert slurm_side.token_user(nonsense) == ""
