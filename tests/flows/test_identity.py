"""Who pods are in Slurm is the namespace's to say."""

import contextlib
from collections.abc import Iterator

import pytest

from tests.arena import manifests
from tests.arena.api import Object, state, wait_for
from tests.arena.arena import NAMESPACE, PLAIN_NAMESPACE, Arena, Nodes, condition
from tests.arena.fixtures import Begin

USER, GROUP = 10077, 10078


def say(arena: Arena, namespace: str = NAMESPACE, **annotations: str | None) -> None:
    """As an admin, on the namespace; None takes one away."""
    marks = {manifests.JOB + key: text for key, text in annotations.items()}
    body = {"metadata": {"annotations": marks}}
    arena.kubernetes.patch(f"/api/v1/namespaces/{namespace}", body)


WHERE = pytest.mark.parametrize("away", [False, True], ids=["running", "away"])


@contextlib.contextmanager
def told_of(arena: Arena, away: bool) -> Iterator[None]:
    """Of what happens here the bridge learns at once, or when it comes back."""
    if away:
        arena.bridge.kill()
    yield
    if away:
        arena.bridge.start()


@pytest.fixture
def say_nothing(arena: Arena) -> Iterator[None]:
    """The namespaces as they were."""
    yield
    nothing = dict.fromkeys(("user", "accounts", "partitions", "qos"))
    for namespace in (NAMESPACE, PLAIN_NAMESPACE):
        say(arena, namespace, **nothing)


def waiting_job(arena: Arena) -> Object:
    """The one job in the queue."""
    found: list[Object] = wait_for(
        "one job waits",
        lambda: [job for job in arena.slurm.live_jobs() if state(job) == "PENDING"],
    )
    (job,) = found
    return job


def refused(arena: Arena, pod: Object) -> str:
    """What the API server says of a pod that it doesn't take."""
    answer = arena.kubernetes.try_create(pod)
    assert answer.status_code in (403, 422), answer.text
    return str(answer.json()["message"])


@pytest.mark.usefixtures("say_nothing")
def test_pods_are_whom_their_namespace_names(arena: Arena, begin: Begin) -> None:
    """User, group, account and partition in Slurm; what a pod or its Job may not choose is
    refused where its author looks."""
    begin(Nodes(count=1))
    say(arena, user=f"{USER}:{GROUP}", accounts="physics,chem", partitions="high,slurm-bridge")
    wait_for(
        "the bridge knows",
        lambda: "Choose one of physics, chem" in _told(arena, account="bio"),
    )
    assert "must not be chosen by pods" in _told(arena, **{"user-id": "0", "group-id": "0"})
    arena.create(manifests.pod("web", NAMESPACE, gpus=1))
    job = arena.job_of(arena.wait_bound("web"))
    assert (job["user_id"], job["group_id"]) == (USER, GROUP)
    assert (job["account"], job["partition"]) == ("physics", "high")
    chosen = {manifests.JOB + "account": "chem", manifests.JOB + "partition": "slurm-bridge"}
    arena.create(manifests.pod("api", NAMESPACE, gpus=1, annotations=chosen))
    job = arena.job_of(arena.wait_bound("api"))
    assert (job["user_id"], job["account"], job["partition"]) == (USER, "chem", "slurm-bridge")
    # A Job's own annotation is seen by the controller alone.
    theirs = {manifests.JOB + "account": "bio"}
    arena.create(manifests.job("batch", NAMESPACE, gpus=1, annotations=theirs))
    (pod,) = arena.wait_pods(
        1, "says why not", _says("Choose one of physics, chem"), of_job="batch"
    )
    assert (condition(pod) or {})["reason"] == "NotSubmitted"
    say(arena, accounts="physics,chem,bio")
    (pod,) = arena.wait_pods(
        1, "is let in", lambda pod: pod["spec"].get("nodeName"), of_job="batch"
    )
    assert arena.job_of(pod)["account"] == "bio"


