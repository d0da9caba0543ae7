"""Small clusters and jobs for tests of the emulator."""

import itertools
from typing import Any

from bridge.sim.slurm import het, reserve
from bridge.sim.slurm.behaviour import Behaviour
from bridge.sim.slurm.cluster import Cluster
from bridge.sim.slurm.description import Site, read
from bridge.sim.slurm.embedded import USERS
from bridge.sim.slurm.job import Job, Request
from bridge.sim.slurm.partition import STANDARD, Partition
from bridge.sim.slurm.topology import Tree
from bridge.sim.slurm.wire import Complaints
from tests.recording import session

NOW = 1_700_000_000.0


def a_cluster(
    *,
    leaves: tuple[int, ...] = (2,),
    cpus: int = 4,
    gpus: int = 0,
    partitions: tuple[Partition, ...] = STANDARD,
    licenses: dict[str, int] | None = None,
    sink: bool = False,
    **behaviour: Any,
) -> Cluster:
    """`leaves` tells how many nodes hang on each; they are called n0, n1 … in order. A `sink` is a
    slurmd that answers for all of them.
    """
    cluster = Cluster(
        partitions=partitions,
        tree=Tree("topo"),
        behaviour=Behaviour(**behaviour),
        licenses=licenses,
    )
    names = (f"n{number}" for number in itertools.count())
    for leaf, size in enumerate(leaves):
        for _ in range(size):
            add_node(cluster, next(names), cpus=cpus, gpus=gpus, leaf=f"leaf{leaf}")
    if sink:
        add_sink(cluster)
    return cluster


def add_sink(cluster: Cluster) -> None:
    """A slurmd at the address of all external nodes, in no partition."""
    line = "NodeName=sink-1 NodeAddr=127.0.0.1 CPUs=1 State=UNKNOWN Feature=none"
    cluster.add_nodes(line, NOW)


def add_node(cluster: Cluster, name: str, *, leaf: str = "leaf0", **options: Any) -> None:
    """One more node, below the switch `spine`."""
    topology = options.pop("topology", f"topo:root:spine:{leaf}")
    line = session.node_conf(name, topology=topology, **options)
    cluster.add_nodes(line, NOW)


def add_slurmd(cluster: Cluster, name: str, *, cpus: int = 4) -> None:
    """A node that runs batch jobs."""
    line = f"NodeName={name} CPUs={cpus} RealMemory=1000 State=UNKNOWN Topology=topo:root:native"
    cluster.add_nodes(line, NOW)


def a_request(cluster: Cluster, **description: Any) -> Request:
    """What a description as the bridge submits it asks for."""
    submission = read(
        session.job("test", **description),
        partitions=cluster.partitions,
        gres_types=cluster.behaviour.gres_types,
        site=Site(users=USERS),
        complaints=Complaints(),
    )
    return submission.request


def a_reservation(
    cluster: Cluster,
    *nodes: str,
    after_s: float = 0,
    minutes: int = 60,
    now: float = NOW,
    flags: tuple[str, ...] = (),
) -> str:
    """Nodes kept for the user daemon from `after_s` on; its name."""
    name = f"r{after_s}"
    wish = reserve.Wish(
        name=name,
        start_s=now + after_s,
        duration_s=60.0 * minutes,
        nodes=nodes,
        users=("daemon",),
        flags=frozenset(flags),
    )
    reserve.create(cluster, wish, USERS, now)
    return name


def submit(
    cluster: Cluster, now: float = NOW, *, priority: int | None = None, **description: Any
) -> Job:
    """A new job, with what is due by then done."""
    job, _ = cluster.submit(a_request(cluster, **description), now, priority=priority)
    cluster.advance(now)
    return job


def submit_script(cluster: Cluster, *lines: str, now: float = NOW, **description: Any) -> Job:
    """A new batch job, with what is due by then done."""
    script = "\n".join(("#!/bin/sh", *lines, ""))
    return submit(cluster, now, flags=[], script=script, **description)


def submit_het(cluster: Cluster, *components: dict[str, Any], now: float = NOW) -> list[Job]:
    """The components of a new het job, with what is due by then done."""
    requests = [a_request(cluster, **one) for one in components]
    rows = [
        (request, None, bool(one.get("hold")))
        for request, one in zip(requests, components, strict=True)
    ]
    first, _ = cluster.submit_het(rows, now)
    jobs = het.components(cluster.jobs, first)
    cluster.advance(now)
    return jobs
