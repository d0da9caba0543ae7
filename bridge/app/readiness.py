"""Readiness by age: when was each thing last well, and may it be that long ago?

What came of the last try says little. One failure among many is no outage; and a loop that hangs
in something makes no further try, so nothing ever fails. An age grows by itself.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Age:
    """How long ago something was well; `of` gives the seconds, inf for never.

    `what` and `look_at` are read in the body of a failed probe: the first is what the time is the
    age of ("the list of Slurm's jobs"), the second is what an admin is to look at. `why` says more
    where more is known, "" where not.
    """

    what: str
    of: Callable[[], float]
    most_s: float
    look_at: str
    why: Callable[[], str] = str

    def check(self) -> str:
        """ "" while it is not too long ago; else what is, for how long, and what to look at."""
        age_s = self.of()
        if age_s <= self.most_s:
            return ""
        old = f"{age_s:.0f} s old ({self.most_s:g} s is the limit)"
        why = f": {said}" if (said := self.why()) else ""
        state = "not there yet" if math.isinf(age_s) else old
        return f"{self.what} is {state}{why}; look at {self.look_at}"
