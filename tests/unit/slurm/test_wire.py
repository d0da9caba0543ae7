"""Recorded answers of both REST versions become the same rows; our rows become their JSON."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import BadInput
from bridge.model.ids import SlurmJobId
from bridge.model.job import Gres, NodeGrant
from bridge.slurm import timelimit
from bridge.slurm.jobs import Job, JobChanges, JobDescription
from bridge.slurm.nodes import NodeDefinition, SlurmNode
from bridge.slurm.wire import VERSIONS, Wire

from . import recorded

_JOBS = recorded.load("jobs")
_NODES = recorded.load("nodes")
_WIRES = {wire.version: wire for wire in VERSIONS}
pytestmark = pytest.mark.parametrize("version", recorded.VERSIONS)


def _job(name: str, version: str) -> Job:
    answer = _JOBS[f"{name} {version}"].answer
    return _WIRES[version].job(answer, SlurmJobId(answer["jobs"][0]["job_id"]))


def test_a_running_job_tells_what_each_node_gives(version: str) -> None:
    """CPUs and memory come from job_resources, devices from gres_detail, node by node."""
    job = _job("running", version)
    share = {
        "cpus": 2,
        "memory_mib": 200,
        "gres": (Gres("gpu", "h100", 2), Gres("efa", "", 2)),
    }
    assert job.running
    assert not any((job.pending, job.ended, job.suspended))
    assert (job.name, job.partition, job.constraints) == ("rec", "slurm-bridge", "class-a")
    assert (job.tasks, job.cpus_per_task, job.time_limit_min) == (4, 1, 90)
    assert job.grants == tuple(NodeGrant(node, **share) for node in job.nodes)  # type: ignore[arg-type]
    assert len(job.nodes) == 2
    assert "Job/team/" in job.admin_comment
    assert job.user == "1000"
    assert job.start_s is not None
    assert job.end_s == job.start_s + 90 * 60
    assert "EXTERNAL_JOB" in job.flags
    assert job.raw["job_id"] == job.id


def test_an_exclusive_job_has_the_whole_node(version: str) -> None:
    """Without a memory size and not shared, a job gets all CPUs, memory and devices."""
    (grant,) = _job("exclusive", version).grants
    assert (grant.cpus, grant.memory_mib) == (8, 16000)
    assert grant.gres == (Gres("gpu", "h100", 8), Gres("efa", "", 4))


def test_a_pending_job_tells_why_and_when(version: str) -> None:
    """The reason is Slurm's word; the expected start stands where backfill has looked."""
    job = _job("pending", version)
    assert job.pending
    assert job.reason in ("Resources", "Priority")
    assert (job.nodes, job.grants) == ((), ())
    assert job.start_s is not None
    assert job.start_s > (job.submit_s or 0)


def test_a_held_job_says_so(version: str) -> None:
    """Hold is a priority of 0 and a reason."""
    job = _job("held", version)
    assert job.hold
    assert job.priority == 0
    assert job.reason == "JobHeldUser"
    assert job.start_s is None


def test_an_ended_job_holds_nothing(version: str) -> None:
    """Slurm still tells the nodes it had; the grants are gone."""
    job = _job("ended", version)
    assert job.ended
    assert job.state == "CANCELLED"
    assert len(job.nodes) == 2
    assert job.grants == ()


def test_states_are_by_plain_number(version: str) -> None:
    """Components of a het job are listed as "8+0"; each has an id of its own."""
    exchange = _JOBS[f"states {version}"]
    states = _WIRES[version].states(exchange.content())
    listed = {row["job_id"] for row in exchange.answer["jobs"]}
    assert any("+1" in text for text in listed)
    assert len(states) == len(listed)
    assert frozenset({"RUNNING"}) in states.values()


def test_the_tasks_of_an_array_are_one_entry(version: str) -> None:
    """An array has one id; its entry has the states of all its tasks."""
    rows = [("7_1", "RUNNING"), ("7_[2-9]", "PENDING"), ("8", "RUNNING"), (9, "FAILED")]
    body = json.dumps({"jobs": [{"job_id": job_id, "state": [state]} for job_id, state in rows]})
    assert _WIRES[version].states(body.encode()) == {
        7: frozenset({"RUNNING", "PENDING"}),
        8: frozenset({"RUNNING"}),
        9: frozenset({"FAILED"}),
    }


