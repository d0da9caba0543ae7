"""A colour for each workload, told apart on dark and on light terminals (pure)."""

from collections.abc import Iterable
from typing import Final

FREE: Final = "grey35"
_PALETTE: Final = (
    "#4e9de6", "#f2a33a", "#58b368", "#d9618f", "#9b7fe0", "#35b5b5", "#e0663f", "#a8b934",
    "#6f86d6", "#c98a4b", "#3fa37a", "#c25fc2", "#7fb2d8", "#e3c14a", "#8fcf8a", "#e58c8c",
    "#b9a2ee", "#6bd0cf", "#f0a07a", "#cdd867", "#8aa0ef", "#d8b28a", "#ef4f4f", "#7ad0a6",
)  # fmt: skip
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class Colours:
    """Colour and letter of each workload, by its place in the scenario."""

    def __init__(self, workloads: Iterable[str]) -> None:
        self._places = {name: place for place, name in enumerate(workloads)}

    def of(self, workload: str) -> str:
        """Its colour."""
        return _PALETTE[self._places.get(workload, 0) % len(_PALETTE)]

    def letter(self, workload: str) -> str:
        """Its letter, where there are no colours."""
        return _LETTERS[self._places.get(workload, 0) % len(_LETTERS)]
