"""The forms of data_parser v0.0.44/45: numbers with flags, complaints about fields, envelopes."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from bridge.sim.slurm.errors import DATA_NOT_A_DICTIONARY, TEXT

Json = Any

_OPENAPI_TYPES = {
    str: ("string", "string"),
    bool: ("boolean", "boolean"),
    int: ("integer", "64 bit integer"),
    float: ("number", "64 bit floating point number"),
    list: ("array", "list"),
    dict: ("object", "dictionary"),
    type(None): ("null", "null"),
}


def slurm_type(value: Json) -> str:
    """As Slurm calls the type of a value: `64 bit integer`."""
    return _OPENAPI_TYPES[type(value)][1]


@dataclass(slots=True)
class Complaints:
    """Errors and warnings that go into an answer's envelope."""

    errors: list[dict[str, Json]] = field(default_factory=list)
    warnings: list[dict[str, Json]] = field(default_factory=list)
    wrong_type: bool = False
    """Something could not be read as a number: slurmrestd then submits nothing."""

    def error(self, number: int, description: str, source: str) -> None:
        """Slurm's number with what slurmrestd says to it."""
        self.errors.append(
            {
                "description": description,
                "error_number": number,
                "error": TEXT.get(number, TEXT[-1]),
                "source": source,
            }
        )

    def warn(self, description: str, source: str = "") -> None:
        """Something was ignored or converted."""
        self.warnings.append({"description": description, "source": source})

    def expected(self, openapi: str, slurm: str, value: Json, source: str) -> None:
        """A value of the wrong type."""
        got_openapi, got_slurm = _OPENAPI_TYPES[type(value)]
        shown = f'"{value}"' if isinstance(value, str) else value
        self.warn(
            f"Expected OpenAPI type={openapi} (Slurm type={slurm}) but got "
            f"OpenAPI type={got_openapi} (Slurm type={got_slurm}): {shown}",
            source,
        )

    def no_object(self, value: Json, source: str) -> None:
        """Something else where an object must be."""
        about = f"Rejecting {slurm_type(value)} when dictionary expected"
        self.error(DATA_NOT_A_DICTIONARY, about, source)

    def unknown_fields(
        self, body: dict[str, Json], known: frozenset[str], parser: str, at: str
    ) -> None:
        """One warning per field that the parser doesn't know."""
        for name, value in body.items():
            if name not in known:
                kind = slurm_type(value)
                self.warn(
                    f'Ignoring unknown field "{name}" of type {kind} in {parser}', f"{at}{name}/"
                )


def number(value: float | None) -> dict[str, Json]:
    """A number with flags; None is "not set"."""
    if value is None:
        return {"set": False, "infinite": False, "number": 0}
    return {"set": True, "infinite": False, "number": value}


INFINITE = {"set": False, "infinite": True, "number": 0}


def time_of(seconds: float) -> dict[str, Json]:
    """A time as slurmrestd writes it: whole seconds, 0 for unknown."""
    return number(int(seconds))


@dataclass(frozen=True, slots=True)
class Read:
    """What was sent for a number: nothing, infinity, or a value."""

    value: int | None
    infinite: bool = False
    given: bool = True


def read_number(body: dict[str, Json], name: str, complaints: Complaints, at: str) -> Read:
    """A number in any form that slurmrestd takes: 3, "3", {"set": true, "number": 3}."""
    if name not in body:
        return Read(None, given=False)
    value = body[name]
    if isinstance(value, dict):
        if value.get("infinite"):
            return Read(None, infinite=True)
        if not value.get("set", True):
            return Read(None, given=False)
        value = value.get("number")
    if isinstance(value, str) and value.strip().lstrip("-").isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        complaints.expected("integer format=int32", "64 bit integer", value, f"{at}{name}/")
        complaints.wrong_type = True
        return Read(None, given=False)
    return Read(int(value)) if value >= 0 else Read(None, given=False)


def read_text(body: dict[str, Json], name: str, complaints: Complaints, at: str) -> str | None:
    """A string; other types are converted with a warning. None when absent."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        complaints.expected("string", "string", value, f"{at}{name}/")
        return str(value)
    return value


def read_object(
    body: dict[str, Json], name: str, complaints: Complaints, at: str
) -> dict[str, Json]:
    """An object, empty when it is absent or something else."""
    value = body.get(name)
    if value is None or isinstance(value, dict):
        return value or {}
    complaints.no_object(value, f"{at}{name}/")
    return {}


def read_names(
    body: dict[str, Json], name: str, complaints: Complaints, at: str
) -> list[str] | None:
    """A csv_string: a list of words that may hold commas, or one string (with a warning)."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, str):
        complaints.expected("array", "list", value, f"{at}{name}/")
        value = [value]
    words: Iterable[str] = map(str, value if isinstance(value, list) else [value])
    return [word for word in words if word]


def memory_text(mib: int) -> str:
    """MiB as in TRES strings: 6400M, 12.50G, 500G (a unit is raised where half of it divides)."""
    value, unit = float(mib), "M"
    for larger in ("G", "T", "P"):
        if value < 1024 or value % 512:
            break
        value, unit = value / 1024, larger
    return f"{value:.0f}{unit}" if value == int(value) else f"{value:.2f}{unit}"
