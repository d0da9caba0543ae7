"""People ask the bridge: why a workload waits and until when, and who else waits."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.arena import manifests
from tests.arena.api import Object, wait_for
from tests.arena.arena import NAMESPACE, PLAIN_NAMESPACE, Arena, Nodes, node_of
from tests.arena.fixtures import Begin
from tests.flows.explaining import Researcher, granted


@pytest.fixture
def researcher(arena: Arena, begin: Begin, tmp_path: Path) -> Iterator[Researcher]:
    """May look at pods of the team's namespace; two nodes of 8 GPUs."""
    begin(Nodes(count=2, gpus=8))
    token = tmp_path / "token"
    token.write_text(arena.token_of("ann"))
    token.chmod(0o600)
    with granted(arena, "ann", role="view", namespace=NAMESPACE):
        yield Researcher(arena, token)


def queued(arena: Arena, name: str) -> Object:
    """The job of that workload, once it waits in Slurm."""

    def found() -> Object | None:
        for job in arena.slurm.live_jobs():
            if job["name"].endswith(f"/{name}") and job["job_state"][0] == "PENDING":
                return job
        return None

    job: Object = wait_for(f"{name} is queued", found)
    return job


def test_a_researcher_sees_his_own_and_nobody_elses(
    arena: Arena, researcher: Researcher, tmp_path: Path
) -> None:
    """In the queue and in stories; who may list all pods sees all, and Slurm's own jobs."""
    arena.create(manifests.job("mine", NAMESPACE, count=2, gang=True, gpus=8))
    arena.wait_pods(2, "are bound", node_of, of_job="mine")
    arena.create(
        manifests.pod("theirs", PLAIN_NAMESPACE, gpus=8, schedulerName="slurm-bridge-scheduler")
    )
    queue = researcher.told("queue", "-n", NAMESPACE)
    assert "job/team/mine" in queue
    assert "theirs" not in queue
    for words in (
        ("explain", "pod", "theirs", "-n", PLAIN_NAMESPACE),
        ("explain", "pod", "no-such-pod", "-n", PLAIN_NAMESPACE),
        ("queue", "-n", PLAIN_NAMESPACE),
        ("queue", "-A"),
    ):
        answer = researcher.ask(*words)
        assert answer.code == 1, answer
        assert 'user "system:serviceaccount:team:ann" may not' in answer.error
        assert "theirs" not in answer.said
    answer = researcher.ask("explain", "pod", "no-such-pod", "-n", NAMESPACE)
    assert answer.code == 1
    assert "knows no pod team/no-such-pod" in answer.error

    admin = tmp_path / "admin"
    admin.write_text(arena.admin_token())
    native = arena.slurm.submit(
        name="native-one",
        partition="slurm-bridge",
        tasks=1,
        memory_per_node={"set": True, "number": 100},
        time_limit={"set": True, "number": 1},
    )
    wanted = ("job/team/mine", "pod/elsewhere/theirs", "native-one (native)")

    def sees_all() -> bool:
        everything = Researcher(arena, admin).told("queue", "-A")
        return all(one in everything for one in wanted)

    wait_for("all of them are in the queue", sees_all, every_s=1.0)
    arena.slurm.cancel(native)
    said = researcher.told("explain", "job/mine", "-n", NAMESPACE)
    assert "Job team/mine: runs, 2 pods" in said


def test_a_waiting_gang_says_why_and_until_when(arena: Arena, researcher: Researcher) -> None:
    """Slurm's reason in plain words, the expected start, its place, and what is in the way."""
    arena.create(
        manifests.pod("long", NAMESPACE, gpus=8, annotations={f"{manifests.JOB}timelimit": "600"})
    )
    arena.create(
        manifests.pod("other", NAMESPACE, gpus=8, annotations={f"{manifests.JOB}timelimit": "600"})
    )
    arena.wait_pods(2, "are bound", node_of)
    arena.create(manifests.job("waits", NAMESPACE, count=2, gang=True, gpus=8))
    job_id = queued(arena, "waits")["job_id"]
    wait_for(
        "Slurm has said why",
        lambda: arena.slurm.job(job_id)["state_reason"] in ("Resources", "Priority"),
    )

    def expected() -> Any:
        (story,) = researcher.json("explain", "job", "waits", "-n", NAMESPACE)["stories"]
        return story if story["job"]["start_s"] else None

    story = wait_for("Slurm has planned a start", expected, seconds=60, every_s=1.0)
    assert story["gang"]["state"] == "GANG_STATE_QUEUED"
    assert story["gang"]["reason"] in ("Resources", "Priority")
    assert story["job"]["job_id"] == job_id
    assert story["place"] == {"ahead": 0, "waiting": 1, "partition": "slurm-bridge"}
    assert story["nodes"][0]["able"] == 0
    assert sum(one["count"] for one in story["nodes"][0]["out"]) == story["nodes"][0]["nodes"]
    said = researcher.told("explain", "job", "waits", "-n", NAMESPACE)
    assert f"Slurm job {job_id} waits in partition slurm-bridge" in said
    assert "(Slurm: " in said
    assert "Slurm expects to start it at" in said
    assert f"Submitted as Slurm job {job_id}" in said
    assert "nvidia.com/gpu free" in said
    queue = researcher.told("queue", "-n", NAMESPACE)
    assert f"({story['gang']['reason']})" in queue


def test_strangers_are_refused_with_a_sentence(
    arena: Arena, researcher: Researcher, tmp_path: Path
) -> None:
    """Without a token, and with a wrong one, which is in no log."""
    nobody = tmp_path / "nobody"
    nobody.write_text("not-a-token-of-anybody")
    answer = Researcher(arena, nobody).ask("explain", "pod", "any", "-n", NAMESPACE)
    assert answer.code == 1
    assert "the API server does not know this token" in answer.error
    assert "not-a-token-of-anybody" not in answer.error + arena.bridge.log()
    nobody.write_text("\n")
    answer = Researcher(arena, nobody).ask("queue", "-n", NAMESPACE)
    assert answer.code == 2
    assert "it holds no token" in answer.error
