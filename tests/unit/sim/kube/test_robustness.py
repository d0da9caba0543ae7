"""Whatever a client sends, the answer is a Status and the server lives on."""

import asyncio
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.clock import SystemClock
from bridge.sim.kube.apiserver import kinds, patches, strategic
from bridge.sim.kube.apiserver.core import ApiServer, Target
from bridge.sim.kube.apiserver.failure import ApiFailure
from bridge.sim.kube.apiserver.objects import copy
from bridge.sim.kube.apiserver.store import Store
from bridge.sim.kube.apiserver.webhooks import HttpsWebhooks
from tests.unit.sim.kube.builders import a_job, a_node, a_pod, pinned
from tests.unit.sim.kube.test_apps import an_app

Json = Any
junk = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "x", "1", "A/b c"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["name", "key", "x", "limits", "cpu"]), inner, max_size=2)
    ),
    max_leaves=6,
)


def places(value: Json, path: tuple[Json, ...] = ()) -> list[tuple[Json, ...]]:
    """All places in a document."""
    found = [path] if path else []
    if isinstance(value, dict):
        for key, item in value.items():
            found += places(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found += places(item, (*path, index))
    return found


@st.composite
def spoiled(draw: st.DrawFn, document: Json) -> Json:
    """A good document with junk in up to three places."""
    spoilt = copy(document)
    for _ in range(draw(st.integers(1, 3))):
        *parents, last = draw(st.sampled_from(places(spoilt)))
        place = spoilt
        for part in parents:
            place = place[part]
        place[last] = draw(junk)
    return spoilt


POD = a_pod(
    cpu="1", gpu=1, gates=["example.com/g"], pinned_to="n1", labels={"a": "b"}, ports=[80],
    annotations={"a": "b"}, tolerations=[{"key": "a", "operator": "Exists"}], deadline_s=5,
    selector={"a": "b"}, init=[{"name": "i", "image": "i"}], finalizers=["example.com/f"],
)  # fmt: skip
JOB = a_job(runs_s=1, completions=2, parallelism=2, completionMode="Indexed", suspend=True)
APPS = [an_app(kind, replicas=1) for kind in ("Deployment", "StatefulSet", "DaemonSet")]
NODE = a_node(taints=[{"key": "a", "effect": "NoExecute"}], labels={"a": "b"})


def a_server() -> ApiServer:
    """Without a socket."""
    store = Store()
    return ApiServer(clock=SystemClock(), webhooks=HttpsWebhooks(store), store=store)


async def _attempt(what: Any) -> bool:
    try:
        await what
    except ApiFailure as refused:
        if not 400 <= refused.code < 500:
            raise
        return False
    return True


@given(
    st.one_of(
        spoiled(POD).map(lambda body: (kinds.PODS, body)),
        spoiled(JOB).map(lambda body: (kinds.JOBS, body)),
        spoiled(NODE).map(lambda body: (kinds.NODES, body)),
        spoiled(APPS[0]).map(lambda body: (kinds.DEPLOYMENTS, body)),
        spoiled(APPS[1]).map(lambda body: (kinds.STATEFUL_SETS, body)),
        spoiled(APPS[2]).map(lambda body: (kinds.DAEMON_SETS, body)),
    )
)
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
def test_junk_is_refused_or_stored(sample: tuple[kinds.Kind, Json]) -> None:
    """A spoiled manifest is created or refused with a 4xx, never a crash."""
    kind, body = sample

    async def story() -> None:
        api = a_server()
        await api.create(Target(kinds.NAMESPACES), {"metadata": {"name": "default"}})
        target = Target(kind, "default" if kind.namespaced else "")
        await _attempt(api.create(target, body))

    asyncio.run(story())


@given(spoiled(POD), st.booleans())
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
def test_junk_patches(patch: Json, strategically: bool) -> None:
    """A spoiled patch is applied or refused with a 4xx; the pod stays one that validates."""

    async def story() -> None:
        api = a_server()
        await api.create(Target(kinds.NAMESPACES), {"metadata": {"name": "default"}})
        await api.create(Target(kinds.PODS, "default"), copy(POD))
        merge = strategic.merge if strategically else patches.merge
        target = Target(kinds.PODS, "default", "p")
        await _attempt(api.patch(target, lambda now: merge(now, patch)))
        again = {"metadata": {"annotations": {"again": "1"}}}
        assert await _attempt(api.patch(target, lambda now: merge(now, again)))

    asyncio.run(story())


def test_places_are_all() -> None:
    """The spoiler reaches into lists and maps."""
    assert ("spec", "affinity") in places({"spec": {"affinity": pinned("n")}})
    assert ("a", 0, "b") in places({"a": [{"b": 1}]})
