"""What in Kubernetes would break the bridge, or costs something."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from bridge import names
from bridge.preflight import kubernetes_side
from bridge.preflight.finding import Finding, breaks
from bridge.preflight.kubernetes_side import KubernetesSide
from bridge.preflight.rights import RIGHTS, Right

DEPLOY = Path(__file__).parents[3] / "deploy"


def webhooks(kind: str) -> list[dict[str, Any]]:
    """Those of deploy/webhook.yaml, with a CA."""
    documents = yaml.safe_load_all((DEPLOY / "webhook.yaml").read_text())
    found = [one for doc in documents if doc["kind"].lower().startswith(kind)
             for one in doc["webhooks"]]  # fmt: skip
    for one in found:
        one["clientConfig"]["caBundle"] = "Y2E="
    return found


GOOD = KubernetesSide(
    user="bridge",
    allowed=dict.fromkeys(RIGHTS, True),
    webhooks={kind: webhooks(kind) for kind in ("mutating", "validating")},
    scheduler_seen=True,
)


def bad(side: KubernetesSide) -> list[Finding]:
    """All findings but the good ones."""
    return [one for one in kubernetes_side.check(side) if one.level != "ok"]


def test_the_rights_are_those_of_the_shipped_role() -> None:
    """No more, no fewer."""
    documents = yaml.safe_load_all((DEPLOY / "rbac.yaml").read_text())
    (role,) = (one for one in documents if one["kind"] == "ClusterRole")
    shipped = Counter(
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    )
    assert Counter((one.group, one.resource, one.verb) for one in RIGHTS) == shipped


def test_the_shipped_installation_has_nothing_to_mend() -> None:
    """All rights, both webhooks, a scheduler at work."""
    assert bad(GOOD) == []


def test_a_right_that_is_needed_breaks_the_bridge_and_an_owners_costs_gangs() -> None:
    """Both are named."""
    patch, jobs = Right("", "pods", "patch"), Right("batch", "jobs", "list", needed=False)
    found = bad(replace(GOOD, allowed={**GOOD.allowed, patch: False, jobs: False}))
    assert [(one.level, one.found) for one in found] == [
        ("breaks", "of bridge: not patch pods"),
        ("costs", "of bridge: not list jobs.batch"),
    ]
    assert breaks(found)


def test_rights_that_cannot_be_asked_for_are_not_called_good() -> None:
    """An API server may refuse the question."""
    (found,) = bad(replace(GOOD, allowed={}))
    assert found.level == "unseen"


def test_a_webhook_that_is_missing_or_elsewhere_or_without_a_ca_breaks_the_bridge() -> None:
    """Another product's webhooks say nothing of ours."""
    strange = {"name": "x", "clientConfig": {"url": "https://elsewhere/mutate", "caBundle": "Y2E="}}
    without_ca = [{**one, "clientConfig": {"service": one["clientConfig"]["service"]}}
                  for one in webhooks("mutating")]  # fmt: skip
    for hooks, words in (([], "no webhook"), ([strange], "no webhook"), (without_ca, "caBundle")):
        (found,) = bad(replace(GOOD, webhooks={**GOOD.webhooks, "mutating": hooks}))
        assert (found.check, found.level) == ("mutating webhook", "breaks")
        assert words in found.found
    url = {"name": "y", "clientConfig": {"caBundle": "Y2E=",
           "url": f"https://127.0.0.1:9443{names.MUTATE_PATH}"}}  # fmt: skip
    assert bad(replace(GOOD, webhooks={**GOOD.webhooks, "mutating": [url]})) == []


def test_what_may_not_be_read_is_said_plainly() -> None:
    """The bridge's own rights don't let it read webhook configurations."""
    found = bad(replace(GOOD, webhooks={}, scheduler_seen=None))
    assert [one.level for one in found] == ["unseen"] * 3
    assert not breaks(found)


def test_a_question_names_the_subresource_and_whose_right_it_is() -> None:
    """As Kubernetes wants it."""
    path, body = Right("", "pods/binding", "create").review()
    assert path == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    attributes = {"group": "", "resource": "pods", "verb": "create", "subresource": "binding"}
    assert body["spec"] == {"resourceAttributes": attributes}
    path, body = Right("", "pods", "get").review("system:serviceaccount:ns:bridge")
    assert path == "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    assert body["spec"]["user"] == "system:serviceaccount:ns:bridge"
    assert "system:serviceaccounts:ns" in body["spec"]["groups"]
