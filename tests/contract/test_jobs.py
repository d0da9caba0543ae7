"""Jobs: submitted, granted, changed, ended; what is wrong leaves none."""

import re
from dataclasses import replace
from typing import Any

import pytest

from bridge.clock import SystemClock
from bridge.jobs import to_slurm
from bridge.model.ids import SlurmJobId
from bridge.model.job import Gres, JobIdentity, JobSpec
from bridge.slurm import (
    EXTERNAL_JOB,
    InvalidRequest,
    JobChanges,
    JobEnded,
    JobNotFound,
    ServerTooOld,
    SlurmClient,
    SlurmError,
    Unavailable,
    errno,
    hostlist,
    identity,
    timelimit,
)
from tests.contract.ground import (
    PARTITION,
    Ground,
    a_job,
    a_script,
    class_of,
    ended,
    running,
    until,
    waiting,
)

CLOCK = SystemClock()


async def test_a_gang_gets_what_it_asked_for(ground: Ground) -> None:
    """Tasks, CPUs, memory, GPUs and EFA are granted to the unit, node by node."""
    client = ground.client
    async with ground.nodes(3) as nodes:
        mine = JobIdentity("cluster", "gang", 1, "Job/team/trän")
        job_id = await client.submit(
            a_job(
                nodes[0],
                tasks=4,
                cpus_per_task=3,
                nodes="2",
                tasks_per_node=2,
                tres_per_task="gres/gpu:2,gres/efa:1",
                admin_comment=identity.format(mine),
                time_limit_min=90,
            )
        )
        job = await running(client, job_id)
        assert identity.parse(job.admin_comment) == mine
        assert job.time_limit_min == 90
        assert len(job.nodes) == 2
        assert set(job.nodes) < set(nodes)
        for grant in job.grants:
            assert (grant.cpus, grant.memory_mib) == (6, 600)
            assert grant.gres == (Gres("gpu", "h100", 4), Gres("efa", "", 2))
        assert not await client.makes_room(job_id)
        await client.cancel_job(job_id)
        await client.cancel_job(job_id)
        over = await client.get_job(job_id)
        assert over.state == "CANCELLED"
        assert over.grants == ()


async def test_slices_are_gpus_of_a_type_beside_whole_ones(ground: Ground) -> None:
    """Counted apart; a job that names no type is given either, so the bridge names one."""
    client = ground.client
    gres = (Gres("gpu", "h100", 2), Gres("gpu", "1g.10gb", 7))
    async with ground.nodes(1, gres) as nodes:
        asked = "gres/gpu:h100:1,gres/gpu:1g.10gb:2"
        both = await client.submit(a_job(nodes[0], tres_per_task=asked))
        granted = (await running(client, both)).grants[0].gres
        assert [one for one in granted if one.count] == [
            Gres("gpu", "h100", 1),
            Gres("gpu", "1g.10gb", 2),
        ]
        any_type = await client.submit(a_job(nodes[0], tres_per_task="gres/gpu:3"))
        granted = (await running(client, any_type)).grants[0].gres
        assert Gres("gpu", "1g.10gb", 2) in granted
        with pytest.raises(InvalidRequest):
            await client.submit(a_job(nodes[0], tres_per_task="gres/gpu:h100:3"), recover=False)


async def test_a_device_that_slurm_has_no_name_for_is_dropped_from_nodes(ground: Ground) -> None:
    """Without a word; a job that asks for it is refused. GresTypes tells which there are."""
    client = ground.client
    async with ground.nodes(1, (Gres("gpu", "h100", 2), Gres("neuron", "", 4))) as nodes:
        assert (await client.get_node(nodes[0])).gres == (Gres("gpu", "h100", 2),)
        with pytest.raises(InvalidRequest) as refusal:
            await client.submit(a_job(nodes[0], tres_per_task="gres/neuron:1"), recover=False)
        assert refusal.value.number == 2072
        if ground.version == "v0.0.44":
            with pytest.raises(ServerTooOld):
                await client.configuration()
        else:
            assert set((await client.configuration())["GresTypes"]) == {"gpu", "efa"}


