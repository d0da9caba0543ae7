"""What is read of Slurm for the comparison of both sides' nodes."""

from dataclasses import replace
from typing import cast

from bridge import names, slurm
from bridge.model.ids import SlurmNodeName
from bridge.model.scheduling import Taint
from bridge.nodes import definition, drains, reservations, surveying
from bridge.state.kube_state import KubeState
from tests.builders import SCHEDULER, a_node
from tests.unit.nodes.test_passes import RULES, Slurm

NOW_S = 1_800_000_000


class Listing(Slurm):
    """Also lists its nodes whole."""

    async def list_nodes(self) -> tuple[slurm.SlurmNode, ...]:
        return tuple(self.nodes.values())


async def to_do(
    fake: Listing,
    *,
    labels: dict[str, str] | None = None,
    end_s: float | None = None,
    partition: str = "",
) -> str:
    """What is told of node n1, which Slurm has with features of ours alone."""
    taints = (Taint.managed(SCHEDULER),)
    cluster = KubeState(scheduler_name=SCHEDULER)
    cluster.upsert_node(replace(a_node("n1", labels=labels), taints=taints, end_s=end_s))
    found = await surveying.rows(
        cast("slurm.SlurmClient", fake),
        cluster=cluster,
        rules=replace(RULES, partition=partition),
        scheduler_name=SCHEDULER,
        now_s=NOW_S,
    )
    return next(row.to_do for row in found if row.node == "n1")


def with_nodes(**places: str) -> Listing:
    """Nodes at these places."""
    fake = Listing()
    for name, topology in places.items():
        fake.nodes[name] = slurm.SlurmNode(
            SlurmNodeName(name), frozenset({"IDLE", "EXTERNAL"}), cpus=64, memory_mib=512 << 10,
            features=("slurm-bridge", definition.cluster_feature(RULES.cluster)),
            topology=topology,
        )  # fmt: skip
    return fake


async def test_a_node_with_an_end_stays_drained_until_slurm_has_its_reservation() -> None:
    """And one whose end is here is drained for it."""
    fake, end_s = with_nodes(n1=""), NOW_S + 7200.0
    fake.nodes["n1"] = replace(
        fake.nodes["n1"],
        states=frozenset({"IDLE", "EXTERNAL", "DRAIN"}),
        reason=drains.UNRESERVED,
    )
    start_s = reservations.start_of(replace(a_node("n1"), end_s=end_s))
    assert start_s is not None
    assert "is undrained" not in await to_do(fake, end_s=end_s)
    name = reservations.name_of(start_s, RULES.cluster)
    fake.reservations[name] = slurm.Reservation(
        name, start_s, start_s + reservations.LENGTH_S, "n1",
        users=reservations.USERS, flags=frozenset(reservations.FLAGS),
    )  # fmt: skip
    assert "is undrained" in (await to_do(fake, end_s=end_s)).split("; ")
    over = await to_do(fake, end_s=NOW_S - 1.0)
    assert "is drained: the time until which it is available is over" in over.split("; ")


async def test_the_topology_of_the_bridges_partition_counts() -> None:
    """Of several, that is where new nodes join."""
    fake = with_nodes(n1="", other="blue:root:leaf", another="red:core:rack")
    fake.partitions = (slurm.Partition("gpu", topology="red"),)
    labels = {f"{names.AWS_NETWORK_LAYER_PREFIX}1": "leaf-a"}
    told = await to_do(fake, labels=labels, partition="gpu")
    assert "moves to red:core:leaf-a" in told.split("; ")
