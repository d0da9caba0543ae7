"""The shape of the code: no class that keeps everything, no module that nobody reads to its end."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

BRIDGE = Path(__file__).parents[3] / "bridge"
MOST_ATTRIBUTES = 12
MOST_LINES = 400
PACKAGES = ("lifecycle", "controller")


def classes(package: str) -> Iterator[tuple[str, ast.ClassDef]]:
    """(module, class) of a package."""
    for path in sorted((BRIDGE / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                yield str(path.relative_to(BRIDGE)), node


def attributes(node: ast.ClassDef) -> set[str]:
    """The names that the class keeps: fields of a dataclass, and what its methods set on self."""
    fields = {
        item.target.id
        for item in node.body
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
    }
    assigned = {
        target.attr
        for item in ast.walk(node)
        for target in _targets(item)
        if isinstance(target, ast.Attribute)
        and isinstance(target.value, ast.Name)
        and target.value.id == "self"
    }
    return fields | assigned


def _targets(node: ast.AST) -> Iterator[ast.expr]:
    match node:
        case ast.Assign(targets=targets):
            for target in targets:
                yield from target.elts if isinstance(target, ast.Tuple) else (target,)
        case ast.AnnAssign(target=target) | ast.AugAssign(target=target):
            yield target


@pytest.mark.parametrize("package", PACKAGES)
def test_no_class_keeps_everything(package: str) -> None:
    """A gang's facts have one owner each; a part of the controller has one job."""
    found = {f"{module} {node.name}": len(attributes(node)) for module, node in classes(package)}
    assert found
    assert {name: count for name, count in found.items() if count > MOST_ATTRIBUTES} == {}


def test_no_module_is_too_long() -> None:
    """The embedded stack plays whole services; all else stays below the limit."""
    long = {
        str(path.relative_to(BRIDGE)): lines
        for path in sorted(BRIDGE.rglob("*.py"))
        if "sim" not in path.relative_to(BRIDGE).parts
        and (lines := len(path.read_text().splitlines())) > MOST_LINES
    }
    assert long == {}
