"""Endpoints that no recording has, when slurmctld gives slurmrestd no answer."""

import json

import pytest

from bridge.sim.slurm.description import Site
from bridge.sim.slurm.embedded import USERS
from bridge.sim.slurm.rest import Rest
from tests.unit.sim.slurm.builders import NOW, a_cluster

_RESERVATIONS = ("Unable to query reservations", "slurm_load_reservations()")


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("GET", "/reservations/", _RESERVATIONS),
        ("GET", "/reservation/x", _RESERVATIONS),
        ("POST", "/reservation", _RESERVATIONS),
        (
            "DELETE",
            "/reservation/x",
            ("Error deleting reservation x", "slurm_delete_reservation"),
        ),
        (
            "GET",
            "/licenses/",
            ("slurm_load_licenses() was unable to load licenses", "op_handler_licenses"),
        ),
        ("GET", "/conf", ("slurm_load_ctl_conf() failed", "_dump_config")),
    ],
)
@pytest.mark.parametrize(("authentic", "status", "number"), [(False, 511, 1007), (True, 502, 1800)])
def test_no_answer_of_slurmctld(
    method: str, path: str, said: tuple[str, str], authentic: bool, status: int, number: int
) -> None:
    """A refused token, or slurmctld is down: status, number and words of the real slurmrestd."""
    rest = Rest(a_cluster(), site=Site(users=USERS))
    rest.controller_up = False
    body = b'{"name": "x"}' if method == "POST" else None
    answer = rest.handle(method, f"/slurm/v0.0.45{path}", body=body, authentic=authentic, now=NOW)
    assert answer.status == status
    (error,) = json.loads(answer.body)["errors"]
    assert (error["description"], error["source"]) == said
    assert error["error_number"] == number


def test_the_older_version_has_no_conf() -> None:
    """Neither the path nor its description."""
    rest = Rest(a_cluster(), site=Site(users=USERS))
    assert rest.handle("GET", "/slurm/v0.0.44/conf", now=NOW).status == 404
    paths = json.loads(rest.handle("GET", "/openapi/v3", now=NOW).body)["paths"]
    assert "/slurm/v0.0.45/conf" in paths
    assert "/slurm/v0.0.44/conf" not in paths
