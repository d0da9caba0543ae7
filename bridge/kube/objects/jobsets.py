"""jobset.x-k8s.io JobSet → row.

What its controller and webhook fill in is filled in here too: Jobs are Indexed unless they say
otherwise, and their pods get a subdomain unless `spec.network.enableDNSHostnames` is false.
"""

from dataclasses import replace

from bridge.kube.objects import jobs, metadata, owner_wire, wire
from bridge.model import bounds, texts
from bridge.model.owner import JobSet, ReplicatedJob

_FINISHED = frozenset({"Completed", "Failed"})


def row(found: owner_wire.JobSetWire, api_version: str) -> JobSet:
    """The row of a JobSet. Raises BadInput with the offending field."""
    meta: wire.Meta = found.get("metadata") or {}
    spec: owner_wire.JobSetSpec = found.get("spec") or {}
    status: owner_wire.JobSetStatus = found.get("status") or {}
    subdomain = _subdomain(meta, spec.get("network") or {})
    replicated = spec.get("replicatedJobs") or ()
    at = "spec.replicatedJobs"
    bounds.check_count(len(replicated), bounds.MOST_ROLES, "replicated jobs", field=at)
    return JobSet(
        **metadata.owner_fields(meta),
        api_version=api_version,
        suspended=bool(spec.get("suspend")),
        finished=status.get("terminalState") in _FINISHED
        or not _FINISHED.isdisjoint(metadata.holding(status.get("conditions"))),
        replicated_jobs=tuple(
            _replicated(one, meta.get("namespace", ""), subdomain, at=f"{at}[{i}]")
            for i, one in enumerate(replicated)
        ),
        in_order=(spec.get("startupPolicy") or {}).get("startupPolicyOrder") == "InOrder",
    )


def _replicated(
    found: owner_wire.ReplicatedJobWire, namespace: str, subdomain: str, *, at: str
) -> ReplicatedJob:
    template = found.get("template") or {}
    spec: wire.JobSpecWire = {**(template.get("spec") or {})}
    spec["completionMode"] = spec.get("completionMode") or "Indexed"
    meta: wire.Meta = {**(template.get("metadata") or {}), "namespace": namespace}
    job = jobs.of(spec, meta, at=f"{at}.template.spec")
    if not job.template.subdomain:
        job = replace(job, template=replace(job.template, subdomain=subdomain))
    replicas, after = found.get("replicas"), found.get("dependsOn") or ()
    bounds.check_count(len(after), bounds.MOST_ROLES, "dependencies", field=f"{at}.dependsOn")
    return ReplicatedJob(
        name=texts.printable(found.get("name", ""), bounds.LONGEST_LABEL),
        replicas=1 if replicas is None else replicas,
        job=job,
        after=tuple(texts.printable(one.get("name", ""), bounds.LONGEST_LABEL) for one in after),
    )


def _subdomain(meta: wire.Meta, network: owner_wire.Network) -> str:
    if network.get("enableDNSHostnames") is False:
        return ""
    return texts.printable(network.get("subdomain") or meta.get("name", ""), bounds.LONGEST_LABEL)
