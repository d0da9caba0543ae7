"""What must hold of a cluster at any moment; for tests and for a simulator that doubts itself."""

import numpy as np

from bridge.sim.slurm import het
from bridge.sim.slurm.cluster import Cluster
from bridge.sim.slurm.job import Job
from bridge.sim.slurm.nodes import Node


def validate(cluster: Cluster) -> None:
    """Raises AssertionError, with the node or job that is at fault."""
    for node in cluster.table:
        _validate_node(cluster, node)
    for job in cluster.jobs.values():
        held = sum(job.id in node.jobs for node in cluster.table)
        if job.running:
            assert held == len(job.shares), f"job {job.id} holds {held} of {job.nodes}"
            tasks = sum(share.tasks for share in job.shares)
            shrunk = len(job.shares) and tasks <= job.request.tasks
            assert tasks == job.request.tasks or shrunk, f"job {job.id} has {tasks} tasks"
        else:
            assert not held, f"job {job.id} is {job.state} and holds {held} nodes"
        _validate_het(cluster, job)
    _validate_licenses(cluster)
    _validate_columns(cluster)


def _validate_het(cluster: Cluster, job: Job) -> None:
    """Components start together, on nodes that no other component has."""
    if job.het is None or not job.running:
        return
    others = [one for one in het.components(cluster.jobs, job) if one is not job]
    assert not any(one.pending for one in others), f"job {job.id} started alone"
    held = {node for one in others if one.running for node in one.nodes}
    assert not held & set(job.nodes), f"job {job.id} shares a node with another component"


def _validate_node(cluster: Cluster, node: Node) -> None:
    conf, shares = node.conf, node.jobs.values()
    assert sum(share.cpus for share in shares) <= conf.cpus, f"CPUs of {node.name}"
    assert sum(share.memory_mib for share in shares) <= conf.memory_mib, f"memory of {node.name}"
    assert not (node.jobs and node.down), f"jobs on {node.name}, which is down"
    if node.whole:
        assert set(node.jobs) == {node.whole}, f"{node.name} is job {node.whole}'s alone"
    _validate_cores(node)
    for kind, count in conf.pools:
        seen = 0
        for share in shares:
            mask = dict(share.gres).get(kind, 0)
            assert not seen & mask, f"one {kind.text()} of {node.name} is given twice"
            seen |= mask
        assert seen == node.used[kind], f"{kind.text()} in use on {node.name}"
        assert not seen >> count, f"{node.name} has {count} {kind.text()}"
    for job_id in node.jobs:
        job = cluster.jobs[job_id]
        holds = job.running or job.state == "SUSPENDED"
        assert holds, f"job {job_id} on {node.name} does not run"
        assert job.request.external or not conf.external, f"nobody runs job {job_id} on {node.name}"


def _validate_cores(node: Node) -> None:
    seen = 0
    for share in node.jobs.values():
        assert not seen & share.cores.bits, f"one core of {node.name} is given twice"
        seen |= share.cores.bits
        held = share.cores.bits.bit_count() * node.conf.threads
        assert held == share.cpus, f"{share.cpus} CPUs of {node.name} are {held} of its cores'"
    assert seen == node.used_cores, f"cores in use on {node.name}"


def _validate_licenses(cluster: Cluster) -> None:
    pool = cluster.licenses
    held = [pool.parse(job.request.licenses) for job in cluster.running]
    for name, used in pool.used.items():
        assert used == sum(one.get(name, 0) for one in held), f"license {name} in use"


def _validate_columns(cluster: Cluster) -> None:
    """The columns that the scheduler reads say what the records say."""
    kept = cluster.table.free().copy()
    cluster.table.forget_columns()
    fresh = cluster.table.free()
    for name in ("cpus", "memory", "jobs", "whole"):
        assert np.array_equal(getattr(kept, name), getattr(fresh, name)), f"column {name}"
    for kind, column in fresh.gres.items():
        assert np.array_equal(kept.gres[kind], column), f"column {kind.text()}"