def test_a_node_is_read(version: str) -> None:
    """A busy external node with its GRES, features, topology and use."""
    (node,) = _WIRES[version].nodes(_NODES[f"get {version}"].content(), raw=True)
    assert node.external
    assert not any((node.idle, node.drained, node.down, node.not_responding))
    assert (node.cpus, node.memory_mib) == (8, 16000)
    assert node.gres == (Gres("gpu", "h100", 8), Gres("efa", "", 4))
    assert node.gres_used[0] == Gres("gpu", "h100", 2)
    assert node.features == node.active_features == ("slurm-bridge", "class-a")
    assert node.topology == "topo:root:spine-1:leaf-9"
    assert "slurm-bridge" in node.partitions
    assert node.raw["name"] == "rec-9"


def test_a_drained_node_tells_its_reason(version: str) -> None:
    """A drain keeps its reason; the node's jobs go on, so it isn't idle."""
    (node,) = _WIRES[version].nodes(_NODES[f"get drained {version}"].content(), raw=False)
    assert node.drained
    assert not node.idle
    assert node.reason == "being recorded"
    assert node.raw == {}


def test_a_list_of_nodes_is_the_same_with_and_without_raw(version: str) -> None:
    """The cheap reading loses nothing but `raw`."""
    body = _NODES[f"list {version}"].content()
    cheap = _WIRES[version].nodes(body, raw=False)
    assert cheap == _WIRES[version].nodes(body, raw=True)
    assert len(cheap) == 4


def test_partitions_are_read(version: str) -> None:
    """Tiers, limits and memory defaults; the default partition where the version tells it."""
    found = {
        part.name: part
        for part in _WIRES[version].partitions(_NODES[f"partitions {version}"].answer)
    }
    limited, high = found["limited"], found["high"]
    assert (limited.def_mem_per_cpu_mib, limited.def_mem_per_node_mib) == (100, None)
    assert (limited.max_mem_per_node_mib, limited.max_time_min, limited.max_nodes) == (4000, 60, 2)
    assert limited.default_time_min == 10
    assert (high.tier, high.up, found["down"].up) == (10, True, False)
    assert found["closed"].allow_accounts == "physics"
    assert high.max_time_min is None
    if version == "v0.0.45":
        assert found["slurm-bridge"].default is True
        assert high.default is False
        assert high.preempt_modes == frozenset({"DISABLED"})
        assert high.over_subscribe == "NO"
    else:
        assert (high.default, high.preempt_modes, high.over_subscribe) == (None, None, None)


def test_a_partition_may_have_a_topology_of_its_own(version: str) -> None:
    """Its jobs' ranks follow that one."""
    answer = copy.deepcopy(_NODES[f"partitions {version}"].answer)
    first, *others = answer["partitions"]
    first["topology"] = "blocks"
    read = list(_WIRES[version].partitions(answer))
    assert [part.topology for part in read] == ["blocks", *("" for _ in others)]


def test_a_description_sends_only_what_is_said(version: str) -> None:
    """Empty values mean Slurm's default; numbers that may be unset carry their flag."""
    job = JobDescription(
        name="train",
        partition="gpu",
        tasks=4,
        memory_per_cpu_mib=100,
        tres_per_task="gres/gpu:1",
        excluded_nodes=(),
        required_nodes=("n1",),
        exclusive=False,
        account="",
        priority=0,
        time_limit_min=90,
        user_id="1000",
        group_id="1000",
        others={"network": "x"},
    )
    assert _WIRES[version].submission(job) == {
        "job": {
            "name": "train",
            "partition": "gpu",
            "tasks": 4,
            "memory_per_cpu": {"set": True, "infinite": False, "number": 100},
            "tres_per_task": "gres/gpu:1",
            "required_nodes": ["n1"],
            "priority": {"set": True, "infinite": False, "number": 0},
            "time_limit": {"set": True, "infinite": False, "number": 90},
            "user_id": "1000",
            "group_id": "1000",
            "flags": ["EXTERNAL_JOB"],
            "current_working_directory": "/tmp",
            "environment": ["PATH=/bin:/usr/bin"],
            "network": "x",
        }
    }


def test_exclusive_and_unlimited_have_slurms_form(version: str) -> None:
    """Exclusive is shared=none, no time limit is an infinite number."""
    job = JobDescription(exclusive=True, time_limit_min=timelimit.UNLIMITED, script="#!/bin/sh\n")
    body = _WIRES[version].submission(job)
    assert body["script"] == "#!/bin/sh\n"
    assert body["job"]["shared"] == ["none"]
    assert body["job"]["time_limit"] == {"set": False, "infinite": True, "number": 0}


def test_changes_can_clear(version: str) -> None:
    """None is left alone, "" and () clear; a cleared list is a list of an empty name."""
    changes = JobChanges(constraints="", excluded_nodes=(), comment=None, hold=False)
    assert _WIRES[version].changes(changes) == {
        "constraints": "",
        "excluded_nodes": [""],
        "hold": False,
    }


