"""docs/reliability.md: each promise names a test that there is."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "reliability.md"
PROMISES = re.findall(r"^\| (.+?) \| `(tests/\S+)::(\w+)` \|$", PAGE.read_text(), re.MULTILINE)


def test_the_table_is_read() -> None:
    """Every line of it."""
    section = PAGE.read_text().split("## Promises")[1]
    assert len(PROMISES) == section.count("\n| ") - 1


@pytest.mark.parametrize(("promise", "file", "test"), PROMISES)
def test_each_promise_is_held_by_a_test(promise: str, file: str, test: str) -> None:
    """The file has a test of that name."""
    assert re.search(rf"^(?:async )?def {test}\(", (ROOT / file).read_text(), re.MULTILINE), promise
