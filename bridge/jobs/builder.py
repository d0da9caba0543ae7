"""A gang → the job that it should have in Slurm, with the present nodes and partitions."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from bridge.errors import BadInput
from bridge.jobs import dependencies, jobspec, jobtexts, new_nodes, tasks, whole_nodes
from bridge.jobs.full_nodes import FullNodes, Key
from bridge.jobs.node_constraints import NodeConstraints, NoNodes
from bridge.jobs.shortage import Shortages
from bridge.jobs.slurm_room import Asked
from bridge.model import texts
from bridge.model.capacity import GangNeed
from bridge.model.gang import Gang
from bridge.model.ids import NodeName
from bridge.model.job import JobIdentity, JobSpec
from bridge.model.pod import Pod
from bridge.placement.fit.neighbours import GangPods, Kind
from bridge.state.slurm_state import SlurmState

_MOST_ROLES = 3
_ROLES_CHARACTERS = 100
"""Of roles that a sentence names."""


class JobBuilder:
    """Builds jobs; the same gang gives the same job while the cluster stays as it is."""

    def __init__(
        self,
        *,
        cluster_uid: str,
        node_constraints: NodeConstraints,
        full_nodes: FullNodes,
        slurm_state: SlurmState,
        rules: jobspec.Rules,
        limits: tasks.Limits,
        resolve: dependencies.Resolve,
    ) -> None:
        self._cluster_uid = cluster_uid
        self._node_constraints = node_constraints
        self._full_nodes = full_nodes
        self._slurm_state = slurm_state
        self._rules = rules
        self._limits = limits
        self._resolve = resolve
        self._shortages = Shortages()

    def build(
        self,
        gang: Gang,
        generation: int,
        avoided: tuple[NodeName, ...],
        *,
        asked: Callable[[Key], None] = lambda key: None,
    ) -> JobSpec:
        """Builds the gang's job, with several components if its pods can't be one job's tasks.

        `asked` is told which answers of `FullNodes` are in it. Raises BadInput when the job can't
        be said to Slurm, or no node can take it; its subclass NoRoom when no node can now.
        """
        plan = self.plan(gang)
        self._check_nodes(gang, plan)
        self._check_terms(gang)
        components = []
        for at, one in enumerate(plan.components):
            build = partial(
                self._component,
                replace(gang, size=one.count, shape=one.shape, roles=(), volume_terms=()),
                identity=self._identity(gang, generation, component=at),
                rules=self._rules,
                partitions=self._slurm_state.partitions,
                nodes=self._slurm_state.nodes,
                resolve=self._resolve,
            )
            pods = tasks.pods_of(gang, one)
            where = self._where(one, pods, avoided, is_exact=plan.tasks_are_pods)
            where = self._full_nodes.leave_out(
                one,
                pods,
                where,
                asked=asked,
                of_slurm=partial(self._asked, gang, partial(build, where=where)),
            )
            components.append(build(where=where))
        if len(components) > 1:
            components = [
                replace(
                    spec,
                    role=texts.printable(
                        texts.some_of(tasks.roles_of(gang, one), _MOST_ROLES), _ROLES_CHARACTERS
                    ),
                )
                for spec, one in zip(components, plan.components, strict=True)
            ]
        first, *others = components
        if plan.how != "alike":
            comment = texts.printable(f"{first.comment}: {plan}", jobtexts.COMMENT_BYTES)
            first = replace(first, comment=comment)
        return replace(first, also=tuple(others))

    def _component(self, gang: Gang, *, where: jobspec.Where, **facts: Any) -> JobSpec:
        spec = jobspec.build(gang, where=where, **facts)
        return whole_nodes.of(spec, where, self._slurm_state, self._rules)

    def _where(
        self,
        component: tasks.Tasks,
        pods: GangPods,
        avoided: tuple[NodeName, ...],
        *,
        is_exact: bool,
    ) -> jobspec.Where:
        identity = pods.kinds[0].identity if len(pods.kinds) == 1 else None
        where = self._node_constraints.of(component.shape, avoided, identity)
        if not is_exact:  # what is rounded off a task could be a whole small pod's
            where = replace(where, round_memory_down=False)
        return where

    def _asked(self, gang: Gang, build: Callable[[], JobSpec]) -> Asked:
        """What a component asks of Slurm's nodes, of which none are chosen yet."""
        max_nodes = self._slurm_state.partitions.max_nodes
        return Asked.by(build(), gang.parameters.min_nodes or 0, max_nodes)

    def _identity(self, gang: Gang, generation: int, *, component: int) -> JobIdentity:
        """Only the first component is the gang's job. The others are known as ours by a gang that
        does not exist: one that slurmctld leaves behind of a het job that it refused (26.05 does,
        beyond a limit) is found by the sweep and cancelled, and never taken for the gang's.
        """
        whose = f"{gang.id}#{component}" if component else gang.id
        return JobIdentity(self._cluster_uid, whose, generation, gang.owner)

    def _check_nodes(self, gang: Gang, plan: tasks.Plan) -> None:
        """A het job that no set of nodes can ever hold would wait for "Resources" without end."""
        if plan.how != "het":
            return
        lacking = self._node_constraints.lacking(plan.components, alone=self._rules.alone(gang))
        if lacking is not None:
            needed, there = lacking
            raise NoNodes(
                f"its pods are {plan}, which share no node: they need {needed} nodes, "
                f"and only {there} can ever take them. Add nodes; or let all of its pods "
                "run on the same nodes (selectors, tolerations), with small pods that fit beside "
                "the large ones; it is retried automatically when nodes change"
            )

    def _check_terms(self, gang: Gang) -> None:
        """A gang that can't be together anywhere would be granted nodes for nothing, again and
        again."""
        if gang.roles or gang.size == 1 or not gang.shape.pod_terms:
            return
        why = self._node_constraints.why_never(Kind(gang.shape, gang.identity), gang.size)
        if why:
            raise BadInput(
                f"no nodes can ever take all of its pods: {why}. Add nodes, ask for fewer pods, "
                "or change these terms; it is retried automatically when nodes change"
            )

    def shortage(self, spec: JobSpec, *, now: bool) -> str:
        """Why no nodes of Slurm can ever take the job; "" where that is not certain. With `now` the
        sentence also tells how many nodes are out of service at the moment."""
        state = self._slurm_state
        limits = state.partitions.max_nodes
        return self._shortages.of(spec, state.capacities, max_nodes=limits, now=now)

    def need(self, gang: Gang, pods: Iterable[Pod]) -> GangNeed | None:
        """What the gang, of these waiting pods, needs of new nodes; None as in `new_nodes.of`."""
        return new_nodes.of(
            gang,
            self.plan(gang),
            pods,
            rules=self._rules,
            partitions=self._slurm_state.partitions,
            resolve=self._resolve,
        )

    def plan(self, gang: Gang) -> tasks.Plan:
        """How the gang's pods become tasks."""
        return tasks.plan(
            gang,
            limits=self._limits,
            counted=self._rules.resource_map.within(self._slurm_state.nodes.gres_names),
            alone=self._rules.alone(gang),
            nodes=self._node_constraints,
        )
