"""The settings, cut to what each part needs."""

from bridge import config
from bridge.app import identities
from bridge.capacity.controller import Rules
from bridge.jobs import jobspec, tasks
from bridge.kube.objects import node_health
from bridge.kube.objects.placeholders import Form
from bridge.lifecycle.tuning import Notices, Patience, Tuning
from bridge.model import quantity
from bridge.model.devices import ResourceMap
from bridge.nodes import definition
from bridge.placement.score import ScoreWeights


def translation(settings: config.Settings) -> jobspec.Rules:
    """How pods become a Slurm job."""
    return jobspec.Rules(
        partition=settings.partition,
        default_memory_mib=-(-quantity.whole(settings.defaults.memory) // (1 << 20)),
        exclusive=settings.defaults.exclusive,
        mcs_label=settings.mcs_label,
        shares_hybrid_nodes=settings.nodes.hybrid_sharing,
        resource_map=ResourceMap(settings.resource_map),
        gpu_type_label=settings.nodes.gpu_type_label,
        priority_classes={
            name: jobspec.Precedence(one.partition, one.qos, one.nice or None)
            for name, one in settings.priority_classes.items()
        },
        identity=identities.rules(settings.identity),
    )


def shared_tasks(settings: config.Settings) -> tasks.Limits:
    """How much may be held in vain where pods of several shapes are one job."""
    return tasks.Limits(
        riding=settings.gangs.ride_along_waste, maximum=settings.gangs.maximum_waste
    )


def tuning(settings: config.Settings) -> Tuning:
    """The times that gangs wait."""
    return Tuning(
        notices=Notices(condition_interval_s=settings.condition_interval_s),
        patience=Patience(members_s=settings.gangs.members_timeout_s),
    )


def registration(settings: config.Settings, cluster_uid: str) -> definition.Rules:
    """How Kubernetes nodes become Slurm nodes."""
    return definition.Rules(
        cluster=cluster_uid,
        address=settings.nodes.address,
        topology=settings.nodes.topology,
        topology_labels=settings.nodes.topology_labels,
        partition=settings.partition,
        cpu_headroom_milli=settings.nodes.cpu_headroom_milli,
        memory_headroom_mib=settings.nodes.memory_headroom_mib,
        gpu_type_label=settings.nodes.gpu_type_label,
        resource_map=ResourceMap(settings.resource_map),
        drained_in_slurm=settings.nodes.drained_in_slurm,
    )


def node_signs(settings: config.Settings) -> node_health.Signs:
    """What a Kubernetes node may say about itself that bears on new work."""
    nodes = settings.nodes
    pairs = (text.rpartition("=") for text in nodes.unhealthy_conditions)
    return node_health.Signs(
        conditions={(kind, status): at for at, (kind, _, status) in enumerate(pairs)},
        taints=nodes.draining_taints,
        end_keys=nodes.end_time_keys,
    )


def capacity(settings: config.Settings) -> Rules:
    """How an autoscaler is asked for new nodes."""
    wished = settings.capacity
    return Rules(
        most_nodes=wished.max_nodes,
        timeout_s=wished.timeout_s,
        by_label=wished.mode == "placeholderPods" and wished.autoscaler == "karpenter",
    )


def placeholders(settings: config.Settings) -> Form:
    """What placeholder pods are like."""
    wished = settings.capacity
    return Form(
        namespace=wished.namespace,
        image=wished.image,
        priority_class=wished.priority_class,
        scheduler_name=settings.scheduler_name,
        by_hostname=wished.autoscaler == "clusterAutoscaler",
    )


def score_weights(settings: config.Settings) -> ScoreWeights:
    """What counts for a node's score."""
    placement = settings.placement
    return ScoreWeights(
        packing=placement.score_packing,
        waste=placement.score_waste,
        distance=placement.score_distance,
        node_weight=placement.score_node_weight,
        tier=placement.score_tier,
    )
