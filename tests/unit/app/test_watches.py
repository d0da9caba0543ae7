"""What Kubernetes tells, where it is kept, and who hears that something has changed."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
import structlog

from bridge import config
from bridge.app.watches import Watches
from bridge.kube.api.client import KubeClient
from bridge.kube.objects import namespaces, nodes, volumes
from bridge.model.ids import GangId, NodeName
from bridge.state.kube_state import KubeState
from bridge.telemetry import Metrics, OutageLog
from tests.builders import SCHEDULER
from tests.unit.app.api import JOBS, MINE, OTHERS, Api, Raw, a_raw, a_raw_node, a_raw_pod
from tests.unit.kube.apiserver import ApiServer, HeldClock, connected, ok, until


class Watching:
    """The watches, and what those behind them hear."""

    def __init__(self, server: ApiServer, kube: KubeClient) -> None:
        self.api, self.server, self.clock = Api(server), server, HeldClock()
        self.heard: list[str] = []
        self.told: list[tuple[str, str, str]] = []
        self.cluster = KubeState(
            scheduler_name=SCHEDULER, want=lambda version, kind: self.watches.want(version, kind)
        )
        this = cast("Any", self)
        self.outage = OutageLog(
            "kubernetes", logger=structlog.get_logger(), clock=self.clock, metrics=Metrics()
        )
        self.watches = Watches(
            config.Settings(), kube=kube, cluster=self.cluster, changes=this, nodes=this,
            namespaces=this, recorder=this, outage=self.outage, clock=self.clock,
        )  # fmt: skip

    # -- as ClusterChanges, NodeController, NamespaceKeeper and EventRecorder --------------------

    def mark_dirty(self, gang_ids: Iterable[GangId] | None = None) -> None:
        if gang_ids is None:
            self.heard.append("nodes")
        else:
            self.heard += [f"gang {gang_id}" for gang_id in sorted(gang_ids)]

    def volumes_changed(self, gang_ids: Iterable[GangId]) -> None:
        self.heard += [f"volumes of {gang_id}" for gang_id in sorted(gang_ids)]

    def room_changed(self, nodes: Collection[NodeName]) -> None:
        self.heard.append(" ".join(("room", *sorted(nodes))))

    def pods_changed(self) -> None:
        """Told after every pod; whether that changes anything is its own to find out."""

    def take(self, change: object) -> None:
        self.heard.append(f"namespaces {type(change).__name__}")

    def emit(self, *, regarding: Any, reason: str, note: str, **_: object) -> None:
        self.told.append((f"{regarding.kind} {regarding.name}", reason, note))

    async def hears(self, *what: str) -> None:
        """Until exactly this was heard, in this order; then it is forgotten."""
        await until(lambda: len(self.heard) >= len(what))
        for _ in range(20):
            await asyncio.sleep(0)
        assert self.heard == list(what)
        self.heard.clear()


@asynccontextmanager
async def watching(
    folder: Path, *, synced: bool = True, held: str = "", **there: list[Raw]
) -> AsyncIterator[Watching]:
    """`there` is what there is before the start: `nodes`, `ours`, `others`, `claims`."""
    at = {"nodes": nodes.PATH, "ours": MINE, "others": OTHERS, "claims": volumes.CLAIMS_PATH}
    async with ApiServer() as server, connected(server, folder) as kube:
        it = Watching(server, kube)
        it.api.items = {at[name]: rows for name, rows in there.items()}
        it.api.held = {held}
        work = asyncio.create_task(it.watches.run())
        try:
            if synced:
                await asyncio.wait_for(it.watches.wait_for_sync(), 5)
                it.heard.clear()
            yield it
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            it.api.close()


async def test_pods_are_listed_then_followed_to_their_end(tmp_path: Path) -> None:
    """Each change is its gang's turn."""
    async with watching(tmp_path, ours=[a_raw_pod("a")]) as it:
        assert list(it.cluster.pods) == ["uid-a"]
        it.api.tell(MINE, "ADDED", a_raw_pod("b", 101))
        await it.hears("gang uid-b")
        it.api.tell(MINE, "DELETED", a_raw_pod("b", 102))
        await it.hears("gang uid-b")
        assert list(it.cluster.pods) == ["uid-a"]


async def test_room_is_told_only_when_a_pod_gave_some_back(tmp_path: Path) -> None:
    """Most changes say nothing of that; also pods of other schedulers hold room."""
    mine, theirs = a_raw_pod("a", node="n"), a_raw_pod("x", scheduler="s", node="n")
    node = a_raw_node("n")
    async with watching(tmp_path, nodes=[node], ours=[mine], others=[theirs]) as it:
        it.api.tell(OTHERS, "MODIFIED", a_raw_pod("x", 101, scheduler="s", node="n"))
        it.api.tell(OTHERS, "DELETED", a_raw_pod("x", 102, scheduler="s", node="n"))
        await it.hears("room n")
        it.api.tell(MINE, "MODIFIED", a_raw_pod("a", 103, node="n", phase="Running"))
        await it.hears("gang uid-a")
        it.api.tell(MINE, "MODIFIED", a_raw_pod("a", 104, node="n", phase="Succeeded"))
        await it.hears("gang uid-a", "room n")


