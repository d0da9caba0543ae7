"""Pods made of nothing but what docs/workloads.md says is honoured."""

from typing import Any

from hypothesis import strategies as st

Json = dict[str, Any]
PREFIX = "slurmjob.slinky.slurm.net/"

_keys = st.sampled_from(["topology.kubernetes.io/zone", "gpu.example/type", "disk", "rank"])
_values = st.sampled_from(["a", "b", "eu-1a", "h100", "7"])
_cpus = st.sampled_from(["100m", "1", "3500m", "64"])
_sizes = st.sampled_from(["128Mi", "1Gi", "1.5G", "2000000000"])
_counts = st.integers(1, 8).map(str)


def _one(operator: str, values: st.SearchStrategy[list[str]]) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries({"key": _keys, "operator": st.just(operator), "values": values})


_expressions = st.one_of(
    _one("In", st.lists(_values, min_size=1, max_size=3)),
    _one("NotIn", st.lists(_values, min_size=1, max_size=3)),
    _one("Exists", st.just([])),
    _one("DoesNotExist", st.just([])),
    _one("Gt", _counts.map(lambda number: [number])),
    _one("Lt", _counts.map(lambda number: [number])),
)
_terms = st.fixed_dictionaries(
    {"matchExpressions": st.lists(_expressions, min_size=1, max_size=2)},
    optional={
        "matchFields": st.just([{"key": "metadata.name", "operator": "In", "values": ["n1"]}])
    },
)
_pod_term = st.fixed_dictionaries(
    {
        "labelSelector": st.just({"matchLabels": {"app": "train"}}),
        "topologyKey": st.sampled_from(["kubernetes.io/hostname", "topology.kubernetes.io/zone"]),
    }
)
_pods = st.fixed_dictionaries(
    {},
    optional={
        "requiredDuringSchedulingIgnoredDuringExecution": st.lists(_pod_term, max_size=2),
        "preferredDuringSchedulingIgnoredDuringExecution": st.lists(
            st.fixed_dictionaries({"weight": st.just(10), "podAffinityTerm": _pod_term}), max_size=1
        ),
    },
)
_affinity = st.fixed_dictionaries(
    {},
    optional={
        "nodeAffinity": st.fixed_dictionaries(
            {},
            optional={
                "requiredDuringSchedulingIgnoredDuringExecution": st.fixed_dictionaries(
                    {"nodeSelectorTerms": st.lists(_terms, min_size=1, max_size=2)}
                ),
                "preferredDuringSchedulingIgnoredDuringExecution": st.lists(
                    st.fixed_dictionaries({"weight": st.just(1), "preference": _terms}), max_size=1
                ),
            },
        ),
        "podAffinity": _pods,
        "podAntiAffinity": _pods,
    },
)
_tolerations = st.lists(
    st.fixed_dictionaries(
        {"operator": st.sampled_from(["Exists", "Equal"]), "key": _keys},
        optional={
            "effect": st.sampled_from(["NoSchedule", "PreferNoSchedule", "NoExecute"]),
            "tolerationSeconds": st.just(30),
        },
    ),
    max_size=3,
)
_spread = st.lists(
    st.fixed_dictionaries(
        {
            "maxSkew": st.integers(1, 3),
            "topologyKey": st.just("topology.kubernetes.io/zone"),
            "whenUnsatisfiable": st.sampled_from(["DoNotSchedule", "ScheduleAnyway"]),
            "labelSelector": st.just({"matchLabels": {"app": "train"}}),
        }
    ),
    min_size=1,
    max_size=2,
)
_volumes = st.lists(
    st.sampled_from(
        [
            {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
            {"name": "scratch", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
            {"name": "huge", "emptyDir": {"medium": "HugePages-2Mi"}},
            {"name": "host", "hostPath": {"path": "/scratch"}},
            {"name": "own", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}},
            {"name": "settings", "configMap": {"name": "settings"}},
        ]
    ),
    max_size=3,
    unique_by=lambda volume: str(volume["name"]),
)
_amounts = st.fixed_dictionaries(
    {},
    optional={
        "cpu": _cpus,
        "memory": _sizes,
        "ephemeral-storage": _sizes,
        "hugepages-2Mi": st.just("128Mi"),
        "hugepages-1Gi": st.just("2Gi"),
        "nvidia.com/gpu": _counts,
        "amd.com/gpu": _counts,
        "nvidia.com/mig-1g.10gb": _counts,
        "vpc.amazonaws.com/efa": _counts,
        "aws.amazon.com/neuron": _counts,
        "example.org/own-device": _counts,
    },
)
_resources = st.fixed_dictionaries({}, optional={"requests": _amounts, "limits": _amounts})
_ports = st.lists(
    st.fixed_dictionaries(
        {"containerPort": st.just(8080)},
        optional={"hostPort": st.just(8080), "protocol": st.sampled_from(["TCP", "UDP", "SCTP"])},
    ),
    max_size=1,
)
_containers: st.SearchStrategy[Json] = st.fixed_dictionaries(
    {"name": st.sampled_from(["main", "side"]), "image": st.just("busybox")},
    optional={"resources": _resources, "ports": _ports},
)
_init_containers: st.SearchStrategy[Json] = st.fixed_dictionaries(
    {"name": st.just("init"), "image": st.just("busybox")},
    optional={"resources": _resources, "restartPolicy": st.just("Always")},
)
_spec: st.SearchStrategy[Json] = st.fixed_dictionaries(
    {
        "schedulerName": st.sampled_from(["default-scheduler", "slurm-bridge-scheduler"]),
        "containers": st.lists(
            _containers, min_size=1, max_size=2, unique_by=lambda one: str(one["name"])
        ),
    },
    optional={
        "initContainers": st.lists(_init_containers, min_size=1, max_size=1),
        "nodeSelector": st.dictionaries(_keys, _values, max_size=2),
        "affinity": _affinity,
        "tolerations": _tolerations,
        "topologySpreadConstraints": _spread,
        "volumes": _volumes,
        "hostNetwork": st.booleans(),
        "overhead": st.just({"cpu": "250m", "memory": "64Mi"}),
        "runtimeClassName": st.just("kata"),
        "resources": _resources,
        "schedulingGates": st.just([{"name": "example.org/quota"}]),
        "priorityClassName": st.just("high"),
        "activeDeadlineSeconds": st.integers(1, 10**6),
        "securityContext": st.just({"runAsUser": 0}),
        "subdomain": st.just("train"),
        "restartPolicy": st.sampled_from(["Always", "OnFailure", "Never"]),
        "terminationGracePeriodSeconds": st.integers(0, 3600),
    },
)
_texts = st.sampled_from(["x", "train-1", "matlab:2"])

ANNOTATIONS: dict[str, st.SearchStrategy[str]] = {
    "account": st.sampled_from(["physics", "chem"]),
    "constraints": st.sampled_from(["ib", "a100&ib", "a|b", "[x|y]"]),
    "cpu-per-task": _cpus,
    "exclusive": st.sampled_from(["true", "false", "FALSE"]),
    "gang": st.sampled_from(["true", "false"]),
    "gang-size": _counts,
    "gres": st.sampled_from(["gpu:1", "gpu:h100:8", "gres/gpu=2,efa:4"]),
    "group-id": st.just("hpc"),
    "job-name": _texts,
    "licenses": _texts,
    "max-nodes": _counts,
    "mem-per-node": _sizes,
    "min-nodes": st.just("1"),
    "partition": st.sampled_from(["gpu", "cpu"]),
    "priority": _counts,
    "qos": st.sampled_from(["normal", "high"]),
    "reservation": _texts,
    "timelimit": st.sampled_from(["90", "1:30:00", "2-12", "UNLIMITED"]),
    "user-id": st.just("alice"),
    "wckey": _texts,
}
"""Each, with values that namespace `team` of the test allows and that don't contradict others."""


def _pod(spec: Json, annotations: Json, owner: str | None) -> Json:
    meta: Json = {"name": "train-0", "namespace": "team", "labels": {"app": "train"}}
    meta["annotations"] = {PREFIX + key: text for key, text in annotations.items()}
    if owner:
        meta["ownerReferences"] = [{"kind": owner, "name": "x", "uid": "u", "controller": True}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


pods: st.SearchStrategy[Json] = st.builds(
    _pod,
    _spec,
    st.fixed_dictionaries({}, optional=ANNOTATIONS),
    st.sampled_from([None, "Job", "ReplicaSet", "StatefulSet", "RayCluster"]),
)
"""Manifests as they reach the webhook."""
