"""The cluster as a whole: controllers, figures, licenses, shares, a job's layout."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from bridge.errors import BadInput
from bridge.slurm import gres
from bridge.slurm.cluster import Controller, License, NodeLayout, Share, Statistics
from bridge.slurm.wire.many import Many, Words
from bridge.slurm.wire.numbers import Fraction, Number
from bridge.slurm.wire.rows import rows

_MAX_CORES = 1 << 14
"""Of a node; more are not believed."""


class _Ping(BaseModel):
    hostname: str | None = ""
    responding: bool = False
    primary: bool | None = None
    latency: int | None = None
    status: str | None = ""


class _Statistics(BaseModel):
    req_time: Number = None
    req_time_start: Number = None
    server_thread_count: int = 0
    agent_queue_size: int = 0
    dbd_agent_queue_size: int = 0
    jobs_submitted: int = 0
    jobs_started: int = 0
    jobs_completed: int = 0
    jobs_canceled: int = 0
    jobs_failed: int = 0
    jobs_pending: int = 0
    jobs_running: int = 0
    schedule_cycle_last: int = 0
    schedule_cycle_mean: int = 0
    bf_cycle_last: int = 0
    bf_cycle_mean: int = 0
    bf_backfilled_jobs: int = 0
    bf_when_last_cycle: Number = None


class _License(BaseModel):
    name: str = Field(alias="LicenseName", min_length=1)
    total: int = Field(0, alias="Total")
    used: int = Field(0, alias="Used")
    free: int = Field(0, alias="Free")
    reserved: int = Field(0, alias="Reserved")
    remote: bool = Field(False, alias="Remote")


class _FairShare(BaseModel):
    factor: Fraction = None


class _Share(BaseModel):
    id: int
    cluster: str = ""
    name: str
    parent: str = ""
    partition: str = ""
    shares: Number = None
    shares_normalized: Fraction = None
    usage: int = 0
    usage_normalized: Fraction = None
    effective_usage: Fraction = None
    fairshare: _FairShare = _FairShare()
    type: Words = frozenset()


class _Gres(BaseModel):
    name: str
    type: str | None = ""
    index: str | None = ""


class _Layout(BaseModel):
    node: str
    sockets_per_node: int = 0
    cores_per_socket: int = 0
    mem_alloc: int = 0
    core_bitmap: str | None = ""
    gres: Many[_Gres] = []


class ClusterWire:
    """`/ping/`, `/diag/`, `/licenses/`, `/shares`, `/conf`, `/resources/{id}`."""

    def controllers(self, answer: Mapping[str, Any]) -> tuple[Controller, ...]:
        """Primary and backups."""
        return tuple(
            Controller(
                host=one.hostname or "",
                up=one.responding,
                primary=one.primary,
                latency_us=one.latency,
                status=one.status or "",
                raw=raw,
            )
            for one, raw in rows(answer, "pings", _Ping)
        )

    def statistics(self, answer: Mapping[str, Any]) -> Statistics:
        """Figures of slurmctld since they were last reset."""
        raw = answer.get("statistics")
        if not isinstance(raw, Mapping):
            raise ValueError("there are no statistics in it")
        one = _Statistics.model_validate(raw)
        return Statistics(
            at_s=one.req_time,
            since_s=one.req_time_start,
            server_threads=one.server_thread_count,
            agent_queue=one.agent_queue_size,
            dbd_agent_queue=one.dbd_agent_queue_size,
            jobs_submitted=one.jobs_submitted,
            jobs_started=one.jobs_started,
            jobs_completed=one.jobs_completed,
            jobs_canceled=one.jobs_canceled,
            jobs_failed=one.jobs_failed,
            jobs_pending=one.jobs_pending,
            jobs_running=one.jobs_running,
            schedule_cycle_last_us=one.schedule_cycle_last,
            schedule_cycle_mean_us=one.schedule_cycle_mean,
            backfill_cycle_last_us=one.bf_cycle_last,
            backfill_cycle_mean_us=one.bf_cycle_mean,
            backfilled_jobs=one.bf_backfilled_jobs,
            last_backfill_s=one.bf_when_last_cycle or None,
            raw=raw,
        )

    def licenses(self, answer: Mapping[str, Any]) -> tuple[License, ...]:
        """All that are configured."""
        return tuple(
            License(
                name=one.name,
                total=one.total,
                used=one.used,
                free=one.free,
                reserved=one.reserved,
                remote=one.remote,
                raw=raw,
            )
            for one, raw in rows(answer, "licenses", _License)
        )

    def shares(self, answer: Mapping[str, Any]) -> tuple[Share, ...]:
        """The lines of the tree, parents first."""
        inner = answer.get("shares")
        if not isinstance(inner, Mapping):
            raise ValueError("there are no shares in it")
        return tuple(
            Share(
                id=one.id,
                name=one.name,
                parent=one.parent,
                user="USER" in one.type,
                cluster=one.cluster,
                partition=one.partition,
                shares=one.shares,
                shares_normalized=one.shares_normalized,
                usage=one.usage,
                usage_normalized=one.usage_normalized,
                effective_usage=one.effective_usage,
                fair_share=one.fairshare.factor,
                raw=raw,
            )
            for one, raw in rows(inner, "shares", _Share)
        )

    def configuration(self, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        """slurm.conf as slurmctld has it."""
        found = answer.get("slurm_conf")
        if not isinstance(found, dict):
            raise ValueError("there is no slurm_conf in it")
        return found

    def layout(self, answer: Mapping[str, Any]) -> tuple[NodeLayout, ...]:
        """Node by node, in the job's order."""
        return tuple(_layout(one, raw) for one, raw in rows(answer, "nodes", _Layout))


def _layout(one: _Layout, raw: Mapping[str, Any]) -> NodeLayout:
    try:
        devices = {
            (part.name, part.type or ""): gres.numbers(part.index)
            for part in one.gres
            if part.index
        }
    except BadInput as error:
        raise ValueError(str(error)) from error
    text = (one.core_bitmap or "0").removeprefix("0x")
    if len(text) * 4 > _MAX_CORES:
        raise ValueError(f"core_bitmap of {one.node} tells of {len(text) * 4} cores")
    bits = int(text, 16)
    return NodeLayout(
        node=one.node,
        sockets=one.sockets_per_node,
        cores_per_socket=one.cores_per_socket,
        memory_mib=one.mem_alloc,
        cores=tuple(core for core in range(bits.bit_length()) if bits >> core & 1),
        gres=devices,
        raw=raw,
    )
