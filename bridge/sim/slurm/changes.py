"""Updates of jobs and nodes, as they are posted."""

from collections.abc import Callable
from dataclasses import replace

from bridge.sim.slurm import features, resize
from bridge.sim.slurm.cluster import Cluster
from bridge.sim.slurm.description import KEPT_TEXTS, node_names, refuse_what_is_not_there
from bridge.sim.slurm.errors import (
    DATA_FLAG,
    INVALID_FEATURE,
    INVALID_GRES,
    INVALID_NODE_NAME,
    INVALID_NODE_TRANSITION,
    INVALID_PARTITION,
    JOB_FINISHED,
    JOB_NOT_PENDING,
    USER_ID_MISSING,
    Refused,
)
from bridge.sim.slurm.fields import JOB_FIELDS, NODE_FIELDS
from bridge.sim.slurm.job import Job, Request
from bridge.sim.slurm.nodes import Node
from bridge.sim.slurm.wire import (
    Complaints,
    Json,
    read_names,
    read_number,
    read_text,
)

_WHILE_PENDING = resize.FIELDS - {"shared"} | {
    "constraints", "excluded_nodes", "partition", "begin_time",
}  # fmt: skip


def update_job(
    cluster: Cluster, job_id: int, body: dict[str, Json], complaints: Complaints, now: float
) -> None:
    """Apply an update. Raises Refused; then nothing of it has happened."""
    cluster.advance(now)
    complaints.unknown_fields(body, JOB_FIELDS, "DATA_PARSER_JOB_DESC_MSG", "#/")
    job = cluster.job(job_id)
    if not job.pending and not job.running:
        raise Refused(JOB_FINISHED)
    if str(body.get("user_id", job.request.user_id)) != str(job.request.user_id):
        raise Refused(USER_ID_MISSING)
    required = read_names(body, "required_nodes", complaints, "#/")
    change = _change(cluster, job, body, complaints)
    begin = read_number(body, "begin_time", complaints, "#/")
    change = _claims(cluster, change, body, complaints)
    charged = {name: str(body[name]) for name in ("account", "qos") if body.get(name)}
    charge = cluster.policy.change(job, charged) if charged else job.charge
    if job.running:
        sent = {name for name in _WHILE_PENDING & body.keys() if body[name] != []}
        if body.get("tasks") == job.request.tasks:
            sent.discard("tasks")
        if not begin.value:
            sent.discard("begin_time")
        if sent:
            raise Refused(JOB_NOT_PENDING)
        if required:
            cluster.shrink(job, list(node_names(required)), now)
    else:
        if required is not None and body["required_nodes"] != []:
            change = replace(
                change, required=node_names(required), required_text=",".join(required)
            )
        refuse_what_is_not_there(body)
    cluster.change(job, change)
    job.charge = charge
    if job.pending and begin.value:
        cluster.set_begin(job, begin.value, now)
    _update_rest(cluster, job, body, complaints, now)
    cluster.touched(job, now)


def _change(cluster: Cluster, job: Job, body: dict[str, Json], complaints: Complaints) -> Request:
    """The request as it would be; an empty list changes nothing, an empty string clears."""
    request = job.request
    constraints = read_text(body, "constraints", complaints, "#/")
    excluded = read_names(body, "excluded_nodes", complaints, "#/")
    partition = read_text(body, "partition", complaints, "#/")
    if job.running:
        return request
    if constraints is not None:
        expression = features.parse(constraints)
        request = replace(request, constraints=constraints, expression=expression)
        if not cluster.placer.features_known(request, once=True):
            raise Refused(INVALID_FEATURE)
    if excluded or (excluded is not None and body["excluded_nodes"] != []):
        names = node_names(excluded)
        if any(cluster.table.get(name) is None for name in names):
            raise Refused(INVALID_NODE_NAME)
        request = replace(request, excluded=names, excluded_text=",".join(excluded))
    if partition is not None:
        if partition not in cluster.partitions:
            raise Refused(INVALID_PARTITION)
        request = replace(request, partition=partition)
    return resize.resized(
        request, body, gres_types=cluster.behaviour.gres_types, complaints=complaints
    )