@pytest.mark.usefixtures("say_nothing")
@WHERE
def test_a_change_of_the_namespace_reaches_jobs_that_wait(
    arena: Arena, begin: Begin, away: bool
) -> None:
    """A queued job moves to the namespace's new partition and keeps its place in the queue."""
    begin(Nodes(count=1))
    arena.create(manifests.pod("holder", NAMESPACE, gpus=8))
    arena.wait_bound("holder")
    # With a memory of its own: that of a partition's default can't be given back in place.
    arena.create(manifests.pod("next", NAMESPACE, gpus=8, memory="1Gi"))
    job = waiting_job(arena)
    assert job["partition"] == "slurm-bridge"
    with told_of(arena, away):
        say(arena, partitions="defmem")
    wait_for(
        "the job has moved",
        lambda: arena.slurm.job(job["job_id"])["partition"] == "defmem",
    )
    assert waiting_job(arena)["job_id"] == job["job_id"]


@pytest.mark.usefixtures("say_nothing")
@WHERE
def test_a_namespace_that_is_given_to_another_user(arena: Arena, begin: Begin, away: bool) -> None:
    """Its jobs that wait are queued anew as that user's, also where the bridge learns of it only
    when it comes back; who runs already goes on."""
    begin(Nodes(count=1))
    say(arena, user=f"{USER}:{GROUP}")
    wait_for("the bridge knows", lambda: "must not be chosen" in _told(arena, **{"user-id": "0"}))
    arena.create(manifests.pod("holder", NAMESPACE, gpus=8))
    held = arena.job_of(arena.wait_bound("holder"))
    arena.create(manifests.pod("next", NAMESPACE, gpus=8))
    first = waiting_job(arena)
    assert first["user_id"] == USER
    with told_of(arena, away):
        say(arena, user=f"{USER + 1}:{GROUP}")

    def others() -> bool:
        waiting = [job for job in arena.slurm.live_jobs() if state(job) == "PENDING"]
        return [job["user_id"] for job in waiting] == [USER + 1]

    wait_for("the job is the other user's", others)
    assert waiting_job(arena)["job_id"] != first["job_id"]
    assert state(arena.slurm.job(held["job_id"])) == "RUNNING"


@pytest.mark.usefixtures("say_nothing")
def test_an_annotation_that_can_not_be_read(arena: Arena, begin: Begin) -> None:
    """Is told on the namespace and to whoever creates a pod there; corrected, all goes on."""
    begin(Nodes(count=1))
    say(arena, user="alice")
    told = wait_for("pods are refused", lambda: _told(arena))
    assert "of namespace team: 'alice': has no group" in told
    wait_for(
        "an event on the namespace",
        lambda: any(
            "has no group" in event["note"]
            for event in arena.kubernetes.events("default", NAMESPACE)
        ),
    )
    say(arena, user=f"{USER}:{GROUP}")
    wait_for("pods are let in", lambda: not _told(arena))
    assert arena.job_of(arena.wait_bound("probe"))["user_id"] == USER


def test_where_a_user_is_required(arena: Arena, begin: Begin) -> None:
    """A namespace without one has no pods in Slurm, webhook or not."""
    begin(Nodes(count=1), identity={"required": True})
    assert "names no Slurm user" in refused(arena, manifests.pod("web", NAMESPACE, gpus=1))
    arena.without_webhooks()
    arena.create(
        manifests.pod("sly", PLAIN_NAMESPACE, gpus=1, schedulerName="slurm-bridge-scheduler")
    )
    arena.wait_pod("sly", "is told", _says("names no Slurm user"), namespace=PLAIN_NAMESPACE)
    assert not arena.slurm.live_jobs()


def _told(arena: Arena, **wishes: str) -> str:
    """Why a pod with these annotations is refused; "" when it is taken."""
    marks = {manifests.JOB + key: text for key, text in wishes.items()}
    answer = arena.kubernetes.try_create(
        manifests.pod("probe", NAMESPACE, gpus=1, annotations=marks)
    )
    return str(answer.json()["message"]) if answer.is_error else ""


def _says(words: str):  # type: ignore[no-untyped-def]
    return lambda pod: words in (condition(pod) or {}).get("message", "")
