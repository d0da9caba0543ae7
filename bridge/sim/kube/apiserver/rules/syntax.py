"""Names, labels, annotations: the forms that fields must have.

Each mistake is a cause of its own, as in apimachinery's `validation`: a name can be too long and
have a wrong character.
"""

import re
from collections.abc import Mapping
from typing import Final

from bridge.sim.kube.apiserver.failure import Cause, invalid_value, too_long

MOST_ANNOTATED: Final = 256 * 1024
"""Bytes of all keys and values of an object's annotations."""
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAME_PART = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
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
_NAME_PART_RULE: Final = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_QUALIFIED_RULE: Final = (
    f"a valid label key {_NAME_PART_RULE} with an optional DNS subdomain prefix and '/' (e.g. "
    "'example.com/MyName')"
)
_EMPTY: Final = "must be non-empty"


def dns_subdomain(field: str, value: str, *, prefix: bool = False) -> list[Cause]:
    """RFC 1123 subdomain, at most 253 characters. `prefix`: something will stand behind it."""
    return _causes(field, value, _subdomain_mistakes(_completed(value) if prefix else value))


def dns_label(field: str, given: str, *, prefix: bool = False) -> list[Cause]:
    """RFC 1123 label, at most 63 characters. `prefix`: something will stand behind it."""
    value = _completed(given) if prefix else given
    mistakes = _too_long(value, 63)
    if not _LABEL.fullmatch(value):
        dotted = _SUBDOMAIN.fullmatch(value)
        mistakes.append("must not contain dots" if dotted else _DNS_LABEL_RULE)
    return _causes(field, given, mistakes)


def is_dns_label(value: str) -> bool:
    """Whether `dns_label` has nothing to say."""
    return not dns_label("", value)


def label_value(field: str, value: str) -> list[Cause]:
    """What may stand on the right of a label, at most 63 characters."""
    mistakes = _too_long(value, 63)
    if not _LABEL_VALUE.fullmatch(value):
        mistakes.append(_LABEL_VALUE_RULE)
    return _causes(field, value, mistakes)


def qualified_name(field: str, value: str) -> list[Cause]:
    """`name` or `domain/name`: 63 characters, 253 before the slash."""
    return _causes(field, value, _qualified_mistakes(value))


def labels(field: str, given: Mapping[str, str] | None) -> list[Cause]:
    """Labels of an object or a template."""
    causes: list[Cause] = []
    for key, value in (given or {}).items():
        causes += qualified_name(field, key)
        causes += label_value(field, value)
    return causes


def annotations(field: str, given: Mapping[str, str] | None) -> list[Cause]:
    """Annotations of an object or a template: forms of the keys, size of all together."""
    causes = [
        invalid_value(field, key, mistake)
        for key in given or {}
        for mistake in _qualified_mistakes(key.lower())
    ]
    if sum(_size(key) + _size(value) for key, value in (given or {}).items()) > MOST_ANNOTATED:
        causes.append(too_long(field, MOST_ANNOTATED))
    return causes


def _qualified_mistakes(value: str) -> list[str]:
    *prefixes, name = value.split("/")
    if len(prefixes) > 1:
        return [_QUALIFIED_RULE]
    mistakes = [
        f"prefix part {one}"
        for prefix in prefixes
        for one in (_subdomain_mistakes(prefix) if prefix else [_EMPTY])
    ]
    mistakes += [f"name part {one}" for one in (_too_long(name, 63) if name else [_EMPTY])]
    if not _NAME_PART.fullmatch(name):
        mistakes.append(f"name part {_NAME_PART_RULE}")
    return mistakes


def _subdomain_mistakes(value: str) -> list[str]:
    mistakes = _too_long(value, 253)
    return mistakes if _SUBDOMAIN.fullmatch(value) else [*mistakes, _SUBDOMAIN_RULE]


def _completed(prefix: str) -> str:
    """A prefix as apimachinery judges it: without its last dash and what is before that."""
    return prefix[:-2] + "a" if len(prefix) > 1 and prefix.endswith("-") else prefix


def _too_long(value: str, most: int) -> list[str]:
    return [f"must be no more than {most} bytes"] if _size(value) > most else []


def _size(text: str) -> int:
    return len(text.encode())


def _causes(field: str, value: str, mistakes: list[str]) -> list[Cause]:
    return [invalid_value(field, value, one) for one in mistakes]
