"""The grammar of log events, held over the whole code."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import bridge

METHODS = {"debug", "info", "warning", "error", "exception", "critical"}
FORM = re.compile(r"[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*")


def logged(source: str) -> Iterator[tuple[int, str]]:
    """(line, event) of each call of a logging method with a literal first argument."""
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in METHODS
            and re.search(r"log(ger)?$", ast.unparse(node.func.value))
            and node.args
            and isinstance(node.args[0], ast.Constant | ast.JoinedStr)
        ):
            yield node.lineno, ast.unparse(node.args[0]).strip("'\"")


def test_events_are_named_noun_dot_verb() -> None:
    """`job.submitted`, never a sentence and never an f-string: events can be counted."""
    package = Path(bridge.__file__).parent
    found = [
        (path, line, event)
        for path in sorted(package.rglob("*.py"))
        for line, event in logged(path.read_text())
    ]
    assert found
    wrong = [
        f"{path.relative_to(package.parent)}:{line}: {event}"
        for path, line, event in found
        if not FORM.fullmatch(event)
    ]
    assert wrong == []


def test_the_search_sees_what_it_should() -> None:
    """Sentences and f-strings are found on any logger."""
    source = "log.info('It works')\nself._logger.error(f'{x} failed')\nmetrics.info('no log')\n"
    assert list(logged(source)) == [(1, "It works"), (2, "f'{x} failed")]