@pytest.mark.parametrize(
    ("expression", "fitting"),
    [
        ("x|y&z", {2}),
        ("y&z|x", {0, 2}),
        ("({0}|k)&(x|y)&(z|y)", {1, 2}),
        ("{0}&[x|y]", {0, 1, 2}),
        ("(x&z)|y", {1, 2}),
    ],
)
async def test_features_are_read_from_the_left(
    ground: Ground, expression: str, fitting: set[int]
) -> None:
    """`|` and `&` bind equally, and any number of parentheses may be joined by `&`."""
    client = ground.client
    async with ground.nodes(4) as nodes:
        own = class_of(nodes[0])
        for node, words in zip(nodes, ("x k", "y k", "x z k", "z k"), strict=True):
            features = (PARTITION, own, *(f"{word}-{own}" for word in words.split()))
            await client.update_node(node, features=features)
        words_of_its_own = re.sub(r"\b([xyzk])\b", rf"\1-{own}", expression).format(own)
        granted = set()
        for number, node in enumerate(nodes):
            asked = a_job(node, constraints=words_of_its_own, required_nodes=(node,))
            try:
                job_id = await client.submit(asked, recover=False)
            except InvalidRequest:
                continue
            await running(client, job_id)
            granted.add(number)
            await client.cancel_job(job_id)
        assert granted == fitting


_OWN: dict[str, object] = {"user_id": None, "group_id": None}
"""Of the token's user."""


async def test_a_job_starts_in_the_call_that_submits_it(ground: Ground) -> None:
    """On free nodes it runs when its id is known; its end frees the node."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        for _ in range(2):
            asked = a_job(nodes[0], tasks=2, tres_per_task="gres/gpu:4", **_OWN)
            job_id = await client.submit(asked, recover=False, immediate=True)
            job = await client.get_job(job_id)
            assert (job.state, job.nodes) == ("RUNNING", nodes)
            assert EXTERNAL_JOB in job.flags
            assert job.grants[0].gres == (Gres("gpu", "h100", 8),)
            await client.cancel_job(job_id)


async def test_a_job_that_cannot_start_at_once_waits_its_turn(ground: Ground) -> None:
    """On busy nodes, and behind others, it is queued, and starts when they have ended."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        whole = a_job(nodes[0], tasks=1, tres_per_task="gres/gpu:8", **_OWN)
        first, second, third = [await client.submit(whole, immediate=True) for _ in range(3)]
        assert (await client.get_job(first)).running
        assert (await client.get_job(second)).pending
        assert (await client.get_job(third)).pending
        await client.cancel_job(first)
        await running(client, second)
        assert (await client.get_job(third)).pending


async def test_a_job_of_another_user_is_that_users(ground: Ground) -> None:
    """Also where it might start at once, which Slurm offers for the token's user only."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        job_id = await client.submit(a_job(nodes[0]), recover=False, immediate=True)
        assert (await client.get_job(job_id)).raw["user_id"] == 1000
        await client.cancel_job(job_id)


async def test_a_waiting_job_can_be_changed(ground: Ground) -> None:
    """Constraints, excluded nodes, priority and limits change; lists can be cleared."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        job_id = await client.submit(a_job(nodes[0], hold=True, comment=nodes[0].split("-")[1]))
        job = await client.get_job(job_id)
        assert job.hold
        assert job.reason == "JobHeldUser"
        await client.update_job(
            job_id,
            JobChanges(excluded_nodes=nodes, constraints="", time_limit_min=timelimit.UNLIMITED),
        )
        job = await client.get_job(job_id)
        assert hostlist.expand(job.excluded_nodes) == nodes
        assert job.constraints == ""
        assert job.time_limit_min is None
        await client.update_job(
            job_id, JobChanges(excluded_nodes=(), constraints=class_of(nodes[0]), time_limit_min=5)
        )
        job = await client.get_job(job_id)
        assert (job.excluded_nodes, job.time_limit_min) == ("", 5)
        await client.update_job(job_id, JobChanges(hold=False))
        assert (await running(client, job_id)).nodes == nodes


SPEC = JobSpec(
    identity=JobIdentity("cluster", "gang", 1, "Job/team/train"),
    name="contract",
    tasks=2,
    cpus_per_task=2,
    partition=PARTITION,
    memory_mib_per_cpu=100,
    user="1000",
    group="1000",
)
ALONE = replace(SPEC, tasks=1, memory_mib_per_cpu=None, memory_mib_per_node=500)
WHOLE = replace(ALONE, exclusive=True, tasks_per_node=1)
H100 = (Gres("gpu", "h100", 4),)


