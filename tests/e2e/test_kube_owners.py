"""Owners of pods on a real API server: found by discovery, watched, denied, and back again.

Runs against the cluster of $KUBECONFIG, or on a stack of its own.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge import config, names
from bridge.clock import SystemClock
from bridge.config import KubernetesSettings
from bridge.kube.api import discovery, errors
from bridge.kube.api.client import KubeClient
from bridge.kube.api.reflector import Change, Deleted, Replaced, Upserted
from bridge.kube.owner_watches import OwnerWatches
from bridge.model.owner import BatchJob, Owner, OwnerKey, Settled
from tests.e2e.stack import Stack
from tests.e2e.test_kube_client import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

PORT_BASE = 30300
RULES = "/apis/rbac.authorization.k8s.io/v1"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
POD = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}


class Soon(SystemClock):
    """Waits a tenth of the time, and no more than a second."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds / 10, 1.0))


class Mirror:
    """What the watches told."""

    def __init__(self) -> None:
        self.rows: dict[OwnerKey, dict[str, Owner]] = {}
        self.states: dict[OwnerKey, list[Settled]] = {}

    def sink(self, key: OwnerKey, change: Change[Owner]) -> None:
        rows = self.rows.setdefault(key, {})
        match change:
            case Replaced(found):
                rows.clear()
                rows.update({row.uid: row for row in found})
            case Upserted(row):
                rows[row.uid] = row
            case Deleted(row):
                rows.pop(row.uid, None)

    def settled(self, key: OwnerKey, state: Settled) -> None:
        self.states.setdefault(key, []).append(state)

    def of(self, team: str, group: str, kind: str) -> list[Owner]:
        """The namespace's rows of that kind."""
        rows = self.rows.get((group, kind), {}).values()
        return [row for row in rows if row.namespace == team]


@pytest.fixture(scope="module")
def kubeconfig() -> Iterator[Path]:
    """Of the cluster that is given, else of a stack of this module's own."""
    if given := os.environ.get("KUBECONFIG"):
        yield Path(given)
        return
    if os.geteuid() != 0:
        pytest.skip("the stack mounts and chroots: needs root; or set KUBECONFIG")
    with Stack.fresh("owners", PORT_BASE) as stack:
        yield Path(stack.kubeconfig)


@asynccontextmanager
async def connected(kubeconfig: Path) -> AsyncIterator[KubeClient]:
    """A client as the bridge makes it."""
    settings = KubernetesSettings(kubeconfig=str(kubeconfig))
    client = await KubeClient.connect(settings, clock=SystemClock())
    try:
        yield client
    finally:
        await client.close()


@pytest.fixture
async def client(kubeconfig: Path) -> AsyncIterator[KubeClient]:
    """As the cluster's admin."""
    async with connected(kubeconfig) as client:
        yield client


@pytest.fixture
async def team(client: KubeClient) -> AsyncIterator[str]:
    """A namespace of this test's own; what is made outside of it has its name."""
    name = f"owners-{secrets.token_hex(4)}"
    await client.create("/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    await client.delete(f"/api/v1/namespaces/{name}")


@asynccontextmanager
async def watching(client: KubeClient, *kinds: tuple[str, str]) -> AsyncIterator[Mirror]:
    """What is told of these kinds (apiVersion, kind)."""
    mirror = Mirror()
    watches = OwnerWatches(
        client,
        clock=Soon(),
        sink=mirror.sink,
        settled=mirror.settled,
        kinds=config.Settings().workloads.role_kinds,
    )
    for kind in kinds:
        watches.want(*kind)
    task = asyncio.create_task(watches.run())
    try:
        yield mirror
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def as_nobody(
    kubeconfig: Path, client: KubeClient, team: str, folder: Path
) -> AsyncIterator[KubeClient]:
    """A client as a service account without any role; its kubeconfig is written to `folder`."""
    accounts = f"/api/v1/namespaces/{team}/serviceaccounts"
    await client.create(accounts, {"metadata": {"name": "nobody"}})
    token = await client.create(f"{accounts}/nobody/token", {"spec": {"expirationSeconds": 600}})
    document = yaml.safe_load(await asyncio.to_thread(kubeconfig.read_text))
    document["users"] = [{"name": "nobody", "user": {"token": token["status"]["token"]}}]
    for context in document["contexts"]:
        context["context"]["user"] = "nobody"
    mine = folder / "kubeconfig"
    await asyncio.to_thread(mine.write_text, yaml.safe_dump(document))
    async with connected(mine) as nobody:
        yield nobody


def templated(kind: str, **spec: Any) -> Mapping[str, Any]:
    """An object of apps/v1 that makes no pods."""
    labels = {"app": kind.lower()}
    return {
        "metadata": {"name": "x", "annotations": {names.JOB_PREFIX + "qos": "high"}},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {**POD, "restartPolicy": "Always"},
            },
            **spec,
        },
    }


