"""Cores by number, as the real select/cons_tres chose them."""

import pytest

from bridge.sim.slurm import invariants
from bridge.sim.slurm.cores import Cores
from tests.unit.sim.slurm.builders import NOW, a_cluster, submit


@pytest.mark.parametrize(
    ("free", "count", "taken"),
    [
        (0b1111_1111, 1, 0x01),
        (0b1111_1110, 2, 0x12),
        (0b1110_1100, 3, 0x2C),
        (0b1100_0000, 2, 0xC0),
        (0b1111_1111, 9, 0xFF),
    ],
)
def test_sockets_take_turns(free: int, count: int, taken: int) -> None:
    """The lowest free core of each, as recorded on a node of two sockets with four cores each."""
    assert Cores(2, 4, free).pick(count) == Cores(2, 4, taken)


@pytest.mark.parametrize(
    ("cores", "text"),
    [
        (Cores(1, 63, 0b111), "0x0000000000000007"),
        (Cores(2, 4, 1), "0x01"),
        (Cores(2, 2, 0b1100), "0xC"),
    ],
)
def test_a_bitmap_is_as_wide_as_the_node(cores: Cores, text: str) -> None:
    """Four cores a digit, leading zeros kept."""
    assert cores.bitmap() == text


def test_a_freed_core_is_given_again() -> None:
    """Jobs beside each other never share one; a later job fills the gap."""
    cluster = a_cluster(leaves=(1,), cpus=8)
    first, second, third = (submit(cluster, cpus_per_task=2) for _ in range(3))
    cluster.cancel(second.id, NOW)
    fourth = submit(cluster, cpus_per_task=3)
    held = [job.shares[0].cores.bits for job in (first, third, fourth)]
    assert held == [0b11, 0b110000, 0b1001100]
    invariants.validate(cluster)


def test_a_core_is_given_with_its_threads() -> None:
    """On a node with two threads a core four jobs of one CPU fill eight CPUs, with their memory."""
    cluster = a_cluster(leaves=())
    layout = "CPUs=8 Sockets=2 CoresPerSocket=2 ThreadsPerCore=2 RealMemory=1000"
    cluster.add_nodes(f"NodeName=n0 {layout} State=External Topology=topo:root:leaf", NOW)
    jobs = [submit(cluster, memory_per_cpu={"set": True, "number": 125}) for _ in range(5)]
    assert [job.state for job in jobs] == [*["RUNNING"] * 4, "PENDING"]
    assert [job.shares[0].cores.bits for job in jobs[:4]] == [1, 2, 4, 8]
    assert {(job.shares[0].cpus, job.shares[0].memory_mib) for job in jobs[:4]} == {(2, 250)}
    invariants.validate(cluster)
