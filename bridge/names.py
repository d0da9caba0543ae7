"""Every name that is interface: labels, annotations, gates, taints, conditions, paths.

They are read by users' manifests, by admins' node provisioning and by other bridges that ran
in the cluster before, so a change here is a change of contract. Nothing but constants, so that
every layer may import it.
"""

from typing import Final

SCHEDULER_NAME: Final = "slurm-bridge-scheduler"
"""Default of `schedulerName`; configurable, so code reads it from the settings."""

# Prefixes
JOB_PREFIX: Final = "slurmjob.slinky.slurm.net/"
"""The user's job parameters, on a pod or its owners."""
OUR_DOMAIN: Final = "slinky.slurm.net"
"""All of our labels and annotations end their prefix with it."""

# Pods
JOB_ID_LABEL: Final = "scheduler.slinky.slurm.net/slurm-jobid"
NODE_ANNOTATION: Final = "slinky.slurm.net/slurm-node"
ALLOCATION_GATE: Final = "scheduler.slinky.slurm.net/allocation"
GANG_ID_ANNOTATION: Final = "scheduler.slinky.slurm.net/gang"
"""The gang of several that a pod was pinned under, written by the pin: it stays in it, whatever its
owner says later. A pinned pod without it is a gang of its own."""
ALLOCATED_CONDITION: Final = "scheduler.slinky.slurm.net/Allocated"
GANG_ANNOTATION: Final = JOB_PREFIX + "gang"
GANG_SIZE_ANNOTATION: Final = JOB_PREFIX + "gang-size"
ON_NODE_LOSS_ANNOTATION: Final = JOB_PREFIX + "on-node-loss"
GO_BRIDGE_FINALIZER: Final = "scheduler.slinky.slurm.net/finalizer"
"""What the Go bridge leaves on pods. Ours sets none: a pod must end without us."""

# Nodes
EXTERNAL_NODE_LABEL: Final = "scheduler.slinky.slurm.net/external-node"
EXTERNAL_NODE_PARTITIONS_ANNOTATION: Final = "scheduler.slinky.slurm.net/external-node-partitions"
SLURM_NODE_NAME_LABEL: Final = "slinky.slurm.net/slurm-nodename"
TOPOLOGY_ANNOTATION: Final = "topology.slinky.slurm.net/spec"
MANAGED_NODE_TAINT: Final = "slinky.slurm.net/managed-node"
"""Key; the value is the scheduler's name, the effect NoExecute."""
DRAINED_TAINT: Final = "slinky.slurm.net/drained"
"""Key; without a value, the effect NoSchedule: an admin has taken the node out of use in Slurm."""
DRAINED_CONDITION: Final = "slinky.slurm.net/Drained"
"""Condition of a node: whether an admin has taken it out of use in Slurm, and why."""
CORDONED_ANNOTATION: Final = "scheduler.slinky.slurm.net/cordoned"
"""Annotation of a node that the bridge has cordoned because of a drain in Slurm."""
CORDON_IS_OURS: Final = "true"
"""Its value while the cordon is the bridge's, which will undo it."""
CORDON_UNDONE: Final = "undone"
"""Its value when somebody has uncordoned the node: the bridge cordons it no more for this drain."""
AVAILABLE_UNTIL: Final = "scheduler.slinky.slurm.net/available-until"
"""Annotation or label of a node: when it ceases to exist."""
PRESENT_NODE_LABEL: Final = "scheduler.slinky.slurm.net/present"
"""On a node that is counted as present when new nodes are asked for: Karpenter must not think that
a placeholder pod could run there."""

HELD_NODE_ANNOTATION: Final = "scheduler.slinky.slurm.net/held"
"""On a node that an autoscaler must not remove while a gang that needs it waits for others: the
autoscaler's annotation (one of the next two) that the bridge has set, and takes off again."""
KARPENTER_DO_NOT_DISRUPT: Final = "karpenter.sh/do-not-disrupt"
CLUSTER_AUTOSCALER_NO_SCALE_DOWN: Final = "cluster-autoscaler.kubernetes.io/scale-down-disabled"