@pytest.mark.parametrize(
    ("before", "after", "granted"),
    [
        (SPEC, {"tasks": 3}, [(6, 600, ())]),
        (SPEC, {"tasks": 1}, [(2, 200, ())]),
        (SPEC, {"cpus_per_task": 4}, [(8, 800, ())]),
        (replace(SPEC, cpus_per_task=4), {"cpus_per_task": 1}, [(2, 200, ())]),
        (SPEC, {"tasks": 3, "cpus_per_task": 4, "memory_mib_per_cpu": 50}, [(12, 600, ())]),
        (SPEC, {"memory_mib_per_cpu": 150}, [(4, 600, ())]),
        (ALONE, {"memory_mib_per_node": 700}, [(2, 700, ())]),
        (ALONE, {"tasks": 3, "memory_mib_per_node": None, "memory_mib_per_cpu": 70},
         [(6, 420, ())]),
        (SPEC, {"tasks": 1, "memory_mib_per_node": 700, "memory_mib_per_cpu": None},
         [(2, 700, ())]),
        (SPEC, {"gres_per_task": "gres/gpu:h100:2"}, [(4, 400, H100)]),
        (replace(SPEC, gres_per_task="gres/gpu:1"), {"tasks": 4}, [(8, 800, H100)]),
        (replace(SPEC, gres_per_task="gres/gpu:1"), {"gres_per_task": ""}, [(4, 400, ())]),
        (replace(SPEC, tres_per_node="gres/efa:1"), {"tres_per_node": "gres/gpu:4"},
         [(4, 400, H100)]),
        (ALONE, {"tasks": 2, "min_nodes": 2}, [(2, 500, ()), (2, 500, ())]),
        (replace(SPEC, min_nodes=2), {"min_nodes": None}, [(4, 400, ())]),
        (replace(SPEC, min_nodes=2), {"min_nodes": None, "max_nodes": 1}, [(4, 400, ())]),
        (replace(SPEC, tasks=4), {"tasks": 6, "min_nodes": 2}, [(10, 1000, ()), (2, 200, ())]),
        (WHOLE, {"tasks": 2, "min_nodes": 2}, [(63, 500, ()), (63, 500, ())]),
    ],
)  # fmt: skip
async def test_a_waiting_job_changes_its_size(
    ground: Ground, before: JobSpec, after: dict[str, Any], granted: list[tuple[int, int, object]]
) -> None:
    """What the bridge says of a workload that changed is what the job then gets."""
    client = ground.client
    async with ground.nodes(2) as nodes:
        blocker = await client.submit(
            a_job(nodes[0], tasks=2, cpus_per_task=63, tasks_per_node=1, nodes="2")
        )
        await running(client, blocker)
        old = replace(before, constraints=class_of(nodes[0]))
        new = replace(old, **after)
        job_id = await client.submit(to_slurm.description(old), recover=False)
        assert (await client.get_job(job_id)).pending
        assert old.can_become(new)
        await client.update_job(job_id, to_slurm.changes(old, new))
        await client.cancel_job(blocker)
        job = await running(client, job_id)
        devices = () if before is WHOLE else None
        found = [
            (one.cpus, one.memory_mib, one.gres if devices is None else devices)
            for one in job.grants
        ]
        assert found == granted
        await client.cancel_job(job_id)


