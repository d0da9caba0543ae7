"""A pod that one tenant creates costs the webhook, and so every other tenant, next to nothing."""

import asyncio
import os
import ssl
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bench import admission, calls, hostile
from bridge import names
from bridge.admission import frames, mutate, scope, validate, wire
from bridge.admission.identity_validator import IdentityValidator
from bridge.admission.reader_process import ReaderProcess
from bridge.admission.reading import NotAReview, Question, ReviewReader
from bridge.admission.review import MOST_BYTES, Reviewer
from bridge.admission.turns import ReviewTurns
from bridge.clock import SystemClock
from bridge.model import bounds
from bridge.model.namespace import Namespace
from tests.hostile.inside import inside
from tests.hostile.measured import cost
from tests.unit.admission.manifests import a_manifest, a_namespace, response, review

PREFIX = names.JOB_PREFIX
DEVICES = "deviceclass.resource.kubernetes.io/"
MOST_ANSWER = 20_000
"""Bytes of an answer, whatever was asked."""

Json = dict[str, Any]


def annotated(form: str, **more: str) -> Callable[[int], Json]:
    """So many annotations, and some that mean something."""
    wishes = {PREFIX + key.replace("_", "-"): text for key, text in more.items()}
    return lambda n: (
        a_manifest().annotated({form.format(i): "x" for i in range(n)} | wishes).build()
    )


def field(name: str, items: Callable[[int], Any]) -> Callable[[int], Json]:
    """A field of the spec with so many items."""
    return lambda n: a_manifest().spec_field(name, items(n)).build()