def _claims(
    cluster: Cluster, request: Request, body: dict[str, Json], complaints: Complaints
) -> Request:
    """Reservation and licenses, which may change while the job runs too."""
    reservation = read_text(body, "reservation", complaints, "#/")
    licenses = read_text(body, "licenses", complaints, "#/")
    if reservation is None and licenses is None:
        return request
    if reservation is not None:
        request = replace(request, reservation=reservation)
    if licenses is not None:
        request = replace(request, licenses=licenses)
    cluster.check_claims(request)
    return request


def _update_rest(
    cluster: Cluster, job: Job, body: dict[str, Json], complaints: Complaints, now: float
) -> None:
    """What may change while the job runs."""
    texts = {
        name: text
        for name in KEPT_TEXTS
        if (text := read_text(body, name, complaints, "#/")) is not None
    }
    if texts:
        job.request = replace(job.request, texts={**job.request.texts, **texts})
    name = read_text(body, "name", complaints, "#/")
    if name:
        job.request = replace(job.request, name=name)
    limit = read_number(body, "time_limit", complaints, "#/")
    if limit.given:
        cluster.set_limit(job, limit.value, now)
    priority = read_number(body, "priority", complaints, "#/")
    if priority.value is not None:
        cluster.set_priority(job, priority.value)
    if body.get("nice") is not None:
        cluster.set_nice(job, int(body["nice"]))
    if "hold" in body:
        cluster.hold(job, bool(body["hold"]))


def update_nodes(
    cluster: Cluster, names: list[str], body: dict[str, Json], complaints: Complaints, now: float
) -> None:
    """Apply one update to several nodes, all or none. Raises Refused."""
    cluster.advance(now)
    complaints.unknown_fields(body, NODE_FIELDS, "DATA_PARSER_UPDATE_NODE_MSG", "#/")
    nodes = [cluster.node(name) for name in names]
    if body.get("gres") is not None:
        raise Refused(INVALID_GRES)
    states = [str(state) for state in body.get("state") or []]
    for index, state in enumerate(states):
        if state not in _STATES:
            complaints.error(DATA_FLAG, f'Unknown flag "{state}"', f"#/state[{index}]/")
            raise Refused(INVALID_NODE_TRANSITION)
        for node in nodes:
            if state in ("RESUME", "IDLE") and not node.responding:
                raise Refused(INVALID_NODE_TRANSITION)
    for node in nodes:
        _update_node(cluster, node, body, complaints, now)
        for state in states:
            _STATES[state](cluster, node, now)
    cluster.node_changed(now)


def _update_node(
    cluster: Cluster, node: Node, body: dict[str, Json], complaints: Complaints, now: float
) -> None:
    named = read_names(body, "features", complaints, "#/")
    if named is not None:
        node.features = tuple(part for word in named for part in word.split(",") if part)
    weight = read_number(body, "weight", complaints, "#/")
    if weight.value is not None:
        node.weight = weight.value
    for field in ("comment", "extra"):
        text = read_text(body, field, complaints, "#/")
        if text is not None:
            setattr(node, field, text)
    address = read_names(body, "address", complaints, "#/")
    if address:
        node.address = address[0]
    topology = read_text(body, "topology_str", complaints, "#/")
    if topology is not None:
        cluster.move_node(node, topology)
    reason = read_text(body, "reason", complaints, "#/")
    if reason:
        node.reason, node.reason_s, node.reason_user = reason, now, "slurm"


def _drain(_: Cluster, node: Node, __: float) -> None:
    node.drain = True


def _undrain(_: Cluster, node: Node, __: float) -> None:
    node.drain = False
    _forget_reason(node)


def _resume(_: Cluster, node: Node, __: float) -> None:
    node.drain = node.down = False
    _forget_reason(node)


def _down(cluster: Cluster, node: Node, now: float) -> None:
    cluster.node_down(node, now)


def _forget_reason(node: Node) -> None:
    node.reason, node.reason_s, node.reason_user = "", 0.0, ""


_STATES: dict[str, Callable[[Cluster, Node, float], None]] = {
    "DRAIN": _drain,
    "UNDRAIN": _undrain,
    "RESUME": _resume,
    "IDLE": _resume,
    "DOWN": _down,
}
