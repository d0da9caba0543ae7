"""batch/v1 Job → row."""

from bridge.kube import decode, metadata, templates, wire
from bridge.model.owner import BatchJob

PATH = "/apis/batch/v1/jobs"
"""List and watch, all namespaces."""

_FINISHED = ("Complete", "Failed", "SuccessCriteriaMet", "FailureTarget")
"""The last two come first: the Job controller only ends pods from then on."""


_SUCCEEDED = {"Complete": True, "Failed": False}


def _row(job: wire.JobWire) -> BatchJob:
    meta: wire.Meta = job.get("metadata") or {}
    spec: wire.JobSpecWire = job.get("spec") or {}
    conditions = (job.get("status") or {}).get("conditions") or ()
    parallelism, completions = spec.get("parallelism"), spec.get("completions")
    if parallelism is None and completions is None:
        completions = 1
    return BatchJob(
        uid=meta.get("uid", ""),
        namespace=meta.get("namespace", ""),
        name=meta.get("name", ""),
        resource_version=meta.get("resourceVersion", ""),
        parallelism=1 if parallelism is None else parallelism,
        completions=completions,
        indexed=spec.get("completionMode") == "Indexed",
        suspended=bool(spec.get("suspend")),
        finished=any(
            one.get("type") in _FINISHED and one.get("status") == "True" for one in conditions
        ),
        succeeded=next(
            (
                _SUCCEEDED[kind]
                for one in conditions
                if (kind := one.get("type", "")) in _SUCCEEDED and one.get("status") == "True"
            ),
            None,
        ),
        deleting=bool(meta.get("deletionTimestamp")),
        active_deadline_s=spec.get("activeDeadlineSeconds"),
        annotations=metadata.annotations(meta),
        template=templates.row(spec.get("template") or {}, namespace=meta.get("namespace", "")),
        owner=metadata.controller(meta),
    )


parse = decode.Parser(wire.JobWire, _row, kind="Job")
"""The row of a Job as the API server defaulted it. Raises BadInput with the field.

A Job with neither completions nor parallelism is one pod; with parallelism only it is a work
queue (completions stay None).
"""
