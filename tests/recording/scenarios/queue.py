"""Who starts first: priority, partition tier, preemption, backfill."""

from tests.recording.session import Scenario


def order(s: Scenario) -> None:
    """Priority, then age, decides inside a partition; reasons tell who waits for what."""
    s.node("qo1", cpus=4, topology="topo:root:qoa:qoleaf")
    s.submit("holder", cpus_per_task=4)
    s.wait_for("holder", "RUNNING")
    s.submit("old", cpus_per_task=4, priority={"set": True, "number": 100})
    s.submit("young", cpus_per_task=4, priority={"set": True, "number": 100})
    s.submit("urgent", cpus_per_task=4, priority={"set": True, "number": 200})
    s.submit("plain", cpus_per_task=4)
    s.wait(2.5)
    for name in ("old", "young", "urgent", "plain"):
        s.get(name, when="waiting")
    s.step("raise young", "POST", "/job/{young}", {"priority": {"set": True, "number": 150}})
    s.wait(2.5)
    s.cancel("holder")
    for name, rest in (
        ("plain", ("old", "young", "urgent")),
        ("urgent", ("old", "young")),
        ("young", ("old",)),
        ("old", ()),
    ):
        s.wait_for(name, "RUNNING")
        s.get(name, when="its turn")
        for other in rest:
            s.get(other, when=f"while {name} runs")
        s.cancel(name)


def backfill(s: Scenario) -> None:
    """A small job passes a big one only where that delays nobody."""
    s.node("qb1", cpus=4, topology="topo:root:qba:qbleaf")
    s.node("qb2", cpus=4, topology="topo:root:qba:qbleaf")
    s.submit("holder", cpus_per_task=4, time_limit={"set": True, "number": 10})
    s.wait_for("holder", "RUNNING")
    s.submit("big", cpus_per_task=4, tasks=2, time_limit={"set": True, "number": 10})
    s.wait(1)
    s.submit("long", time_limit={"set": True, "number": 30})
    s.submit("short", time_limit={"set": True, "number": 5})
    s.submit("unlimited")
    s.wait(4)
    for name in ("big", "long", "short", "unlimited"):
        s.get(name, when="backfilled or waiting")
    s.cancel("holder")
    s.cancel("short")
    s.wait_for("big", "RUNNING")
    s.get("big", when="started")
    s.wait(3)
    s.get("long", when="behind big")
    s.get("unlimited", when="behind big")


def overtaking(s: Scenario) -> None:
    """Without time limits nothing is kept free for a big job: what fits starts now."""
    s.node("qv1", cpus=4, topology="topo:root:qva:qvleaf")
    s.node("qv2", cpus=4, topology="topo:root:qva:qvleaf")
    s.submit("holder", cpus_per_task=4)
    s.wait_for("holder", "RUNNING")
    s.submit("big", cpus_per_task=4, tasks=2)
    s.wait(2)
    s.submit("small")
    s.wait_for("small", "RUNNING")
    s.get("big", when="overtaken")
    s.get("small", when="overtakes")
    s.submit("high_big", cpus_per_task=4, tasks=3, nodes="3", partition="high")
    s.wait(2.5)
    s.get("high_big", when="more nodes than there are")
    s.submit("low_small")
    s.wait(3)
    s.get("low_small", when="behind a higher tier that can't start")


def preemption(s: Scenario) -> None:
    """A job of the higher tier ends those of the lower and takes their nodes."""
    s.node("qp1", cpus=4, topology="topo:root:qpa:qpleaf")
    s.node("qp2", cpus=4, topology="topo:root:qpa:qpleaf")
    s.submit("low1", cpus_per_task=4)
    s.wait_for("low1", "RUNNING")
    s.wait(1.1)
    s.submit("low2", cpus_per_task=2)
    s.wait_for("low2", "RUNNING")
    s.get("low1", when="running")
    s.submit("low3", cpus_per_task=4)
    s.wait(2)
    s.submit("high1", cpus_per_task=4, partition="high")
    s.wait_for("high1", "RUNNING")
    s.get("high1", when="running")
    s.wait(0.5)
    s.get("low1", when="after the first preemption")
    s.get("low2", when="after the first preemption")
    s.get("low3", when="waiting")
    s.submit("high2", cpus_per_task=4, partition="high")
    s.wait_for("high2", "RUNNING")
    s.get("high2", when="running")
    s.get("low1", when="after the second preemption")
    s.get("low2", when="after the second preemption")
    s.submit("high3", cpus_per_task=4, partition="high")
    s.wait(2.5)
    s.get("high3", when="waiting for its own tier")
    s.get("low3", when="behind the higher tier")
    s.wait(1.2)
    s.step("node", "GET", "/node/qp1")


def preemption_choice(s: Scenario) -> None:
    """Which of several jobs is preempted: wide or narrow, old or young, how many."""
    for number in range(4):
        s.node(f"qc{number}", cpus=4, topology="topo:root:qca:qcleaf")
    s.submit("narrow_old", cpus_per_task=4)
    s.wait_for("narrow_old", "RUNNING")
    s.submit("wide", cpus_per_task=4, tasks=2)
    s.wait_for("wide", "RUNNING")
    s.submit("narrow_young", cpus_per_task=4)
    s.wait_for("narrow_young", "RUNNING")
    s.wait(1.5)
    jobs = ("narrow_old", "wide", "narrow_young")
    s.submit("high1", cpus_per_task=4, partition="high")
    s.wait_for("high1", "RUNNING")
    s.get("high1", when="placed")
    for name in jobs:
        s.get(name, when="after the first")
    s.submit("high2", cpus_per_task=4, tasks=2, partition="high")
    s.wait_for("high2", "RUNNING")
    s.get("high2", when="placed")
    for name in jobs:
        s.get(name, when="after the second")
    s.cancel("high1")
    s.cancel("high2")
    s.wait(1)
    s.submit("half1", cpus_per_task=2)
    s.wait_for("half1", "RUNNING")
    s.submit("half2", cpus_per_task=2, required_nodes=["qc0"])
    s.wait(2)
    s.submit("high3", cpus_per_task=3, partition="high", required_nodes=["qc0"])
    s.wait_for("high3", "RUNNING")
    for name in ("half1", "half2", "high3"):
        s.get(name, when="after the third")