@pytest.mark.parametrize(
    ("before", "after", "field", "shown"),
    [
        ({}, {"name": "other"}, "name", "other"),
        ({}, {"comment": "other"}, "comment", "other"),
        ({"wckey": "w"}, {"wckey": ""}, "wckey", ""),
        ({}, {"partition": "high"}, "partition", "high"),
        ({}, {"nice": 100}, "nice", 100),
        ({"nice": 100}, {"nice": None}, "nice", 0),
        ({}, {"priority": 77}, "priority", 77),
        ({}, {"time_limit_min": 5}, "time_limit", 5),
        ({"time_limit_min": 5}, {"time_limit_min": timelimit.UNLIMITED}, "time_limit", None),
    ],
)
async def test_a_waiting_job_changes_what_it_is(
    ground: Ground, before: dict[str, Any], after: dict[str, Any], field: str, shown: object
) -> None:
    """Its words, its rank, its time; its partition once Slurm isn't planning with it."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        blocker = await client.submit(a_job(nodes[0], cpus_per_task=63))
        await running(client, blocker)
        old = replace(SPEC, constraints=class_of(nodes[0]), **before)
        new = replace(old, **after)
        job_id = await client.submit(to_slurm.description(old), recover=False)
        assert old.can_become(new)

        async def changed() -> bool:
            try:
                await client.update_job(job_id, to_slurm.changes(old, new))
            except Unavailable as error:
                assert error.number == errno.TRY_AGAIN  # noqa: PT017 — any other is a fault
                return False
            return True

        await until(changed, "job changed")
        said = (await client.get_job(job_id)).raw[field]
        if isinstance(said, dict):
            said = said["number"] if said["set"] else None
        assert said == shown
        await client.cancel_job(job_id)


async def test_a_priority_can_be_given_back(ground: Ground) -> None:
    """Slurm computes it again."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        blocker = await client.submit(a_job(nodes[0], cpus_per_task=63))
        await running(client, blocker)
        old = replace(SPEC, constraints=class_of(nodes[0]), priority=7)
        job_id = await client.submit(to_slurm.description(old), recover=False)
        assert (await client.get_job(job_id)).priority == 7
        await client.update_job(job_id, to_slurm.changes(old, replace(old, priority=None)))
        assert (await client.get_job(job_id)).priority not in (7, 0, None, 0xFFFFFFFF)
        await client.cancel_job(job_id)


async def test_nodes_that_must_or_must_not_be_taken_can_be_changed(ground: Ground) -> None:
    """And taken back."""
    client = ground.client
    async with ground.nodes(2) as nodes:
        blocker = await client.submit(
            a_job(nodes[0], tasks=2, cpus_per_task=63, tasks_per_node=1, nodes="2")
        )
        await running(client, blocker)
        old = replace(SPEC, constraints=class_of(nodes[0]), required_nodes=nodes[:1])
        job_id = await client.submit(to_slurm.description(old), recover=False)
        new = replace(old, required_nodes=(), excluded_nodes=nodes[:1])
        await client.update_job(job_id, to_slurm.changes(old, new))
        await client.cancel_job(blocker)
        assert (await running(client, job_id)).nodes == nodes[1:]
        await client.cancel_job(job_id)


async def test_licenses_and_dependencies_can_be_changed(ground: Ground) -> None:
    """What is not there is refused as when submitted; the embedded Slurm has neither."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        blocker = await client.submit(a_job(nodes[0], cpus_per_task=63))
        await running(client, blocker)
        old = replace(SPEC, constraints=class_of(nodes[0]))
        job_id = await client.submit(to_slurm.description(old), recover=False)
        for wrong in ({"licenses": "nope:1"}, {"dependency": "afterok:4000000"},
                      {"reservation": "nope"}):  # fmt: skip
            changed = to_slurm.changes(old, replace(old, **wrong))  # type: ignore[arg-type]
            with pytest.raises(InvalidRequest):
                await client.update_job(job_id, changed)
        if ground.real:
            more = replace(old, licenses="matlab:1", dependency=f"afterany:{blocker}")
            await client.update_job(job_id, to_slurm.changes(old, more))
            job = await client.get_job(job_id)
            assert job.raw["licenses"] == "matlab:1"
            assert job.raw["dependency"].startswith(f"afterany:{blocker}")
            await client.update_job(job_id, to_slurm.changes(more, old))
            job = await client.get_job(job_id)
            assert (job.raw["licenses"], job.raw["dependency"]) == ("", "")
        await client.cancel_job(job_id)


async def test_cpus_changed_without_their_sum_wait_for_ever(ground: Ground) -> None:
    """Why `changes` says all of a size: slurmctld counts the job's CPUs only once."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        asked = a_job(nodes[0], tasks=2, cpus_per_task=2)
        blocker = await client.submit(a_job(nodes[0], cpus_per_task=63))
        await running(client, blocker)
        broken, sound = [await client.submit(asked, recover=False) for _ in range(2)]
        await client.update_job(broken, JobChanges(tasks=3))
        await client.update_job(sound, JobChanges(tasks=3, min_cpus=6))
        await client.cancel_job(blocker)
        assert (await running(client, sound)).grants[0].cpus == 6
        assert (await client.get_job(broken)).pending
        await client.cancel_jobs([broken, sound])


