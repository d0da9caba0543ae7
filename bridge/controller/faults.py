"""Gangs that the bridge itself failed at: each is set aside alone, and retried later. Pure.

Whatever is raised while a gang is looked at, translated, placed or written is a mistake of the
bridge, met by what this gang asks for. The gang is then begun anew as after a restart: what is true
of it stands in Slurm and in its pods. Times are monotonic seconds.
"""

import traceback
from dataclasses import dataclass

from bridge.model.ids import GangId
from bridge.retry import Backoff

_FIRST_S, _MOST_S = 1.0, 60.0
_FORGOTTEN_S = 600.0
"""After this time without a failure a gang's failures are forgotten."""
_LONGEST_WORDS = 200


@dataclass(frozen=True, slots=True)
class Fault:
    """The present fault of one gang."""

    sentence: str
    """The message for the pods' authors."""
    failures: int
    delay_s: float
    """How long the gang is set aside."""


class Faults:
    """The faults of all gangs."""

    def __init__(self) -> None:
        self._last: dict[GangId, Fault] = {}
        self._backoffs: dict[GangId, Backoff] = {}
        self._logged: dict[GangId, set[str]] = {}
        self._aside: set[GangId] = set()

    def add(self, gang_id: GangId, error: BaseException, now_s: float) -> tuple[Fault, bool]:
        """Sets the gang aside because of `error`; returns its fault, and whether this is another
        fault than before."""
        backoff = self._backoffs.get(gang_id)
        if backoff is None:
            backoff = Backoff(first_s=_FIRST_S, most_s=_MOST_S, forget_s=_FORGOTTEN_S)
            self._backoffs[gang_id] = backoff
        delay_s = backoff.failed(now_s)
        fault = Fault(_sentence(error), backoff.failures, delay_s)
        self._last[gang_id] = fault
        self._aside.add(gang_id)
        logged, place = self._logged.setdefault(gang_id, set()), _place(error)
        is_new = place not in logged
        logged.add(place)
        return fault, is_new

    def set_aside(self, gang_id: GangId) -> Fault | None:
        """The fault for which the gang is set aside now; None if it is not set aside."""
        return self._last[gang_id] if gang_id in self._aside else None

    def take_back(self, gang_id: GangId) -> None:
        """Ends the setting aside: the gang is started again."""
        self._aside.discard(gang_id)

    def knows(self, gang_id: GangId) -> bool:
        """Whether the bridge has failed at this gang before."""
        return gang_id in self._last

    def forget(self, gang_id: GangId) -> None:
        """Drops what is kept of a gang that is gone."""
        self._last.pop(gang_id, None)
        self._backoffs.pop(gang_id, None)
        self._logged.pop(gang_id, None)
        self._aside.discard(gang_id)


def _sentence(error: BaseException) -> str:
    words = f"{type(error).__name__}: {error}"
    words = "".join(char if char.isprintable() else "?" for char in words[:_LONGEST_WORDS])
    return (
        f"slurm-bridge failed at this pod's gang ({words}). This is a mistake in slurm-bridge; "
        "please report it with the log event gang.failed. The gang is retried automatically; other "
        "gangs are not affected"
    )


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__} {where}"
