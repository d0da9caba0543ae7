"""What does not reach a log."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.telemetry import redaction

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzbHVybSJ9.c2lnbmF0dXJlLXRoYXQtaXMtbG9uZw"

SENTENCES = st.text(st.characters(codec="utf-8"), max_size=200)


@pytest.mark.parametrize(
    "key", ["token", "jwt", "auth_token", "X-SLURM-USER-TOKEN", "password", "Authorization"]
)
def test_value_under_a_secret_key_is_hidden(key: str) -> None:
    """Whatever stands under such a key, also deep inside."""
    assert redaction.redact({key: "abc"}) == {key: redaction.HIDDEN}
    assert redaction.redact({"headers": [{key: "abc"}]}) == {"headers": [{key: redaction.HIDDEN}]}


@pytest.mark.parametrize("key", ["token_file", "tokens_read", "passwords_file", "secretary"])
def test_keys_that_only_sound_alike_are_shown(key: str) -> None:
    """The path of the token's file is what an admin looks for."""
    assert redaction.redact({key: "/run/token"}) == {key: "/run/token"}


@given(before=SENTENCES, after=SENTENCES)
def test_token_is_hidden_wherever_it_stands(before: str, after: str) -> None:
    """In a sentence, an exception, a header dump: a JSON web token never comes through."""
    text = f"{before} {TOKEN} {after}"
    event = {"error": text, "exception": text, "deep": {"list": [text]}, "object": Spoken(text)}
    assert TOKEN.rpartition(".")[2] not in json.dumps(redaction.redact(event))


class Spoken:
    """Any object: what is logged of it is its text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abc123", "Authorization: Bearer [hidden]"),
        ("'X-SLURM-USER-TOKEN: abc'", "'X-SLURM-USER-TOKEN: [hidden]"),
        ("GET http://user:pass@slurm:6820/x", "GET http://[hidden]@slurm:6820/x"),
        (
            "-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\nrest",
            "[hidden]\nrest",
        ),
        ("pod ns/eyJoe.a.b waits", "pod ns/eyJoe.a.b waits"),
        ("http://host/path@x", "http://host/path@x"),
    ],
)
def test_credentials_inside_text(text: str, shown: str) -> None:
    """Only the credential goes; the rest of the sentence stays readable."""
    assert redaction.redact({"error": text}) == {"error": shown}


def test_whole_objects_are_cut() -> None:
    """A pod's manifest in a log is a mistake; a thousand of them fill a disk."""
    pod = {"spec": {"containers": [{"name": f"c{i}", "image": "x" * 80} for i in range(100)]}}
    shown = redaction.redact({"pod": pod, "text": "y" * 10_000})
    assert len(str(shown["pod"])) < redaction.LONGEST_TEXT + 50
    assert str(shown["text"]).endswith("… (10000 characters)")


def test_numbers_truths_and_nothing_stay_what_they_are() -> None:
    """A field that a query counts on keeps its type."""
    event = {"a": 1, "b": 2.5, "c": True, "d": None, "e": (1, "x")}
    assert redaction.redact(event) == event | {"e": [1, "x"]}


def test_bytes_are_counted_not_shown() -> None:
    """A body is never a log field."""
    assert redaction.redact({"body": b"abc"}) == {"body": "3 bytes"}
