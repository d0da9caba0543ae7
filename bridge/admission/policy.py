"""The ValidatingAdmissionPolicies that keep everybody else off managed nodes.

The API server applies the rule of `managed_nodes` by itself (Kubernetes 1.30 and newer), also while
the bridge is down.

An error in an expression refuses what it was asked about. So nothing is asked about but what
matters: new pods (and updates of pods) that tolerate the taint, outside the exempt namespaces. All
other pods of the cluster meet two conditions, and no validation.
"""

from collections.abc import Sequence
from typing import Any

from bridge.admission import expressions, managed_nodes, selectors
from bridge.admission.selectors import Calls
from bridge.model.refusal import Refusal

PODS = "slurm-bridge-managed-nodes"
DAEMON_SETS = "slurm-bridge-daemon-sets"

Manifest = dict[str, Any]


def documents(calls: Calls) -> list[Manifest]:
    """Each policy with its binding."""
    policies = [_pods(calls)]
    if selectors.has_managed(calls):
        policies.append(_daemon_sets(calls))
    return [one for policy in policies for one in (policy, _binding(policy["metadata"]["name"]))]


def _pods(calls: Calls) -> Manifest:
    name = calls.scheduler_name
    waits = f"variables.ofItsNode ||\n({expressions.names_us(name)})"
    unplaced = f"variables.ofItsNode ||\n{expressions.has_no_node()}"
    return _policy(
        PODS,
        constraints={
            "matchPolicy": "Equivalent",
            "namespaceSelector": {"matchExpressions": selectors.not_exempt(calls)},
            "resourceRules": [_rule("", "pods")],
        },
        conditions=expressions.newly_tolerates("spec", name),
        variables=[{"name": "ofItsNode", "expression": expressions.belongs_to_its_node()}],
        validations=[
            _validation(waits, managed_nodes.does_not_wait(name)),
            _validation(unplaced, managed_nodes.has_its_node()),
        ],
    )


def _daemon_sets(calls: Calls) -> Manifest:
    return _policy(
        DAEMON_SETS,
        constraints={
            "matchPolicy": "Equivalent",
            "namespaceSelector": selectors.managed(calls, without=selectors.not_exempt(calls)),
            "resourceRules": [_rule("apps", "daemonsets")],
        },
        conditions=expressions.newly_tolerates("spec.template.spec", calls.scheduler_name),
        variables=[],
        validations=[_validation("false", managed_nodes.of_daemon_set())],
    )


def _rule(group: str, resource: str) -> Manifest:
    return {
        "apiGroups": [group],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": [resource],
        "scope": "Namespaced",
    }


def _validation(expression: str, refusal: Refusal) -> Manifest:
    return {"expression": expression, "message": str(refusal), "reason": "Forbidden"}


def _policy(
    name: str,
    *,
    constraints: Manifest,
    conditions: Sequence[tuple[str, str]],
    variables: Sequence[Manifest],
    validations: Sequence[Manifest],
) -> Manifest:
    spec: Manifest = {
        "failurePolicy": "Fail",
        "matchConstraints": constraints,
        "matchConditions": [{"name": key, "expression": text} for key, text in conditions],
    }
    if variables:
        spec["variables"] = list(variables)
    spec["validations"] = list(validations)
    return _object("ValidatingAdmissionPolicy", name, spec)


def _binding(policy: str) -> Manifest:
    spec = {"policyName": policy, "validationActions": ["Deny"]}
    return _object("ValidatingAdmissionPolicyBinding", policy, spec)


def _object(kind: str, name: str, spec: Manifest) -> Manifest:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name, "labels": {"app.kubernetes.io/name": "slurm-bridge"}},
        "spec": spec,
    }
