"""What a node says about itself that bears on new work: conditions, taints, and when it ends.

Conditions come from kubelets, node-problem-detector and the clouds' agents, taints from whoever is
about to take the node away. Which of them count is a setting; of all others nothing is kept.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bridge import names
from bridge.kube.objects import wire
from bridge.model.node import Cause
from bridge.model.pod import Condition

_LONGEST_WORD, _LONGEST_MESSAGE = 64, 120
_PLAIN = re.compile(r"[^ -~]|[\"'\\]")
_SECONDS = re.compile(r"[1-9][0-9]{8,10}")
"""Between 1973 and the year 5138: a shorter number is no such time."""


@dataclass(frozen=True, slots=True)
class Signs:
    """The settings: what counts, in the order in which it is told."""

    conditions: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """(type, status) → its place in that order."""
    taints: tuple[str, ...] = ()
    """Keys; a `*` at the end stands for the rest."""
    end_keys: tuple[str, ...] = (names.AVAILABLE_UNTIL,)
    """Labels or annotations that say when a node ceases to exist."""


def causes(node: wire.NodeWire, signs: Signs) -> tuple[Cause, ...]:
    """Everything that closes the node to new work, in the settings' order."""
    status: wire.NodeStatus = node.get("status") or {}
    spec: wire.NodeSpec = node.get("spec") or {}
    found = [
        (at, _of_condition(one))
        for one in status.get("conditions") or ()
        if (at := signs.conditions.get((one.get("type", ""), one.get("status", "")))) is not None
    ]
    first = len(signs.conditions)
    for taint in spec.get("taints") or ():
        key = taint.get("key", "")
        for at, wanted in enumerate(signs.taints):
            if _matches(key, wanted):
                found.append((first + at, Cause(f"taint {_word(key)}", taint=key)))
                break
    if not found:
        return ()
    return tuple(cause for _, cause in sorted(found, key=lambda one: (one[0], one[1].text)))


def drained(status: wire.NodeStatus) -> Condition | None:
    """Our own condition, if the node has it."""
    for one in status.get("conditions") or ():
        if one.get("type") == names.DRAINED_CONDITION:
            return Condition(
                names.DRAINED_CONDITION,
                one.get("status", ""),
                one.get("reason") or "",
                one.get("message") or "",
            )
    return None


def end(meta: wire.Meta, signs: Signs) -> tuple[float | None, str]:
    """When the node ceases to exist (the earliest time that is told), and the key whose time can't
    be read ("" if all can)."""
    times, unreadable = [], ""
    for key, text in _told(meta, signs.end_keys):
        time_s = end_time(text)
        if time_s is None:
            unreadable = unreadable or key
        else:
            times.append(time_s)
    return min(times, default=None), unreadable


def end_time(text: str) -> float | None:
    """Seconds since the epoch of such a number, of RFC 3339, or of 20261130T120000Z; None for any
    other text. A label's value can't hold the colons of RFC 3339."""
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None or moment.year < 1971:
        return None
    try:
        return moment.astimezone(UTC).timestamp()
    except OverflowError:
        return None


def _told(meta: wire.Meta, keys: Iterable[str]) -> Iterator[tuple[str, str]]:
    labels: Mapping[str, str] = meta.get("labels") or {}
    annotations: Mapping[str, str] = meta.get("annotations") or {}
    for key in keys:
        for values in (labels, annotations):
            if key in values:
                yield key, values[key].strip()


def _of_condition(one: wire.ConditionWire) -> Cause:
    reason = _word(one.get("reason") or "")
    text = f"{_word(one.get('type', ''))}={one.get('status', '')}"
    return Cause(
        f"{text} ({reason})" if reason else text,
        message=_plain(one.get("message") or "", _LONGEST_MESSAGE),
    )


def _matches(key: str, wanted: str) -> bool:
    return key.startswith(wanted[:-1]) if wanted.endswith("*") else key == wanted


def _word(text: str) -> str:
    return _plain(text, _LONGEST_WORD).replace(" ", "_")


def _plain(text: str, most: int) -> str:
    """As it may stand in a drain's reason: printable ASCII without quotes, of bounded length."""
    cleaned = " ".join(_PLAIN.sub(" ", text[: 4 * most]).split())
    return cleaned if len(cleaned) <= most else cleaned[: most - 3] + "..."
