"""Slurm over REST: an async client, a watcher of jobs, and Slurm's small languages.

The only package that speaks to slurmrestd, and usable alone: it needs of the bridge only its
nouns (`bridge.model`), the root of the error tree, and the modules `clock`, `files`, `names`,
`retry` and `validation`.

    async with SlurmClient(
        endpoints=["http://127.0.0.1:6820"],
        token=TokenSource.from_file("/run/secrets/slurm.jwt"),
        clock=SystemClock(),
    ) as client:
        job_id = await client.submit(
            JobDescription(name="train", partition="gpu", tasks=2, tres_per_task="gres/gpu:4",
                           memory_per_cpu_mib=4000, admin_comment="train-2026-04-01")
        )
        print((await client.get_job(job_id)).reason)

`errors` opens with the tree of what can be raised.
"""

from bridge.model import timelimit
from bridge.slurm import gres, hostlist, identity, memory
from bridge.slurm.accounting import (
    Account,
    AccountedJob,
    Association,
    AssociationLimits,
    Cluster,
    Qos,
    QosLimits,
    Tres,
    User,
)
from bridge.slurm.auth import TokenSource
from bridge.slurm.client import SlurmClient
from bridge.slurm.cluster import Controller, License, NodeLayout, Share, Statistics
from bridge.slurm.errors import (
    AlreadyExists,
    InUse,
    InvalidRequest,
    JobEnded,
    JobNotFound,
    MalformedAnswer,
    NotAuthorised,
    NotFound,
    RateLimited,
    RejectedByPolicy,
    ServerTooOld,
    SlurmError,
    Unavailable,
)
from bridge.slurm.http import Tls
from bridge.slurm.jobs import (
    BASE_STATES,
    EXTERNAL_JOB,
    Job,
    JobChanges,
    JobDescription,
    Submitted,
    over,
)
from bridge.slurm.node_watcher import NodeGone, NodeSeen, NodeWatcher
from bridge.slurm.nodes import NodeDefinition, NodeListing, SlurmNode
from bridge.slurm.partitions import Partition
from bridge.slurm.preemption import PreemptionWatch
from bridge.slurm.reservations import Reservation, ReservationFields
from bridge.slurm.watcher import JobGone, JobSeen, JobWatcher, Outage, Recovered, Watched

__all__ = [
    "SlurmClient",
    "TokenSource",
    "Tls",
    "Job",
    "JobDescription",
    "JobChanges",
    "Submitted",
    "BASE_STATES",
    "EXTERNAL_JOB",
    "over",
    "SlurmNode",
    "NodeDefinition",
    "NodeListing",
    "NodeLayout",
    "Partition",
    "PreemptionWatch",
    "Reservation",
    "ReservationFields",
    "License",
    "Controller",
    "Statistics",
    "Share",
    "Account",
    "User",
    "Association",
    "AssociationLimits",
    "Qos",
    "QosLimits",
    "Cluster",
    "Tres",
    "AccountedJob",
    "JobWatcher",
    "Watched",
    "JobSeen",
    "JobGone",
    "NodeWatcher",
    "NodeSeen",
    "NodeGone",
    "Outage",
    "Recovered",
    "SlurmError",
    "NotFound",
    "JobNotFound",
    "InvalidRequest",
    "AlreadyExists",
    "RejectedByPolicy",
    "NotAuthorised",
    "InUse",
    "JobEnded",
    "ServerTooOld",
    "Unavailable",
    "RateLimited",
    "MalformedAnswer",
    "gres",
    "hostlist",
    "identity",
    "memory",
    "timelimit",
]
