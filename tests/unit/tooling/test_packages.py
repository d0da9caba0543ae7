"""What every package owes its reader."""

import ast
from pathlib import Path

import pytest

import bridge

ROOT = Path(bridge.__file__).parent
PACKAGES = sorted({file.parent for file in ROOT.rglob("*.py")} - {ROOT})


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_package_says_what_it_is_for(package: Path) -> None:
    """Every package has a docstring; those of a layer of their own go beyond one sentence."""
    text = ast.get_docstring(ast.parse((package / "__init__.py").read_text()))
    assert text
    if package.parent == ROOT:
        assert "\n\n" in text, "say what it may and may not do"
