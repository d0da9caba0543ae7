"""What the parts log is kept: a traceback on a terminal reads files, which blocks the loop."""

from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
import structlog


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[MutableMapping[str, Any]]]:
    """Each log event, with its fields."""
    with structlog.testing.capture_logs() as lines:
        yield lines
