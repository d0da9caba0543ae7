"""REST v0.0.44 (Slurm 25.11; also offered by 26.05)."""

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pydantic_core
from pydantic import TypeAdapter

from bridge.errors import BadInput
from bridge.model.ids import SlurmJobId, SlurmNodeName
from bridge.model.job import Gres, NodeGrant
from bridge.slurm import gres, hostlist
from bridge.slurm.jobs import Job, JobChanges, JobDescription, JobFields, over
from bridge.slurm.nodes import NodeDefinition, NodeListing, SlurmNode, check_features
from bridge.slurm.partitions import Partition
from bridge.slurm.wire import models
from bridge.slurm.wire.accounting import AccountingWire
from bridge.slurm.wire.cluster import ClusterWire
from bridge.slurm.wire.numbers import minutes, number
from bridge.slurm.wire.reservations import ReservationWire

_JOB_NUMBER = re.compile(r"^(\d{1,10})(?![0-9])")
_HOLDS = frozenset({"RUNNING", "SUSPENDED"})


_STATES = TypeAdapter(models.States)
_NODES = TypeAdapter(models.Nodes)


class Wire44(ReservationWire, ClusterWire, AccountingWire):
    """What is said in this version, both ways. No state."""

    version = "v0.0.44"

    # -- what we send --------------------------------------------------------------------------

    def submission(self, job: JobDescription) -> dict[str, Any]:
        """Body of `POST /job/submit`."""
        fields = {
            key: value for key, value in self._fields(job).items() if value not in ("", [], [""])
        }
        fields["current_working_directory"] = job.working_directory
        fields["environment"] = list(job.environment)
        if job.script:
            return {"script": job.script, "job": {**fields, **job.others}}
        return {"job": {**fields, **job.others}}

    def allocation(self, job: JobDescription) -> dict[str, Any]:
        """Body of `POST /job/allocate` for a job that starts now or never.

        Without `immediate` slurmrestd would hold the answer back until the job starts.
        """
        said = self.submission(job)
        return {"job": {**said["job"], "immediate": True}}

    def het_submission(self, components: Sequence[JobDescription]) -> dict[str, Any]:
        """Body of `POST /job/submit` for a het job; a script is the first component's."""
        said = [self.submission(one) for one in components]
        body: dict[str, Any] = {"jobs": [one["job"] for one in said]}
        if "script" in said[0]:
            body["script"] = said[0]["script"]
        return body

    def changes(self, changes: JobChanges) -> dict[str, Any]:
        """Body of `POST /job/{id}`."""
        return {**self._fields(changes), **changes.others}

    def _fields(self, job: JobFields) -> dict[str, Any]:
        shared = ["none"] if job.exclusive else _list(job.shared)
        said: dict[str, Any] = {
            "name": job.name,
            "partition": job.partition,
            "account": job.account,
            "qos": job.qos,
            "tasks": job.tasks,
            "tasks_per_node": job.tasks_per_node,
            "cpus_per_task": job.cpus_per_task,
            "minimum_cpus": job.min_cpus,
            "memory_per_cpu": _number(job.memory_per_cpu_mib),
            "memory_per_node": _number(job.memory_per_node_mib),
            "tres_per_task": job.tres_per_task,
            "tres_per_node": job.tres_per_node,
            "tres_per_job": job.tres_per_job,
            "nodes": job.nodes,
            "minimum_nodes": job.min_nodes,
            "maximum_nodes": job.max_nodes,
            "constraints": job.constraints,
            "prefer": job.prefer,
            # An empty list changes nothing, a list of an empty name clears.
            "excluded_nodes": _list(job.excluded_nodes, empty=[""]),
            "required_nodes": _list(job.required_nodes, empty=[""]),
            "shared": shared,
            "mcs_label": job.mcs_label,
            "flags": _list(job.flags),
            "admin_comment": job.admin_comment,
            "comment": job.comment,
            "extra": job.extra,
            "priority": _number(job.priority),
            "nice": job.nice,
            "hold": job.hold,
            "time_limit": None if job.time_limit_min is None else minutes(job.time_limit_min),
            "time_minimum": _number(job.time_minimum_min),
            "begin_time": _number(job.begin_s),
            "deadline": job.deadline_s,
            "dependency": job.dependency,
            "reservation": job.reservation,
            "licenses": job.licenses,
            "wckey": job.wckey,
            "requeue": job.requeue,
            "user_id": job.user_id,
            "group_id": job.group_id,
        }
        return {key: value for key, value in said.items() if value is not None}

    def new_node(self, node: NodeDefinition) -> dict[str, Any]:
        """Body of `POST /new/node/`. Raises BadInput."""
        return {"node_conf": node.node_conf()}

    def node_changes(
        self,
        *,
        features: Sequence[str] | None,
        active_features: Sequence[str] | None = None,
        state: str | None,
        reason: str | None,
        comment: str | None,
        weight: int | None,
        topology: str | None,
        address: str | None,
    ) -> dict[str, Any]:
        """Body of `POST /node/{name}`; without other word active features are the available ones.

        Raises BadInput for a text that can't be a feature.
        """
        active = features if active_features is None else active_features
        check_features((*(features or ()), *(active_features or ())))
        said: dict[str, Any] = {
            "features": None if features is None else list(features) or [""],
            "features_act": None if active is None else list(active) or [""],
            "state": None if state is None else [state],
            "reason": reason,
            "comment": comment,
            "weight": _number(weight),
            "topology_str": topology,
            "address": None if address is None else [address],
        }
        return {key: value for key, value in said.items() if value is not None}

    # -- what we get -----------------------------------------------------------------------------

    def states(self, body: bytes) -> dict[SlurmJobId, frozenset[str]]:
        """`GET /jobs/state/`. Tasks of an array are one entry with the states of all."""
        found: dict[SlurmJobId, frozenset[str]] = {}
        for row in _STATES.validate_json(body).jobs:
            job_id = _job_number(row.job_id)
            before = found.get(job_id)
            found[job_id] = row.state if before is None else before | row.state
        return found

    def job(self, answer: Mapping[str, Any], job_id: SlurmJobId) -> Job:
        """`GET /job/{id}`: that job among those that came (the tasks of an array come too)."""
        rows = answer.get("jobs")
        if not isinstance(rows, list):
            raise ValueError("there is no list of jobs in it")
        for row in rows:
            if isinstance(row, Mapping) and row.get("job_id") == job_id:
                return _job(models.Job.model_validate(row), row)
        raise ValueError(f"job {job_id} is not among the {len(rows)} jobs in it")

    def nodes(self, body: bytes, *, raw: bool) -> tuple[SlurmNode, ...]:
        """`GET /nodes/` and `GET /node/{name}`."""
        parse = functools.cache(gres.parse)  # thousands of nodes have a handful of strings
        if not raw:
            return tuple(_node(node, {}, parse) for node in _NODES.validate_json(body).nodes)
        answer = pydantic_core.from_json(body)
        rows = _NODES.validate_python(answer).nodes
        return tuple(
            _node(node, row, parse) for node, row in zip(rows, answer["nodes"], strict=True)
        )

    def node_listing(self, body: bytes) -> NodeListing:
        """`GET /nodes/`, with the time that it names."""
        read = _NODES.validate_json(body)
        parse = functools.cache(gres.parse)
        return NodeListing(
            tuple(_node(node, {}, parse) for node in read.nodes), read.last_update or 0
        )

    def hosts(self, answer: Mapping[str, Any], key: str) -> tuple[str, ...]:
        """`/util/…/hostnames` and `/util/…/hostlist`: a list of names, or one host list."""
        found = answer.get(key)
        if isinstance(found, str):
            return (found,)
        if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
            raise ValueError(f"there is no {key} in it")
        return tuple(found)

    def partitions(self, answer: Mapping[str, Any]) -> tuple[Partition, ...]:
        """`GET /partitions/`."""
        rows = answer.get("partitions")
        if not isinstance(rows, list):
            raise ValueError("there is no list of partitions in it")
        return tuple(self._partition(models.Partition.model_validate(row), row) for row in rows)

    def _partition(self, found: models.Partition, raw: Mapping[str, Any]) -> Partition:
        """This version tells neither flags, preemption mode nor over-subscription."""
        return Partition(
            topology=found.topology,
            name=found.name,
            state=found.partition.state[0] if found.partition.state else "UNKNOWN",
            tier=found.priority.tier,
            def_mem_per_cpu_mib=found.defaults.partition_memory_per_cpu,
            def_mem_per_node_mib=found.defaults.partition_memory_per_node,
            max_mem_per_cpu_mib=found.maximums.partition_memory_per_cpu,
            max_mem_per_node_mib=found.maximums.partition_memory_per_node,
            default_time_min=found.defaults.time,
            max_time_min=found.maximums.time,
            max_nodes=found.maximums.nodes,
            grace_s=found.grace_time,
            nodes=found.nodes.configured,
            node_sets=found.node_sets,
            total_nodes=found.nodes.total,
            total_cpus=found.cpus.total,
            allow_accounts=found.accounts.allowed,
            deny_accounts=found.accounts.deny,
            allow_qos=found.qos.allowed,
            raw=raw,
        )


