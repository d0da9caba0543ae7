"""Ask Kubernetes what random pods request, and keep its answers in `answers.jsonl`.

    go build -C tests/e2e/controlplane -o ORACLE ../../unit/kube/oracle/main.go
    python -m tests.unit.kube.oracle.record ORACLE

The pods are made from a fixed seed: the same file comes out until the rules or the questions
change. Pods are sent as a user would write them, without the API server's defaults.
"""

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

ANSWERS = Path(__file__).with_name("answers.jsonl")
PODS = 240

QUANTITIES = {
    "cpu": ["0", "1m", "100m", "0.5", "1", "1500m", "2", "0.1234567", "1e1", "3"],
    "memory": ["0", "1", "500m", "64Mi", "100M", "1Gi", "1.5Gi", "2e9", "128Ki"],
    "ephemeral-storage": ["1Gi", "500m", "10G"],
    "hugepages-2Mi": ["2Mi", "64Mi"],
    "hugepages-1Gi": ["1Gi"],
    "nvidia.com/gpu": ["0", "1", "8"],
    "vpc.amazonaws.com/efa": ["4", "16"],
}


def main(oracle: str) -> None:
    """Questions in, answers out."""
    dice = random.Random(20260131)
    pods = [_pod(dice) for _ in range(PODS)]
    asked = "".join(json.dumps(pod) + "\n" for pod in pods)
    said = subprocess.run([oracle], input=asked, capture_output=True, text=True, check=True)
    answers = [json.loads(line) for line in said.stdout.splitlines()]
    with ANSWERS.open("w") as file:
        for pod, answer in zip(pods, answers, strict=True):
            line = json.dumps({"pod": pod, "answer": answer}, separators=(",", ":"))
            file.write(line + "\n")


def _pod(dice: random.Random) -> dict[str, Any]:
    containers = [_container(dice, f"c{i}") for i in range(dice.choice([1, 1, 2, 3]))]
    inits = [_container(dice, f"i{i}") for i in range(dice.choice([0, 0, 1, 2, 4]))]
    for one in inits:
        if dice.random() < 0.5:
            one["restartPolicy"] = "Always"
    spec: dict[str, Any] = {"containers": containers, "initContainers": inits}
    if dice.random() < 0.25:
        spec["resources"] = _resources(dice)
    if dice.random() < 0.25:
        spec["overhead"] = _amounts(dice, ["cpu", "memory"])
    if dice.random() < 0.3:
        spec["hostNetwork"] = True
    pod = {"metadata": {"name": "p", "namespace": "team"}, "spec": spec}
    if dice.random() < 0.4:
        spec["nodeName"] = "n"
        pod["status"] = _status(dice, spec)
    return pod


def _container(dice: random.Random, name: str) -> dict[str, Any]:
    container: dict[str, Any] = {"name": name, "resources": _resources(dice)}
    if dice.random() < 0.4:
        container["ports"] = [_port(dice) for _ in range(dice.choice([1, 2]))]
    return container


def _port(dice: random.Random) -> dict[str, Any]:
    port: dict[str, Any] = {"containerPort": dice.randint(1, 65535)}
    if dice.random() < 0.5:
        port["hostPort"] = dice.choice([0, port["containerPort"], 9000])
    if dice.random() < 0.3:
        port["protocol"] = dice.choice(["UDP", "SCTP"])
    if dice.random() < 0.3:
        port["hostIP"] = "127.0.0.1"
    return port


def _resources(dice: random.Random) -> dict[str, Any]:
    resources = {}
    if dice.random() < 0.7:
        resources["requests"] = _amounts(dice, list(QUANTITIES))
    if dice.random() < 0.5:
        resources["limits"] = _amounts(dice, list(QUANTITIES))
    return resources


def _amounts(dice: random.Random, names: list[str]) -> dict[str, str]:
    weights = [4 if name in ("cpu", "memory") else 1 for name in names]
    chosen = {dice.choices(names, weights)[0] for _ in range(dice.choice([1, 2, 3]))}
    return {name: dice.choice(QUANTITIES[name]) for name in sorted(chosen)}


def _status(dice: random.Random, spec: dict[str, Any]) -> dict[str, Any]:
    """What a kubelet reports, in the middle of a resize more often than not."""

    def statuses(containers: list[dict[str, Any]]) -> list[dict[str, Any]]:
        found = []
        for one in containers:
            status: dict[str, Any] = {"name": one["name"]}
            if dice.random() < 0.7:
                status["resources"] = _resources(dice)
            if dice.random() < 0.7:
                status["allocatedResources"] = _amounts(dice, ["cpu", "memory"])
            found.append(status)
        return found

    status: dict[str, Any] = {
        "phase": "Running",
        "containerStatuses": statuses(spec["containers"]),
        "initContainerStatuses": statuses(spec["initContainers"]),
    }
    if dice.random() < 0.3:
        reason = dice.choice(["Infeasible", "Deferred"])
        status["conditions"] = [{"type": "PodResizePending", "status": "True", "reason": reason}]
    if dice.random() < 0.3:
        status["resources"] = _resources(dice)
        status["allocatedResources"] = _amounts(dice, ["cpu", "memory"])
    return status


if __name__ == "__main__":
    main(sys.argv[1])
