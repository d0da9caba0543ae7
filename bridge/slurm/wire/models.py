"""Partial models of v0.0.44's answers; later versions add optional fields only.

Fields that aren't named are skipped while parsing: a job has 130 of them.
"""

from pydantic import BaseModel, Field

from bridge.slurm.wire.many import Many, Words
from bridge.slurm.wire.numbers import Number

MAX_JOBS = 1 << 20
"""MaxJobCount is 10,000 by default; more than this are not read."""


class Model(BaseModel):
    """Partial: fields that aren't named are skipped."""


class StateRow(Model):
    job_id: str | int
    state: Words


class States(Model):
    jobs: Many[StateRow] = Field(max_length=MAX_JOBS)


class Cpus(Model):
    count: int = 0


class Memory(Model):
    allocated: int = 0


class AllocatedNode(Model):
    name: str
    cpus: Cpus = Cpus()
    memory: Memory = Memory()


class JobResourceNodes(Model):
    allocation: Many[AllocatedNode] = []


class JobResources(Model):
    nodes: JobResourceNodes | None = None


class Job(Model):
    job_id: int
    name: str = ""
    job_state: Words = Field(min_length=1)
    state_reason: str = ""
    state_description: str = ""
    partition: str = ""
    priority: Number = None
    user_name: str = ""
    user_id: int = 0
    account: str = ""
    qos: str = ""
    admin_comment: str = ""
    comment: str = ""
    features: str = ""
    excluded_nodes: str = ""
    required_nodes: str = ""
    submit_time: Number = None
    start_time: Number = None
    end_time: Number = None
    time_limit: Number = None
    preempt_time: Number = None
    preemptable_time: Number = None
    hold: bool = False
    scheduled_nodes: str = ""
    nodes: str = ""
    job_resources: JobResources | None = None
    gres_detail: Many[str | None] = []
    tasks: Number = None
    cpus_per_task: Number = None
    het_job_id: Number = None
    het_job_id_set: str = ""
    flags: Words = frozenset()


class Node(Model):
    name: str = Field(min_length=1)
    state: Words
    address: str = ""
    port: int = 0
    hostname: str = ""
    cpus: int = 0
    real_memory: int = 0
    gres: str = ""
    gres_used: str = ""
    features: Many[str] = []
    active_features: Many[str] = []
    topology: str = ""
    reason: str = ""
    reason_set_by_user: str = ""
    reason_changed_at: Number = None
    comment: str = ""
    extra: str = ""
    partitions: Many[str] = []
    reservation: str = ""
    weight: int = 1
    alloc_cpus: int = 0
    alloc_memory: int = 0


class Nodes(Model):
    nodes: Many[Node]
    last_update: Number = None


class PartitionNodes(Model):
    configured: str = ""
    total: int = 0


class PartitionCpus(Model):
    total: int = 0


class Allowed(Model):
    allowed: str = ""
    deny: str = ""


class Defaults(Model):
    partition_memory_per_cpu: Number = None
    partition_memory_per_node: Number = None
    time: Number = None


class Maximums(Model):
    partition_memory_per_cpu: Number = None
    partition_memory_per_node: Number = None
    time: Number = None
    nodes: Number = None


class Priority(Model):
    tier: int = 1


class PartitionSelf(Model):
    state: Many[str] = []
    oversubscribe: str | None = None
    exclusive: str | None = None


class Partition(Model):
    name: str = Field(min_length=1)
    nodes: PartitionNodes = PartitionNodes()
    node_sets: str = ""
    cpus: PartitionCpus = PartitionCpus()
    accounts: Allowed = Allowed()
    qos: Allowed = Allowed()
    defaults: Defaults = Defaults()
    maximums: Maximums = Maximums()
    priority: Priority = Priority()
    partition: PartitionSelf = PartitionSelf()
    grace_time: int = 0
    topology: str = ""
    flags: Words | None = None
    preempt_mode: Words | None = None
