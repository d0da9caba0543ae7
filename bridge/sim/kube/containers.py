"""The status that a kubelet writes for a pod: rejected, running, ended (pure)."""

from typing import Any, Final

from bridge.sim.kube.apiserver.objects import Object, with_condition

KILLED_BY_TERM: Final = 143


def running(pod: Object, *, now: str, host_ip: str, pod_ip: str) -> Object:
    """The status of a pod whose containers have started."""
    status = dict(pod["status"])
    conditions = status.get("conditions")
    for kind in ("Initialized", "Ready", "ContainersReady"):
        conditions = with_condition(
            conditions, {"type": kind, "status": "True", "lastProbeTime": None}, now=now
        )
    for gate in pod["spec"].get("readinessGates") or ():
        conditions = with_condition(
            conditions, {"type": gate["conditionType"], "status": "True"}, now=now
        )
    return {
        **status,
        "phase": "Running",
        "conditions": conditions,
        "hostIP": host_ip,
        "hostIPs": [{"ip": host_ip}],
        "podIP": pod_ip,
        "podIPs": [{"ip": pod_ip}],
        "startTime": now,
        "containerStatuses": [
            _container(one, {"running": {"startedAt": now}}, up=True)
            for one in pod["spec"]["containers"]
        ],
    }


def ended(pod: Object, *, now: str, exit_code: int) -> Object:
    """The status of a pod whose containers have all ended with `exit_code`."""
    status = dict(pod["status"])
    good = exit_code == 0
    conditions = status.get("conditions")
    for kind in ("Ready", "ContainersReady"):
        conditions = with_condition(
            conditions,
            {
                "type": kind,
                "status": "False",
                "reason": "PodCompleted" if good else "PodFailed",
                "lastProbeTime": None,
            },
            now=now,
        )
    terminated = {
        "exitCode": exit_code,
        "reason": "Completed" if good else "Error",
        "startedAt": status.get("startTime") or now,
        "finishedAt": now,
    }
    return {
        **status,
        "phase": "Succeeded" if good else "Failed",
        "conditions": conditions,
        "containerStatuses": [
            _container(one, {"terminated": terminated}, up=False)
            for one in pod["spec"]["containers"]
        ],
    }


def rejected(pod: Object, *, now: str, reason: str, message: str) -> Object:
    """The status of a pod that the node refuses to start."""
    return {
        **pod["status"],
        "phase": "Failed",
        "reason": reason,
        "message": f"Pod was rejected: {message}",
        "startTime": now,
    }


def _container(container: Object, state: dict[str, Any], *, up: bool) -> Object:
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "ready": up,
        "started": up,
        "restartCount": 0,
        "state": state,
        "lastState": {},
    }
