"""Bytes to rows: the quick way and the slow way agree, and rows stay small."""

import gc
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from bridge import names
from bridge.errors import BadInput
from bridge.kube.api import decode, errors
from bridge.kube.objects import pods
from bridge.model.pod import Pod
from tests.unit.kube import oracle

ANSWERS = (Path(oracle.__file__).with_name("answers.jsonl")).read_text().splitlines()
RAW = [
    {**json.loads(line)["pod"], "metadata": {"name": f"p-{i}", "resourceVersion": str(i + 1)}}
    for i, line in enumerate(ANSWERS)
]
BAD = {"metadata": {"name": "bad", "resourceVersion": "9"}, "spec": {"containers": "none"}}


def slowly(raw: Any) -> Pod:
    """The same parser, as a function that knows nothing of bytes."""
    return pods.parse(raw)


def page(*items: Any, **meta: Any) -> bytes:
    """A list answer."""
    return json.dumps({"kind": "PodList", "metadata": meta, "items": items}).encode()


def line(kind: str, raw: Any) -> bytes:
    """A line of a watch."""
    return json.dumps({"type": kind, "object": raw}).encode()


def test_both_ways_agree() -> None:
    """Rows straight from the bytes are those of the objects, in lists and in watches."""
    wanted = [pods.parse(raw) for raw in RAW]
    assert list(pods.parse.page(page(*RAW)).items) == wanted
    assert list(decode.plain_page(slowly, page(*RAW)).items) == wanted
    for raw, row in zip(RAW, wanted, strict=True):
        event = decode.Event("ADDED", row.resource_version, row)
        assert pods.parse.event(line("ADDED", raw)) == event
        assert decode.plain_event(slowly, line("ADDED", raw)) == event


def test_what_is_not_read_is_not_looked_at() -> None:
    """Nonsense where we do not look (a new field, another type) costs nothing."""
    raw = {**RAW[0], "spec": {**RAW[0]["spec"], "hostAliases": 7, "brandNew": {"a": [1]}}}
    assert list(pods.parse.page(page(raw)).items) == [pods.parse(RAW[0])]


@pytest.mark.parametrize("parse", [pods.parse, slowly])
def test_one_bad_object_in_a_page(parse: Any) -> None:
    """A bad object costs itself only, and is told about with its name and field."""
    data = page(RAW[0], BAD, RAW[1], "x", resourceVersion="7", **{"continue": "t"})
    found = parse.page(data) if parse is pods.parse else decode.plain_page(parse, data)
    first, bad, second, text = found.items
    assert [first, second] == [pods.parse(RAW[0]), pods.parse(RAW[1])]
    assert isinstance(bad, decode.Refused)
    assert (bad.raw, bad.error.field) == (BAD, "spec.containers")
    assert "pod bad" in str(bad.error)
    assert isinstance(text, decode.Refused)
    assert (found.version, found.next) == ("7", "t")


def test_bad_for_the_row_only() -> None:
    """What fits the wire and makes no row is refused in the same words on both ways."""
    raw = {"metadata": {"name": "a", "resourceVersion": "1"}, "spec": {"overhead": {"cpu": "x"}}}
    (item,) = pods.parse.page(page(raw)).items
    assert isinstance(item, decode.Refused)
    with pytest.raises(BadInput) as caught:
        pods.parse(raw)
    assert (str(item.error), item.error.field) == (str(caught.value), caught.value.field)


def test_events_that_are_no_changes() -> None:
    """Bookmarks have only a version, errors only a status."""
    bookmark = line("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": "12"}})
    assert pods.parse.event(bookmark) == decode.Event("BOOKMARK", "12")
    status = {"kind": "Status", "metadata": {}, "status": "Failure", "code": 410}
    assert pods.parse.event(line("ERROR", status)) == decode.Event("ERROR", status=status)


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b'"x"', b"\xff", b'{"items": 3}', b'{"metadata": []}'],
)
def test_no_list(data: bytes) -> None:
    """What is no list is Garbled, never half a list."""
    with pytest.raises(errors.Garbled):
        pods.parse.page(data)


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b'{"type": "ADDED"}',
        b'{"type": "ADDED", "object": 3}',
        b'{"type": "ADDED", "object": {"metadata": {}}}',
        b'{"type": "ADDED", "object": {"metadata": {"resourceVersion": ""}}}',
        b'{"type": 7, "object": {}}',
    ],
)
def test_no_event(data: bytes) -> None:
    """What is no event, or has no version to go on from, is Garbled."""
    with pytest.raises(errors.Garbled):
        pods.parse.event(data)


def test_rows_are_small() -> None:
    """A waiting pod is kept in a few hundred bytes: 100,000 of them in less than 70 MB."""
    count = 2000
    data = page(*(waiting(number) for number in range(count)))
    list(pods.parse.page(data).items)  # what is shared is there
    gc.collect()
    tracemalloc.start()
    try:
        rows = list(pods.parse.page(data).items)
        gc.collect()
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(rows) == count
    assert size / count < 700


def waiting(number: int) -> dict[str, Any]:
    """One of many pods of many Jobs, waiting in Slurm."""
    job = number // 32
    return {
        "metadata": {
            "name": f"train-{job}-{number % 32}-abcde",
            "namespace": f"team-{job % 20}",
            "uid": f"{number:036x}",
            "resourceVersion": str(1_000_000 + number),
            "creationTimestamp": "2026-01-31T12:00:00Z",
            "labels": {"batch.kubernetes.io/job-name": f"train-{job}", "app": "x" * 50},
            "annotations": {names.COMPLETION_INDEX: str(number % 32), "big": "y" * 1000},
            "ownerReferences": [
                {"kind": "Job", "name": f"train-{job}", "uid": f"{job:036x}", "controller": True}
            ],
        },
        "spec": {
            "schedulerName": names.SCHEDULER_NAME,
            "schedulingGates": [{"name": names.ALLOCATION_GATE}],
            "containers": [
                {"name": "main", "resources": {"limits": {"cpu": "8", "nvidia.com/gpu": "8"}}}
            ],
        },
        "status": {
            "phase": "Pending",
            "conditions": [
                {
                    "type": names.ALLOCATED_CONDITION,
                    "status": "False",
                    "reason": "Priority",
                    "message": f"Slurm job {job + 1000} waits, place 17 in the queue",
                }
            ],
        },
    }
