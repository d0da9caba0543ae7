"""The proto files: named by buf's standard rules, and no number is changed or used again."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, FileDescriptor

from tools import record_proto

ROOT = Path(__file__).parents[3]
SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
PASCAL = re.compile(r"[A-Z][A-Za-z0-9]*")


def messages(found: FileDescriptor | Descriptor) -> Iterator[Descriptor]:
    """All messages of a file, nested ones too."""
    own = found.message_types_by_name if isinstance(found, FileDescriptor) else None
    for message in (own or {}).values() if own is not None else found.nested_types:  # type: ignore[union-attr]
        yield message
        yield from messages(message)


@pytest.mark.parametrize("file", record_proto.FILES, ids=lambda file: file.name)
def test_names(file: FileDescriptor) -> None:
    """Folder by package, services and their messages, fields and enums."""
    assert file.package == "slurmbridge.v1"
    assert str(Path(file.name).parent) == file.package.replace(".", "/")
    for service in file.services_by_name.values():
        assert service.name.endswith("Service")
        for method in service.methods:
            assert PASCAL.fullmatch(method.name)
            assert method.input_type.name == f"{method.name}Request"
            assert method.output_type.name == f"{method.name}Response"
    for message in messages(file):
        assert PASCAL.fullmatch(message.name)
        assert all(SNAKE.fullmatch(field.name) for field in message.fields)
        assert all(SNAKE.fullmatch(oneof.name) for oneof in message.oneofs)
    for enum in file.enum_types_by_name.values():
        prefix = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", enum.name).upper()
        assert enum.values_by_number[0].name == f"{prefix}_UNSPECIFIED"
        assert all(value.name.startswith(f"{prefix}_") for value in enum.values)


def test_every_file_is_looked_at() -> None:
    """A new one is added to the record."""
    there = {str(path.relative_to(ROOT / "proto")) for path in (ROOT / "proto").rglob("*.proto")}
    assert there == {file.name for file in record_proto.FILES}


def test_each_request_and_response_belongs_to_one_call() -> None:
    """So that each can grow by itself."""
    used = [
        kind.full_name
        for file in record_proto.FILES
        for service in file.services_by_name.values()
        for method in service.methods
        for kind in (method.input_type, method.output_type)
    ]
    assert len(used) == len(set(used))


def test_no_number_has_changed() -> None:
    """Since it was first recorded; `make proto` records what is new."""
    before = record_proto.read(record_proto.RECORD.read_text())
    now = record_proto.entries()
    assert record_proto.problems(now, before) == []
    assert set(now) <= set(before)


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (("M", 1, "a", "string"), ""),
        (("M", 3, "c", "string"), ""),
        (("M", 1, "a", "bytes"), "number 1 was string a"),
        (("M", 2, "c", "string"), "number 2 was string b"),
        (("M", 3, "a", "string"), "a had number 1"),
    ],
)
def test_what_must_not_change(now: record_proto.Entry, said: str) -> None:
    """A number's name or type, also of a field that is gone; and a name's number."""
    before = [("M", 1, "a", "string"), ("M", 2, "b", "string")]
    assert said in "".join(record_proto.problems([now], before))
    assert bool(said) == bool(record_proto.problems([now], before))