# Placeholder pods, by which new nodes are asked of an autoscaler
CAPACITY_NAMESPACE: Final = "slurm-bridge-capacity"
"""Default of `capacity.namespace`; only the bridge may create pods there."""
CAPACITY_SCHEDULER_NAME: Final = "slurm-bridge-capacity"
"""No scheduler serves this name, so these pods never get a node."""
CAPACITY_LABEL: Final = "scheduler.slinky.slurm.net/capacity"
"""The gang that the pod stands for, as a hash; the gang's id is in an annotation."""
CAPACITY_PART_LABEL: Final = "scheduler.slinky.slurm.net/capacity-part"
"""Which part of its gang the pod stands for, and a hash of the spec that it was made from."""
CAPACITY_PARTS_ANNOTATION: Final = "scheduler.slinky.slurm.net/capacity-parts"
"""On a ProvisioningRequest: what each of its pod sets stands for, as the label above says it."""
CAPACITY_ASKED_ANNOTATION: Final = "scheduler.slinky.slurm.net/capacity-asked"
"""On an object whose replicas are nodes: for which gangs it was scaled up, as JSON."""

# Namespaces: who the pods run as in Slurm
NAMESPACE_USER: Final = JOB_PREFIX + "user"
NAMESPACE_GROUP: Final = JOB_PREFIX + "group"
NAMESPACE_ACCOUNTS: Final = JOB_PREFIX + "accounts"
NAMESPACE_PARTITIONS: Final = JOB_PREFIX + "partitions"
NAMESPACE_QOS: Final = JOB_PREFIX + "qos"

PARAMETERS: Final = frozenset(
    JOB_PREFIX + suffix
    for suffix in (
        "account", "accounts", "constraints", "cpu-per-task", "dependency", "exclusive", "gang",
        "gang-size", "gres", "group", "group-id", "job-name", "licenses", "max-nodes",
        "mem-per-node", "min-nodes", "on-node-loss", "partition", "partitions", "priority", "qos",
        "reservation", "timelimit", "user", "user-id", "wckey",
    )
)  # fmt: skip
"""Every annotation with JOB_PREFIX that means something, on pods, their owners or namespaces."""
IDENTITY_PARAMETERS: Final = frozenset(
    JOB_PREFIX + suffix
    for suffix in ("user-id", "group-id", "account", "partition", "qos", "priority")
)
"""Those that say who a pod is in Slurm and what it may use there."""

# Slurm
ADMIN_COMMENT_KEY: Final = "slurm-bridge"
"""The one key of the JSON object in a job's admin_comment that makes the job ours."""
CLASS_FEATURE_PREFIX: Final = "class-"

# Kubernetes' own
COMPLETION_INDEX: Final = "batch.kubernetes.io/job-completion-index"
HOSTNAME_LABEL: Final = "kubernetes.io/hostname"
MIRROR_POD_ANNOTATION: Final = "kubernetes.io/config.mirror"
DISRUPTION_TARGET: Final = "DisruptionTarget"
DO_NOT_DISRUPT: Final = (
    ("karpenter.sh/do-not-disrupt", "true"),
    ("cluster-autoscaler.kubernetes.io/safe-to-evict", "false"),
)
"""Annotations of a pod, with the value that keeps an autoscaler from removing its node."""
ZONE_LABEL: Final = "topology.kubernetes.io/zone"
AWS_NETWORK_LAYER_PREFIX: Final = "topology.k8s.aws/network-node-layer-"

# Paths of our HTTPS server
MUTATE_PATH: Final = "/mutate--v1-pod"
VALIDATE_PATH: Final = "/validate--v1-pod"
MANAGED_NODES_PATH: Final = "/validate--managed-nodes"
EXTENDER_PREFIX: Final = "/scheduler"
FILTER_PATH: Final = EXTENDER_PREFIX + "/filter"
PRIORITIZE_PATH: Final = EXTENDER_PREFIX + "/prioritize"
BIND_PATH: Final = EXTENDER_PREFIX + "/bind"
