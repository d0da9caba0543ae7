"""How jobs end, and how they are forgotten."""

from tests.recording.session import Scenario


def cancel(s: Scenario) -> None:
    """Pending, running, ended and unknown jobs are cancelled; the freed node is taken at once."""
    s.node("lc1", cpus=4, topology="topo:root:lca:lcleaf")
    s.submit("first", cpus_per_task=4)
    s.wait_for("first", "RUNNING")
    s.get("first", when="running")
    s.submit("second", cpus_per_task=4)
    s.submit("third", cpus_per_task=4)
    s.wait(2.5)
    s.get("second", when="pending")
    s.get("third", when="pending")
    s.step("states", "GET", "/jobs/state/")
    s.cancel("third", when="pending")
    s.wait(0.3)
    s.get("third", when="cancelled while pending")
    s.cancel("first", when="running")
    s.wait_for("second", "RUNNING")
    s.get("first", when="cancelled while running")
    s.get("second", when="started")
    s.cancel("first", when="again")
    s.step("cancel unknown", "DELETE", "/job/999999")
    s.step("cancel nonsense", "DELETE", "/job/abc")
    s.step("requeue by update", "POST", "/job/{second}", {"hold": True})
    s.cancel("second")
    s.wait(0.3)
    s.step("states at the end", "GET", "/jobs/state/")
    s.step("node at the end", "GET", "/node/lc1")


def purge(s: Scenario) -> None:
    """MinJobAge after its end a job is forgotten."""
    s.node("lp1", cpus=4, topology="topo:root:lpa:lpleaf")
    s.submit("ran")
    s.submit("waited", cpus_per_task=4)
    s.wait_for("ran", "RUNNING")
    s.cancel("waited")
    s.cancel("ran")
    s.wait(5)
    s.get("ran", when="5 s after its end")
    s.wait(20)
    s.get("ran", when="25 s after its end")
    s.wait(75)
    s.get("ran", when="purged")
    s.get("waited", when="purged")
    s.cancel("ran", when="purged")
    s.step("states", "GET", "/jobs/state/")


def time_limit(s: Scenario) -> None:
    """A job over its limit ends TIMEOUT; a pending job behind it knows when it will start."""
    s.tolerance_s = 35.0  # slurmctld looks at time limits every 30 s
    s.node("lt1", cpus=4, topology="topo:root:lta:ltleaf")
    s.submit("short", cpus_per_task=4, time_limit={"set": True, "number": 1})
    s.wait_for("short", "RUNNING")
    s.get("short", when="running")
    s.submit("next", cpus_per_task=4, time_limit={"set": True, "number": 10})
    s.submit("after", cpus_per_task=4, time_limit={"set": True, "number": 10})
    s.wait(4)
    s.get("next", when="expecting the end of the first")
    s.get("after", when="expecting the end of the second")
    s.wait_for("short", "TIMEOUT", timeout_s=150)
    s.get("short", when="timed out")
    s.wait_for("next", "RUNNING")
    s.get("next", when="started")


STORIES = (cancel, purge, time_limit)
