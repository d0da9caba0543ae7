"""The endpoints about the cluster as it is configured: licenses, slurm.conf."""

from bridge.sim.slurm.answers import Answer, Call, Envelope
from bridge.sim.slurm.cluster import Cluster
from bridge.sim.slurm.wire import Json, number, time_of

_CONF: dict[str, Json] = {
    "AuthAltTypes": ["auth/jwt"],
    "AuthType": "auth/slurm",
    "CredType": "auth/slurm",
    "EnforcePartLimits": ["NO"],
    "MaxMemPerCPU": number(0),
    "MaxNodeCount": 20000,
    "PreemptMode": ["CANCEL"],
    "PreemptType": "preempt/partition_prio",
    "PriorityType": "priority/basic",
    "ResvOverRun": 0,
    "SchedulerType": "sched/backfill",
    "SelectType": "select/cons_tres",
    "SelectTypeParameters": ["CR_CORE_MEMORY"],
    "SlurmUser": "slurm",
    "SlurmctldParameters": [],
    "TreeWidth": 65533,
}
"""What the emulator behaves like; of the other two hundred settings it says nothing."""


class ClusterApi:
    """`/licenses/`, `/conf`."""

    def __init__(self, cluster: Cluster, envelope: Envelope, cluster_name: str) -> None:
        self._cluster = cluster
        self._envelope = envelope
        self._name = cluster_name

    def licenses(self, call: Call) -> Answer:
        """How many there are, and are free."""
        pool = self._cluster.licenses
        rows: list[Json] = [
            {
                "LicenseName": name,
                "Total": total,
                "Used": pool.used[name],
                "Free": max(total - pool.used[name], 0),
                "Remote": False,
                "Reserved": 0,
                "LastConsumed": 0,
                "LastDeficit": 0,
                "LastUpdate": 0,
                "Nodes": "",
            }
            for name, total in pool.totals.items()
        ]
        return self._envelope.answer({"licenses": rows, "last_update": time_of(call.now)})

    def conf(self, call: Call) -> Answer:
        """slurm.conf."""
        behaviour = self._cluster.behaviour
        said: dict[str, Json] = {
            **self._cluster.policy.settings(),
            "ClusterName": self._name,
            "FirstJobId": behaviour.first_job_id,
            "GresTypes": sorted(behaviour.gres_types),
            "Licenses": [f"{name}:{n}" for name, n in self._cluster.licenses.totals.items()],
            "MinJobAge": int(behaviour.min_job_age_s),
            "SchedulerParameters": [f"bf_interval={behaviour.backfill_interval_s:.0f}"],
        }
        conf = dict(sorted({**_CONF, **said}.items()))
        return self._envelope.answer({"slurm_conf": conf})
