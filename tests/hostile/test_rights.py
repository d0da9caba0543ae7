"""Ordinary users, with rights in one namespace only."""

from tests.arena import manifests
from tests.arena.arena import NAMESPACE, PLAIN_NAMESPACE, Arena, node_of, phase
from tests.arena.fixtures import Begin


def test_an_ordinary_user(arena: Arena, begin: Begin) -> None:
    """His pod queues and runs as anybody's; what becomes of it is not his to write, and other
    namespaces are not his to reach."""
    begin()
    with arena.tenant() as user:
        pod = user.create(manifests.pod("mine", NAMESPACE, cpu="1", run_s=2))
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/mine"
        assert pod["spec"]["schedulingGates"]
        bound = arena.wait_bound("mine")
        assert arena.job_of(bound)["nodes"] == node_of(bound)
        kind = {"Content-Type": "application/merge-patch+json"}
        written = user.http.patch(
            f"{path}/status", json={"status": {"phase": "Failed"}}, headers=kind
        )
        assert written.status_code == 403, written.text
        elsewhere = manifests.pod("mine", PLAIN_NAMESPACE, cpu="1")
        assert user.try_create(elsewhere).status_code == 403
        ended = arena.wait_pod("mine", "has ended", lambda pod: phase(pod) == "Succeeded")
        assert ended["metadata"]["uid"] == pod["metadata"]["uid"]
        user.delete(path)
        arena.wait_gone("mine")
