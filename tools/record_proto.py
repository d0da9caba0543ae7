"""Keeps proto/recorded.txt: each field and each value that was ever in proto/, with its number.

`python tools/record_proto.py` adds what is new, and refuses what changes or reuses a number: an
older client or server would read one thing for another. `--check` only compares. A field that is
taken out stays recorded, so its number and its name are never used again.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, FileDescriptor

from bridge.rpc.slurmbridge.v1 import bridge_pb2, placements_pb2

RECORD = Path(__file__).parents[1] / "proto" / "recorded.txt"
FILES: tuple[FileDescriptor, ...] = (bridge_pb2.DESCRIPTOR, placements_pb2.DESCRIPTOR)
_TYPES = {
    number: name.removeprefix("TYPE_").lower()
    for name, number in vars(FieldDescriptor).items()
    if name.startswith("TYPE_")
}
Entry = tuple[str, int, str, str]
"""(message or enum, number, name, type)."""


def entries(files: Iterable[FileDescriptor] = FILES) -> list[Entry]:
    """What the generated code says now."""
    found: list[Entry] = []
    for file in files:
        for enum in file.enum_types_by_name.values():
            found += _values(enum)
        for message in file.message_types_by_name.values():
            found += _fields(message)
    return sorted(found)


def _values(enum: EnumDescriptor) -> Iterator[Entry]:
    yield from ((enum.full_name, one.number, one.name, "value") for one in enum.values)


def _fields(message: Descriptor) -> Iterator[Entry]:
    for field in message.fields:
        kind = _TYPES[field.type]
        named = field.message_type or field.enum_type
        kind = named.full_name if named is not None else kind
        yield message.full_name, field.number, field.name, _repeated(field) + kind
    for nested in message.nested_types:
        yield from _fields(nested)
    for enum in message.enum_types:
        yield from _values(enum)


def _repeated(field: FieldDescriptor) -> str:
    return "repeated " if field.is_repeated else ""


def read(text: str) -> list[Entry]:
    """The entries of a record."""
    found = []
    for line in text.splitlines():
        if line and not line.startswith("#"):
            whose, number, name, kind = line.split(" ", 3)
            found.append((whose, int(number), name, kind))
    return found


def problems(now: Iterable[Entry], before: Iterable[Entry]) -> list[str]:
    """What has changed though it must not."""
    known = {(whose, number): (name, kind) for whose, number, name, kind in before}
    names = {(whose, name): number for (whose, number), (name, _) in known.items()}
    found = []
    for whose, number, name, kind in now:
        was = known.get((whose, number))
        if was is not None and was != (name, kind):
            found.append(f"{whose}: number {number} was {was[1]} {was[0]}, and is {kind} {name}")
        elif names.get((whose, name), number) != number:
            found.append(f"{whose}: {name} had number {names[whose, name]}, and has {number}")
    return found


def main(arguments: list[str]) -> int:
    """0, or 1 where something is wrong."""
    before = read(RECORD.read_text()) if RECORD.exists() else []
    now = entries()
    wrong = problems(now, before)
    missing = sorted(set(now) - set(before))
    if arguments == ["--check"]:
        wrong += [f"{one[0]}: {one[2]} is not recorded: run make proto" for one in missing]
    for problem in wrong:
        print(f"proto/recorded.txt: {problem}", file=sys.stderr)
    if wrong:
        return 1
    if arguments != ["--check"]:
        lines = (" ".join(map(str, one)) for one in sorted({*now, *before}))
        head = "# Written by tools/record_proto.py (make proto). Lines are never taken out."
        RECORD.write_text("\n".join((head, *lines)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