def term(n: int) -> Json:
    """A node affinity of one term."""
    values = [{"key": f"k{i}", "operator": "In", "values": ["v"]} for i in range(n)]
    required = {"nodeSelectorTerms": [{"matchExpressions": values}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def containers(form: str) -> Callable[[int], Json]:
    """Each with a resource of its own."""
    return field(
        "containers",
        lambda n: [
            {"name": f"c{i}", "resources": {"limits": {form.format(i): "1"}}} for i in range(n)
        ],
    )


def owned(n: int) -> Json:
    """By many, none of whom controls it."""
    pod = a_manifest().build()
    pod["metadata"]["ownerReferences"] = [{"kind": "K", "uid": f"u{i}"} for i in range(n)]
    return pod


GROWING: dict[str, Callable[[int], Json]] = {
    "misspelt parameters": annotated(PREFIX + "tiemlimit-{}"),
    "misspelt parameters beside a mistake": annotated(PREFIX + "tiemlimit-{}", timelimit="soon"),
    "old parameters": annotated("slinky.slurm.net/timelimit-{}"),
    "others' annotations": annotated("example.com/x{}"),
    "containers": containers("cpu"),
    "containers with resources": containers("example.com/x{}"),
    "containers with devices": containers(DEVICES + "x{}"),
    "tolerations": field("tolerations", lambda n: [{"key": f"k{i}"} for i in range(n)]),
    "volumes": field("volumes", lambda n: [{"name": f"v{i}", "ephemeral": {}} for i in range(n)]),
    "labels": field("nodeSelector", lambda n: {f"k{i}": "v" for i in range(n)}),
    "gates": field("schedulingGates", lambda n: [{"name": f"g{i}"} for i in range(n)]),
    "requirements": field("affinity", term),
    "claims": field("resourceClaims", lambda n: [{"name": f"c{i}"} for i in range(n)]),
    "owners": owned,
}
READ = [name for name in GROWING if name != "gates"]
"""Of gates the webhook reads a hundred."""
growing = pytest.mark.parametrize("make", GROWING.values(), ids=GROWING)
OURS = scope.Scope(managed_namespaces=frozenset({"team"}))


def judged(pod: wire.Pod, namespace: Namespace) -> object:
    """All that both webhooks look at."""
    return (
        mutate.operations(pod, pods=OURS, managed=True, made_by=wire.UserInfo()),
        validate.refusals(pod),
        validate.warnings(pod),
        list(IdentityValidator().refusals(pod.metadata.annotations, namespace, owned=False)),
    )


@pytest.mark.parametrize("make", [GROWING[name] for name in READ], ids=READ)
def test_judging_is_linear(make: Callable[[int], Json]) -> None:
    """Twice the items, twice the steps at the most."""
    pods = [wire.Pod.model_validate(make(count)) for count in (125, 250, 500, 1000)]
    costs = [cost(partial(judged, pod, a_namespace())) for pod in pods]
    for before, after in pairwise(costs):
        assert after <= 2.2 * before + 300


@growing
async def test_an_answer_is_short(make: Callable[[int], Json]) -> None:
    """The first faults of many, and that there are more."""
    reviewer = Reviewer(pods=OURS, namespaces={"team": a_namespace()})
    for count in (1, 3000):
        status, body = await reviewer.validate(review(make(count)))
        assert status == 200
        assert len(body) < MOST_ANSWER
        told = response((status, body))
        assert all(len(line) <= 256 for line in told.get("warnings", ()))
        assert len(told.get("warnings", ())) <= bounds.MOST_TOLD
        mutated = await reviewer.mutate(review(make(count)))
        assert len(mutated[1]) < MOST_ANSWER


def test_all_parameters_wrong_at_once() -> None:
    """Each with 256 KiB: told with their keys, and not repeated."""
    wrong = a_manifest().annotated(dict.fromkeys(sorted(names.PARAMETERS), "\0" * (1 << 18)))
    refusals = validate.refusals(wrong.parsed())
    assert len(refusals) == bounds.MOST_TOLD
    assert all(len(str(one)) < 1000 for one in refusals)


def test_many_unknown_parameters_are_warned_of_together() -> None:
    """Ten lines; the last says that there are more."""
    pod = a_manifest().annotated({f"{PREFIX}tiemlimit{n}": "1" for n in range(11)}).parsed()
    *lines, last = validate.warnings(pod)
    assert len(lines) == bounds.MOST_TOLD - 1
    assert all("did you mean" in line for line in lines)
    assert last == "more annotations have no effect"


def terms(count: int, requirements: int) -> Json:
    """A node affinity of several terms."""
    one = term(requirements)["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    required = {"nodeSelectorTerms": one["nodeSelectorTerms"] * count}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def asking(count: int, resources: int = 0, ports: int = 0) -> list[Json]:
    """So many containers."""
    return [
        {
            "resources": {"limits": {f"x.org/{i}-{n}": 1 for n in range(resources)}},
            "ports": [{"hostPort": 1}] * ports,
        }
        for i in range(count)
    ]


@pytest.mark.parametrize(
    ("name", "items", "says"),
    [
        ("nodeSelector", {f"k{n}": "v" for n in range(1001)}, "1001 labels"),
        ("tolerations", [{"key": "k"}] * 1001, "1000 items"),
        ("schedulingGates", [{"name": "k"}] * 101, "100 items"),
        ("affinity", terms(101, 1), "100 items"),
        ("affinity", terms(1, 1001), "1000 items"),
        ("affinity", terms(2, 501), "1002 requirements"),
        ("volumes", [{"persistentVolumeClaim": {}}] * 257, "257 claims"),
        ("volumes", [{"emptyDir": {}}] * 1001, "1000 items"),
        ("containers", asking(1001), "1000 items"),
        ("initContainers", asking(1001), "1000 items"),
        ("containers", asking(1, ports=1001), "1000 items"),
        ("containers", asking(2, ports=501), "1002 ports"),
        ("containers", asking(1, resources=1001), "1000 items"),
        ("containers", asking(2, resources=129), "258 resources"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
async def test_what_rows_do_not_hold_is_refused_here(name: str, items: Any, says: str) -> None:
    """The author reads it in the terminal; the controller has the same bound (`test_rows`)."""
    reviewer = Reviewer(pods=OURS, namespaces={"team": a_namespace()})
    pod = a_manifest().spec_field(name, items).build()
    told = response(await reviewer.validate(review(pod)))
    assert told["allowed"] is False
    assert says in told["status"]["message"]
    assert "spec." in told["status"]["message"]


def test_a_contradiction_of_two_parameters_is_refused() -> None:
    """Each is right by itself."""
    (refusal,) = validate.refusals(a_manifest().wishing(min_nodes="4", max_nodes="2").parsed())
    assert refusal.field == f"metadata.annotations[{PREFIX}min-nodes]"
    assert "make max-nodes as large" in refusal.message


def filled(item: bytes) -> bytes:
    """The largest review that is read, with so many of these where nobody looks."""
    body = review(a_manifest().build() | {"status": ["many"]})
    count = (MOST_BYTES - len(body)) // (len(item) + 1)
    return body.replace(b'"many"', b",".join([item] * count))


async def test_the_worst_pods_are_read_within_the_bounds_of_the_process() -> None:
    """Its memory and its time are enough for whatever the API server sends: of three megabytes,
    and of as many small objects as the largest review can have."""
    pods = hostile.pods(admission.a_pod())
    bodies = [admission.body(admission.mutated(pod)) for pod in pods.values()]
    process = ReaderProcess()
    try:
        for body in (*bodies, *map(filled, (b"{}", b"[]", b"[[]]", b'{"":0}', b"1.5", b'"a"'))):
            assert len(body) <= MOST_BYTES
            reading = await process.read(ReviewReader(OURS), Question.VALIDATE, body)
            assert not isinstance(reading, NotAReview)
            assert len(frames.answered(reading)) < MOST_ANSWER
            if body == bodies[0]:
                pid = process.pid
        assert process.pid == pid
    finally:
        await process.close()


async def test_a_large_review_is_answered_as_a_small_one_is() -> None:
    """Word for word, wherever it is read."""
    process = ReaderProcess()
    here = Reviewer(pods=OURS, namespaces={"team": a_namespace()})
    there = Reviewer(
        pods=OURS,
        namespaces={"team": a_namespace()},
        turns=ReviewTurns(process, clock=SystemClock()),
    )
    try:
        for make in GROWING.values():
            for count in (1, 3000):
                body = review(make(count)).ljust(100_000)
                assert await there.mutate(body) == await here.mutate(body)
                assert await there.validate(body) == await here.validate(body)
        assert process.pid is not None
    finally:
        await process.close()


async def test_a_bridge_at_work_reads_large_reviews_elsewhere(tmp_path: Path) -> None:
    """The process comes with the first one, and ends with the bridge."""
    async with inside(tmp_path, nodes=1) as stack:
        tls = await asyncio.to_thread(
            partial(ssl.create_default_context, cafile=str(tmp_path / "tls" / "ca.crt"))
        )
        connected = await calls.connect(stack.app.https_port, tls)
        assert stack.app.reviewing is not None
        reader_process = stack.app.reviewing.reader_process
        for size in (0, 100_000):
            assert reader_process.pid is None
            body = review(a_manifest().ours().build()).ljust(size)
            _, status, answer = await calls.call(connected, names.VALIDATE_PATH, body)
            assert (status, response((status, answer))["allowed"]) == (200, True)
        pid = reader_process.pid
        assert pid is not None
        _, status, _ = await calls.call(connected, names.MUTATE_PATH, b" " * (MOST_BYTES + 1))
        assert status == 413
        connected[1].close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
