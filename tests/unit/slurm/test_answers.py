"""What each recorded answer of a real slurmrestd means."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.slurm import answers, errors
from bridge.slurm.answers import Operation
from bridge.slurm.errno import Kind
from bridge.slurm.http import Answer

from . import recorded

_MISTAKES = recorded.load("mistakes")
_NODES = recorded.load("nodes")
_JOBS = recorded.load("jobs")
_OUTAGE = recorded.load("outage")
_EXPIRED = recorded.load("expired")

_ABOUT = {"job": "job", "nod": "node", "par": "partition", "new": ""}


def _answer(exchange: recorded.Exchange) -> Answer:
    return Answer(exchange.path, exchange.status, exchange.content_type, exchange.content())


def _operation(exchange: recorded.Exchange) -> Operation:
    """What the client says of such a request."""
    tail = exchange.path.split("/")[3]
    return Operation(
        "trying",
        about=_ABOUT.get(tail[:3], ""),
        safe=tail != "new" and "submit" not in exchange.path,
        unspecified=Kind.INVALID if tail == "new" else Kind.UNAVAILABLE,
    )


def _read(answer: Answer, operation: Operation) -> answers.Envelope:
    """As the client reads it, also the answer of a cancel."""
    found = answers.check(answer, operation)
    if (problem := answers.killed(found, answer, operation)) is not None:
        raise problem
    return found


def _problem(exchange: recorded.Exchange) -> errors.SlurmError:
    with pytest.raises(errors.SlurmError) as caught:
        _read(_answer(exchange), _operation(exchange))
    return caught.value


@pytest.mark.parametrize(
    ("name", "number", "slurm_name", "remedy"),
    [
        ("unknown partition", 2000, "ESLURM_INVALID_PARTITION_NAME", "sinfo"),
        ("gpus that no node has", 2014, "ESLURM_REQUESTED_NODE_CONFIG_UNAVAILABLE", "ask for less"),
        ("unknown gres", 2072, "ESLURM_INVALID_GRES", "GresTypes"),
        ("unknown gres type", 2014, "ESLURM_REQUESTED_NODE_CONFIG_UNAVAILABLE", "ask for less"),
        ("no tres", 2115, "ESLURM_INVALID_TRES", "gres/gpu:2"),
        ("unknown feature", 2029, "ESLURM_INVALID_FEATURE", "features"),
        ("broken constraint", 2029, "ESLURM_INVALID_FEATURE", "features"),
        ("unknown user", 2166, "ESLURM_USER_ID_UNKNOWN", "user"),
        ("unknown group", 2164, "ESLURM_GROUP_ID_UNKNOWN", "group"),
        ("unknown reservation", 2053, "ESLURM_RESERVATION_INVALID", "reservation"),
        ("unknown license", 2048, "ESLURM_INVALID_LICENSES", ""),
        ("unknown dependency", 2038, "ESLURM_DEPENDENCY", ""),
        ("unknown excluded node", 2018, "ESLURM_INVALID_NODE_NAME", "sinfo"),
        ("unknown required node", 2018, "ESLURM_INVALID_NODE_NAME", "sinfo"),
        ("all nodes excluded", 2014, "ESLURM_REQUESTED_NODE_CONFIG_UNAVAILABLE", "ask for less"),
        ("memory that no node has", 2014, "ESLURM_REQUESTED_NODE_CONFIG_UNAVAILABLE", "less"),
        ("more nodes than at most", 2006, "ESLURM_INVALID_NODE_COUNT", ""),
        ("long name", 2012, "ESLURM_PATHNAME_TOO_LONG", ""),
        ("no script", 9000, "ESLURM_REST_INVALID_QUERY", ""),
        ("unknown flag", 9207, "ESLURM_DATA_FLAGS_INVALID", ""),
        ("empty body", 9000, "ESLURM_REST_INVALID_QUERY", ""),
        ("id that is no number", 9000, "ESLURM_REST_INVALID_QUERY", ""),
    ],
)
def test_a_users_mistake_is_an_invalid_request_whatever_the_status(
    name: str, number: int, slurm_name: str, remedy: str
) -> None:
    """422 or 500: the message tells what was tried, Slurm's words and number, and what to do."""
    exchange = _MISTAKES[name]
    problem = _problem(exchange)
    assert isinstance(problem, errors.InvalidRequest)
    assert (problem.number, problem.name) == (number, slurm_name)
    assert problem.source
    said = exchange.answer["errors"][0]
    for part in ("trying: ", said["error"], f"Slurm error {number} {slurm_name}", remedy):
        assert part in str(problem)


