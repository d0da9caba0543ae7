"""Where accounting is enforced: who may submit, what waits for which limit, and that it starts."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bridge.model.ids import SlurmJobId, SlurmNodeName
from bridge.slurm import (
    AssociationLimits,
    InUse,
    JobChanges,
    JobDescription,
    NotFound,
    QosLimits,
    RejectedByPolicy,
    SlurmClient,
    SlurmError,
)
from tests.contract.ground import PEOPLE, Ground, a_job, running, until


@asynccontextmanager
async def _account(client: SlurmClient, *people: str, **limits: Any) -> AsyncIterator[str]:
    """An account with these people, who have no other; it ends when its jobs have."""
    name = f"acc{secrets.token_hex(3)}"
    await client.create_account(name)
    for person in people:
        await client.add_user(person, name, limits=AssociationLimits(**limits))
    try:
        yield name
    finally:
        await until(lambda: _gone(client, name), "account deleted")
        for person in people:
            await client.delete_user(person)


async def _gone(client: SlurmClient, account: str) -> bool:
    try:
        await client.delete_account(account)
    except InUse:  # its jobs have just ended
        return False
    return True


@asynccontextmanager
async def _qos(client: SlurmClient, **limits: Any) -> AsyncIterator[str]:
    name = f"qos{secrets.token_hex(3)}"
    await client.create_qos(name, QosLimits(**limits))
    try:
        yield name
    finally:
        await client.delete_qos(name)


def _of(person: str, node: SlurmNodeName, **fields: Any) -> JobDescription:
    number = str(PEOPLE[person])
    return a_job(node, user_id=number, group_id=number, **fields)


async def _waits(client: SlurmClient, job_id: SlurmJobId, reason: str) -> None:
    async def given() -> bool:
        job = await client.get_job(job_id)
        return (job.state, job.reason) == ("PENDING", reason)

    await until(given, f"job {job_id} waits for {reason}")


async def _let_go(client: SlurmClient, job_id: SlurmJobId) -> None:
    """Slurm sees within a minute that a limit has changed; at once when the job does too."""
    await client.update_job(job_id, JobChanges(comment="look again"))
    await running(client, job_id)


async def test_who_may_submit(enforcing: Ground) -> None:
    """Users with an account, to their accounts, with the QOS that they may use."""
    client = enforcing.client
    async with _account(client) as other, _qos(client) as qos, enforcing.nodes(1) as (node,):
        with pytest.raises(RejectedByPolicy) as caught:
            await client.submit(_of("alice", node))
        assert caught.value.number == 2045
        async with _account(client, "alice") as account:
            for wrong, number in (
                ({"account": other}, 2045),
                ({"account": "no-such-account"}, 2045),
                ({"qos": qos}, 2066),
                ({"qos": "no-such-qos"}, 2066),
            ):
                with pytest.raises(RejectedByPolicy) as caught:
                    await client.submit(_of("alice", node, **wrong))
                assert caught.value.number == number
            job_id = await client.submit(_of("alice", node))
            job = await running(client, job_id)
            assert (job.account, job.qos) == (account, "normal")
            with pytest.raises(InUse):  # it has a job
                await client.delete_account(account)
            await client.cancel_job(job_id)
    with pytest.raises(NotFound):
        await client.get_user("alice")


_ASSOCIATION = [
    ({"max_jobs": 1}, {"max_jobs": 2}, {}, "AssocMaxJobsLimit"),
    ({"group_tres": {"cpu": 3}}, {"group_tres": {"cpu": 4}}, {}, "AssocGrpCpuLimit"),
    ({"group_tres": {"mem": 300}}, {"group_tres": {"mem": -1}}, {}, "AssocGrpMemLimit"),
    (
        {"group_tres": {"gres/gpu": 3}},
        {"group_tres": {"gres/gpu": 4}},
        {"tres_per_task": "gres/gpu:2"},
        "AssocGrpGRES",
    ),
    ({"max_tres_per_job": {"cpu": 1}}, {"max_tres_per_job": {"cpu": 2}}, {},
     "AssocMaxCpuPerJobLimit"),
    ({"max_wall_min": 5}, {"max_wall_min": 10}, {"time_limit_min": 10},
     "AssocMaxWallDurationPerJobLimit"),
]  # fmt: skip
"""A limit, one that is enough, a job, and what two of them wait for."""


@pytest.mark.parametrize(
    ("limit", "enough", "fields", "reason"), _ASSOCIATION, ids=[row[-1] for row in _ASSOCIATION]
)
async def test_an_associations_limit(
    enforcing: Ground,
    limit: dict[str, Any],
    enough: dict[str, Any],
    fields: dict[str, Any],
    reason: str,
) -> None:
    """The second job waits, if not the first; both run when there is enough."""
    client = enforcing.client
    async with _account(client, "alice", **limit), enforcing.nodes(1) as (node,):
        job = _of("alice", node, cpus_per_task=2, **fields)
        first, second = [await client.submit(job) for _ in range(2)]
        await _waits(client, second, reason)
        (mine,) = await client.list_associations(user="alice")
        await client.update_association(mine, AssociationLimits(**enough))
        for job_id in (first, second):
            await _let_go(client, job_id)
        await client.cancel_jobs([first, second])


_QOS = [
    ({"max_jobs": 1}, {"max_jobs": 2}, {}, "QOSGrpJobsLimit"),
    ({"max_jobs_per_user": 1}, {"max_jobs_per_user": 2}, {}, "QOSMaxJobsPerUserLimit"),
    ({"max_tres": {"cpu": 3}}, {"max_tres": {"cpu": 4}}, {}, "QOSGrpCpuLimit"),
    ({"max_tres_per_user": {"cpu": 3}}, {"max_tres_per_user": {"cpu": -1}}, {},
     "QOSMaxCpuPerUserLimit"),
    ({"max_tres_per_job": {"cpu": 1}}, {"max_tres_per_job": {"cpu": 2}}, {},
     "QOSMaxCpuPerJobLimit"),
    ({"max_wall_min": 5}, {"max_wall_min": 10}, {"time_limit_min": 10},
     "QOSMaxWallDurationPerJobLimit"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("limit", "enough", "fields", "reason"), _QOS, ids=[row[-1] for row in _QOS]
)
async def test_a_qos_limit(
    enforcing: Ground,
    limit: dict[str, Any],
    enough: dict[str, Any],
    fields: dict[str, Any],
    reason: str,
) -> None:
    """The same for a QOS, which is the user's by default."""
    client = enforcing.client
    async with (
        _qos(client, **limit) as qos,
        _account(client, "alice", qos=("normal", qos), default_qos=qos),
        enforcing.nodes(1) as (node,),
    ):
        job = _of("alice", node, cpus_per_task=2, **fields)
        first, second = [await client.submit(job) for _ in range(2)]
        await _waits(client, second, reason)
        assert (await client.get_job(second)).qos == qos
        await client.update_qos(qos, QosLimits(**enough))
        for job_id in (first, second):
            await _let_go(client, job_id)
        await client.cancel_jobs([first, second])