def test_changes_of_a_node(version: str) -> None:
    """Active features follow the available ones; what isn't said isn't sent."""
    wire = _WIRES[version]
    said: dict[str, Any] = dict.fromkeys(
        ("features", "state", "reason", "comment", "weight", "topology", "address")
    )
    assert wire.node_changes(**said) == {}
    assert wire.node_changes(**{**said, "features": ["a"], "state": "DRAIN", "reason": "r"}) == {
        "features": ["a"],
        "features_act": ["a"],
        "state": ["DRAIN"],
        "reason": "r",
    }


def test_a_node_without_gres_among_others_with_some(version: str) -> None:
    """Slurm writes null for it in gres_detail: it gives CPUs and memory, and no devices."""
    exchange = _JOBS[f"exclusive on mixed nodes {version}"]
    row = exchange.answer["jobs"][0]
    assert None in row["gres_detail"]
    job = _WIRES[version].job(exchange.answer, SlurmJobId(row["job_id"]))
    assert {grant.node: grant.gres for grant in job.grants} == {
        "rec-1": (Gres("gpu", "h100", 8), Gres("efa", "", 4)),
        "rec-9": (),
    }


def test_gres_of_another_number_of_nodes_is_malformed(version: str) -> None:
    """When it can't be said which node gives what, the answer is refused, not guessed."""
    answer = json.loads(_JOBS[f"running {version}"].content())
    answer["jobs"][0]["gres_detail"].append("gpu:h100:1(IDX:0)")
    with pytest.raises(ValueError, match="gres_detail tells of 3 nodes, not 2"):
        _WIRES[version].job(answer, SlurmJobId(answer["jobs"][0]["job_id"]))


def test_another_job_than_asked_for_is_malformed(version: str) -> None:
    """An answer about other jobs is not taken for this one, nor for "there is none"."""
    answer = _JOBS[f"running {version}"].answer
    with pytest.raises(ValueError, match="not among"):
        _WIRES[version].job(answer, SlurmJobId(4711))
    with pytest.raises(ValueError, match="no list"):
        _WIRES[version].job({"jobs": None}, SlurmJobId(1))


_ODD: tuple[Any, ...] = (None, True, -1, 10**30, 1.5, "", "x", [], [None], {}, {"set": True})
_DAMAGE = st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(_ODD)), min_size=1, max_size=6)


@settings(max_examples=60)
@given(_DAMAGE)
def test_answers_with_any_value_changed_are_read_or_refused(
    version: str, damage: list[tuple[int, Any]]
) -> None:
    """Whatever type a value turns into, parsing gives a row or a ValueError."""
    wire = _WIRES[version]
    job = _damaged(_JOBS[f"running {version}"], damage)
    _read_or_refuse(lambda: wire.job(job, SlurmJobId(1)))
    nodes = json.dumps(_damaged(_NODES[f"get {version}"], damage)).encode()
    _read_or_refuse(lambda: wire.nodes(nodes, raw=True))
    _read_or_refuse(lambda: wire.nodes(nodes, raw=False))
    partitions = _damaged(_NODES[f"partitions {version}"], damage)
    _read_or_refuse(lambda: wire.partitions(partitions))
    states = json.dumps(_damaged(_JOBS[f"states {version}"], damage)).encode()
    _read_or_refuse(lambda: wire.states(states))


def _damaged(exchange: recorded.Exchange, damage: list[tuple[int, Any]]) -> Any:
    """A copy of the answer in which some values are others."""
    answer = json.loads(exchange.content())
    for where, value in damage:
        places = list(_places(answer))
        if places:
            container, key = places[where % len(places)]
            container[key] = copy.deepcopy(value)
    return answer


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


def _read_or_refuse(read: Any) -> None:
    try:
        read()
    except (ValueError, BadInput):
        return


def test_versions_differ_only_where_they_say_so(version: str) -> None:
    """The rows of one node, read from either version's answer, have the same fields set."""
    mine = _node_facts(_WIRES[version], version)
    assert mine == _node_facts(_WIRES["v0.0.45"], "v0.0.45")


def _node_facts(wire: Wire, version: str) -> tuple[object, ...]:
    node: SlurmNode
    (node,) = wire.nodes(_NODES[f"get {version}"].content(), raw=False)
    return (node.name, node.states, node.gres, node.gres_used, node.features, node.topology)


def test_a_definition_is_sent_as_slurms_line(version: str) -> None:
    """The body of a new node is its one line."""
    node = NodeDefinition(name="n1", address="10.0.0.1", cpus=8, memory_mib=16000)
    assert _WIRES[version].new_node(node) == {"node_conf": node.node_conf()}
