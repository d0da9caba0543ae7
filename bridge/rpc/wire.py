"""Rows and batches as messages, and back."""

from bridge.model.ids import GangId, NodeName, PodUid, SlurmJobId
from bridge.rpc.placement_ledger import Batch, Row
from bridge.rpc.slurmbridge.v1 import placements_pb2 as pb


def changes(batch: Batch) -> pb.FollowResponse:
    """The message of one batch."""
    return pb.FollowResponse(
        changes=pb.Changes(
            is_whole=batch.is_whole,
            is_complete=batch.is_complete,
            placements=[_placement(row) for row in batch.rows],
            gone=batch.gone,
            cursor=batch.cursor,
        )
    )


def batch(message: pb.Changes) -> Batch:
    """The batch of one message."""
    return Batch(
        cursor=message.cursor,
        rows=tuple(_row(placement) for placement in message.placements),
        gone=tuple(PodUid(uid) for uid in message.gone),
        is_whole=message.is_whole,
        is_complete=message.is_complete,
    )


def _placement(row: Row) -> pb.Placement:
    return pb.Placement(
        pod_uid=row.pod,
        node=row.node,
        job_id=row.job_id or 0,
        gang_id=row.gang,
        waits_for=row.waits_for,
        is_running=row.is_running,
    )


def _row(placement: pb.Placement) -> Row:
    return Row(
        pod=PodUid(placement.pod_uid),
        node=NodeName(placement.node),
        job_id=SlurmJobId(placement.job_id) if placement.job_id else None,
        gang=GangId(placement.gang_id),
        waits_for=placement.waits_for,
        is_running=placement.is_running,
    )
