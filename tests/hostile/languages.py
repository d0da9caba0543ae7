"""The small languages that users write in, each with its reader and its worst texts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bridge import names
from bridge.gangs import annotations
from bridge.gangs.languages import constraints, dependencies, gres
from bridge.jobs import allowance
from bridge.model import bounds, quantity, timelimit
from bridge.model.namespace import Namespace

Worst = Callable[[int], str]
"""A text of about so many characters that costs its reader as much as can be."""


@dataclass(frozen=True)
class Language:
    """One language; `form` stands in each of its refusals, `key` too where it is an annotation."""

    name: str
    read: Callable[[str], object]
    form: str
    longest: int
    """Characters that are looked at; a longer text costs nothing."""
    worst: Mapping[str, Worst] = field(default_factory=dict)
    key: str = ""


def filled(unit: str) -> Worst:
    """The unit again and again."""
    return lambda size: unit * (size // len(unit))


def numbered(form: str, between: str) -> Worst:
    """Different items: `form` has a place for the number."""

    def text(size: int) -> str:
        items, length, number = [], 0, 0
        while length < size:
            item = form.format(n=number)
            items.append(item)
            length, number = length + len(item) + len(between), number + 1
        return between.join(items)[:size]

    return text


ANY: Mapping[str, Worst] = {
    "digits": filled("9"),
    "zeros": filled("0"),
    "letters": filled("a"),
    "blanks": filled(" "),
    "blanks, then a letter": lambda size: " " * (size - 1) + "x",
    "commas": filled(","),
    "colons": filled(":"),
    "parentheses": filled("("),
    "nested": lambda size: "(" * (size // 2) + ")" * (size // 2),
    "dots": filled("."),
    "digits, then a letter": lambda size: "1" * (size - 1) + "x",
    "other digits": filled("٣"),
    "NULs": filled("\0"),
    "half characters": filled("\ud800"),
    "emoji": filled("\U0001f600"),
    "lines": filled("\n"),
    "signs": filled("-"),
}
"""What is tried on each of them."""


def _annotation(
    suffix: str, form: str, longest: int, worst: Mapping[str, Worst] | None = None
) -> Language:
    key = names.JOB_PREFIX + suffix

    def read(text: str) -> object:
        values = {key: text}
        return (
            annotations.parse(values),
            annotations.gang_wish(values),
            annotations.gang_size(values),
        )

    return Language(key, read, form, longest, worst or {}, key)


def _of_namespace(key: str, form: str, longest: int) -> Language:
    def read(text: str) -> object:
        said = {names.NAMESPACE_USER: "alice:hpc", key: text}
        if key == names.NAMESPACE_GROUP:
            said[names.NAMESPACE_USER] = "alice"
        return allowance.of(Namespace("lab", "u", annotations=said))

    worst = {"names": numbered("n{n}", ","), "one pair": lambda size: "u" * (size // 2) + ":g"}
    return Language(f"{key} of a namespace", read, form, longest, worst, key)


WORD = "write a plain word"
CONSTRAINTS: Mapping[str, Worst] = {
    "ORs": numbered("f{n}", "|"),
    "ANDs": numbered("f{n}", "&"),
    "ANDs, then ORs": lambda size: "&".join("abcdefghijklmnopqrstuvwxyz") + "|x" * (size // 2 - 26),
    "pairs": numbered("(a{n}&b{n})", "|"),
    "pairs that stay few": lambda size: (
        "&".join(f"f{n}" for n in range(16)) + "|(f0&y)" * (size // 7)
    ),
    "by turns": numbered("a|(a&b{n})&(a|c)", "|"),
}
GRES: Mapping[str, Worst] = {
    "items": numbered("a{n}:1", ","),
    "colons": numbered("gpu:::{n}", ","),
    "the same": filled("gpu:1,"),
    "prefixes": filled("gres/"),
}
DEPENDENCIES: Mapping[str, Worst] = {
    "targets": lambda size: "after" + ":1" * (size // 2),
    "conditions": numbered("afterany:{n}", ","),
    "workloads": numbered("afterok:job/x{n}", ","),
    "a long workload": lambda size: "after:a/" + "a-" * (size // 2),
    "singletons": filled("singleton,"),
}
QUANTITIES: Mapping[str, Worst] = {
    "a fraction": lambda size: "0." + "9" * size,
    "an exponent": lambda size: "1e" + "9" * size,
}
NUMBER = "whole number from"

ANNOTATIONS = (
    _annotation("account", WORD, bounds.LONGEST_NAME),
    _annotation("constraints", "rack1|rack2, gpu&(ib|efa)", bounds.LONGEST_LIST, CONSTRAINTS),
    _annotation("cpu-per-task", "write it like", bounds.LONGEST_QUANTITY, QUANTITIES),
    _annotation("dependency", "write condition:target", bounds.LONGEST_VALUE, DEPENDENCIES),
    _annotation("exclusive", "write true or false", bounds.LONGEST_WORD),
    _annotation("gang", 'neither "true" nor "false"', bounds.LONGEST_WORD),
    _annotation("gang-size", NUMBER, bounds.LONGEST_NUMBER),
    _annotation("gres", "write ", bounds.LONGEST_LIST, GRES),
    _annotation("group-id", WORD, bounds.LONGEST_NAME),
    _annotation("job-name", WORD, bounds.LONGEST_LIST),
    _annotation("licenses", "write ", bounds.LONGEST_LIST),
    _annotation("max-nodes", NUMBER, bounds.LONGEST_NUMBER),
    _annotation("on-node-loss", "write replace", bounds.LONGEST_WORD),
    _annotation("mem-per-node", "write it like", bounds.LONGEST_QUANTITY, QUANTITIES),
    _annotation("min-nodes", NUMBER, bounds.LONGEST_NUMBER),
    _annotation("partition", WORD, bounds.LONGEST_NAME),
    _annotation("priority", NUMBER, bounds.LONGEST_NUMBER),
    _annotation("qos", WORD, bounds.LONGEST_NAME),
    _annotation("reservation", "write ", bounds.LONGEST_LIST),
    _annotation("timelimit", "write it like", bounds.LONGEST_TIME),
    _annotation("user-id", WORD, bounds.LONGEST_NAME),
    _annotation("wckey", WORD, bounds.LONGEST_NAME),
)
NAMESPACES = (
    _of_namespace(names.NAMESPACE_USER, "write user:group", bounds.LONGEST_PERSON),
    _of_namespace(names.NAMESPACE_GROUP, "write user:group", bounds.LONGEST_PERSON),
    _of_namespace(names.NAMESPACE_ACCOUNTS, "separated by commas", bounds.LONGEST_VALUE),
    _of_namespace(names.NAMESPACE_PARTITIONS, "separated by commas", bounds.LONGEST_VALUE),
    _of_namespace(names.NAMESPACE_QOS, "separated by commas", bounds.LONGEST_VALUE),
)
PLAIN = (
    Language("a quantity", quantity.parse, "write it like", bounds.LONGEST_QUANTITY, QUANTITIES),
    Language("a time limit", timelimit.parse, "write it like", bounds.LONGEST_TIME),
    Language("constraints", constraints.parse, "rack1|rack2", bounds.LONGEST_LIST, CONSTRAINTS),
    Language("GRES", gres.parse, "write it like", bounds.LONGEST_LIST, GRES),
    Language(
        "dependencies", dependencies.parse, "write condition", bounds.LONGEST_VALUE, DEPENDENCIES
    ),
)
ALL = (*ANNOTATIONS, *NAMESPACES, *PLAIN)
