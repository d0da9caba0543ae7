"""What slurmrestd says when slurmctld gives it no answer: a bad token, or slurmctld is down.

Recorded endpoint by endpoint, since no two agree: a cancel is "not permitted" (403) while
slurmctld is down, the states are an empty list with "Unspecified error" (500).
"""

from dataclasses import dataclass, field

from bridge.sim.slurm.answers import Answer, Call, Envelope
from bridge.sim.slurm.errors import (
    NO_ERROR,
    NOT_PERMITTED,
    PROTOCOL_AUTHENTICATION,
    TEXT,
    UNABLE_TO_CONTACT_CONTROLLER,
    UNEXPECTED_MESSAGE,
    UNSPECIFIED,
    status_of,
)
from bridge.sim.slurm.wire import Json, number


@dataclass(frozen=True, slots=True)
class _Form:
    """How one endpoint fails: `about` may hold {} for the id or name. `down` is the error number
    while slurmctld is down, `token` that of a bad token.
    """

    about: str
    source: str
    content: dict[str, Json] = field(default_factory=dict)
    down: int = UNABLE_TO_CONTACT_CONTROLLER
    token: int = PROTOCOL_AUTHENTICATION
    down_content: dict[str, Json] | None = None


_NO_JOBS = {"jobs": [], "last_backfill": number(0), "last_update": number(0)}

_RESERVATIONS = _Form("Unable to query reservations", "slurm_load_reservations()")
_FORMS: dict[tuple[str, str], _Form] = {
    ("GET", "diag"): _Form(
        "slurm_get_statistics() failed to get slurmctld statistics", "op_handler_diag"
    ),
    ("GET", "jobs"): _Form("Unable to query jobs", "slurm_load_jobs()", _NO_JOBS),
    ("GET", "jobs/state"): _Form(
        "Unable to query job states",
        "slurm_load_job_state()",
        {"jobs": None},
        down=UNSPECIFIED,
        down_content={"jobs": []},
    ),
    ("GET", "job"): _Form("Unable to query JobId={}", "_handle_job_get", _NO_JOBS, UNSPECIFIED),
    ("POST", "job/submit"): _Form("Batch job submission failed", "slurm_submit_batch_job()"),
    ("POST", "job/submit het"): _Form("HetJob submission failed", "slurm_submit_batch_het_job()"),
    ("GET", "job/requeue"): _Form(
        "Requeue JobID={} failed", "op_handler_job_requeue", {"status": []}, UNEXPECTED_MESSAGE
    ),
    ("POST", "job"): _Form(
        "Job update requested failed",
        "slurm_update_job2()",
        {"results": None},
        UNEXPECTED_MESSAGE,
    ),
    ("DELETE", "job"): _Form(
        "Signal request failed", "slurm_kill_jobs()", {"status": []}, NOT_PERMITTED
    ),
    ("DELETE", "jobs"): _Form(
        "Signal request failed", "slurm_kill_jobs()", {"status": []}, NOT_PERMITTED
    ),
    ("GET", "resources"): _Form(
        "Unable to query JobId={}", "_handle_get", {"nodes": []}, UNSPECIFIED
    ),
    ("GET", "nodes"): _Form("Failure to query nodes", "_dump_nodes"),
    ("GET", "node"): _Form("Failure to query node {}", "_dump_nodes"),
    ("POST", "nodes"): _Form("Failure to update node {}", "_update_nodes"),
    ("POST", "node"): _Form("Failure to update node {}", "_update_node"),
    ("DELETE", "node"): _Form("Failure to delete node {}", "op_handler_node"),
    ("POST", "new/node"): _Form("Failure to create node", "_create_node"),
    ("GET", "partitions"): _Form("", ""),
    ("GET", "reservations"): _RESERVATIONS,
    ("GET", "reservation"): _RESERVATIONS,
    ("POST", "reservation"): _RESERVATIONS,
    ("DELETE", "reservation"): _Form("Error deleting reservation {}", "slurm_delete_reservation"),
    ("GET", "licenses"): _Form(
        "slurm_load_licenses() was unable to load licenses",
        "op_handler_licenses",
        {"licenses": [], "last_update": number(0)},
    ),
    ("GET", "conf"): _Form("slurm_load_ctl_conf() failed", "_dump_config"),
    ("GET", "shares"): _Form(
        "slurm_associations_get_shares() failed: GET",
        "_dump_shares",
        down=UNSPECIFIED,
        token=UNSPECIFIED,
    ),
    ("GET", "partition"): _Form("Unable to query partitions", "_partition_get"),
}


def no_answer(envelope: Envelope, call: Call, *, authentic: bool) -> Answer:
    """The answer to a call whose token is bad (`authentic` False), or while slurmctld is down."""
    kind = call.path.strip("/")
    if call.argument:
        kind = kind.replace(f"/{call.argument}", "", 1)
    if kind == "job/submit" and isinstance(call.body, dict) and call.body.get("jobs"):
        kind = "job/submit het"
    if kind == "ping":
        why = PROTOCOL_AUTHENTICATION if not authentic else UNABLE_TO_CONTACT_CONTROLLER
        return envelope.answer({"pings": [pong(why)]})
    form = _FORMS[(call.method, kind)]
    content, why = form.content, form.token
    if authentic:
        why = form.down
        content = form.content if form.down_content is None else form.down_content
    if not form.about:
        return envelope.answer(content, status=status_of(why))
    about = form.about.format(call.argument or _names(call))
    return envelope.refused(why, about, form.source, content=content)


def _names(call: Call) -> str:
    names = call.body.get("name") if isinstance(call.body, dict) else None
    return ",".join(names or [])


def pong(why: int | None) -> dict[str, Json]:
    """One line of a ping; `why` is the number of what is wrong, None when all is well."""
    return {
        "hostname": "localhost",
        "responding": why is None,
        "latency": 500,
        "primary": True,
        "status": TEXT[NO_ERROR if why is None else why],
    }
