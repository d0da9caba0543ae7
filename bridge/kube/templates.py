"""A pod template → PodTemplate: what is known of pods before they exist."""

from collections.abc import Mapping
from typing import Any

from bridge.kube import decode, metadata, shapes, wire
from bridge.model.owner import PodTemplate


def parse(raw: Mapping[str, Any], *, namespace: str = "") -> PodTemplate:
    """From the `template` of a Job, a JobSet's replicated job, a LeaderWorkerSet …

    Raises BadInput with the offending field.
    """
    parser = decode.Parser(
        wire.TemplateWire, lambda template: row(template, namespace=namespace), kind="pod template"
    )
    return parser(raw)


def row(template: wire.TemplateWire, *, namespace: str = "") -> PodTemplate:
    """From a template that is checked already; `namespace` is where its pods will be."""
    meta: wire.Meta = {**(template.get("metadata") or {}), "namespace": namespace}
    spec: wire.PodSpec = template.get("spec") or {}
    return PodTemplate(
        shape=shapes.of(spec, meta),
        annotations=metadata.annotations(meta),
        subdomain=spec.get("subdomain") or "",
        active_deadline_s=spec.get("activeDeadlineSeconds"),
    )