async def test_a_group_shares_its_limit(enforcing: Ground) -> None:
    """What one user holds, another one of the account can't; smaller jobs pass by."""
    client = enforcing.client
    async with _account(client, "alice", "bob") as account, enforcing.nodes(1) as (node,):
        own = next(one for one in await client.list_associations(account=account) if not one.user)
        await client.update_association(own, AssociationLimits(group_tres={"cpu": 3}))
        first = await client.submit(_of("alice", node, cpus_per_task=2))
        await running(client, first)
        second = await client.submit(_of("bob", node, cpus_per_task=2))
        await _waits(client, second, "AssocGrpCpuLimit")
        small = await client.submit(_of("bob", node))
        await running(client, small)
        await client.cancel_job(first)
        await running(client, second)
        await client.cancel_jobs([second, small])


async def test_a_node_counts_once(enforcing: Ground) -> None:
    """However many jobs of the group are on it."""
    client = enforcing.client
    async with (
        _account(client, "alice", group_tres={"node": 1}),
        enforcing.nodes(2) as (node, other),
    ):
        jobs = [await client.submit(_of("alice", node, required_nodes=(node,))) for _ in range(2)]
        for job_id in jobs:
            await running(client, job_id)
        jobs.append(await client.submit(_of("alice", node, required_nodes=(other,))))
        await _waits(client, jobs[2], "AssocGrpNodeLimit")
        await client.cancel_jobs(jobs[:2])
        await running(client, jobs[2])
        await client.cancel_job(jobs[2])


