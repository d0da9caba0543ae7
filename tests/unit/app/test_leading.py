"""Who leads, and where followers find it."""

from pathlib import Path
from typing import Any

import pytest

from bridge import config
from bridge.app import leading
from bridge.errors import ConfigError
from bridge.rpc.follower import NoLeader
from tests.unit.kube.apiserver import ApiServer, connected, ok

LEASE = "/apis/coordination.k8s.io/v1/namespaces/slurm/leases/controller"


def settings(**sections: Any) -> config.Settings:
    return config.Settings.model_validate(sections)


@pytest.mark.parametrize(
    ("holder", "found"),
    [
        ("10.0.0.3:9444/a1b2", "10.0.0.3:9444"),
        ("[fd00::3]:9444/a1b2", "[fd00::3]:9444"),
    ],
)
async def test_followers_read_the_address_from_the_lease(
    tmp_path: Path, holder: str, found: str
) -> None:
    """The holder's identity begins with it."""
    async with ApiServer() as server, connected(server, tmp_path) as kube:
        server.on("GET", LEASE, ok({"spec": {"holderIdentity": holder}}))
        assert await leading.address(kube, namespace="slurm", name="controller") == found


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"holderIdentity": ""}, "nobody holds it"),
        ({}, "nobody holds it"),
        ({"holderIdentity": "somebody_else"}, "'somebody_else' says no address"),
    ],
)
async def test_a_lease_without_an_address_is_no_leader(
    tmp_path: Path, spec: dict[str, str], words: str
) -> None:
    """The sentence says what stands there; so does a Lease that is not there at all."""
    async with ApiServer() as server, connected(server, tmp_path) as kube:
        server.on("GET", LEASE, ok({"spec": spec}))
        with pytest.raises(NoLeader, match=words):
            await leading.address(kube, namespace="slurm", name="controller")


def test_each_process_is_another_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the address that others reach it at: the setting, the pod's, the host's name."""
    rpc = {"listen": "[::]:9555", "advertise": "fd00::3"}
    one, two = (leading.identity(settings(rpc=rpc)) for _ in range(2))
    assert one.startswith("[fd00::3]:9555/")
    assert one != two
    monkeypatch.setenv("POD_IP", "10.0.0.7")
    assert leading.identity(settings()).startswith("10.0.0.7:9444/")


async def test_outside_of_a_pod_the_namespace_must_be_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Inside it is the pod's own."""
    file = tmp_path / "namespace"
    monkeypatch.setattr(leading, "_NAMESPACE_FILE", file)
    with pytest.raises(ConfigError, match=r"leader\.leaseNamespace"):
        await leading.namespace(settings())
    file.write_text("slurm-bridge\n")
    assert await leading.namespace(settings()) == "slurm-bridge"
    assert await leading.namespace(settings(leader={"leaseNamespace": "x"})) == "x"


@pytest.mark.parametrize("times", [(3, 3.0, 0.4), (3, 2.0, 2.0)])
def test_times_that_would_let_two_lead_are_refused(times: tuple[int, float, float]) -> None:
    """A controller has to give up before another one may take over."""
    keys = ("leaseDurationS", "renewDeadlineS", "retryIntervalS")
    with pytest.raises(ValueError, match="must be less than"):
        settings(leader=dict(zip(keys, times, strict=True)))


def test_callers_find_where_people_ask() -> None:
    """By the identity, as the controllers of a roll-out may listen on other ports; one of an older
    bridge says nothing of it."""
    identity = leading.identity(settings(rpc={"advertise": "fd00::7"}, api={"listen": ":7000"}))
    assert leading.api_address(identity) == "[fd00::7]:7000"
    assert leading.api_address("10.0.0.7:9444/abcd") == ""
    assert leading.api_address("") == ""