def _job(found: models.Job, raw: Mapping[str, Any]) -> Job:
    try:
        names = hostlist.expand(found.nodes)
        grants = _grants(found) if found.job_state & _HOLDS else ()
    except BadInput as error:
        raise ValueError(str(error)) from error
    return Job(
        id=SlurmJobId(found.job_id),
        name=found.name,
        states=found.job_state,
        reason="" if found.state_reason == "None" else found.state_reason,
        description=found.state_description,
        partition=found.partition,
        priority=found.priority,
        user=found.user_name or str(found.user_id),
        user_id=found.user_id,
        account=found.account,
        qos=found.qos,
        admin_comment=found.admin_comment,
        comment=found.comment,
        constraints=found.features,
        excluded_nodes=found.excluded_nodes,
        required_nodes=found.required_nodes,
        submit_s=found.submit_time or None,
        start_s=found.start_time or None,
        # Of a job without a limit Slurm says that it ends in a year.
        end_s=found.end_time if _ends(found) else None,
        time_limit_min=found.time_limit,
        preempt_s=found.preempt_time or None,
        preemptable_s=found.preemptable_time or None,
        hold=found.hold,
        scheduled_nodes=found.scheduled_nodes,
        nodes=tuple(SlurmNodeName(name) for name in names),
        grants=grants,
        tasks=found.tasks,
        cpus_per_task=found.cpus_per_task,
        het_job_id=SlurmJobId(found.het_job_id) if found.het_job_id else None,
        het_job_ids=_het_job_ids(found.het_job_id_set),
        flags=found.flags,
        raw=raw,
    )


