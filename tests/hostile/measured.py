"""The cost of reading something, in steps of the interpreter, and what it is refused for."""

import contextlib
from collections.abc import Callable

from bench.steps import steps
from bridge.errors import BadInput


def cost(read: Callable[[], object]) -> int:
    """Steps, whether it is read or refused."""

    def tried() -> None:
        with contextlib.suppress(BadInput):
            read()

    return steps(tried)


def refusal(read: Callable[[], object]) -> BadInput | None:
    """Why it is not read; None when it is. Whatever else is raised fails the test."""
    try:
        read()
    except BadInput as error:
        return error
    return None