def stranded(s: Scenario) -> None:
    """No node could ever take the job: at submit, and when its node goes away later."""
    s.submit("no_nodes")
    s.wait(2)
    s.get("no_nodes", when="no node at all")
    s.node("st1", cpus=4, topology="topo:root:sta:stleaf")
    s.wait(3)
    s.get("no_nodes", when="a node came")
    s.cancel("no_nodes")
    s.node("st2", cpus=8, topology="topo:root:sta:stleaf")
    s.step("drain", "POST", "/node/st2", {"state": ["DRAIN"], "reason": "x"})
    s.submit("big", cpus_per_task=8)
    s.wait(2.5)
    s.get("big", when="its node is drained")
    s.step("delete", "DELETE", "/node/st2")
    s.wait(2.5)
    s.get("big", when="its node is gone")
    s.node("st2", cpus=8, topology="topo:root:sta:stleaf")
    s.wait(3)
    s.get("big", when="its node is back")
    s.step("touch", "POST", "/job/{big}", {"excluded_nodes": ["st1"]})
    s.wait(2.5)
    s.get("big", when="updated")
    s.cancel("big")
    s.wait(0.5)
    s.submit("excluding", cpus_per_task=4, excluded_nodes=["st2"])
    s.wait_for("excluding", "RUNNING")
    s.submit("requiring", cpus_per_task=2, required_nodes=["st1"])
    s.wait(2.5)
    s.get("requiring", when="its node is busy")
    s.step("drain the required", "POST", "/node/st1", {"state": ["DRAIN"], "reason": "x"})
    s.wait(2.5)
    s.get("requiring", when="its node is drained")
    s.step("down the required", "POST", "/node/st1", {"state": ["DOWN"], "reason": "x"})
    s.wait(2.5)
    s.get("requiring", when="its node is down")
    s.step("order of nodes", "GET", "/nodes/")
    s.step("delete st1", "DELETE", "/node/st1")
    s.wait(2.5)
    s.get("requiring", when="its node is gone")
    s.node("st3", cpus=8, topology="topo:root:sta:stleaf")
    s.step("order of nodes after st3", "GET", "/nodes/")
    s.node("st4", cpus=8, topology="topo:root:sta")
    s.node("st4", cpus=8, topology="topo:root:sta:stleaf:below")


def stranded_held(s: Scenario) -> None:
    """The partition is large enough in all, but no node is: the job is held until touched."""
    for number in (1, 2, 3):
        s.node(f"sh{number}", cpus=4, topology="topo:root:sha:shleaf")
    s.node("sh8", cpus=8, gpus=2, topology="topo:root:sha:shleaf")
    s.submit("holder", cpus_per_task=8)
    s.wait_for("holder", "RUNNING")
    s.submit("wide", cpus_per_task=8)
    s.submit("gpu", tres_per_task="gres/gpu:1", cpus_per_task=2)
    s.submit("gpus", tres_per_task="gres/gpu:1", cpus_per_task=2, tasks=2)
    s.wait(2.5)
    s.cancel("holder")
    s.step("drain", "POST", "/node/sh8", {"state": ["DRAIN"], "reason": "x"})
    s.wait(0.5)
    for name in ("wide", "gpu", "gpus"):
        s.cancel(name)
    s.wait(0.5)
    s.submit("wide2", cpus_per_task=8)
    s.submit("gpu2", tres_per_task="gres/gpu:1", cpus_per_task=2)
    s.submit("gpus2", tres_per_task="gres/gpu:1", cpus_per_task=2, tasks=2)
    s.wait(2.5)
    late = ("wide2", "gpu2", "gpus2")
    for name in late:
        s.get(name, when="drained")
    s.step("delete", "DELETE", "/node/sh8")
    s.submit("trigger", partition="high")  # slurmctld looks at its queue again
    s.wait_for("trigger", "RUNNING")
    s.wait(1.2)
    for name in late:
        s.get(name, when="gone")
    s.node("sh8", cpus=8, gpus=2, topology="topo:root:sha:shleaf")
    s.wait(3)
    for name in late:
        s.get(name, when="back")
    for name in late:
        s.step(f"touch {name}", "POST", f"/job/{{{name}}}", {})
    s.wait(3)
    for name in late:
        s.get(name, when="touched")


def excluded_all(s: Scenario) -> None:
    """A waiting job whose last node is excluded is held, until it is changed again."""
    s.node("xa1", cpus=4, topology="topo:root:xaa:xaleaf")
    s.submit("holder", cpus_per_task=4)
    s.wait_for("holder", "RUNNING")
    s.submit("waits", cpus_per_task=4)
    s.wait(2.5)
    s.step("exclude its only node", "POST", "/job/{waits}", {"excluded_nodes": ["xa1"]})
    s.wait(2.5)
    s.get("waits", when="all nodes excluded")
    s.cancel("holder")
    s.step("exclude none", "POST", "/job/{waits}", {"excluded_nodes": [""]})
    s.wait_for("waits", "RUNNING")
    s.get("waits", when="none excluded")


STORIES = (
    order,
    backfill,
    overtaking,
    preemption,
    preemption_choice,
    stranded,
    stranded_held,
    excluded_all,
)
