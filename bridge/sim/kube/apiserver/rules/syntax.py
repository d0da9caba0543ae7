"""Names, label values, quantities: the forms that fields must have."""

import re
from typing import Final

from bridge.sim.kube.apiserver.failure import (
    Cause,
    invalid_value,
    required_value,
)
from bridge.sim.kube.apiserver.objects import Object

_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
_SUBDOMAIN = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_NAME_PART = re.compile(r"^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$")
_LABEL_VALUE = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")
_SUBDOMAIN_RULE: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex "
    "used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_DNS_LABEL_RULE: Final = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_LABEL_VALUE_RULE: Final = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  "
    "or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_QUALIFIED_RULE: Final = (
    "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex "
    "used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS "
    "subdomain prefix and '/' (e.g. 'example.com/MyName')"
)


def dns_subdomain(field: str, value: str) -> list[Cause]:
    """RFC 1123 subdomain, at most 253 characters."""
    if len(value) > 253:
        return [invalid_value(field, value, "must be no more than 253 characters")]
    return [] if _SUBDOMAIN.match(value) else [invalid_value(field, value, _SUBDOMAIN_RULE)]


def dns_label(field: str, value: str) -> list[Cause]:
    """RFC 1123 label, at most 63 characters."""
    if len(value) <= 63 and _LABEL.match(value):
        return []
    return [invalid_value(field, value, _DNS_LABEL_RULE)]


def label_value(field: str, value: str) -> list[Cause]:
    """What may stand on the right of a label, at most 63 characters."""
    if len(value) > 63:
        return [invalid_value(field, value, "must be no more than 63 bytes")]
    return [] if _LABEL_VALUE.match(value) else [invalid_value(field, value, _LABEL_VALUE_RULE)]


def qualified_name(field: str, value: str) -> list[Cause]:
    """`name` or `domain/name`."""
    prefix, slash, name = value.rpartition("/")
    good = len(name) <= 63 and _NAME_PART.match(name)
    if not good or (slash and not _SUBDOMAIN.match(prefix)):
        return [invalid_value(field, value, _QUALIFIED_RULE)]
    return []


def metadata(obj: Object) -> list[Cause]:
    """Labels, annotations, finalizers and owner references of any object."""
    causes: list[Cause] = []
    fields = obj["metadata"]
    for key, value in (fields.get("labels") or {}).items():
        causes += qualified_name("metadata.labels", key)
        causes += label_value("metadata.labels", value)
    for key in fields.get("annotations") or {}:
        causes += qualified_name("metadata.annotations", key.lower())
    for reference in fields.get("ownerReferences") or ():
        causes += [
            required_value(f"metadata.ownerReferences.{name}")
            for name in ("apiVersion", "kind", "name", "uid")
            if not reference.get(name)
        ]
    return causes
