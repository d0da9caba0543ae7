"""The endpoint about a running job's layout: which cores and devices of which node are its."""

from bridge.sim.slurm import gres
from bridge.sim.slurm.answers import Answer, Call, Envelope
from bridge.sim.slurm.cluster import Cluster
from bridge.sim.slurm.errors import JOB_NOT_RUNNING, Refused
from bridge.sim.slurm.job import Share
from bridge.sim.slurm.wire import Json, number


class ResourcesApi:
    """`/resources/{id}`."""

    def __init__(self, cluster: Cluster, envelope: Envelope) -> None:
        self._cluster = cluster
        self._envelope = envelope

    def get(self, call: Call) -> Answer:
        """Node by node; refused (2085) unless the job runs."""
        if not call.argument.isdigit():
            return self._envelope.bad_id("op_handler_resources")
        try:
            job = self._cluster.job(int(call.argument))
            if not job.running:
                raise Refused(JOB_NOT_RUNNING)
        except Refused as refused:
            about = f"Unable to query JobId={call.argument}"
            content: dict[str, Json] = {"nodes": []}
            return self._envelope.refused(refused.number, about, "_handle_get", content=content)
        return self._envelope.answer({"nodes": [_node(share) for share in job.shares]})


def _node(share: Share) -> dict[str, Json]:
    return {
        "node": share.node,
        "sockets_per_node": share.cores.sockets,
        "cores_per_socket": share.cores.per_socket,
        "mem_alloc": share.memory_mib,
        "core_bitmap": share.cores.bitmap(),
        "channel": number(None),
        "gres": [
            {
                "name": kind.name,
                "type": kind.type,
                "count": mask.bit_count(),
                "index": gres.index_list(mask) if kind.indexed else None,
            }
            for kind, mask in share.gres
        ],
    }
