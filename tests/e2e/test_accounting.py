"""Accounts, limits, QOS and fair share decide: through `bridge.slurm`, on a stack of its own."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator

import pytest

from bridge import names
from bridge.admission.associations import Associations
from bridge.clock import SystemClock
from bridge.jobs.identity import Identity
from bridge.model.ids import SlurmJobId
from bridge.model.namespace import Namespace
from bridge.slurm import (
    AssociationLimits,
    InUse,
    Job,
    JobDescription,
    NodeDefinition,
    QosLimits,
    RejectedByPolicy,
    SlurmClient,
    TokenSource,
)
from tests.contract.ground import until
from tests.e2e.stack import Stack

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(os.geteuid() != 0, reason="the stack mounts and chroots: needs root"),
]

PORT_BASE = 29700
PEOPLE = {"alice": "10001", "bob": "10002", "carol": "10003"}


@pytest.fixture(scope="module")
def own() -> Iterator[Stack]:
    """Since what is enforced is enforced for all."""
    with Stack.fresh("accounts", PORT_BASE) as stack:
        yield stack


@pytest.fixture
async def client(own: Stack) -> AsyncIterator[SlurmClient]:
    """As SlurmUser, on one node with 8 CPUs; alice and bob have accounts, carol has none."""
    token = TokenSource.from_file(own.slurm_token_file)
    async with SlurmClient(endpoints=[own.slurm_url], token=token, timeout_s=30) as client:
        await client.create_node(
            NodeDefinition(
                name="n1",
                address="127.0.0.1",
                cpus=8,
                memory_mib=8000,
                features=("slurm-bridge",),
                topology="fabric:root:leaf",
            )
        )
        await client.create_qos("small", QosLimits(max_tres_per_user={"cpu": 2}))
        for person, account in (("alice", "physics"), ("bob", "biology")):
            await client.create_account(account)
            limits = AssociationLimits(qos=("normal", "small"), max_jobs=2)
            await client.add_user(person, account, limits=limits)
        try:
            yield client
        finally:
            await client.cancel_jobs(await client.job_states())
            for person, account in (("alice", "physics"), ("bob", "biology")):
                await until(lambda person=person: _deleted(client, person), f"{person} is gone")  # type: ignore[misc]
                await client.delete_account(account)
            await client.delete_qos("small")
            await client.delete_node((await client.list_nodes())[0].name)


async def _deleted(client: SlurmClient, person: str) -> bool:
    """slurmdbd hears a moment later that jobs have ended, and keeps their user until then."""
    try:
        await client.delete_user(person)
    except InUse:
        return False
    return True


@pytest.fixture
def enforcing(own: Stack) -> Iterator[None]:
    """Slurm holds everybody to associations, limits and QOS."""
    own.slurm_cluster.enforce("limits", "qos")
    yield
    own.slurm_cluster.enforce()


def a_job(person: str, **fields: object) -> JobDescription:
    """One CPU."""
    return JobDescription(
        name="e2e",
        tasks=1,
        memory_per_cpu_mib=10,
        user_id=PEOPLE[person],
        group_id=PEOPLE[person],
        **fields,  # type: ignore[arg-type]
    )


async def _reason(client: SlurmClient, job_id: SlurmJobId, reason: str) -> None:
    async def given() -> bool:
        return (await client.get_job(job_id)).reason == reason

    await until(given, f"job {job_id} waits for {reason}")


@pytest.mark.usefixtures("enforcing")
async def test_limits_hold(client: SlurmClient) -> None:
    """Who has no account is refused; beyond a limit a job waits, and says for which."""
    with pytest.raises(RejectedByPolicy) as caught:
        await client.submit(a_job("carol"))
    assert caught.value.number == 2045
    with pytest.raises(RejectedByPolicy):
        await client.submit(a_job("alice", account="biology"))
    with pytest.raises(RejectedByPolicy):
        await client.submit(a_job("alice", qos="no-such-qos"))
    jobs = [await client.submit(a_job("alice")) for _ in range(3)]
    await _reason(client, jobs[2], "AssocMaxJobsLimit")
    assert (await client.get_job(jobs[0])).account == "physics"
    waiting = await client.submit(a_job("bob", qos="small", cpus_per_task=3))
    await _reason(client, waiting, "QOSMaxCpuPerUserLimit")
    (mine,) = await client.list_associations(user="alice")
    await client.update_association(mine, AssociationLimits(max_jobs=3))

    async def runs() -> bool:
        return (await client.get_job(jobs[2])).running

    await until(runs, "the third, once its user may have three")


@pytest.mark.usefixtures("enforcing")
async def test_admission_knows_what_slurm_refuses(client: SlurmClient) -> None:
    """For each user, account and QOS the webhook objects exactly where Slurm would refuse."""
    namespaces = {
        person: Namespace(person, person, annotations={names.NAMESPACE_USER: f"{person}:1"})
        for person in PEOPLE
    }
    kept = Associations(client, namespaces=namespaces, interval_s=60, clock=SystemClock())
    await kept.refresh()
    for person in PEOPLE:
        for account in ("", "physics", "biology", "PHYSICS", "no-such-account"):
            for qos in ("", "normal", "small", "SMALL", "no-such-qos"):
                objection = kept.known.objection(
                    Identity(user=person, group="1", partition="slurm-bridge"),
                    accounts=[account] if account else [],
                    qos=[qos] if qos else [],
                )
                refused = False
                try:
                    await client.submit(a_job(person, account=account, qos=qos, hold=True))
                except RejectedByPolicy:
                    refused = True
                assert refused is (objection is not None), (person, account, qos, objection)


async def test_without_enforcement_everybody_may_submit(client: SlurmClient) -> None:
    """As the other stories on the real stack need it."""
    job_id = await client.submit(a_job("carol"))
    assert (await client.get_job(job_id)).user == "carol"


async def test_who_has_used_much_waits_behind(client: SlurmClient) -> None:
    """After a while of alice's job, bob's fair share is the larger, and so is his priority."""
    running = await client.submit(a_job("alice", cpus_per_task=8))

    async def counted() -> bool:
        lines = {one.name: one for one in await client.list_shares() if one.user}
        alice, bob = lines["alice"], lines["bob"]
        return alice.usage > 0 == bob.usage and (alice.fair_share or 0) < (bob.fair_share or 0)

    await until(counted, "alice's usage counted", within_s=150)  # once a minute
    waiting: dict[str, Job] = {}
    for person in ("alice", "bob"):
        job_id = await client.submit(a_job(person, cpus_per_task=8))
        await asyncio.sleep(0)
        waiting[person] = await client.get_job(job_id)
    assert (waiting["bob"].priority or 0) > (waiting["alice"].priority or 0)
    await client.cancel_job(running)

    async def bob_runs() -> bool:
        return (await client.get_job(waiting["bob"].id)).running

    await until(bob_runs, "bob's job first")
    assert (await client.get_job(waiting["alice"].id)).pending
