"""Versions, history, subscriptions."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sim.kube.apiserver.store import Change, Expired, Store

Json = Any
TABLE = "/things"


def thing(name: str, namespace: str = "n", **fields: Json) -> Json:
    """An object."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Thing", "metadata": metadata, **fields}


def told(change: Change) -> tuple[str, str, int]:
    """What a change says, in short."""
    return change.type, change.current.object["metadata"]["name"], change.version


def test_one_counter() -> None:
    """Every change of any object gets the next version, which becomes its resourceVersion."""
    store = Store()
    first = store.put(TABLE, thing("a"))
    second = store.put("/others", thing("b"))
    gone = store.remove(TABLE, ("n", "a"))
    assert [first.version, second.version, gone.version] == [2, 3, 4]
    assert gone.object["metadata"]["resourceVersion"] == "4"
    assert first.object["metadata"]["resourceVersion"] == "2", "kept versions don't change"


def test_json_is_made_once_and_as_go_orders_it() -> None:
    """kind and apiVersion come first; a list's item is the same without them."""
    stored = Store().put(TABLE, {"metadata": {"name": "a"}, "kind": "Thing", "apiVersion": "v1"})
    assert stored.raw.startswith(b'{"kind":"Thing","apiVersion":"v1","metadata"')
    assert stored.raw is stored.raw
    assert stored.raw_item.startswith(b'{"metadata":{"name":"a"')


def test_scan_is_ordered() -> None:
    """By namespace and name, of one namespace or all."""
    store = Store()
    for namespace, name in (("b", "x"), ("a", "z"), ("a", "y")):
        store.put(TABLE, thing(name, namespace))
    assert [one.object["metadata"]["name"] for one in store.scan(TABLE)] == ["y", "z", "x"]
    assert [one.object["metadata"]["name"] for one in store.scan(TABLE, "a")] == ["y", "z"]


async def test_subscription_from_a_version() -> None:
    """What came after the version, then what comes."""
    store = Store()
    since = store.put(TABLE, thing("a")).version
    store.put(TABLE, thing("b"))
    subscription = store.subscribe(TABLE, since=since)
    store.put(TABLE, thing("b", x=1))
    store.remove(TABLE, ("n", "a"))
    changes = await subscription.take()
    assert [told(change) for change in changes] == [
        ("ADDED", "b", 3),
        ("MODIFIED", "b", 4),
        ("DELETED", "a", 5),
    ]


async def test_take_waits() -> None:
    """Nothing to take: wait for the next change."""
    store = Store()
    subscription = store.subscribe(TABLE)
    waiting = asyncio.ensure_future(subscription.take())
    await asyncio.sleep(0)
    assert not waiting.done()
    store.put(TABLE, thing("a"))
    assert [told(change) for change in await waiting] == [("ADDED", "a", 2)]
    store.unsubscribe(TABLE, subscription)
    store.put(TABLE, thing("b"))
    assert subscription.take_now() == []


async def test_too_old() -> None:
    """A version before the remembered history is expired; the oldest remembered one is not."""
    store = Store(history=2)
    for name in "abcd":
        store.put(TABLE, thing(name))
    with pytest.raises(Expired, match=r"too old resource version: 2 \(4\)"):
        store.subscribe(TABLE, since=2)
    assert len(await store.subscribe(TABLE, since=3).take()) == 2


async def test_compaction() -> None:
    """After it every older version is expired, the present one is not."""
    store = Store()
    old = store.put(TABLE, thing("a")).version
    store.put(TABLE, thing("b"))
    store.compact()
    with pytest.raises(Expired):
        store.subscribe(TABLE, since=old)
    assert store.subscribe(TABLE, since=store.version).take_now() == []


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=30),
    st.integers(min_value=0, max_value=30),
)
def test_a_watcher_ends_up_with_the_truth(steps: list[tuple[str, bool]], start: int) -> None:
    """A list at any moment plus the changes after it is always the present state."""
    store = Store()
    versions: list[tuple[int, dict[str, int]]] = [(store.version, {})]
    for number, (name, removes) in enumerate(steps):
        if not removes:
            store.put(TABLE, thing(name, number=number))
        elif store.get(TABLE, ("n", name)):
            store.remove(TABLE, ("n", name))
        now = {one.object["metadata"]["name"]: one.object["number"] for one in store.scan(TABLE)}
        versions.append((store.version, now))
    version, seen = versions[start % len(versions)]
    seen = dict(seen)
    for change in store.subscribe(TABLE, since=version).take_now():
        name = change.current.object["metadata"]["name"]
        if change.type == "DELETED":
            del seen[name]
        else:
            assert (change.type == "MODIFIED") is (name in seen)
            seen[name] = change.current.object["number"]
    assert seen == versions[-1][1]