@pytest.mark.parametrize(
    ("fields", "error", "number"),
    [
        ({"partition": "nope"}, InvalidRequest, 2000),
        ({"tres_per_task": "gres/gpu:9"}, InvalidRequest, 2014),
        ({"tres_per_task": "gres/fpga:1"}, InvalidRequest, 2072),
        ({"constraints": "nope"}, InvalidRequest, 2029),
        ({"user_id": "nope"}, InvalidRequest, 2166),
        ({"reservation": "nope"}, InvalidRequest, 2053),
        ({"excluded_nodes": ("nope",)}, InvalidRequest, 2018),
        ({"flags": ("EXTERNAL_JOB", "NOPE")}, InvalidRequest, 9207),
        ({"others": {"nope": 1}}, InvalidRequest, 0),
        ({"others": {"tasks": "many"}}, InvalidRequest, 0),
    ],
)
async def test_a_mistake_leaves_no_job(
    ground: Ground, fields: dict[str, object], error: type[SlurmError], number: int
) -> None:
    """Each has its class and number, also where Slurm makes a job in spite of it."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        with pytest.raises(error) as caught:
            await client.submit(a_job(nodes[0], **fields))
        assert caught.value.number == number
        alive = {"PENDING", "RUNNING"}
        for job_id, states in (await client.job_states()).items():
            if states & alive:
                assert (await client.get_job(job_id)).constraints != class_of(nodes[0])


async def test_unknown_ids_are_not_found(ground: Ground) -> None:
    """Reading and updating say so, cancelling is content."""
    client = ground.client
    unknown = SlurmJobId(67_000_000)
    with pytest.raises(JobNotFound):
        await client.get_job(unknown)
    with pytest.raises(JobNotFound):
        await client.update_job(unknown, JobChanges(comment="x"))
    await client.cancel_job(unknown)


async def test_many_are_cancelled_at_once(ground: Ground) -> None:
    """One request; jobs that ended or never were are cancelled enough."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        ids = [await client.submit(a_job(nodes[0])) for _ in range(3)]
        await client.cancel_job(ids[0])
        assert await client.cancel_jobs([*ids, SlurmJobId(66_000_000)]) == {}
        assert await client.cancel_jobs([]) == {}
        for job_id in ids:
            assert (await client.get_job(job_id)).state == "CANCELLED"


async def test_jobs_are_read_one_by_one(ground: Ground) -> None:
    """Those whose states are wanted, in order."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        ids = [await client.submit(a_job(nodes[0], hold=held)) for held in (True, False, True)]
        await running(client, ids[1])
        waiting = [job.id async for job in client.each_job(lambda states: "PENDING" in states)]
        assert [one for one in waiting if one in ids] == [ids[0], ids[2]]
        await client.cancel_jobs(ids)


async def test_a_layout_tells_cores_and_devices(ground: Ground) -> None:
    """As many as were granted, and only while the job runs."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        job_id = await client.submit(a_job(nodes[0], tasks=3, tres_per_task="gres/gpu:2"))
        await running(client, job_id)
        (layout,) = await client.get_layout(job_id)
        assert (layout.node, layout.memory_mib, len(layout.cores)) == (nodes[0], 300, 3)
        assert len(layout.gres["gpu", "h100"]) == 6
        await client.cancel_job(job_id)
        for unknown, error in ((job_id, InvalidRequest), (SlurmJobId(66_000_000), JobNotFound)):
            with pytest.raises(error):
                await client.get_layout(unknown)


async def test_a_het_job_starts_together(ground: Ground) -> None:
    """Each component is a job that names the first; cancelling the first ends all."""
    client = ground.client
    async with ground.nodes(2) as nodes:
        components = [
            a_job(nodes[0], tres_per_task="gres/gpu:8", admin_comment=f"het {nodes[0]}"),
            a_job(nodes[0], cpus_per_task=2),
        ]
        first = (await client.submit_het(components)).id
        states = await client.job_states()
        mine = [one for one in sorted(states) if one >= first]
        assert mine == [first, first + 1]
        for job_id in mine:
            job = await running(client, SlurmJobId(job_id))
            assert job.het_job_id == first
        held = {(await client.get_job(SlurmJobId(job_id))).nodes for job_id in mine}
        assert held == {(nodes[0],), (nodes[1],)}
        await client.cancel_job(first)
        for job_id in mine:
            assert (await client.get_job(SlurmJobId(job_id))).state == "CANCELLED"
    with pytest.raises(InvalidRequest):
        await client.submit_het([])


