"""A pod template → PodTemplate: what is known of pods before they exist."""

from pydantic import TypeAdapter

from bridge.errors import BadInput
from bridge.kube.api import decode
from bridge.kube.objects import claims, metadata, shapes, wire
from bridge.model import bounds, texts
from bridge.model.owner import PodTemplate

_TEMPLATE = TypeAdapter(wire.TemplateWire)


def parse(raw: object, *, namespace: str = "", at: str = "") -> PodTemplate:
    """From a pod template that nobody has checked; arguments and errors as `row`."""
    return row(decode.checked(_TEMPLATE, raw, at=at), namespace=namespace, at=at)


def row(template: wire.TemplateWire, *, namespace: str = "", at: str = "") -> PodTemplate:
    """From a template that is checked already; `namespace` is where its pods will be.

    `at` is the template's path in its object. Raises BadInput with the offending field.
    """
    meta: wire.Meta = {**(template.get("metadata") or {}), "namespace": namespace}
    spec: wire.PodSpec = template.get("spec") or {}
    try:
        shape = shapes.of(spec, meta)
        named, ephemeral = claims.of(spec, "")
    except BadInput as error:
        if not at:
            raise
        raise BadInput(f"{at}.{error}", field=f"{at}.{error.field}") from None
    return PodTemplate(
        shape=shape,
        annotations=metadata.annotations(meta),
        labels=metadata.label_set(meta),
        subdomain=texts.printable(spec.get("subdomain") or "", bounds.LONGEST_LABEL),
        active_deadline_s=metadata.seconds(spec.get("activeDeadlineSeconds")),
        volume_claims=named,
        own_claims=bool(ephemeral),
        node_name=texts.printable(spec.get("nodeName") or "", bounds.LONGEST_LABEL),
        has_resource_claims=bool(claims.of_devices(spec)),
    )
