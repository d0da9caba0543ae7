"""What is told of gangs and jobs as messages, and back."""

from bridge.explain.rows import (
    SET_ASIDE,
    GangRow,
    JobRow,
    NodeReport,
    Place,
    PodRow,
    QueueRow,
    StepRow,
    Story,
)
from bridge.lifecycle.state import State
from bridge.model.ids import GangId, SlurmJobId
from bridge.rpc.slurmbridge.v1 import bridge_pb2 as pb

_STATES = {
    State.KNOWN.value: pb.GANG_STATE_KNOWN,
    State.SUBMITTING.value: pb.GANG_STATE_SUBMITTING,
    State.QUEUED.value: pb.GANG_STATE_QUEUED,
    State.ALLOCATED.value: pb.GANG_STATE_ALLOCATED,
    State.PLACING.value: pb.GANG_STATE_PLACING,
    State.RUNNING.value: pb.GANG_STATE_RUNNING,
    State.ENDING.value: pb.GANG_STATE_ENDING,
    State.DONE.value: pb.GANG_STATE_DONE,
    SET_ASIDE: pb.GANG_STATE_SET_ASIDE,
}
_NAMES = {number: name for name, number in _STATES.items()}
_MOST = 2**31 - 1


def gang(row: GangRow) -> pb.Gang:
    """A gang in a list."""
    return pb.Gang(
        gang_id=row.id,
        namespace=row.namespace,
        kind=_text(row.kind),
        name=_text(row.name),
        state=_STATES.get(row.state, pb.GANG_STATE_UNSPECIFIED),
        size=row.size,
        pods=row.pods,
        job_id=row.job_id or 0,
        message=_text(row.message),
        reason=_text(row.reason),
        expected_start_s=_seconds(row.expected_start_s),
    )


def gang_row(message: pb.Gang) -> GangRow:
    """The row of a message."""
    return GangRow(
        id=GangId(message.gang_id),
        namespace=message.namespace,
        kind=message.kind,
        name=message.name,
        state=_NAMES.get(message.state, "Unknown"),
        size=message.size,
        pods=message.pods,
        job_id=SlurmJobId(message.job_id) if message.job_id else None,
        message=message.message,
        reason=message.reason,
        expected_start_s=message.expected_start_s or None,
    )


def job(row: JobRow) -> pb.Job:
    """A job."""
    return pb.Job(
        job_id=row.id,
        name=_text(row.name),
        state=row.state,
        reason=_text(row.reason),
        description=_text(row.description),
        meaning=_text(row.meaning),
        partition=_text(row.partition),
        account=_text(row.account),
        qos=_text(row.qos),
        user=_text(row.user),
        priority=row.priority or 0,
        submit_s=_seconds(row.submit_s),
        start_s=_seconds(row.start_s),
        end_s=_seconds(row.end_s),
        time_limit_min=min(row.time_limit_min or 0, _MOST),
        nodes=row.nodes,
    )


def job_row(message: pb.Job) -> JobRow:
    """The row of a message."""
    return JobRow(
        id=SlurmJobId(message.job_id),
        name=message.name,
        state=message.state,
        reason=message.reason,
        description=message.description,
        meaning=message.meaning,
        partition=message.partition,
        account=message.account,
        qos=message.qos,
        user=message.user,
        priority=message.priority,
        submit_s=message.submit_s or None,
        start_s=message.start_s or None,
        end_s=message.end_s or None,
        time_limit_min=message.time_limit_min or None,
        nodes=tuple(message.nodes),
    )


def story(row: Story) -> pb.Story:
    """A story."""
    place = row.place
    return pb.Story(
        gang=gang(row.gang),
        pods=[
            pb.PodStatus(name=pod.name, phase=pod.phase, node=pod.node, message=_text(pod.message))
            for pod in row.pods
        ],
        more_pods=row.more_pods,
        job=None if row.job is None else job(row.job),
        steps=[pb.Step(time_s=_seconds(step.at_s), text=_text(step.text)) for step in row.steps],
        place=None
        if place is None
        else pb.QueuePlace(ahead=place.ahead, waiting=place.waiting, partition=place.partition),
        nodes=[
            pb.NodeReport(
                role=_text(report.role),
                nodes=report.nodes,
                able=report.able,
                out=[pb.NodesOut(count=count, reason=_text(why)) for count, why in report.out],
            )
            for report in row.nodes
        ],
        notes=map(_text, row.notes),
        starts_when=_text(row.starts_when),
        advice=map(_text, row.advice),
    )


def story_row(message: pb.Story) -> Story:
    """The row of a message."""
    place = message.place if message.HasField("place") else None
    return Story(
        gang=gang_row(message.gang),
        pods=tuple(PodRow(one.name, one.phase, one.node, one.message) for one in message.pods),
        more_pods=message.more_pods,
        job=job_row(message.job) if message.HasField("job") else None,
        steps=tuple(StepRow(one.time_s, one.text) for one in message.steps),
        place=None if place is None else Place(place.ahead, place.waiting, place.partition),
        nodes=tuple(
            NodeReport(
                one.nodes, one.able, tuple((out.count, out.reason) for out in one.out), one.role
            )
            for one in message.nodes
        ),
        notes=tuple(message.notes),
        starts_when=message.starts_when,
        advice=tuple(message.advice),
    )


def queue_entry(row: QueueRow) -> pb.QueueEntry:
    """A row of the queue."""
    return pb.QueueEntry(
        job=None if row.job is None else job(row.job),
        namespace=row.namespace,
        kind=_text(row.kind),
        name=_text(row.name),
        pods=row.pods,
        message=_text(row.message),
    )


def queue_row(message: pb.QueueEntry) -> QueueRow:
    """The row of a message."""
    return QueueRow(
        job=job_row(message.job) if message.HasField("job") else None,
        namespace=message.namespace,
        kind=message.kind,
        name=message.name,
        pods=message.pods,
        message=message.message,
    )


def _seconds(epoch_s: float | None) -> int:
    return 0 if epoch_s is None else int(epoch_s)


def _text(text: str) -> str:
    """As protobuf takes it: an object's text may have lone surrogates."""
    return text.encode(errors="replace").decode()
