"""Registering, changing and removing external nodes."""

from tests.recording.session import Scenario, node_conf


def nodes_create(s: Scenario) -> None:
    """Each way to register a node, and what is refused."""
    s.node("nc1", cpus=4, memory_mib=1000, topology="topo:root:nca:ncleaf")
    s.step("get plain", "GET", "/node/nc1")
    s.node("nc2", cpus=8, gpus=4, feature="class-a,x", topology="topo:root:nca:ncleaf")
    s.step("get with gpus", "GET", "/node/nc2")
    s.node("nc2", cpus=8, gpus=4, topology="topo:root:nca:ncleaf")
    s.node("nc3", cpus=8)
    s.step("get without topology", "GET", "/node/nc3")
    s.node("nc4", cpus=8, gres="gpu:h100:2", topology="topo:root:nca:ncleaf")
    s.node("nc5", cpus=8, gres="foo:2", topology="topo:root:nca:ncleaf")
    s.node("nc6", cpus=8, topology="topo:root")
    s.node("nc7", cpus=8, topology="nope:root:x")
    s.node("nc8", cpus=8, topology="topo:ncleaf")
    s.node("nc9", cpus=8, topology="topo:nowhere:x:y")
    lines = {
        "unknown key": "NodeName=nc10 Bogus=3 State=External",
        "no name": "CPUs=3 State=External",
        "empty": "",
        "unknown state": "NodeName=nc11 CPUs=3 State=BOGUS",
    }
    for name, line in lines.items():
        s.step(name, "POST", "/new/node/", {"node_conf": line})
    s.step("no node_conf", "POST", "/new/node/", {})
    devices = "count=2,name=gpu,type=h100,file=/dev/nvidia[0-1]"
    gres = "gpu:h100:2,efa:4"
    s.node("nc12", cpus=8, gres=gres, gres_conf=devices, topology="topo:root:nca:ncleaf")
    devices += "+count=4,name=efa"
    s.node("nc12", cpus=8, gres=gres, gres_conf=devices, topology="topo:root:nca:ncleaf")
    s.step("get with efa", "GET", "/node/nc12")
    s.node("ip-10-0-1-11.us-west-2.compute.internal", cpus=2, topology="topo:root:nca:ncleaf")
    several = node_conf("nm[1-3]", cpus=2, topology="topo:root:nca:ncleaf2")
    s.step("several at once", "POST", "/new/node/", {"node_conf": several})
    for name in ("nm1", "nm2", "nm3"):
        s.step(f"get {name}", "GET", f"/node/{name}")
        s.step(f"delete {name}", "DELETE", f"/node/{name}")
    s.step("all nodes", "GET", "/nodes/")
    s.step("partitions with nodes", "GET", "/partitions/")


def nodes_update(s: Scenario) -> None:
    """What can be changed on a live node and what is refused or ignored."""
    s.node("nu1", cpus=4, gpus=2, feature="class-a", topology="topo:root:nua:nuleaf")
    s.node("nu2", cpus=4, topology="topo:root:nua:nuleaf")
    changes: dict[str, object] = {
        "features": {"features": ["class-b", "y"], "features_act": ["class-b", "y"]},
        "weight": {"weight": {"set": True, "number": 7}},
        "comment": {"comment": "hello", "extra": "more"},
        "address": {"address": ["127.0.0.2"]},
        "topology": {"topology_str": "topo:root:nua:nuleaf2"},
        "cpus": {"cpus": 8},
        "memory": {"real_memory": 8},
        "gres": {"gres": "gpu:h100:1"},
        "unknown field": {"bogus": 1},
        "drain without reason": {"state": ["DRAIN"]},
        "drain": {"state": ["DRAIN"], "reason": "cordoned"},
        "resume": {"state": ["RESUME"]},
        "down": {"state": ["DOWN"], "reason": "broken"},
        "down again": {"state": ["DOWN"], "reason": "broken"},
        "resume from down": {"state": ["RESUME"]},
        "drain again": {"state": ["DRAIN"], "reason": "cordoned"},
        "undrain": {"state": ["UNDRAIN"]},
        "state unknown": {"state": ["BOGUS"]},
        "nothing": {},
    }
    for name, change in changes.items():
        s.step(f"update {name}", "POST", "/node/nu1", change)
        s.step(f"get after {name}", "GET", "/node/nu1")
    s.step("update unknown node", "POST", "/node/nope", {"comment": "x"})
    change = {"features": ["z"], "features_act": ["z"]}
    s.step("update several", "POST", "/nodes/", {"name": ["nu1", "nu2"], **change})
    s.step("get first of several", "GET", "/node/nu1")
    s.step("get second of several", "GET", "/node/nu2")
    s.step("update several, one unknown", "POST", "/nodes/", {"name": ["nu1", "nope"], **change})
    s.step("get first after refusal", "GET", "/node/nu1")
    s.step("get unknown", "GET", "/node/nope")


