"""batch/v1 Job → row."""

from dataclasses import replace

from bridge.kube.api import decode
from bridge.kube.objects import metadata, templates, wire
from bridge.model import bounds
from bridge.model.owner import BatchJob

_FINISHED = frozenset({"Complete", "Failed", "SuccessCriteriaMet", "FailureTarget"})
"""The last two come first: the Job controller only ends pods from then on."""
_MOST_RULES = 20
"""Of a podFailurePolicy, and conditions in one: the API server's own bounds."""
_SUCCEEDED = {"Complete": True, "Failed": False}


def _row(job: wire.JobWire) -> BatchJob:
    meta: wire.Meta = job.get("metadata") or {}
    status: wire.JobStatus = job.get("status") or {}
    true = metadata.holding(status.get("conditions"))
    row = of(job.get("spec") or {}, meta)
    return replace(
        row,
        finished=not _FINISHED.isdisjoint(true),
        succeeded=next((_SUCCEEDED[kind] for kind in true if kind in _SUCCEEDED), None),
        succeeded_pods=status.get("succeeded") or 0,
        completed_indexes=_bounded(status.get("completedIndexes") or ""),
        failed_indexes=_bounded(status.get("failedIndexes") or ""),
    )


def of(spec: wire.JobSpecWire, meta: wire.Meta, *, at: str = "spec") -> BatchJob:
    """The row of a Job with this spec, or of a template of Jobs; `at` is the spec's path.

    Raises BadInput with the offending field.
    """
    parallelism, completions = spec.get("parallelism"), spec.get("completions")
    if parallelism is None and completions is None:
        completions = 1
    return BatchJob(
        **metadata.owner_fields(meta),
        parallelism=1 if parallelism is None else parallelism,
        completions=completions,
        indexed=spec.get("completionMode") == "Indexed",
        suspended=bool(spec.get("suspend")),
        active_deadline_s=metadata.seconds(spec.get("activeDeadlineSeconds")),
        template=templates.row(
            spec.get("template") or {}, namespace=meta.get("namespace", ""), at=f"{at}.template"
        ),
        judges_disruptions=_judges_disruptions(spec.get("podFailurePolicy") or {}),
    )


def _judges_disruptions(policy: wire.FailurePolicy) -> bool:
    return any(
        one.get("type") == "DisruptionTarget"
        for rule in (policy.get("rules") or ())[:_MOST_RULES]
        for one in (rule.get("onPodConditions") or ())[:_MOST_RULES]
    )


def _bounded(indexes: str) -> str:
    """The list, cut after a whole run where it is too long."""
    if len(indexes) <= bounds.LONGEST_INDEXES:
        return indexes
    return indexes[: bounds.LONGEST_INDEXES].rpartition(",")[0]


parse = decode.Parser(wire.JobWire, _row, kind="Job")
"""The row of a Job as the API server defaulted it. Raises BadInput with the field.

A Job with neither completions nor parallelism is one pod; with parallelism only it is a work
queue (completions stay None).
"""