async def test_a_component_is_cancelled_alone(ground: Ground) -> None:
    """Unless it is the first; that one runs on, and is still found under its id."""
    client = ground.client
    async with ground.nodes(2) as nodes:
        parts = [a_job(nodes[0], name=name) for name in ("first", "second")]
        first = (await client.submit_het(parts)).id
        second = SlurmJobId(first + 1)
        for job_id in (first, second):
            await running(client, job_id)
        await client.cancel_job(second)
        assert (await client.get_job(second)).state == "CANCELLED"
        job = await client.get_job(first)
        assert (job.name, job.state) == ("first", "RUNNING")
        await client.cancel_job(first)
        await client.cancel_job(first)
        assert (await client.get_job(first)).state == "CANCELLED"


async def test_a_het_job_without_room_waits_as_a_whole(ground: Ground) -> None:
    """Three components on two nodes: each has its plan, none starts."""
    client = ground.client
    async with ground.nodes(2) as nodes:
        parts = [a_job(nodes[0], time_limit_min=90) for _ in range(3)]
        first = (await client.submit_het(parts)).id
        ids = [SlurmJobId(first + offset) for offset in range(3)]

        async def planned() -> bool:
            return all([(await client.get_job(one)).scheduled_nodes for one in ids])

        await until(planned, "all are planned")
        jobs = [await client.get_job(one) for one in ids]
        assert {job.state for job in jobs} == {"PENDING"}
        assert {job.reason for job in jobs} == {"Resources"}
        starts = [job.start_s or 0 for job in jobs]
        assert starts[2] >= starts[0] + 90 * 60
        await client.cancel_jobs(ids)


async def test_a_job_shrinks_to_the_nodes_it_keeps(ground: Ground) -> None:
    """The others are not its any more; to none it can't shrink."""
    client = ground.client
    async with ground.nodes(2) as nodes:
        job_id = await client.submit(a_job(nodes[0], tasks=2, nodes="2", tasks_per_node=1))
        await running(client, job_id)
        await client.shrink_job(job_id, [nodes[1]])
        job = await running(client, job_id)
        assert [grant.node for grant in job.grants] == [nodes[1]]
        with pytest.raises(InvalidRequest):
            await client.shrink_job(job_id, [])
        await client.cancel_job(job_id)


async def test_a_job_without_a_limit_has_no_end(ground: Ground) -> None:
    """Slurm says it ends in a year; one with a limit ends then."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        for limit_min, shown_min in ((timelimit.UNLIMITED, None), (7, 7)):
            asked = a_job(nodes[0], time_limit_min=limit_min)
            job = await running(client, await client.submit(asked))
            assert job.start_s is not None
            ends_s = None if shown_min is None else job.start_s + 60 * shown_min
            assert (job.time_limit_min, job.end_s) == (shown_min, ends_s)


async def test_a_job_tells_since_when_others_may_push_it_out(ground: Ground) -> None:
    """From its start where its partition allows it; before that nobody can."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        job_id = await client.submit(a_job(nodes[0], hold=True, comment=nodes[0].split("-")[1]))
        assert (await client.get_job(job_id)).preemptable_s is None
        await client.update_job(job_id, JobChanges(hold=False))
        job = await running(client, job_id)
        assert job.preemptable_s == job.start_s


@pytest.mark.only_real("the emulator's partitions have no PreemptMode of their own")
async def test_a_job_that_nobody_may_push_out_tells_so(ground: Ground) -> None:
    """Its partition has PreemptMode=OFF."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        job = await running(client, await client.submit(a_job(nodes[0], partition="high")))
        assert job.preemptable_s is None


async def test_a_signal_leaves_the_job_running(ground: Ground) -> None:
    """One that Slurm doesn't know would end the job, and is never sent."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        job_id = await client.submit(a_job(nodes[0]))
        await running(client, job_id)
        await client.signal_job(job_id, "SIGUSR1")
        with pytest.raises(InvalidRequest, match="USR1"):
            await client.signal_job(job_id, "NOPE")
        assert (await client.get_job(job_id)).running
        await client.cancel_job(job_id)
        with pytest.raises(JobEnded):
            await client.signal_job(job_id, "TERM")
    with pytest.raises(JobNotFound):
        await client.signal_job(SlurmJobId(66_000_000), "TERM")


