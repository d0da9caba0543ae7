"""docs/walk.md names modules that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PACKAGES = ("", "lifecycle", "extender")
"""Where a module stands that is named without its package: by the section it is named in."""


def test_every_module_of_the_walk_exists() -> None:
    """A reader who follows the pod never ends at a door that is not there."""
    named = set(re.findall(r"`([a-z_/]+\.py)`", (ROOT / "docs/walk.md").read_text()))
    assert len(named) > 40
    missing = [
        module
        for module in sorted(named)
        if not any((ROOT / "bridge" / package / module).exists() for package in PACKAGES)
    ]
    assert missing == []