async def test_too_many_submits_are_refused(enforcing: Ground) -> None:
    """At once, and until one of those before has ended; of an association as of a QOS."""
    client = enforcing.client
    async with (
        _qos(client, max_submit_jobs_per_user=1) as qos,
        _account(client, "alice", max_submit_jobs=2, qos=("normal", qos)),
        enforcing.nodes(1) as (node,),
    ):
        jobs = [await client.submit(_of("alice", node, hold=True, qos=qos))]
        with pytest.raises(RejectedByPolicy) as caught:
            await client.submit(_of("alice", node, qos=qos))
        assert caught.value.number == 2050
        jobs.append(await client.submit(_of("alice", node)))
        with pytest.raises(RejectedByPolicy) as caught:
            await client.submit(_of("alice", node))
        assert caught.value.number == 2050
        await client.cancel_job(jobs[0])
        jobs.append(await client.submit(_of("alice", node, qos=qos)))
        await client.cancel_jobs(jobs)


async def test_a_qos_may_deny_instead(enforcing: Ground) -> None:
    """DENY_LIMIT: what alone is beyond a limit is refused, what must only wait is not."""
    client = enforcing.client
    limits = {"flags": ("DENY_LIMIT",), "max_tres_per_job": {"cpu": 2}, "max_jobs_per_user": 1}
    async with (
        _qos(client, **limits) as qos,
        _account(client, "alice", qos=(qos,), default_qos=qos),
        enforcing.nodes(1) as (node,),
    ):
        with pytest.raises(RejectedByPolicy) as caught:
            await client.submit(_of("alice", node, cpus_per_task=3))
        assert caught.value.number == 2050
        jobs = [await client.submit(_of("alice", node, cpus_per_task=2)) for _ in range(2)]
        await _waits(client, jobs[1], "QOSMaxJobsPerUserLimit")
        await client.cancel_jobs(jobs)


async def test_no_time_limit_is_the_longest(enforcing: Ground) -> None:
    """A job that names none gets the longest that it may have."""
    client = enforcing.client
    async with _account(client, "alice", max_wall_min=7), enforcing.nodes(1) as (node,):
        job_id = await client.submit(_of("alice", node))
        assert (await client.get_job(job_id)).time_limit_min == 7
        await client.cancel_job(job_id)


async def test_what_is_refused_first(enforcing: Ground) -> None:
    """Of a job that is wrong in several ways: names, account, QOS, licenses, limits, the rest."""
    client = enforcing.client
    async with enforcing.nodes(1) as (node,):
        wrong: list[tuple[dict[str, Any], int]] = [
            ({"partition": "nope", "constraints": "nope"}, 2029),
            ({"partition": "nope", "required_nodes": ("nope",)}, 2018),
            ({"partition": "nope"}, 2000),
            ({"licenses": "nope"}, 2045),
            ({"excluded_nodes": ("nope",)}, 2045),
        ]
        await _refused(client, node, wrong)
        async with _account(client, "alice", max_submit_jobs=1):
            job_id = await client.submit(_of("alice", node, hold=True))
            wrong = [
                ({"licenses": "nope", "qos": "nope"}, 2066),
                ({"licenses": "nope"}, 2048),
                ({"reservation": "nope"}, 2050),
                ({"cpus_per_task": 64}, 2050),
            ]
            await _refused(client, node, wrong)
            await client.cancel_job(job_id)