async def test_a_nodes_heartbeat_is_no_news(tmp_path: Path) -> None:
    """15,000 nodes send one every few minutes. Whoever waits for room looks at a node that has
    changed; whoever leaves out one that did not answer is told when it does."""
    async with watching(tmp_path, nodes=[a_raw_node("n")]) as it:
        it.api.tell(nodes.PATH, "MODIFIED", a_raw_node("n", 101, beat="later"))
        it.api.tell(nodes.PATH, "MODIFIED", a_raw_node("n", 102, cpu=96))
        await it.hears("nodes", "room n")
        it.api.tell(nodes.PATH, "MODIFIED", a_raw_node("n", 103, cpu=96, ready="Unknown"))
        await it.hears("nodes", "room")
        it.api.tell(nodes.PATH, "MODIFIED", a_raw_node("n", 104, cpu=96))
        await it.hears("nodes", "room n")
        assert it.cluster.nodes[NodeName("n")].allocatable.cpu_milli == 96_000
        it.api.tell(nodes.PATH, "DELETED", a_raw_node("n", 105))
        await it.hears("nodes", "room")
        assert not it.cluster.nodes


async def test_a_namespaces_change_goes_to_its_keeper(tmp_path: Path) -> None:
    """Who its pods are in Slurm may be another."""
    async with watching(tmp_path) as it:
        it.api.tell(namespaces.PATH, "ADDED", a_raw("Namespace", "team", 101))
        await it.hears("namespaces Upserted")


async def test_a_claim_is_told_to_the_gangs_whose_pods_mount_it(tmp_path: Path) -> None:
    """To no others."""
    there = [a_raw_pod("a", claim="data"), a_raw_pod("b")]
    async with watching(tmp_path, ours=there) as it:
        spec = {"volumeName": "pv", "storageClassName": "fast"}
        claim = a_raw("PersistentVolumeClaim", "data", 101, spec=spec)
        it.api.tell(volumes.CLAIMS_PATH, "ADDED", claim)
        await it.hears("volumes of uid-a")
        it.api.tell(volumes.CLAIMS_PATH, "DELETED", {**claim, "metadata": {
            **claim["metadata"], "resourceVersion": "102"}})  # fmt: skip
        await it.hears("volumes of uid-a")


def owned(version: int = 1) -> Raw:
    """A pod of Job `train`."""
    reference = {
        "apiVersion": "batch/v1", "kind": "Job", "name": "train", "uid": "uid-train",
        "controller": True,
    }  # fmt: skip
    return a_raw_pod("p", version, meta={"ownerReferences": [reference]})


def a_raw_job(version: int, **spec: Any) -> Raw:
    base = {"parallelism": 1, "completions": 1, "template": {"spec": {"containers": []}}}
    return a_raw("Job", "train", version, spec={**base, **spec}, status={})


async def test_the_kind_of_a_pods_owner_is_watched_from_the_first_pod_on(tmp_path: Path) -> None:
    """Until its owner is known the pod's gang is not; then each change of the owner is a turn of
    the gangs below it."""
    async with watching(tmp_path) as it:
        assert not it.server.seen("GET", "/apis/batch/v1")
        served = {"name": "jobs", "kind": "Job", "verbs": ["list", "watch"]}
        it.server.on("GET", "/apis/batch/v1", ok({"resources": [served]}))
        it.server.on("GET", JOBS, it.api.answer)
        it.api.items[JOBS] = [a_raw_job(1)]
        it.api.tell(MINE, "ADDED", owned(101))
        await it.hears("gang uid-p")
        assert not it.cluster.unresolved
        it.api.tell(JOBS, "MODIFIED", a_raw_job(101, suspend=True))
        await it.hears("gang uid-p")


async def test_a_pod_that_cant_be_read_is_told_so_on_the_pod(tmp_path: Path) -> None:
    """Its author looks there, not into our log; the others are taken in."""
    broken = a_raw_pod("broken", 101)
    broken["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "many"}}
    async with watching(tmp_path) as it:
        it.api.tell(MINE, "ADDED", broken)
        it.api.tell(MINE, "ADDED", a_raw_pod("good", 102))
        await it.hears("gang uid-good")
        ((about, reason, note),) = it.told
        assert (about, reason) == ("Pod broken", "UnreadableForSlurm")
        assert note.endswith("; it is not queued in Slurm")


async def test_what_is_not_listed_yet_is_named(tmp_path: Path) -> None:
    """Readiness says what the start waits for."""
    async with watching(tmp_path, synced=False, held=volumes.CLAIMS_PATH) as it:
        await until(lambda: it.watches.missing() == "not listed yet: claims")
        waiting = asyncio.ensure_future(it.watches.wait_for_sync())
        await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()


async def test_what_is_out_of_step_for_too_long_is_named(tmp_path: Path) -> None:
    """A watch that brings nothing is a lost one, however well all looked until then."""
    async with watching(tmp_path) as it:
        assert it.watches.missing() == ""
        it.clock.now += 1000
        said = it.watches.missing()
        assert said.startswith("what is known of nodes, namespaces, ")
        assert "1000 s old (180 s is the limit)" in said


@pytest.mark.parametrize("claim", ["data", ""])
async def test_volumes_that_anybody_may_take_are_looked_at_each_second(
    tmp_path: Path, claim: str
) -> None:
    """For those pods only whose claims may be bound to one: the API server tells of no change."""
    claims = [a_raw("PersistentVolumeClaim", "data", 1, spec={"storageClassName": ""})]
    async with watching(tmp_path, ours=[a_raw_pod("a", claim=claim)], claims=claims) as it:
        free = a_raw("PersistentVolume", "pv", 101, spec={"capacity": {"storage": "1Gi"}},
                     status={"phase": "Available"})  # fmt: skip
        it.api.tell(volumes.VOLUMES_PATH, "ADDED", free)
        await until(lambda: bool(it.cluster.volumes._volumes))
        it.heard.clear()
        await until(lambda: 1.0 in it.clock.slept)
        it.clock.advance(1.0)
        await it.hears(*(["volumes of uid-a"] if claim else []))