def _ends(found: models.Job) -> bool:
    """Whether the job's end is known: it was, or comes by a limit or for another job."""
    return over(found.job_state) or found.time_limit is not None or bool(found.preempt_time)


def _grants(found: models.Job) -> tuple[NodeGrant, ...]:
    """Node by node; `gres_detail` has one string per node in the same order, or none at all.

    It is null for a node that gives the job no GRES, while others do.
    """
    resources = found.job_resources
    allocation = resources.nodes.allocation if resources and resources.nodes else []
    details = found.gres_detail or [None] * len(allocation)
    if len(details) != len(allocation):
        raise ValueError(f"gres_detail tells of {len(details)} nodes, not {len(allocation)}")
    return tuple(
        NodeGrant(
            node=SlurmNodeName(node.name),
            cpus=node.cpus.count,
            memory_mib=node.memory.allocated,
            gres=tuple(one for one in gres.parse(detail or "") if one.count),
        )
        for node, detail in zip(allocation, details, strict=True)
    )


def _node(
    found: models.Node, raw: Mapping[str, Any], parse: Callable[[str], tuple[Gres, ...]]
) -> SlurmNode:
    try:
        has, used = parse(found.gres), parse(found.gres_used)
    except BadInput as error:
        raise ValueError(f"node {found.name}: {error}") from error
    return SlurmNode(
        name=SlurmNodeName(found.name),
        states=found.state,
        address=found.address,
        port=found.port,
        hostname=found.hostname,
        cpus=found.cpus,
        memory_mib=found.real_memory,
        gres=has,
        gres_used=used,
        features=tuple(found.features),
        active_features=tuple(found.active_features),
        topology=found.topology,
        reason=found.reason,
        reason_user=found.reason_set_by_user,
        reason_s=found.reason_changed_at or None,
        comment=found.comment,
        extra=found.extra,
        partitions=tuple(found.partitions),
        reservation=found.reservation,
        weight=found.weight,
        allocated_cpus=found.alloc_cpus,
        allocated_memory_mib=found.alloc_memory,
        raw=raw,
    )


def _job_number(job_id: str | int) -> SlurmJobId:
    """Of `12`, `"12"`, `"12+0"` (het component), `"12_3"` and `"12_[4-9]"` (array): 12."""
    match = _JOB_NUMBER.match(str(job_id))
    if match is None:
        raise ValueError(f"{str(job_id)[:40]!r} is no job id")
    return SlurmJobId(int(match[1]))


def _het_job_ids(text: str) -> tuple[SlurmJobId, ...]:
    """Of `647-648` or `[647,649]`; nothing for nonsense, which only costs the bond."""
    if not text:
        return ()
    try:
        return tuple(SlurmJobId(int(one)) for one in hostlist.expand(f"[{text.strip('[]')}]"))
    except (BadInput, ValueError):
        return ()


def _list(values: Sequence[str] | None, *, empty: list[str] | None = None) -> list[str] | None:
    return None if values is None else list(values) or (empty or [])


def _number(value: int | None) -> dict[str, Any] | None:
    return None if value is None else number(value)