async def _refused(
    client: SlurmClient, node: SlurmNodeName, wrong: list[tuple[dict[str, Any], int]]
) -> None:
    for fields, number in wrong:
        with pytest.raises(SlurmError) as caught:
            await client.submit(_of("alice", node, **fields))
        assert (fields, caught.value.number) == (fields, number)


async def test_limits_come_before_licenses(enforcing: Ground) -> None:
    """A job that lacks both waits for its limit, and then for the licenses."""
    client = enforcing.client
    async with _account(client, "alice", max_jobs=1), enforcing.nodes(1) as (node,):
        others = await client.submit(
            a_job(node, user_id="root", group_id="root", licenses="matlab:3")
        )
        mine = await client.submit(_of("alice", node))
        for job_id in (others, mine):
            await running(client, job_id)
        lacks = await client.submit(_of("alice", node, licenses="matlab:2"))
        await _waits(client, lacks, "AssocMaxJobsLimit")
        await client.cancel_job(mine)
        await _waits(client, lacks, "Licenses")
        await client.cancel_jobs([others, lacks])


_NEVER: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"max_jobs": 1}, {}),
    ({"group_tres": {"cpu": 3}}, {}),
    ({"max_tres_per_job": {"cpu": 1}}, {}),
    ({"max_wall_min": 5}, {}),
    ({}, {"max_jobs": 1}),
    ({}, {"max_jobs_per_user": 1}),
    ({}, {"max_tres": {"cpu": 3}}),
    ({}, {"max_tres": {"node": 1}}),
    ({}, {"max_tres_per_user": {"cpu": 3}}),
]
"""Limits of association and QOS that two components of 2 CPUs and 10 minutes each can't keep."""


@pytest.mark.parametrize(("limit", "of_qos"), _NEVER)
async def test_a_het_job_that_never_could_run(
    enforcing: Ground, limit: dict[str, Any], of_qos: dict[str, Any]
) -> None:
    """Is refused, where a single job beyond the limit would wait. A component is left over, and
    runs as a job of its own unless it is cancelled.
    """
    client = enforcing.client
    async with (
        _qos(client, **of_qos) as qos,
        _account(client, "alice", qos=(qos,), default_qos=qos, **limit) as account,
        enforcing.nodes(2) as (node, _),
    ):
        before = await client.job_states()
        with pytest.raises(RejectedByPolicy) as caught:
            await client.submit_het([_of("alice", node, cpus_per_task=2, time_limit_min=10)] * 2)
        assert caught.value.number == 2050
        new = [job async for job in client.each_job(bool) if job.id not in before]
        (left,) = (job for job in new if not job.ended)
        assert (left.het_job_id, left.account) == (None, account)
        assert all(job.states == {"CANCELLED"} for job in new if job is not left)
        await client.cancel_job(left.id)


async def test_components_count_one_by_one(enforcing: Ground) -> None:
    """How many may be submitted, and what others hold, is asked of each component alone: together
    they may go beyond it.
    """
    client = enforcing.client
    limits = {"max_submit_jobs": 2, "max_jobs": 2, "group_tres": {"cpu": 4}}
    async with _account(client, "alice", **limits), enforcing.nodes(2) as (node, _):
        job = _of("alice", node, cpus_per_task=2)
        single = await client.submit(job)
        await running(client, single)
        first = (await client.submit_het([job, job])).id
        components = [first, SlurmJobId(first + 1)]
        for job_id in components:
            await running(client, job_id)
        with pytest.raises(RejectedByPolicy):
            await client.submit(job)
        await client.cancel_jobs([single, *components])
