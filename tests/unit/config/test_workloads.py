"""The table of kinds of several roles."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from bridge import config
from bridge.config import reference
from bridge.errors import ConfigError

MINE = config.RoleKind(roles="spec.roles", role_label="example.com/role")


def test_known_kinds_need_no_setting() -> None:
    """Kubeflow's kinds are known, with their labels."""
    known = config.Settings().workloads
    assert known.role_kinds["PyTorchJob.kubeflow.org"].order == ("Master", "Worker")
    assert known.pod_labels == {
        "training.kubeflow.org/job-role",
        "training.kubeflow.org/replica-type",
        "training.kubeflow.org/replica-index",
    }


def test_kinds_are_added_and_replaced() -> None:
    """What is said wins over what is known; the rest stays, and so do its labels."""
    workloads = config.WorkloadSettings(
        kinds={"MyJob.example.com": MINE, "TFJob.kubeflow.org": MINE}
    )
    kinds = workloads.role_kinds
    assert (kinds["MyJob.example.com"], kinds["TFJob.kubeflow.org"]) == (MINE, MINE)
    assert kinds["JAXJob.kubeflow.org"].roles == "spec.jaxReplicaSpecs"
    assert "example.com/role" in workloads.pod_labels


@pytest.mark.parametrize(
    ("name", "kind", "complaint"),
    [
        ("mpijobs", {"roles": "spec.roles"}, "Kind.group"),
        ("MPIJob", {"roles": "spec.roles"}, "Kind.group"),
        ("MPIJob.kubeflow.org", {}, "required"),
        ("MPIJob.kubeflow.org", {"roles": "roles"}, "path in the spec"),
        ("MPIJob.kubeflow.org", {"roles": "spec..roles"}, "dots between"),
        ("MPIJob.kubeflow.org", {"roles": "spec.roles", "template": ""}, "dots between"),
        ("MPIJob.kubeflow.org", {"roles": "spec.roles", "elastic": "elastic"}, "path in the spec"),
        ("MPIJob.kubeflow.org", {"roles": "spec.roles", "roleLabel": "a b"}, "label's key"),
        ("MPIJob.kubeflow.org", {"roles": "spec.roles", "role": "x"}, "xtra inputs"),
    ],
)
def test_kinds_that_can_not_be_meant(name: str, kind: dict[str, str], complaint: str) -> None:
    """A row of the table that could never match is refused at the start."""
    with pytest.raises(ValidationError, match=complaint):
        config.WorkloadSettings.model_validate({"kinds": {name: kind}})


def test_kinds_in_a_file(tmp_path: Path) -> None:
    """The file's rows are read, shown as they were said, and complained of by their line."""
    file = tmp_path / "bridge.yaml"
    file.write_text(
        "workloads:\n  kinds:\n    MyJob.example.com:\n"
        "      roles: spec.roles\n      roleLabel: example.com/role\n"
    )
    loaded = config.load(file, environ={}, overrides={})
    assert loaded.settings.workloads.kinds == {"MyJob.example.com": MINE}
    shown = "kinds: {MyJob.example.com: {roles: spec.roles, roleLabel: example.com/role}}"
    assert shown in reference.show(loaded)
    file.write_text("workloads:\n  kinds:\n    MyJob.example.com:\n      roles: 3\n")
    with pytest.raises(ConfigError, match=r"bridge\.yaml:4: .*3 is not text"):
        config.load(file, environ={}, overrides={})
