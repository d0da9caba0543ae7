"""What is too long ago."""

import math

from bridge.app.readiness import Age

LIST = "the list of Slurm's jobs"


def test_young_enough() -> None:
    """Up to the limit all is well."""
    assert Age(LIST, of=lambda: 15.0, most_s=15, look_at="the log").check() == ""


def test_too_old() -> None:
    """What, how long ago, how long is allowed, why, and what to look at."""
    age = Age(LIST, of=lambda: 16.4, most_s=15, look_at="the log", why=lambda: "no token")
    assert age.check() == (
        "the list of Slurm's jobs is 16 s old (15 s is the limit): no token; look at the log"
    )


def test_never() -> None:
    """Before the first time."""
    age = Age(LIST, of=lambda: math.inf, most_s=15, look_at="the log")
    assert age.check() == "the list of Slurm's jobs is not there yet; look at the log"


def test_an_age_grows_by_itself() -> None:
    """Nobody has to report a failure."""
    ages = iter([1.0, 15.5])
    age = Age(LIST, of=lambda: next(ages), most_s=15, look_at="the log")
    assert [bool(age.check()), bool(age.check())] == [False, True]
