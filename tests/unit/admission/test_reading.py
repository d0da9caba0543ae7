"""What a review says: small, whatever was sent, and the same wherever it is read."""

import pickle
from collections.abc import Mapping

import pytest

from bench import admission, hostile
from bridge import names
from bridge.admission import frames
from bridge.admission.reading import (
    Change,
    Creation,
    Mutation,
    NotAReview,
    Question,
    ReviewReader,
    UnreadablePod,
    Untouched,
)
from bridge.admission.scope import Scope
from bridge.model import bounds
from bridge.model.refusal import Refusal
from tests.unit.admission.manifests import Manifest, a_manifest, review

READER = ReviewReader(Scope(), frozenset({"bridge"}))
BOUNDED_BYTES = 100 << 10
"""Of any reading; six values of 4,097 characters, of four bytes each, are the most of it."""
LONG = "x" * (1 << 18)


def pods() -> Mapping[str, Manifest]:
    """An ordinary one, and the worst."""
    ordinary = admission.a_pod()
    return {"ordinary": ordinary, **hostile.pods(ordinary, size=300_000)}


def odd_pods() -> Mapping[str, Manifest]:
    """With long texts wherever one may stand."""
    identity = dict.fromkeys(names.IDENTITY_PARAMETERS, "\N{WATER BUFFALO}" * 100_000)
    metadata = {"name": LONG, "generateName": LONG, "namespace": LONG}
    return {
        "who it is": a_manifest().annotated(identity).build(),
        "names": a_manifest().build() | {"metadata": metadata},
        "a key": a_manifest().build() | {"metadata": {"labels": {LONG: 1}}},
        "a scheduler": a_manifest().scheduled_by(LONG).build(),
        "a node": a_manifest().ours().on_node(LONG).build(),
        "tolerations": a_manifest().tolerating(*[{"key": LONG, "value": LONG}] * 3).build(),
        "unknown parameters": a_manifest().annotated({names.JOB_PREFIX + LONG: LONG}).build(),
        "labels": a_manifest().with_labels({f"{LONG}{n}": LONG for n in range(3)}).build(),
    }


ALL = {**pods(), **odd_pods()}


@pytest.mark.parametrize("name", ALL)
def test_a_reading_is_small(name: str) -> None:
    """Of whatever pod, new or changed; and it is the same after its way between processes."""
    pod = ALL[name]
    bodies = [
        review(pod),
        review(pod, namespace=LONG),
        review(a_manifest().ours().build(), old=a_manifest().ours().build(), operation="UPDATE"),
        review(pod, old=a_manifest().ours().build(), operation="UPDATE"),
    ]
    for body in bodies:
        for question in Question:
            reading = READER.read(question, body)
            frame = frames.answered(reading)
            assert len(frame) <= BOUNDED_BYTES
            assert frames.reading_in(frame[frames.LENGTH.size :]) == reading


def test_who_asks_is_bounded_too() -> None:
    """The API server's own words; what is longer than they can be is no review."""
    body = review(a_manifest().build()).replace(b"review-1", b"u" * 1000)
    reading = READER.read(Question.MUTATE, body)
    assert isinstance(reading, NotAReview)
    assert "request.uid" in reading.message


@pytest.mark.parametrize("key", sorted(names.IDENTITY_PARAMETERS))
def test_a_value_that_is_cut_is_still_too_long(key: str) -> None:
    """Who decides refuses it as if it were whole."""
    body = review(a_manifest().annotated({key: LONG}).build())
    reading = READER.read(Question.VALIDATE, body)
    assert isinstance(reading, Creation)
    assert len(reading.identity[key]) > bounds.LONGEST_VALUE


@pytest.mark.parametrize(
    ("question", "operation", "kind"),
    [
        (Question.MUTATE, "CREATE", Mutation),
        (Question.VALIDATE, "CREATE", Creation),
        (Question.MUTATE, "UPDATE", Untouched),
        (Question.VALIDATE, "UPDATE", Change),
        (Question.VALIDATE, "DELETE", Untouched),
    ],
)
def test_what_is_asked_decides_what_is_read(
    question: Question, operation: str, kind: type[object]
) -> None:
    """Only what the decision needs is looked at."""
    pod = a_manifest().ours().build()
    reading = READER.read(question, review(pod, old=pod, operation=operation))
    assert type(reading) is kind


def test_a_pod_that_cant_be_read() -> None:
    """The place is said, and cut."""
    reading = READER.read(Question.MUTATE, review(odd_pods()["a key"]))
    assert isinstance(reading, UnreadablePod)
    assert "metadata.labels.xxx" in reading.message
    assert len(reading.message) < 1000


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"no pickle",
        pickle.dumps("a text"),
        pickle.dumps(Refusal("a field", "no reading")),
        pickle.dumps(print),
        pickle.dumps(Untouched("u"))[:-1],
        b"cos\nsystem\n(S'false'\ntR.",
    ],
)
def test_nothing_but_a_reading_comes_out_of_a_frame(content: bytes) -> None:
    """A pickle could call anything; here it can make the parts of a reading."""
    with pytest.raises(ValueError, match="no reading"):
        frames.reading_in(content)


def test_a_reading_that_is_too_large_is_not_sent() -> None:
    """There is none; a mistake of ours would end in the process that reads."""
    with pytest.raises(ValueError, match="a reading of"):
        frames.answered(NotAReview("x" * frames.MOST_READING_BYTES))
