"""Whatever happens in whatever order: no second job, no leak, nobody off their allocation."""

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bridge import names
from bridge.lifecycle import events as ev
from tests.unit.lifecycle.world import World


class AnyOrder(RuleBasedStateMachine):
    """Hypothesis plays Kubernetes, Slurm, failures, restarts and time."""

    world: World

    @initialize(single=st.booleans(), runs=st.booleans(), whole=st.booleans())
    def begin(self, single: bool, runs: bool, whole: bool) -> None:
        self.world = World(single=single, size=1 if single else 3, restarts_whole=whole)
        self.world.machine.release()
        for _ in range(3 if runs and not single else 0):
            self.all_goes_well()

    @rule()
    @precondition(lambda self: not self.over)
    def create(self) -> None:
        if self.world.single and not self.world.born:
            self.world.create()
        for index in self.world.lacking()[: not self.world.single]:
            self.world.create(index)

    @property
    def over(self) -> bool:
        return self.world.forgotten

    @rule(data=st.data(), fail=st.booleans())
    @precondition(lambda self: self.world.todo)
    def perform(self, data: st.DataObject, fail: bool) -> None:
        self.world.perform(data.draw(st.integers(0, len(self.world.todo) - 1)), fail=fail)

    @rule(data=st.data())
    @precondition(lambda self: any(job.waits for job in self.world.jobs.values()))
    def start(self, data: st.DataObject) -> None:
        waiting = [job.job_id for job in self.world.jobs.values() if job.waits]
        self.world.start(data.draw(st.sampled_from(waiting)))

    @rule(
        data=st.data(),
        state=st.sampled_from(["CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "VANISHED"]),
    )
    @precondition(lambda self: self.world.live_jobs)
    def end(self, data: st.DataObject, state: str) -> None:
        job = data.draw(st.sampled_from(self.world.live_jobs))
        if state == "VANISHED":
            self.world.vanish(job.job_id)
        else:
            self.world.end(job.job_id, state)

    @rule(
        data=st.data(),
        to=st.sampled_from(
            ["bound", "Succeeded", "Failed", "OutOfcpu", "stuck", "deleting", "gone"]
        ),
    )
    @precondition(lambda self: self.world.pods)
    def pod_moves(self, data: st.DataObject, to: str) -> None:
        uid = data.draw(st.sampled_from(sorted(self.world.pods)))
        pod = self.world.pods[uid]
        if to == "gone" and (pod.deleting or not pod.node_name or pod.ended):
            self.world.remove(uid)
        elif to == "deleting":
            self.world.change(uid, deleting=True)
        elif to == "bound" and pod.job_id is not None and not pod.deleting and not pod.ended:
            node = pod.annotations[names.NODE_ANNOTATION]
            self.world.change(uid, node_name=node, phase="Running", unschedulable="")
        elif to == "stuck" and pod.job_id is not None and not pod.node_name and not pod.ended:
            self.world.change(uid, unschedulable="0/1 nodes are available")
        elif to == "OutOfcpu" and pod.node_name and not pod.ended:
            self.world.change(uid, phase="Failed", status_reason=to)
        elif to in ("Succeeded", "Failed") and pod.node_name:
            self.world.change(uid, phase=to)

    @rule(owner=st.sampled_from(["creates", "suspended", "over"]))
    @precondition(lambda self: not self.world.single)
    def owner_changes(self, owner: str) -> None:
        self.world.owner = owner  # type: ignore[assignment]
        self.world.see()

    @rule(seconds=st.sampled_from([0.1, 1.0, 12.0, 400.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @rule(
        constraints=st.sampled_from(["", "class-a"]),
        reason=st.sampled_from(["BadConstraints", "Priority"]),
    )
    def nodes_change(self, constraints: str, reason: str) -> None:
        self.world.constraints = constraints
        for job_id, job in list(self.world.jobs.items()):
            if job.waits:
                self.world.jobs[job_id] = replace(job, reason=reason)
                self.world.poll(job_id)
        self.world.tell(ev.NodesChanged())

    @rule(unready=st.sampled_from(["", "claim data is not bound yet", "claim data is gone"]))
    def a_claim_changes(self, unready: str) -> None:
        self.world.claim(unready)

    @rule(data=st.data(), fits=st.booleans())
    @precondition(lambda self: self.world.pods)
    def a_pod_asks_for_something_else(self, data: st.DataObject, fits: bool) -> None:
        uid = data.draw(st.sampled_from(sorted(self.world.pods)))
        if fits:
            self.world.misfits.pop(uid, None)
        else:
            self.world.misfits[uid] = "its volume is elsewhere"

    @rule(data=st.data())
    @precondition(lambda self: self.world.pods)
    def a_node_goes_silent(self, data: st.DataObject) -> None:
        uid = data.draw(st.sampled_from(sorted(self.world.pods)))
        self.world.lost.add(uid)
        self.world.see()

    @rule(data=st.data())
    @precondition(lambda self: any(pod.node_name for pod in self.world.pods.values()))
    def a_node_dies_and_its_pod_is_removed_by_force(self, data: st.DataObject) -> None:
        bound = sorted(uid for uid, pod in self.world.pods.items() if pod.node_name)
        uid = data.draw(st.sampled_from(bound))
        self.world.dead_nodes.add(self.world.pods[uid].node_name)
        self.world.remove(uid)

    @rule(data=st.data())
    @precondition(lambda self: any(job.allocation for job in self.world.live_jobs))
    def an_admin_shrinks_a_job(self, data: st.DataObject) -> None:
        held = [job for job in self.world.live_jobs if job.allocation is not None]
        job = data.draw(st.sampled_from(held))
        assert job.allocation is not None
        if len(job.allocation.nodes) > 1:
            self.world.shrink(job.job_id, str(job.allocation.nodes[-1].node))

    @rule(data=st.data())
    @precondition(lambda self: self.world.pods and not self.world.single)
    def a_rank_is_done(self, data: st.DataObject) -> None:
        live = [pod for pod in self.world.pods.values() if not pod.ended]
        bound = [p.completion_index for p in live if p.node_name]
        ranks = [rank for rank in bound if rank is not None]
        if ranks:
            self.world.succeed(data.draw(st.sampled_from(sorted(ranks))))

    @rule(size=st.integers(1, 5))
    @precondition(lambda self: not self.world.single)
    def the_owner_is_scaled(self, size: int) -> None:
        self.world.scale(size)

    @rule(answers=st.booleans())
    def a_sink_comes_or_goes(self, answers: bool) -> None:
        self.world.set_sink(answers=answers)

    @rule(data=st.data(), left_s=st.sampled_from([1.0, 60.0]))
    @precondition(lambda self: any(job.allocation for job in self.world.live_jobs))
    def slurm_preempts_with_grace(self, data: st.DataObject, left_s: float) -> None:
        holding = [job.job_id for job in self.world.live_jobs if job.allocation is not None]
        self.world.preempt(data.draw(st.sampled_from(holding)), left_s=left_s)

    @rule()
    def the_bridge_restarts(self) -> None:
        self.world.restart()

    @invariant()
    def one_job_at_most(self) -> None:
        if not hasattr(self, "world"):
            return
        doomed = {getattr(step, "job_id", None) for step in self.world.todo}
        free = [job for job in self.world.live_jobs if job.job_id not in doomed]
        mine = [job for job in free if job.job_id == self.world.machine.known.job_id]
        assert free == mine, "a job that no gang follows"

    def teardown(self) -> None:
        """Once nothing is in the way every pod that its owner wants gets a place, its own or one in
        the gang; in the end all pods go, and nothing may be left in Slurm."""
        if not hasattr(self, "world"):
            return
        if not self.world.single and not self.world.forgotten:
            self.come_to_rest()
        self.world.owner = "over"
        for uid in list(self.world.pods):
            self.world.remove(uid)
        self.world.see()
        self.world.settle()
        assert not self.world.live_jobs, "leaked"

    def come_to_rest(self) -> None:
        """Until nobody who is wanted waits for a place."""
        world = self.world
        world.owner, world.unready = "creates", ""
        world.misfits.clear()
        world.lost.clear()
        world.see()
        world.make_room()
        for _ in range(40):
            self.all_goes_well()
            placed = [pod.job_id for pod in world.pods.values() if not pod.ended]
            if not world.todo and all(placed) and not world.lacking():
                return
            world.pass_time(31.0)
        raise AssertionError(f"somebody waits for ever: {world.pods.values()}")

    @rule()
    @precondition(lambda self: not self.world.single and not self.over)
    def all_goes_well(self) -> None:
        """Its owner makes what lacks, Slurm starts what waits, whatever ends goes."""
        world = self.world
        world.perform_all()
        for job in list(world.jobs.values()):
            if job.waits:
                world.start(job.job_id)
        world.perform_all()
        for uid, pod in list(world.pods.items()):
            if pod.deleting or (pod.unschedulable and not pod.node_name):
                world.remove(uid)
            elif pod.job_id is not None and not pod.node_name and not pod.ended:
                node = pod.annotations[names.NODE_ANNOTATION]
                world.change(uid, node_name=node, phase="Running", unschedulable="")
        for index in world.lacking():
            world.create(index)


class AFewThings(AnyOrder):
    """The same, brought to rest after a few steps: what keeps somebody waiting is seldom still
    there after many."""


AnyOrder.TestCase.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
TestAnyOrder = AnyOrder.TestCase
AFewThings.TestCase.settings = settings(max_examples=400, stateful_step_count=12, deadline=None)
TestAFewThings = AFewThings.TestCase
