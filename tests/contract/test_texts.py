"""The texts of a job: what is allowed goes in and comes out again, what is too long is refused."""

import secrets
import string
from typing import Any

import pytest

from bridge.jobs import jobtexts, to_slurm
from bridge.model import texts
from bridge.model.job import (
    CLUSTER_CHARACTERS,
    GANG_CHARACTERS,
    LAST_GENERATION,
    OWNER_CHARACTERS,
    JobIdentity,
    JobSpec,
)
from bridge.slurm import InvalidRequest, JobNotFound, identity
from bridge.slurm.accounting import AccountedJob
from tests.contract.ground import PARTITION, Ground, a_job, class_of, running, until

ASCII = "".join(map(chr, range(ord(" "), ord("~") + 1)))
PLAIN = "".join(one for one in ASCII if one not in "\"'\\")
SCRIPTS = "Größe/訓練/обучение/🔥/\u0627\u0644/" + ASCII
DIRECTORY = texts.path(*((string.ascii_letters + "0._-") * 3 for _ in range(5)))


def filled(characters: str, most: int) -> str:
    """As many bytes of it as are allowed."""
    return (characters * most).encode()[:most].decode(errors="ignore")


def longest(run: str) -> JobIdentity:
    """Of no other job."""
    return JobIdentity(
        cluster=filled(PLAIN, CLUSTER_CHARACTERS),
        gang=filled(f"{run}/{PLAIN}", GANG_CHARACTERS),
        generation=LAST_GENERATION,
        owner=filled(PLAIN, OWNER_CHARACTERS),
    )


@pytest.mark.parametrize("characters", [ASCII, SCRIPTS, "'; DROP TABLE job_table; --", '"\\" '])
async def test_the_longest_texts_come_back_as_they_were(ground: Ground, characters: str) -> None:
    """And the identity, by which the bridge finds its job."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        spec = JobSpec(
            identity=longest(nodes[0]),
            name=filled(characters, 255),
            comment=filled(characters, jobtexts.COMMENT_BYTES),
            working_directory=DIRECTORY,
            tasks=1,
            cpus_per_task=1,
            memory_mib_per_node=100,
            partition=PARTITION,
            constraints=class_of(nodes[0]),
            user="1000",
            group="1000",
        )
        job_id = await client.submit(to_slurm.description(spec))
        job = await running(client, job_id)
        assert to_slurm.facts(job).identity == spec.identity
        assert job.admin_comment == identity.format(spec.identity)
        assert (job.name, job.comment) == (spec.name, spec.comment)
        assert job.raw["current_working_directory"] == DIRECTORY
        await client.cancel_job(job_id)
        assert to_slurm.facts(await client.get_job(job_id)).identity == spec.identity


async def test_the_accounting_keeps_the_identity(ground: Ground) -> None:
    """Also the longest: its job is found in the books."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        mine = longest(nodes[0])
        name = secrets.token_hex(32) + filled(PLAIN, 191)
        job_id = await client.submit(
            a_job(nodes[0], name=name, admin_comment=identity.format(mine))
        )
        await running(client, job_id)
        await client.cancel_job(job_id)
        found: list[AccountedJob] = []

        async def told() -> bool:
            try:
                found[:] = [await client.get_history(job_id)]
            except JobNotFound:
                return False
            return found[0].state == "CANCELLED"

        await until(told, "accounting has heard")
    assert identity.parse(found[0].admin_comment) == mine
    assert found[0].name == name


@pytest.mark.only_real("the emulator takes texts of any length")
@pytest.mark.parametrize(
    "fields",
    [
        {"name": "x" * 1025},
        {"comment": "x" * 1025},
        {"comment": "ü" * 513},
        {"account": "x" * 1025},
        {"reservation": "x" * 1025},
        {"wckey": "x" * 1025},
        {"tres_per_node": "gres/gpu:1," + "gres/efa:1," * 93},
        {"working_directory": "/" + "x" * 4096},
    ],
    ids=lambda fields: next(iter(fields)),
)
async def test_longer_texts_are_refused_in_words_for_a_path(
    ground: Ground, fields: dict[str, Any]
) -> None:
    """So the bridge never sends them; Slurm counts bytes. (Licenses are looked up first: 2048.)"""
    async with ground.nodes(1) as nodes:
        with pytest.raises(InvalidRequest) as refusal:
            await ground.client.submit(a_job(nodes[0], **fields), recover=False)
        assert refusal.value.number == 2012


@pytest.mark.only_real("the emulator takes texts of any length")
@pytest.mark.parametrize(("classes", "taken"), [(53, True), (54, False)])
async def test_constraints_of_fifty_four_classes_are_too_long(
    ground: Ground, classes: int, taken: bool
) -> None:
    """A class is 18 characters and a bar."""
    client = ground.client
    names = tuple(f"class-{secrets.token_hex(6)}" for _ in range(classes))
    async with ground.nodes(1) as nodes:
        await client.update_node(nodes[0], features=(PARTITION, class_of(nodes[0]), *names))
        job = a_job(nodes[0], constraints="|".join(names))
        if taken:
            await client.cancel_job(await client.submit(job, recover=False))
            return
        with pytest.raises(InvalidRequest) as refusal:
            await client.submit(job, recover=False)
        assert refusal.value.number == 2012