async def test_built_in_kinds(client: KubeClient, team: str) -> None:
    """Deployment, ReplicaSet, StatefulSet, Job: their counts, and who owns whom, as they change."""
    apps, batch = f"/apis/apps/v1/namespaces/{team}", f"/apis/batch/v1/namespaces/{team}"
    made = await client.create(f"{apps}/deployments", templated("Deployment"))
    await client.create(f"{apps}/statefulsets", templated("StatefulSet", serviceName="x"))
    async with watching(
        client,
        ("apps/v1", "Deployment"),
        ("apps/v1", "ReplicaSet"),
        ("apps/v1beta1", "StatefulSet"),  # served long ago: the object is in apps/v1 now
        ("batch/v1", "Job"),
        ("batch/v1", "CronJob"),
    ) as mirror:
        await eventually(lambda: len(mirror.states) == 5)
        assert set(map(tuple, mirror.states.values())) == {("watched",)}
        (deployment,) = mirror.of(team, "apps", "Deployment")
        assert (deployment.replicas, deployment.api_version) == (0, "apps/v1")
        assert deployment.annotations == {names.JOB_PREFIX + "qos": "high"}
        (stateful,) = mirror.of(team, "apps", "StatefulSet")
        assert (stateful.replicas, stateful.kind, stateful.owner) == (0, "StatefulSet", None)
        (replica_set,) = await eventually(lambda: mirror.of(team, "apps", "ReplicaSet"))
        assert replica_set.owner is not None
        assert replica_set.owner.uid == made["metadata"]["uid"] == deployment.uid

        job = {"suspend": True, "parallelism": 3, "template": {"spec": POD}}
        await client.create(f"{batch}/jobs", {"metadata": {"name": "x"}, "spec": job})
        (row,) = await eventually(lambda: mirror.of(team, "batch", "Job"))
        assert isinstance(row, BatchJob)
        assert (row.parallelism, row.completions, row.suspended) == (3, None, True)
        cron = {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": {"spec": job}}
        await client.create(f"{batch}/cronjobs", {"metadata": {"name": "x"}, "spec": cron})
        (row,) = await eventually(lambda: mirror.of(team, "batch", "CronJob"))
        assert not row.suspended

        await client.patch(f"{apps}/statefulsets/x", {"metadata": {"finalizers": ["x.io/wait"]}})
        await client.delete(f"{apps}/statefulsets/x")
        await eventually(
            lambda: [o.deleting for o in mirror.of(team, "apps", "StatefulSet")] == [True]
        )
        await client.patch(f"{apps}/statefulsets/x", {"metadata": {"finalizers": None}})
        await eventually(lambda: mirror.of(team, "apps", "StatefulSet") == [])


async def test_kinds_that_are_not_there(client: KubeClient) -> None:
    """A group, a version, a kind that nobody serves; one that can't be listed; pods."""
    kinds = [
        ("nobody.example.com/v1", "Thing"),
        ("apps/v7", "Thing"),
        ("v7", "Thing"),
        ("authentication.k8s.io/v1", "TokenReview"),
        ("v1", "Pod"),
    ]
    for api_version, kind in kinds[:-1]:
        with pytest.raises(errors.NotServed, match=f"no {kind} of {api_version}"):
            await discovery.find(client, api_version, kind)
    async with watching(client, *kinds) as mirror:
        await eventually(lambda: len(mirror.states) == len(kinds))
        assert set(map(tuple, mirror.states.values())) == {("unreadable",)}


def crd(group: str) -> Mapping[str, Any]:
    """A kind that takes anything."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "metadata": {"name": f"things.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "things", "singular": "thing", "kind": "Thing"},
            "versions": [version],
        },
    }


async def test_a_kind_comes_and_goes(client: KubeClient, team: str) -> None:
    """Wanted before its CRD is installed: watched once it is, unreadable once it is gone."""
    group = f"{team}.example.com"
    key = (group, "Thing")
    async with watching(client, (f"{group}/v1", "Thing")) as mirror:
        await eventually(lambda: mirror.states.get(key) == ["unreadable"])
        await client.create(CRDS, crd(group))
        try:
            await eventually(lambda: mirror.states[key] == ["unreadable", "watched"])
            thing = {
                "apiVersion": f"{group}/v1",
                "kind": "Thing",
                "metadata": {"name": "x"},
                "spec": {"replicas": 4, "suspend": True},
            }
            await client.create(f"/apis/{group}/v1/namespaces/{team}/things", thing)
            (row,) = await eventually(lambda: mirror.of(team, group, "Thing"))
            assert (row.replicas, row.suspended) == (4, True)
        finally:
            await client.delete(f"{CRDS}/things.{group}")
        await eventually(lambda: mirror.states[key] == ["unreadable", "watched", "unreadable"])


async def test_without_rights(
    kubeconfig: Path, client: KubeClient, team: str, tmp_path: Path
) -> None:
    """A kind that may not be listed is unreadable; with a role it is watched."""
    key = ("apps", "ReplicaSet")
    name = {"metadata": {"name": team}}
    rules = [{"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": ["list", "watch"]}]
    subject = {"kind": "ServiceAccount", "name": "nobody", "namespace": team}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": team}
    await client.create(f"/apis/apps/v1/namespaces/{team}/replicasets", templated("ReplicaSet"))
    async with (
        as_nobody(kubeconfig, client, team, tmp_path) as nobody,
        watching(nobody, ("apps/v1", "ReplicaSet")) as mirror,
    ):
        await eventually(lambda: mirror.states.get(key) == ["unreadable"])
        await client.create(f"{RULES}/clusterroles", {**name, "rules": rules})
        await client.create(
            f"{RULES}/clusterrolebindings", {**name, "subjects": [subject], "roleRef": role}
        )
        try:
            await eventually(lambda: mirror.states[key] == ["unreadable", "watched"])
            await eventually(lambda: mirror.of(team, "apps", "ReplicaSet"))
        finally:
            await client.delete(f"{RULES}/clusterrolebindings/{team}")
            await client.delete(f"{RULES}/clusterroles/{team}")
