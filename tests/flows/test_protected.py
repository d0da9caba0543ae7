"""What the bridge writes on a pod is changed by nobody else, by mistake or on purpose."""

from collections.abc import Callable

import pytest

from bridge import names
from tests.arena import manifests
from tests.arena.api import Object
from tests.arena.arena import NAMESPACE, Arena, Nodes, gated, node_of
from tests.arena.fixtures import Begin

PATH = f"/api/v1/namespaces/{NAMESPACE}/pods/web"


def take_the_gate_off(pod: Object) -> Object:
    return {"spec": {"schedulingGates": None}}


def claim_another_job(pod: Object) -> Object:
    return {"metadata": {"labels": {names.JOB_ID_LABEL: "1"}}}


def claim_another_node(pod: Object) -> Object:
    return {"metadata": {"annotations": {names.NODE_ANNOTATION: "elsewhere"}}}


def misspell_a_parameter(pod: Object) -> Object:
    return {"metadata": {"annotations": {manifests.JOB + "timelimit": "soon"}}}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (take_the_gate_off, "removed only by slurm-bridge"),
        (claim_another_job, "written only by slurm-bridge"),
        (claim_another_node, "written only by slurm-bridge"),
        (misspell_a_parameter, "minutes"),
    ],
)
def test_a_waiting_pod_keeps_what_the_bridge_needs(
    arena: Arena, begin: Begin, change: Callable[[Object], Object], says: str
) -> None:
    """An admin's kubectl is refused with a sentence; the pod waits on and runs in its turn."""
    begin(Nodes(count=1))
    arena.create(manifests.pod("holder", NAMESPACE, gpus=8))
    arena.wait_bound("holder")
    pod = arena.create(manifests.pod("web", NAMESPACE, gpus=8))
    assert gated(pod)
    kind = {"Content-Type": "application/merge-patch+json"}
    answer = arena.kubernetes.http.patch(PATH, json=change(pod), headers=kind)
    assert answer.status_code in (400, 403, 422)
    assert says in answer.json()["message"]
    arena.delete_pod("holder")
    arena.wait_bound("web", seconds=30)


def test_a_running_pod_keeps_its_job(arena: Arena, begin: Begin) -> None:
    """Its label can be neither changed nor removed; labels of one's own can."""
    begin(Nodes(count=1))
    arena.create(manifests.pod("web", NAMESPACE, gpus=1))
    before = arena.wait_bound("web")
    kind = {"Content-Type": "application/merge-patch+json"}
    for value in ("999", None):
        body = {"metadata": {"labels": {names.JOB_ID_LABEL: value}}}
        assert arena.kubernetes.http.patch(PATH, json=body, headers=kind).is_error
    arena.kubernetes.patch(PATH, {"metadata": {"labels": {"example.com/mine": "yes"}}})
    after = arena.kubernetes.pod(NAMESPACE, "web")
    assert after is not None
    assert node_of(after) == node_of(before)
    job_id = before["metadata"]["labels"][names.JOB_ID_LABEL]
    assert after["metadata"]["labels"][names.JOB_ID_LABEL] == job_id