def test_a_field_that_was_ignored_is_an_error() -> None:
    """Slurm answers 200 and a warning when it doesn't know a field: it did not happen."""
    problem = _problem(_MISTAKES["unknown field"])
    assert isinstance(problem, errors.InvalidRequest)
    assert 'unknown field "foo"' in str(problem)
    assert problem.source == "#/job/foo/"
    assert problem.warnings


@pytest.mark.parametrize("version", recorded.VERSIONS)
def test_a_change_of_cpus_is_refused(version: str) -> None:
    """CPUs of a live node can't be changed: Slurm says so only in a warning."""
    problem = _problem(_NODES[f"cpus {version}"])
    assert isinstance(problem, errors.InvalidRequest)


def test_a_job_that_only_waits_for_ever_is_no_error() -> None:
    """More CPUs than any node has is accepted by Slurm with a warning: the job is there."""
    exchange = _MISTAKES["cpus that no node has"]
    found = answers.check(_answer(exchange), _operation(exchange))
    assert found.job_id
    assert any("not available" in word for word in found.words)


@pytest.mark.parametrize("version", recorded.VERSIONS)
@pytest.mark.parametrize(
    ("recording", "name", "kind"),
    [
        (_JOBS, "unknown", errors.JobNotFound),
        (_JOBS, "update unknown", errors.JobNotFound),
        (_JOBS, "update ended", errors.JobEnded),
        (_JOBS, "cancel unknown", errors.JobNotFound),
        (_JOBS, "cancel ended", errors.JobEnded),
        (_NODES, "get unknown", errors.NotFound),
        (_NODES, "update unknown", errors.NotFound),
        (_NODES, "delete unknown", errors.NotFound),
        (_NODES, "delete busy", errors.InUse),
        (_NODES, "create again", errors.AlreadyExists),
        (_NODES, "gres", errors.InvalidRequest),
    ],
)
def test_what_is_missing_busy_or_over_has_its_own_class(
    version: str,
    recording: dict[str, recorded.Exchange],
    name: str,
    kind: type[errors.SlurmError],
) -> None:
    """Status 200 with an error inside, 404 and 422 alike become what a caller acts on."""
    assert type(_problem(recording[f"{name} {version}"])) is kind


@pytest.mark.parametrize("name", ["bad key", "bad topology", "gpus without files"])
def test_a_broken_node_definition_is_an_invalid_request(name: str) -> None:
    """Slurm's "Unspecified error" (-1) on a definition is a mistake in it, not an outage."""
    assert type(_problem(_NODES[name])) is errors.InvalidRequest


@pytest.mark.parametrize("name", [name for name in _OUTAGE if name != "ping"])
def test_a_slurmctld_that_is_down_is_unavailable(name: str) -> None:
    """Slurm disguises it as "Unspecified error", "Operation not permitted" or worse."""
    problem = _problem(_OUTAGE[name])
    if name == "create node" and problem.number == -1:
        pytest.skip("not to be told from a mistake in the definition")
    assert type(problem) is errors.Unavailable
    assert problem.by_slurm
    assert "slurmctld" in str(problem)


def test_only_a_refused_connection_proves_that_nothing_was_done() -> None:
    """A submit that failed to connect left no job; after any other failure there may be one."""
    refused = _problem(_OUTAGE["submit"])
    assert isinstance(refused, errors.Unavailable)
    assert refused.number == 1800
    assert refused.nothing_done
    timed_out = recorded.refused(5004, status=504)
    answer = Answer("/", timed_out.status_code, "application/json", timed_out.content)
    problem = answers.judge(
        answers.envelope(answer, Operation("trying")), answer, Operation("trying")
    )
    assert isinstance(problem, errors.Unavailable)
    assert not problem.nothing_done


@pytest.mark.parametrize("name", [name for name in _EXPIRED if name != "ping"])
def test_an_expired_token_is_not_authorised(name: str) -> None:
    """Status 511 with or without an error inside."""
    problem = _problem(_EXPIRED[name])
    assert type(problem) is errors.NotAuthorised
    assert "token" in str(problem)


