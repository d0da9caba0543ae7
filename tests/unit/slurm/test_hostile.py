"""Whatever a server answers, a call gives its rows or one of our errors.

What real Slurms answered is cut, bent and blown up, and given to every call that reads.
"""

import asyncio
import copy
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bridge.model.ids import SlurmJobId, SlurmNodeName
from bridge.slurm import MalformedAnswer, SlurmClient, SlurmError, TokenSource

from . import recorded
from .clocks import ImpatientClock
from .recorded import Server

Call = Callable[[SlurmClient], Awaitable[object]]
_JOB = SlurmJobId(recorded.load("jobs")["running v0.0.45"].answer["jobs"][0]["job_id"])
_RAN = SlurmJobId(recorded.load("breadth")["history v0.0.45"].answer["jobs"][0]["job_id"])
_CALLS: dict[tuple[str, str], Call] = {
    ("jobs", "running v0.0.45"): lambda client: client.get_job(_JOB),
    ("jobs", "states v0.0.45"): lambda client: client.job_states(),
    ("jobs", "cancel v0.0.45"): lambda client: client.cancel_jobs([_JOB]),
    ("nodes", "get v0.0.45"): lambda client: client.get_node(SlurmNodeName("rec-9")),
    ("nodes", "list v0.0.45"): lambda client: client.list_nodes(raw=True),
    ("nodes", "partitions v0.0.45"): lambda client: client.list_partitions(),
    ("breadth", "diag v0.0.45"): lambda client: client.statistics(),
    ("breadth", "licenses v0.0.45"): lambda client: client.list_licenses(),
    ("breadth", "shares v0.0.45"): lambda client: client.list_shares(),
    ("breadth", "conf v0.0.45"): lambda client: client.configuration(),
    ("breadth", "layout v0.0.45"): lambda client: client.get_layout(_JOB),
    ("breadth", "reservations v0.0.45"): lambda client: client.list_reservations(),
    ("breadth", "accounts v0.0.45"): lambda client: client.list_accounts(),
    ("breadth", "users v0.0.45"): lambda client: client.list_users(),
    ("breadth", "associations v0.0.45"): lambda client: client.list_associations(),
    ("breadth", "qos v0.0.45"): lambda client: client.list_qos(),
    ("breadth", "clusters v0.0.45"): lambda client: client.list_clusters(),
    ("breadth", "tres v0.0.45"): lambda client: client.list_tres(),
    ("breadth", "history v0.0.45"): lambda client: client.get_history(_RAN),
}
_JUNK: list[Any] = [
    None, True, -1, 10**400, 1e308, "", "NaN", "Infinity", "n[0-99999999999999999]", [], [[]], {},
    {"set": True, "number": "x"}, {"set": True, "infinite": False, "number": 10**30},
    "0-65535," * 3000, "0x" + "f" * 100_000, "gpu:" * 5000, "\ud800",
]  # fmt: skip
_DEEP = b'{"jobs":' + b"[" * 200_000


def _ask(content: bytes, call: Call) -> object:
    """The call against a server that answers so to everything."""

    def handler(_: httpx2.Request) -> httpx2.Response:
        headers = {"content-type": "application/json"}
        return httpx2.Response(200, content=content, headers=headers)

    async def go() -> object:
        async with SlurmClient(
            endpoints=["http://slurm"],
            token=TokenSource.fixed("t"),
            clock=ImpatientClock(),
            transport=Server(handler),
        ) as client:
            return await call(client)

    return asyncio.run(go())


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(value, dict):
        for key, inner in value.items():
            found += _places(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value[:3]):
            found += _places(inner, (*path, number))
    return found


@pytest.mark.parametrize("which", _CALLS, ids=lambda which: which[1])
@settings(max_examples=40)
@given(data=st.data())
def test_bent_answers(which: tuple[str, str], data: st.DataObject) -> None:
    """One to three values are of another type, size or sense, or missing."""
    answer = copy.deepcopy(recorded.load(which[0])[which[1]].answer)
    for _ in range(data.draw(st.integers(1, 3))):
        places = _places(answer)
        if not places:
            break
        *way, last = data.draw(st.sampled_from(places))
        inside = answer
        for step in way:
            inside = inside[step]
        if data.draw(st.booleans()) and isinstance(inside, dict):
            del inside[last]
        else:
            inside[last] = copy.deepcopy(data.draw(st.sampled_from(_JUNK)))
    try:
        _ask(json.dumps(answer).encode(), _CALLS[which])
    except SlurmError:
        return


@pytest.mark.parametrize("which", _CALLS, ids=lambda which: which[1])
@settings(max_examples=10)
@given(share=st.floats(0, 1, exclude_max=True))
def test_cut_answers(which: tuple[str, str], share: float) -> None:
    """Half an answer is no answer."""
    whole = recorded.load(which[0])[which[1]].content()
    with pytest.raises(MalformedAnswer):
        _ask(whole[: int(len(whole) * share)], _CALLS[which])


@pytest.mark.parametrize("which", _CALLS, ids=lambda which: which[1])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"NaN",
        b'{"jobs": NaN, "status": NaN}',
        _DEEP,
        b"\xff\xfe",
        b'{"errors": {}}',
    ],
    ids=["empty", "null", "list", "nan", "nan inside", "deep", "no utf-8", "errors"],
)
def test_nonsense(which: tuple[str, str], content: bytes) -> None:
    """What is no object with what was asked for is malformed."""
    with pytest.raises(MalformedAnswer):
        _ask(content, _CALLS[which])


_LISTS: dict[str, Call] = {
    "jobs": lambda client: client.job_states(),
    "nodes": lambda client: client.list_nodes(),
    "errors": lambda client: client.job_states(),
    "status": lambda client: client.cancel_jobs([_JOB]),
}


@pytest.mark.parametrize("key", _LISTS)
def test_a_long_list_of_nonsense_is_left_at_its_first_mistake(key: str) -> None:
    """A thousand mistakes kept would take a thousand times the memory of one."""
    with pytest.raises(MalformedAnswer) as caught:
        _ask(json.dumps({key: [[]] * 1000}).encode(), _LISTS[key])
    cause = caught.value.__cause__
    assert isinstance(cause, ValidationError)
    assert cause.error_count() == 1


@pytest.mark.parametrize("part", [b"[],", b"{},"])
def test_an_answer_of_too_many_parts_is_not_read(part: bytes) -> None:
    """Three bytes each on the wire, fifty times that when read."""
    body = b'{"errors":[],"jobs":[' + part * 8_000_000 + b"0]}"
    for call in (_LISTS["jobs"], _CALLS["jobs", "running v0.0.45"]):
        with pytest.raises(MalformedAnswer, match="8000000 parts"):
            _ask(body, call)