def nodes_delete(s: Scenario) -> None:
    """Idle, busy and unknown nodes; what a running job sees of a node's end."""
    s.node("nd1", cpus=4, topology="topo:root:nda:ndleaf")
    s.node("nd2", cpus=4, topology="topo:root:nda:ndleaf")
    s.step("delete idle", "DELETE", "/node/nd2")
    s.step("get deleted", "GET", "/node/nd2")
    s.step("delete unknown", "DELETE", "/node/nope")
    s.submit("part", cpus_per_task=2)
    s.wait_for("part", "RUNNING")
    s.wait(1.2)
    s.step("get mixed", "GET", "/node/nd1")
    s.step("all nodes renew the picture", "GET", "/nodes/")
    s.step("get mixed again", "GET", "/node/nd1")
    s.step("delete busy", "DELETE", "/node/nd1")
    s.submit("rest", cpus_per_task=2)
    s.wait_for("rest", "RUNNING")
    s.wait(1.2)
    s.step("get allocated", "GET", "/node/nd1")
    s.step("drain busy", "POST", "/node/nd1", {"state": ["DRAIN"], "reason": "cordoned"})
    s.step("get draining", "GET", "/node/nd1")
    s.get("part", when="on a draining node")
    s.cancel("part")
    s.wait(1.2)
    s.step("get draining with one job", "GET", "/node/nd1")
    s.step("down busy", "POST", "/node/nd1", {"state": ["DOWN"], "reason": "broken"})
    s.wait(0.3)
    s.get("rest", when="on a node that is down")
    s.wait(1.2)
    s.step("get down", "GET", "/node/nd1")
    s.submit("waiting")
    s.wait(3)
    s.get("waiting", when="no node up")
    s.step("resume", "POST", "/node/nd1", {"state": ["RESUME"]})
    s.wait_for("waiting", "RUNNING")
    s.wait(1.2)
    s.step("get resumed", "GET", "/node/nd1")
    s.cancel("waiting")
    s.step("delete after its jobs", "DELETE", "/node/nd1")


def nodes_lost(s: Scenario) -> None:
    """What makes an external node NOT_RESPONDING, and how it is healed."""
    for number in (1, 2, 3):
        s.node(f"nl{number}", cpus=4, topology="topo:root:nla:nlleaf")
    s.submit("wide", tasks=3, cpus_per_task=4)
    s.wait_for("wide", "RUNNING")
    s.step("shrink to one node", "POST", "/job/{wide}", {"required_nodes": ["nl1"]})
    s.wait(0.5)
    s.get("wide", when="after the shrink")
    s.step("freed node at first", "GET", "/node/nl2")
    s.wait_for_node("nl2", "NOT_RESPONDING")
    s.wait_for_node("nl3", "NOT_RESPONDING")
    s.step("freed node later", "GET", "/node/nl2")
    s.step("kept node", "GET", "/node/nl1")
    s.submit("next", cpus_per_task=4)
    s.wait(3)
    s.get("next", when="while freed nodes do not respond")
    s.step("resume lost", "POST", "/node/nl2", {"state": ["RESUME"]})
    s.wait(1)
    s.step("get lost after resume", "GET", "/node/nl2")
    s.step("delete lost", "DELETE", "/node/nl2")
    s.node("nl2", cpus=4, topology="topo:root:nla:nlleaf")
    s.wait_for("next", "RUNNING")
    s.get("next", when="after the node was made anew")
    s.step("signal", "DELETE", "/job/{wide}?signal=SIGTERM")
    s.wait_for_node("nl1", "NOT_RESPONDING")
    s.step("signalled node", "GET", "/node/nl1")
    s.get("wide", when="after the signal")
    s.cancel("wide")
    s.wait(0.3)
    s.step("lost node when idle", "GET", "/node/nl1")


STORIES = (nodes_create, nodes_update, nodes_delete, nodes_lost)