async def test_a_batch_job_runs_on_its_node(ground: Ground, native: str) -> None:
    """Queued again it is PENDING, its restart is counted, and it runs again; a signal ends it."""
    client = ground.client
    job_id = await client.submit(a_script(native, "sleep 600"))
    job = await running(client, job_id)
    assert (job.nodes, job.raw["restart_cnt"]) == ((f"{native}-1",), 0)
    assert (job.raw["batch_flag"], EXTERNAL_JOB in job.flags) == (True, False)
    if ground.version != "v0.0.44":
        await client.requeue_job(job_id)
        job = await waiting(client, job_id, "BeginTime")
        assert (job.nodes, job.grants, job.raw["restart_cnt"]) == ((), (), 1)
        await client.update_job(job_id, JobChanges(begin_s=int(CLOCK.time())))
        assert (await running(client, job_id)).raw["restart_cnt"] == 1

    async def killed() -> bool:  # the process may not be there yet
        try:
            await client.signal_job(job_id, "USR1")
        except JobEnded:
            return True
        return False

    await until(killed, "the process gets the signal")
    job = await client.get_job(job_id)
    assert (job.state, job.reason) == ("FAILED", "RaisedSignal")
    assert job.description == "RaisedSignal:10(User defined signal 1)"
    assert job.raw["exit_code"]["signal"]["name"] == "USR1"


@pytest.mark.parametrize(
    ("line", "state", "reason", "code"),
    [("true", "COMPLETED", "", 0), ("exit 3", "FAILED", "NonZeroExitCode", 3)],
)
async def test_a_script_ends_its_job(
    ground: Ground, native: str, line: str, state: str, reason: str, code: int
) -> None:
    """As it exits; an ended job can be queued again, held until it is released."""
    client = ground.client
    job_id = await client.submit(a_script(native, line))
    job = await ended(client, job_id)
    assert (job.state, job.reason) == (state, reason)
    assert job.raw["exit_code"]["return_code"]["number"] == code
    if ground.version == "v0.0.44":
        return
    await client.requeue_job(job_id, hold=True)
    job = await waiting(client, job_id, "JobHeldUser")
    assert (job.hold, job.description) == (True, "job requeued in held state")
    await client.update_job(job_id, JobChanges(hold=False, begin_s=int(CLOCK.time())))
    await until(lambda: over_again(client, job_id), "it has run again")


async def over_again(client: SlurmClient, job_id: SlurmJobId) -> bool:
    """Whether a job that was requeued once has ended."""
    job = await client.get_job(job_id)
    return job.ended and job.raw["restart_cnt"] == 1


async def test_a_running_batch_job_is_cancelled(ground: Ground, native: str) -> None:
    """CANCELLED once nothing of it is left; one that is not to be requeued isn't."""
    client = ground.client
    job_id = await client.submit(a_script(native, "sleep 600", requeue=False))
    await running(client, job_id)
    if ground.version != "v0.0.44":
        with pytest.raises(SlurmError) as caught:
            await client.requeue_job(job_id)
        assert caught.value.number == 2037
    await client.cancel_job(job_id)
    assert (await ended(client, job_id)).state == "CANCELLED"


async def test_an_external_node_runs_no_script(ground: Ground) -> None:
    """Slurm takes no batch job that only external nodes could take, and no external one that has
    a script.
    """
    client = ground.client
    async with ground.nodes(1) as nodes:
        for flags, number in (((), 2014), ((EXTERNAL_JOB,), 2189)):
            with pytest.raises(SlurmError) as caught:
                await client.submit(a_job(nodes[0], script="#!/bin/sh\ntrue\n", flags=flags))
            assert caught.value.number == number


async def test_a_batch_job_is_requeued(ground: Ground) -> None:
    """Under its id, held where that is said; no external job, none that waits, none in v0.0.44."""
    client = ground.client
    if ground.version == "v0.0.44":
        with pytest.raises(ServerTooOld):
            await client.requeue_job(SlurmJobId(1))
        return
    async with ground.nodes(1) as nodes:
        external = await client.submit(a_job(nodes[0], hold=True))
        with pytest.raises(InvalidRequest):
            await client.requeue_job(external)
    job_id = await client.submit(a_script("debug", "true"))
    with pytest.raises(InvalidRequest):
        await client.requeue_job(job_id)
    await client.cancel_job(job_id)
    await client.requeue_job(job_id, hold=True)
    job = await client.get_job(job_id)
    assert (job.state, job.hold) == ("PENDING", True)
    await client.cancel_job(job_id)
    with pytest.raises(JobNotFound):
        await client.requeue_job(SlurmJobId(66_000_000))