def test_a_missing_token_is_not_authorised() -> None:
    """slurmrestd's own plain-text refusal."""
    assert type(_problem(_MISTAKES["no token"])) is errors.NotAuthorised


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (2002, errors.RejectedByPolicy),
        (2045, errors.RejectedByPolicy),
        (2050, errors.RejectedByPolicy),
        (2066, errors.RejectedByPolicy),
        (2010, errors.NotAuthorised),
        (6010, errors.NotAuthorised),
        (11, errors.Unavailable),
        (5004, errors.Unavailable),
        (2027, errors.Unavailable),
        (1804, errors.RateLimited),
        (2007, errors.RateLimited),
        (2061, errors.Unavailable),
        (2071, errors.InvalidRequest),
        (2119, errors.InvalidRequest),
        (2055, errors.InUse),
        (7001, errors.InUse),
        (2082, errors.AlreadyExists),
        (9208, errors.InvalidRequest),
        (424242, errors.Unavailable),
    ],
)
def test_each_number_has_its_class(number: int, kind: type[errors.SlurmError]) -> None:
    """The number decides, not the status; a number nobody knows falls back to the status."""
    response = recorded.refused(number, status=500)
    answer = Answer("/", response.status_code, "application/json", response.content)
    with pytest.raises(kind) as caught:
        answers.check(answer, Operation("trying"))
    assert caught.value.number == number


_HTML = b"<html><head><title>502 Bad Gateway</title></head></html>"


@pytest.mark.parametrize(
    ("status", "kind", "body", "expected"),
    [
        (502, "text/html", _HTML, errors.MalformedAnswer),
        (200, "text/html", _HTML, errors.MalformedAnswer),
        (200, "", b"", errors.MalformedAnswer),
        (404, "text/plain", b"not found", errors.MalformedAnswer),
        (429, "text/plain", b"slow down", errors.RateLimited),
        (407, "text/html", _HTML, errors.NotAuthorised),
        (400, "text/plain", b"Failure during parsing", errors.InvalidRequest),
        (200, "application/json", b"", errors.MalformedAnswer),
        (200, "application/json", b'{"jobs": [', errors.MalformedAnswer),
        (200, "application/json", b"[]", errors.MalformedAnswer),
        (200, "application/json", b'{"errors": {"a": 1}}', errors.MalformedAnswer),
        (200, "application/json", b'{"errors": [{"error_number": "x"}]}', errors.MalformedAnswer),
        (200, "application/json", b"[" * 100_000, errors.MalformedAnswer),
        (500, "application/json", b"{}", errors.Unavailable),
        (404, "application/json", b"{}", errors.NotFound),
    ],
)
def test_what_is_not_slurmrestds_is_told_as_such(
    status: int, kind: str, body: bytes, expected: type[errors.SlurmError]
) -> None:
    """A proxy's page, cut JSON and foreign JSON are errors of our tree that show their start."""
    with pytest.raises(expected) as caught:
        answers.check(Answer("http://s/x", status, kind, body), Operation("trying"))
    assert type(caught.value) is expected


def test_a_proxys_page_is_named() -> None:
    """The message shows where it came from and how it begins."""
    with pytest.raises(
        errors.MalformedAnswer,
        match=r"web page titled .502 Bad Gateway. came from http://s/x .*not slurmrestd",
    ):
        answers.check(Answer("http://s/x", 502, "text/html", _HTML), Operation("trying"))


def test_what_is_said_twice_is_told_once() -> None:
    """slurmrestd repeats slurmctld's words after some of its own."""
    bare = {"description": "Requested nodes are busy", "source": "slurm_submit_batch_job()"}
    longer = {**bare, "description": f"Job submission resulted in: {bare['description']}"}
    body = json.dumps({"warnings": [longer, bare, bare]}).encode()
    found = answers.check(Answer("/", 200, "application/json", body), Operation("trying"))
    assert found.caveats == ("Requested nodes are busy (slurm_submit_batch_job())",)


def test_numbers_that_json_does_not_have_are_refused() -> None:
    """NaN and Infinity in an answer are malformed, not floats."""
    for text in (b'{"a": NaN}', b'{"a": Infinity}', b'{"a": -Infinity}'):
        with pytest.raises(ValueError, match=r"."):
            answers.parsed(text)


@given(
    st.integers(100, 599),
    st.sampled_from(["application/json", "text/plain", "text/html", ""]),
    st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        ["errors", "warnings", "status", "error_number", "error", "code"]
                    ),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=12,
        ).map(lambda value: json.dumps(value).encode()),
    ),
)
def test_any_answer_is_well_or_an_error_of_ours(status: int, kind: str, body: bytes) -> None:
    """Nothing that a server may send gets out as another exception."""
    answer = Answer("/", status, kind, body)
    try:
        _read(answer, Operation("trying", about="job"))
    except errors.SlurmError:
        return
