"""Nodes and partitions as slurmrestd shows them (schemas node and partition_info of v0.0.45).

How much of a node is used is taken from a picture that only a reading of *all* nodes renews, as
with the real slurmctld: `GET /node/x` says ALLOCATED and 0 CPUs for a node that is half used,
until somebody has read `/nodes/`.
"""

from dataclasses import dataclass

from bridge.sim.slurm import gres, hosts
from bridge.sim.slurm.cluster import Cluster
from bridge.sim.slurm.nodes import Node
from bridge.sim.slurm.partition import Partition
from bridge.sim.slurm.reservations import Reservation
from bridge.sim.slurm.wire import INFINITE, Json, memory_text, number, time_of

_ZERO = number(0)
_NOT_SET = number(None)

_NODE_CONSTANT: dict[str, Json] = {
    "architecture": "",
    "burstbuffer_network_address": "",
    "boards": 1,
    "boot_time": _ZERO,
    "tls_cert_last_renewal": _ZERO,
    "cert_flags": [],
    "cluster_name": "",
    "specialized_cores": 0,
    "cpu_binding": 0,
    "cpu_load": 0,
    "free_mem": _NOT_SET,
    "specialized_cpus": "",
    "energy": {
        "average_watts": 0,
        "base_consumed_energy": 0,
        "consumed_energy": 0,
        "current_watts": _ZERO,
        "previous_consumed_energy": 0,
        "last_collected": 0,
    },
    "gpu_spec": "",
    "gres_drained": "N/A",
    "instance_id": "",
    "instance_type": "",
    "mcs_label": "",
    "specialized_memory": 0,
    "next_state_after_reboot": ["INVALID"],
    "operating_system": "",
    "owner": "",
    "res_cores_per_gpu": 0,
    "resume_after": _ZERO,
    "suspend_time": INFINITE,
    "slurmd_start_time": _ZERO,
    "temporary_disk": 0,
    "version": "",
}


@dataclass(frozen=True, slots=True)
class Usage:
    """What of a node was in use when all nodes were read last."""

    cpus: int = 0
    memory_mib: int = 0


def usage(node: Node) -> Usage:
    """What is in use now."""
    return Usage(node.cpus_used, node.memory_used_mib)


def show_node(node: Node, cluster: Cluster, seen: Usage) -> dict[str, Json]:
    """All fields of one node; `seen` is the picture of its usage."""
    conf = node.conf
    reservation = cluster.reservations.on(node.name)
    return {
        **_NODE_CONSTANT,
        "cores": conf.cores,
        "cpus": conf.cpus,
        "effective_cpus": conf.cpus,
        "extra": node.extra,
        "features": list(node.features),
        "active_features": list(node.features),
        "gres": conf.gres_text,
        "gres_used": _gres_used(node),
        "last_busy": time_of(node.busy_s),
        "name": node.name,
        "address": node.address,
        "hostname": node.name,
        "reservation": reservation.name if reservation else "",
        "state": _state(node, seen, reservation),
        "partitions": [
            name
            for name, partition in cluster.partitions.items()
            if partition.spans(node.counted_features)
        ],
        "real_memory": conf.memory_mib,
        "comment": node.comment,
        "port": conf.port,
        "reason": node.reason,
        "reason_changed_at": time_of(node.reason_s),
        "reason_set_by_user": node.reason_user,
        "alloc_memory": seen.memory_mib,
        "alloc_cpus": seen.cpus,
        "alloc_idle_cpus": conf.cpus - seen.cpus,
        "tres_used": _tres_used(seen),
        "sockets": conf.sockets,
        "threads": conf.threads,
        "weight": node.weight,
        "topology": node.topology,
        "tres": f"cpu={conf.cpus},mem={memory_text(conf.memory_mib)},billing={conf.cpus}",
    }


def _state(node: Node, seen: Usage, reservation: Reservation | None) -> list[str]:
    if 0 < seen.cpus < node.conf.cpus:
        base = "MIXED"  # even of a node that is down, or idle by now
    elif node.down:
        base = "DOWN"
    else:
        base = "ALLOCATED" if node.jobs else "IDLE"
    states = [base]
    if node.conf.external:
        states.append("EXTERNAL")
    if reservation:
        states.append("RESERVED")
        states += ["MAINTENANCE"] if "MAINT" in reservation.flags else []
    if not node.responding:
        states.append("NOT_RESPONDING")
    if node.drain:
        states.append("DRAIN")
    return [*states, "DYNAMIC_NORM"]


def _gres_used(node: Node) -> str:
    used = []
    for kind, _ in node.conf.pools:
        mask = node.used[kind]
        text = kind.text(mask.bit_count())
        used.append(f"{text}(IDX:{gres.index_list(mask)})" if kind.indexed else text)
    return ",".join(used)


def _tres_used(seen: Usage) -> str:
    return f"cpu={seen.cpus},mem={memory_text(seen.memory_mib)}" if seen.cpus else ""


def show_partition(partition: Partition, cluster: Cluster) -> dict[str, Json]:
    """All fields of one partition."""
    nodes = [node for node in cluster.table if partition.spans(node.counted_features)]
    cpus = sum(node.conf.cpus for node in nodes)
    memory = sum(node.conf.memory_mib for node in nodes)
    tres = f"cpu={cpus},mem={memory_text(memory)},node={len(nodes)},billing={cpus}"
    per_cpu, per_node = (
        partition.default_memory_per_cpu_mib,
        partition.default_memory_per_node_mib,
    )
    default_time, longest = partition.default_time_min, partition.max_time_min
    return {
        "nodes": {
            "allowed_allocation": "",
            "configured": hosts.compress(hosts.in_order(node.name for node in nodes)),
            "total": len(nodes),
        },
        "accounts": {"allowed": "", "deny": ""},
        "groups": {"allowed": ""},
        "qos": {"allowed": "", "deny": "", "assigned": ""},
        "alternate": "",
        "tres": {"billing_weights": "", "configured": tres if nodes else ""},
        "cluster": "",
        "select_type": ["NONE"],
        "cpus": {"task_binding": [], "total": cpus},
        "defaults": {
            "memory_per_cpu": 0,
            "partition_memory_per_cpu": number(per_cpu),
            "partition_memory_per_node": _NOT_SET if per_cpu else number(per_node or 0),
            "time": number(default_time),
            "job": "",
        },
        "flags": ["DEFAULT"] if partition.default else [],
        "partition": {
            "exclusive": "NO",
            "oversubscribe": "NO",
            "state": ["UP"] if partition.up else ["DOWN"],
        },
        "grace_time": partition.grace_time_s,
        "maximums": {
            "cpus_per_node": INFINITE,
            "cpus_per_socket": INFINITE,
            "memory_per_cpu": 0,
            "partition_memory_per_cpu": _NOT_SET,
            "partition_memory_per_node": _ZERO,
            "nodes": INFINITE,
            "shares": 0,
            "oversubscribe": {"jobs": 0, "flags": []},
            "time": INFINITE if longest is None else number(longest),
            "over_time_limit": _NOT_SET,
        },
        "minimums": {"nodes": 0},
        "name": partition.name,
        "node_sets": partition.feature or "ALL",
        "preempt_mode": ["CLUSTER_GLOBAL"],
        "priority": {"job_factor": 1, "tier": partition.priority_tier},
        "timeouts": {"resume": _NOT_SET, "suspend": _NOT_SET},
        "topology": "",
        "suspend_time": _NOT_SET,
    }
