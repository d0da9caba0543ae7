"""Jobs that take whole nodes, so that native jobs and pods never share a hybrid node.

Slurm has two ways to keep jobs off each other's nodes, with different prices (seen on 26.05):

- A job that shares nodes with no other (`--exclusive`). Slurm may preempt it for a native job and
  the other way round; two gangs never share such a node either. This is the default.
- MCS labels: gangs share nodes with each other and with no native job. But Slurm never preempts a
  job of one label for a job of another. This is what the setting `mcsLabel` asks for, if Slurm has
  the plugin; without the plugin it takes the label without effect.

A job is whole if it may be granted a hybrid node, also on the external nodes that it may be granted
instead: Slurm has no word for "whole only there".
"""

from dataclasses import replace

from bridge.jobs.jobspec import Rules, Where
from bridge.model import node_class
from bridge.model.job import JobSpec
from bridge.state.slurm_state import SlurmState


def of(spec: JobSpec, where: Where, state: SlurmState, rules: Rules) -> JobSpec:
    """The job as it is to be: with whole nodes, if it may be granted a hybrid one.

    Of a whole node a gang has all memory: Slurm counts memory per CPU for each CPU of the node,
    not for those that the tasks ask for. So what limits its tasks on a node is their number.
    """
    if spec.exclusive or not _must_be(spec, where, state, rules):
        return spec
    if spec.tasks == 1:
        return replace(spec, whole_nodes=True)
    return replace(
        spec,
        whole_nodes=True,
        tasks_per_node=spec.tasks_per_node or where.tasks_per_node or None,
        memory_mib_per_node=0,
        memory_mib_per_cpu=None,
    )


def _must_be(spec: JobSpec, where: Where, state: SlurmState, rules: Rules) -> bool:
    has_labels = bool(rules.mcs_label) and state.nodes.keeps_labels_apart
    if rules.shares_hybrid_nodes or has_labels:
        return False
    groups, group_of = state.capacities.groups, state.capacities.group_of
    if where.required:
        positions = {group_of[name] for name in where.required if name in group_of}
        return any(groups[at].has_slurmd for at in positions)
    wanted = {node_class.hybrid(name) for name in where.classes}
    partitions = set(filter(None, spec.partition.split(",")))
    return any(
        not wanted.isdisjoint(group.features)
        and not (partitions and partitions.isdisjoint(group.partitions))
        for group in groups
    )
