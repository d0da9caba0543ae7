"""Why a pod can't be taken."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """The field at fault, and a sentence that says what to change."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"
