"""The shipped role lets the bridge read the owners that it knows, and what volumes hang on."""

from pathlib import Path

import pytest
import yaml

from bridge.config.workloads import KNOWN_KINDS

MANIFEST = Path(__file__).parents[3] / "deploy" / "rbac.yaml"
KINDS = {
    ("batch", "Job"),
    ("batch", "CronJob"),
    ("apps", "Deployment"),
    ("apps", "ReplicaSet"),
    ("apps", "StatefulSet"),
    ("jobset.x-k8s.io", "JobSet"),
    ("leaderworkerset.x-k8s.io", "LeaderWorkerSet"),
    ("scheduling.k8s.io", "PodGroup"),
    ("scheduling.k8s.io", "Workload"),
    ("scheduling.x-k8s.io", "PodGroup"),
    ("trainer.kubeflow.org", "TrainJob"),
    *(("kubeflow.org", name.partition(".")[0]) for name in KNOWN_KINDS),
}


STORAGE = {
    ("", "persistentvolumes"),
    ("", "persistentvolumeclaims"),
    ("storage.k8s.io", "storageclasses"),
}
RESOURCES = STORAGE | {(group, f"{kind.lower()}s") for group, kind in KINDS}


@pytest.mark.parametrize(("group", "resource"), sorted(RESOURCES))
def test_what_is_read_may_be_watched(group: str, resource: str) -> None:
    """list and watch: nothing is read one by one, and nothing written."""
    documents = yaml.safe_load_all(MANIFEST.read_text())
    (role,) = (one for one in documents if one["kind"] == "ClusterRole")
    verbs = [
        rule["verbs"]
        for rule in role["rules"]
        if group in rule["apiGroups"] and resource in rule["resources"]
    ]
    assert verbs == [["list", "watch"]]
