"""The gang's state machine: every decision in its life, and nothing else.

Events only update facts; one function, `_decide`, then derives from the facts what is to be done
now. So the order in which events arrive cannot lead to a state that no code expects, and a
restart is nothing special: facts come in again and the same decisions follow.

Nothing is asked for twice while it is under way (`_submitting`, `_pinning`, `_placing`), and
what fails is tried again after a back-off, by Wake.

    Known → Submitting → Queued → Allocated → Placing → Running → Ending → Done
"""

from collections import deque
from collections.abc import Iterable, Mapping

from bridge import names
from bridge.lifecycle import events as ev
from bridge.lifecycle import instructions as do
from bridge.lifecycle import sentences
from bridge.lifecycle.absent import AbsentMembers
from bridge.lifecycle.changes import Changes
from bridge.lifecycle.deadline import Deadline
from bridge.lifecycle.gang_pods import GangPods
from bridge.lifecycle.lost import LostPlaces
from bridge.lifecycle.slots import Slots
from bridge.lifecycle.states import State, Step, Tuning
from bridge.lifecycle.telling import Standing, Told
from bridge.lifecycle.unready import UnreadyVolumes
from bridge.model.gang import Gang, Seat, Shortfall
from bridge.model.ids import GangId, NodeName, PodUid, SlurmJobId
from bridge.model.job import JobFacts, JobSpec
from bridge.model.pod import Condition, Pod


class GangMachine:
    """One gang. All times are monotonic seconds, handed in."""

    def __init__(self, gang_id: GangId, *, single: bool, tuning: Tuning) -> None:
        self.id = gang_id
        self.single = single
        """A gang of one whose id is its pod's: nobody is ever replaced in it."""
        self.gang: Gang | None = None
        """What its job in Slurm is for; while it has none, what its pods ask for."""
        self._newest: Gang | None = None
        """What its pods ask for."""
        self.pods = GangPods(end_again_s=tuning.end_again_s)
        self.generation = 0
        self.job_id: SlurmJobId | None = None
        self.facts: JobFacts | None = None
        self.spec: JobSpec | None = None
        """What Slurm was last told; None when not known (after a restart)."""
        self.slots = Slots()
        self._seats: Mapping[PodUid, Seat] = {}
        self._apart = 0
        self.state = State.KNOWN
        self.story: deque[Step] = deque(maxlen=20)
        self._tuning = tuning
        self._problem = ""
        self._trouble = ""
        self._trouble_since_s = 0.0
        self._owner: ev.OwnerWill = "creates"
        self._held = True
        self._submitting = False
        self._placing: Gang | None = None
        self._pinning: set[PodUid] = set()
        self._lost = LostPlaces(patience_s=tuning.unplaceable_s)
        self._absent = AbsentMembers(patience_s=tuning.members_s)
        self._deadline = Deadline(warn_s=tuning.warn_s, margin_s=tuning.end_margin_s)
        self._unready = UnreadyVolumes(
            tell_after_s=tuning.first_condition_s, patience_s=tuning.volumes_s
        )
        self._told_gates: tuple[str, ...] = ()
        self._suspects: list[PodUid] = []
        self._review_at_s: float | None = None
        self._room: Shortfall | None = None
        self._look_again_s = 0.0
        self._retry_at_s = 0.0
        self._failures = 0
        self._cancel_at_s: float | None = None
        self._submitted_at_s = 0.0
        self._empty_since_s: float | None = None
        self._changes = Changes(first_s=tuning.retry_first_s, most_s=tuning.retry_most_s)
        self._told = Told(interval_s=tuning.condition_interval_s)
        self._wakes: list[float] = []

    # -- input ---------------------------------------------------------------------------------

    @property
    def held(self) -> bool:
        """Whether it is not known yet what job the gang has."""
        return self._held

    def release(self) -> None:
        """After a start: it is known whether the gang has a job, so it may decide from now on."""
        self._held = False

    def handle(self, event: ev.Event, now_s: float) -> list[do.Instruction]:
        """Take one event in; what is to be done now comes out."""
        out: list[do.Instruction] = []
        self._wakes = []
        self._take(event, now_s, out)
        if isinstance(event, ev.PinEnded) and not event.error and self._pinning:
            return out  # one of many: there is nothing to decide before the last
        if not self._held:
            self._decide(now_s, out)
        self._turn(now_s, event)
        if self._wakes and self.state is not State.DONE:
            out.append(do.Wake(max(0.0, min(self._wakes) - now_s)))
        return out

    def _take(self, event: ev.Event, now_s: float, out: list[do.Instruction]) -> None:
        match event:
            case ev.MembersSeen():
                self._take_members(event, now_s, out)
            case ev.Submitted():
                self._submitting, self._trouble = False, ""
                self.job_id, self.spec = event.job_id, event.spec
                self._submitted_at_s = now_s
            case ev.SubmitFailed():
                self._submitting = False
                if not self._trouble:
                    self._trouble_since_s = now_s
                self._trouble = event.message
                self._back_off(now_s, self._tuning.refused_retry_s if event.lasting else None)
                self._take_newest()
            case ev.Adopted():
                self.job_id, self.generation = event.job_id, event.generation
                self._submitted_at_s = now_s
            case ev.JobSeen(facts, left_s) if facts.job_id == self.job_id:
                adopted, self.facts = self.facts is None and self.spec is None, facts
                if facts.identity is not None:
                    self.generation = max(self.generation, facts.identity.generation)
                if facts.allocation is not None:
                    self._failures = 0
                    self._deadline.seen(left_s, now_s)
                if self._take_newest() or adopted:
                    self._describe(out)
            case ev.JobVanished(job_id) if job_id == self.job_id:
                self.facts = JobFacts(job_id, "UNKNOWN", None, reason="Slurm knows it no more")
            case ev.Wished(spec) if self.job_id is not None:
                self._take_wish(spec, now_s, out)
            case ev.Placed(job_id, assignment) if job_id == self.job_id:
                placed, self._placing, self._room = self._placing, None, None
                if placed is not None and len(assignment.nodes) == len(self.slots):
                    self.slots.assign(assignment, placed.shapes)
            case ev.NotPlaced(job_id, shortfall) if job_id == self.job_id:
                self._take_shortfall(shortfall, now_s, out)
            case ev.PinEnded(pod, row, error):
                self._pinning.discard(pod)
                if row is not None and pod in self.pods:
                    self.pods.rows[pod] = row
                elif error:
                    self.slots.unplace(pod)
                    self._back_off(now_s)
            case ev.Misfit(pod, why):
                self._take_misfit(pod, why, now_s, out)
            case ev.UpdateFailed(job_id) if job_id == self.job_id:
                self.spec = None
                self._review_at_s = now_s + self._tuning.refused_retry_s
            case ev.NotTold(pod) if pod in self.pods:
                self._told.failed(self.pods.rows[pod])
            case ev.NodesChanged():
                if self.job_id is None:
                    self._retry_at_s = 0.0
                self._describe(out)
            case ev.Tick():
                self._look_again_s = 0.0
            case _:
                pass  # news of a job that is not ours any more

    def _take_members(self, event: ev.MembersSeen, now_s: float, out: list[do.Instruction]) -> None:
        self.pods.see(event.pods)
        self._owner, self._seats, self._apart = event.owner, event.seats, event.apart
        if event.problem and event.problem != self._problem:
            for pod in event.pods[:1]:
                out.append(do.EmitEvent(pod, "Warning", "InvalidRequest", event.problem))
        self._problem = event.problem
        self._unready.see(event.waits_for, now_s)
        if event.gang is not None:
            self._newest = event.gang
            if self._take_newest():
                self._describe(out)
        self._told.keep(self.pods.rows)
        self._suspects = [
            pod.uid for pod in event.pods if pod.unschedulable or pod.phase == "Failed"
        ]
        self._lost.keep(self._suspects)
        self._pinning &= self.pods.rows.keys()
        self._seat()

    def _take_newest(self) -> bool:
        """What a job that runs was given stays as it is; before that the newest wish counts.
        Whether it is another than what Slurm was told."""
        known, newest = self.gang, self._newest
        if newest is None or newest is known or newest == known:
            return False
        if known is not None:
            waits = self.job_id is None or (self.facts is not None and self.facts.waits)
            if not waits or self._submitting or self._unready.why:
                return False  # a claim that is away says nothing of where its pods may run
        self.gang = newest
        if known is None or newest.sizes != known.sizes:
            self.slots = Slots.of_gang(newest)
        return known is not None

    def _seat(self) -> None:
        outgoing = {pod.uid for pod in self.pods.outgoing(self.job_id)}
        self.slots.seat(
            {pod.uid: pod for pod in self.pods if pod.uid not in outgoing},
            self._seats,
            self.job_id,
        )

    def _take_wish(self, spec: JobSpec, now_s: float, out: list[do.Instruction]) -> None:
        if self.facts is None or not self.facts.waits:
            return
        if not self.facts.stranded:
            if spec == self.spec:
                return
            if self.spec is None and self.facts.matches(spec):
                self.spec = spec  # after a restart: Slurm has it already
                return
        at_s = self._changes.next_s
        if now_s < at_s:
            self._review_at_s = at_s
            self._wake_at(at_s)
            return
        self._changes.made(now_s)
        assert self.job_id is not None
        known = self.facts if self.spec is None else self.spec
        if not known.can_become(spec):
            self._give_up_job("its pods ask for something else now", out)
            return
        out.append(do.UpdateJob(self.job_id, self.spec, spec))
        self.spec = spec

    def _take_shortfall(
        self, shortfall: Shortfall, now_s: float, out: list[do.Instruction]
    ) -> None:
        assert self.job_id is not None
        asked, self._placing, self._room = self._placing, None, shortfall
        if shortfall.for_now:
            self._look_again_s = now_s + self._tuning.room_retry_s
            return
        if asked is None or self.gang is None or asked.shapes == self.gang.shapes:
            # Else they are as good as Slurm was told; its pods ask for something else by now.
            out += [do.AvoidNode(node, shortfall.reason) for node in shortfall.nodes]
        self._give_back(self._waiting(), "GrantUnusable", shortfall.reason, out)
        self._back_off(now_s)

    def _take_misfit(self, uid: PodUid, why: str, now_s: float, out: list[do.Instruction]) -> None:
        """A pod that came when its slot had its node already, and can't run there."""
        pod = self.pods.rows.get(uid)
        if self.job_id is None or pod is None or uid not in self._pinning:
            return
        self._pinning.discard(uid)
        if not self.single and (self._pinning or self.slots.taken(self.pods.rows, self.job_id)):
            note = f"It queues on its own, not as a part of Slurm job {self.job_id}: {why}"
            out += [do.EmitEvent(pod, "Warning", "SplitOff", note), do.SplitOff(pod)]
            del self.pods.rows[uid]  # not the gang's any more; its slot waits for another
            self._seat()
            return
        self._give_back([pod], "GrantUnusable", why, out)
        self._back_off(now_s)

    # -- the decision --------------------------------------------------------------------------

    def _decide(self, now_s: float, out: list[do.Instruction]) -> None:
        if self.facts is not None and (self.facts.ended or self.facts.suspended):
            self._job_is_over(self.facts, now_s, out)
        self._give_up_lost_places(now_s, out)
        self._give_up_on_absent(now_s, out)
        self._await_volumes(now_s, out)
        self._end_outgoing(now_s, out)
        expires = self._expires(now_s, out)
        if self._over(now_s):
            if not expires:  # else Slurm ends it in a moment, and accounts it as TIMEOUT
                self._finish(now_s, out)
            return
        if self.job_id is None:
            self._submit(now_s, out)
        elif expires:
            pass  # whoever comes now waits for the next job
        elif self.facts is not None and self.facts.allocation is not None:
            self._place_and_pin(now_s, out)
        elif self.facts is not None and self.facts.waits:
            self._review(self.facts, now_s, out)
        self._tell(now_s, out)

    def _job_is_over(self, facts: JobFacts, now_s: float, out: list[do.Instruction]) -> None:
        """Slurm took the resources away, or we gave them back."""
        reason, message = sentences.what_ended(facts)
        cancelled = facts.state == "CANCELLED" and self._cancel_at_s is None
        pods = self.pods.live() if cancelled else self.pods.under(facts.job_id)
        self._end_pods(pods, reason, message, now_s, out)
        if facts.suspended:
            out.append(do.CancelJob(facts.job_id, "suspended: its resources may be given away"))
        if not cancelled and self._waiting():
            self._back_off(now_s)
        self._drop_job()

    def _end_outgoing(self, now_s: float, out: list[do.Instruction]) -> None:
        """Pods that still run under a job that is over are told again until they are gone."""
        outgoing = self.pods.outgoing(self.job_id)
        stale = [
            pod for pod in outgoing if not pod.deleting and not self.pods.just_told(pod, now_s)
        ]
        if stale:
            self._end_pods(
                stale, "SlurmJobEnded", f"Slurm job {stale[0].job_id} is over.", now_s, out
            )
        if outgoing:
            self._wake_at(now_s + self._tuning.end_again_s)

    @property
    def _more_may_come(self) -> bool:
        return self._owner in ("creates", "unknown")

    def _over(self, now_s: float) -> bool:
        if self.pods.hold:
            self._empty_since_s = None
            return False
        if self.single or not self._more_may_come or self.slots.all_done:
            return True
        unknown = self._owner == "unknown"
        if self.job_id is None:
            return unknown and not self.pods  # nothing is held; members may still be created
        if self._empty_since_s is None:
            self._empty_since_s = now_s
        patience_s = self._tuning.unknown_s if unknown else self._tuning.replacement_s
        end_s = self._empty_since_s + patience_s
        self._wake_at(end_s)
        return now_s >= end_s

    def _finish(self, now_s: float, out: list[do.Instruction]) -> None:
        if self._submitting:
            return  # its answer is still to come, and then to be cancelled
        if self.job_id is None or (self.facts is not None and self.facts.ended):
            self._drop_job()
            if self.single or self._owner in ("over", "unknown"):
                out.append(do.Forget())
            return
        if self._cancel_at_s is None or now_s >= self._cancel_at_s:
            out.append(do.CancelJob(self.job_id, "its pods have ended"))
            self._cancel_at_s = now_s + self._tuning.end_again_s
        self._wake_at(self._cancel_at_s)

    def _submit(self, now_s: float, out: list[do.Instruction]) -> None:
        waiting = self._waiting()
        if self._submitting or self.gang is None or not waiting or not self._more_may_come:
            return
        if any(pod.foreign_gates for pod in waiting):
            self._tell_of_gates(waiting, out)
            return
        if self._unready.why or self._lacks_members:
            return
        if now_s < self._retry_at_s:
            self._wake_at(self._retry_at_s)
            return
        self._submitting = True
        out.append(do.SubmitJob(self.gang, self.generation))

    @property
    def _lacks_members(self) -> bool:
        """Whether it is not known yet what the whole gang asks for."""
        gang = self.gang
        return gang is not None and gang.whole_first and self.slots.vacant > 0

    def _tell_of_gates(self, waiting: list[Pod], out: list[do.Instruction]) -> None:
        """Once for each set of gates."""
        pod = next(pod for pod in waiting if pod.foreign_gates)
        if pod.foreign_gates != self._told_gates:
            self._told_gates = pod.foreign_gates
            note = sentences.gated(pod.foreign_gates)
            out.append(do.EmitEvent(pod, "Normal", "WaitsForGates", note))

    def _give_up_on_absent(self, now_s: float, out: list[do.Instruction]) -> None:
        if self.single or self.gang is None:
            return
        if self.facts is None or self.facts.allocation is None:
            return
        # A pod that ended has come; whether it is replaced is its owner's affair.
        come = len(self.pods) + self._apart
        vacant = 0 if come >= self.gang.size else self.slots.vacant - self._apart
        why = self._absent.look(self.gang, vacant, now_s)
        self._wake_at(self._absent.look_again_s)
        if not why:
            return
        self._end_pods(self.pods.under(self.job_id), "MembersMissing", why, now_s, out)
        self._give_back(self.pods.live(), "MembersMissing", why, out)
        self._back_off(now_s, self._tuning.members_s)

    def _expires(self, now_s: float, out: list[do.Instruction]) -> bool:
        """Whether the job's time is over but for the pods' grace; they are told in time."""
        if self.facts is None or self.facts.allocation is None or not self._deadline.is_set:
            return False
        pods = self.pods.under(self.job_id)
        due = self._deadline.due(max((pod.grace_s for pod in pods), default=0), now_s)
        self._wake_at(self._deadline.look_again_s)
        if due == "warn" and pods:
            note = sentences.ends_soon(self.facts)
            out.append(do.EmitEvent(pods[0], "Warning", "EndsSoon", note))
        if due == "end":
            ending = [pod for pod in pods if not self.pods.just_told(pod, now_s)]
            reason, message = sentences.time_limit(self.facts)
            self._end_pods(ending, reason, message, now_s, out)
        return due == "end"

    def _await_volumes(self, now_s: float, out: list[do.Instruction]) -> None:
        """Pods whose claims are away neither queue nor, while none of them runs, hold nodes."""
        if not self._unready.why:
            return
        self._wake_at(self._unready.look_again_s(now_s))
        waiting, why = self._waiting(), self._unready.to_tell(now_s)
        if why and waiting:
            note = sentences.unready(why)
            out.append(do.EmitEvent(waiting[0], "Warning", "WaitsForVolumes", note))
        if self.job_id is None or not self._unready.too_long(now_s):
            return
        if not self._pinning and not self.pods.under(self.job_id):
            self._give_up_job(self._unready.why, out)

    def _describe(self, out: list[do.Instruction]) -> None:
        """A job that waits may have to be changed."""
        if self.gang is not None and self.facts is not None and self.facts.waits:
            out.append(do.DescribeJob(self.gang, self.generation))

    def _review(self, facts: JobFacts, now_s: float, out: list[do.Instruction]) -> None:
        """A waiting job whose last change failed, or that Slurm has set aside, is told again.

        Slurm looks at a job that it has set aside only after a change, whatever has come back:
        seen on slurmctld 26.05 as priority 0 and BadConstraints, from the pass that finds no node
        until any accepted update, though the node was made anew a moment later.
        """
        if facts.stranded and self._review_at_s is None:
            self._review_at_s = now_s
        if self._review_at_s is None:
            return
        if now_s >= self._review_at_s:
            self._review_at_s = now_s + self._tuning.stranded_s if facts.stranded else None
            self._describe(out)
        self._wake_at(self._review_at_s)

    def _give_up_lost_places(self, now_s: float, out: list[do.Instruction]) -> None:
        if not self._suspects:
            return
        pods = [self.pods.rows[uid] for uid in self._suspects]
        placed = [
            (pod, node)
            for pod in pods
            if (node := self._place_of(pod)) is not None and not self.pods.just_told(pod, now_s)
        ]
        lost = self._lost.find(placed, now_s)
        self._wake_at(self._lost.look_again_s)
        if lost:
            self._lose_places(lost, now_s, out)

    def _lose_places(
        self, lost: dict[NodeName, str], now_s: float, out: list[do.Instruction]
    ) -> None:
        """The gang can't go on without them: it ends as a whole and queues anew, elsewhere."""
        out += [do.AvoidNode(node, why) for node, why in lost.items()]
        why = next(iter(lost.values()))
        pods = [pod for pod in self.pods.under(self.job_id) if not pod.deleting]
        kept = [pod for pod in pods if pod.owner is None and not pod.node_name]
        for pod in kept:
            self.pods.tell(pod.uid, now_s)
            out.append(do.FailPod(pod, "PlaceLost", why))
        self._end_pods((pod for pod in pods if pod not in kept), "PlaceLost", why, now_s, out)
        if not self.single:
            self._give_up_job(why, out)
            self._back_off(now_s)

    def _place_of(self, pod: Pod) -> NodeName | None:
        """The node that the gang's present job gave this pod, by the pod's own words."""
        if pod.job_id is None or pod.job_id != self.job_id:
            return None
        return pod.node_name or NodeName(pod.annotations.get(names.NODE_ANNOTATION, "")) or None

    def _place_and_pin(self, now_s: float, out: list[do.Instruction]) -> None:
        assert self.job_id is not None
        assert self.facts is not None
        if now_s < self._retry_at_s:
            self._wake_at(self._retry_at_s)
            return
        newcomers = [pod for pod in self._waiting() if pod.uid not in self._pinning]
        if not newcomers or self.gang is None or self._unready.why:
            return
        if not self.slots.placed:
            if now_s < self._look_again_s:
                self._wake_at(self._look_again_s)
                return
            if self._placing is None and self.facts.allocation is not None:
                taken = self.slots.taken(self.pods.rows, self.job_id)
                self._placing = self.gang if taken else self._as_many(self.gang)
                out.append(do.PlaceGang(self._placing, self.facts.allocation, taken))
            return
        out += [do.SplitOff(pod) for pod in self._superfluous(newcomers)]
        for pod in newcomers:
            node = self.slots.node_of(pod.uid)
            if node is None or pod.foreign_gates:
                continue
            self._pinning.add(pod.uid)
            gang = None if self.single else self.id
            out.append(do.PinPod(pod, node, self.job_id, gang, self.slots.shape_of(pod.uid)))

    def _as_many(self, gang: Gang) -> Gang:
        """What the gang's pods ask for by now, if that is as many as the job is for."""
        newest = self._newest
        return newest if newest is not None and newest.sizes == gang.sizes else gang

    def _superfluous(self, newcomers: list[Pod]) -> list[Pod]:
        """Those for which there is no slot, nor will be one when pods that are ending are gone."""
        if self.single:
            return []
        unseated = [pod for pod in newcomers if self.slots.of(pod.uid) is None]
        if not unseated:
            return []
        live = sum(not pod.deleting for pod in self.pods.live())
        return unseated[max(0, len(unseated) - max(0, live - len(self.slots))) :]

    # -- telling -------------------------------------------------------------------------------

    def _tell(self, now_s: float, out: list[do.Instruction]) -> None:
        standing = self._standing
        for pod in self.pods.live():
            condition, since_s = self._condition_for(pod, standing)
            due_s = None if condition is None else self._told.due_s(pod, condition)
            if condition is None or due_s is None or pod.deleting:
                continue
            due_s = max(due_s, since_s + self._tuning.first_condition_s)
            if now_s < due_s:
                self._wake_at(due_s)
                continue
            self._told.write(pod, condition, now_s)
            out.append(do.SetCondition(pod, condition))

    def _condition_for(self, pod: Pod, standing: Standing) -> tuple[Condition | None, float]:
        """What it reads, and since when that is so, if it may be over in a moment."""
        if pod.job_id is None or pod.job_id != self.job_id:
            seated = self.slots.of(pod.uid) is not None
            return standing.condition(pod, seated=seated), standing.moment(pod)
        node = self.slots.node_of(pod.uid)
        if node is None or self.facts is None:
            return None, float("-inf")
        told = sentences.allocated(self.facts, node)
        return told, float("-inf")

    @property
    def _standing(self) -> Standing:
        return Standing(
            gang=self.gang,
            job_id=self.job_id,
            facts=self.facts,
            problem=self._problem,
            trouble=self._trouble,
            trouble_s=self._trouble_since_s,
            submitted_s=self._submitted_at_s,
            room=self._room,
            lacking=self.slots.vacant if self._lacks_members else 0,
            full=self.slots.placed,
            unready=self._unready.why,
            unready_s=self._unready.since_s,
        )

    # -- facts ---------------------------------------------------------------------------------

    def _waiting(self) -> list[Pod]:
        """Pods without a place yet, in slot order."""
        last = len(self.slots)
        return sorted(self.pods.placeless(), key=lambda pod: _slot_or(self.slots.of(pod.uid), last))

    def verdict_for(self, pod: PodUid) -> tuple[NodeName | None, str]:
        """(the pod's node, or None; the sentence for the user while there is none)."""
        row = self.pods.rows.get(pod)
        alive = self.facts is not None and self.facts.allocation is not None
        if row is not None and alive and self._is_pinned(row):
            return self.slots.node_of(pod), ""
        said = self._standing.sentence()
        return None, said or f"is {self.state.value.lower()} in slurm-bridge"

    def _is_pinned(self, pod: Pod) -> bool:
        """Under the gang's job; or under way to that and, though last seen gated, asked for.

        kube-scheduler hears of the patch when the API server does, and may ask before its answer
        has come to us. Told to wait then, it would try that pod again only after a second.
        """
        if pod.job_id is None:
            return pod.uid in self._pinning and pod.gated_by_us
        return pod.job_id == self.job_id

    # -- changes of facts that several events share ----------------------------------------------

    @property
    def submitting(self) -> bool:
        """A submit is under way: its job may be in Slurm before we hear of it."""
        return self._submitting

    @property
    def waits_for_room(self) -> bool:
        """Slurm gave nodes, something on them is in the way."""
        return self._room is not None

    def _end_pods(
        self,
        pods: Iterable[Pod],
        reason: str,
        message: str,
        now_s: float,
        out: list[do.Instruction],
    ) -> None:
        ending = tuple(pod for pod in pods if not pod.deleting)
        for pod in ending:
            self.pods.tell(pod.uid, now_s)
        if ending:
            out.append(do.EndPods(ending, reason, message))

    def _give_back(self, pods: list[Pod], reason: str, why: str, out: list[do.Instruction]) -> None:
        """The job's nodes are of no use; the first of the pods is told."""
        for pod in pods[:1]:
            note = f"Slurm job {self.job_id} was given back: {why}"
            out.append(do.EmitEvent(pod, "Warning", reason, note))
        self._give_up_job(why, out)

    def _give_up_job(self, why: str, out: list[do.Instruction]) -> None:
        assert self.job_id is not None
        out.append(do.CancelJob(self.job_id, why))
        self._drop_job()

    def _drop_job(self) -> None:
        if self.job_id is None:
            return
        self.job_id = self.facts = self.spec = self._room = None
        self._cancel_at_s = self._empty_since_s = self._review_at_s = None
        self._placing = None
        self._pinning.clear()
        self._absent.reset()
        self._deadline.reset()
        self.generation += 1
        self._take_newest()
        self.slots = Slots.of_gang(self.gang)
        self._seat()

    def _back_off(self, now_s: float, delay_s: float | None = None) -> None:
        self._failures += 1
        self._retry_at_s = now_s + (delay_s if delay_s is not None else self._delay())
        self._wake_at(self._retry_at_s)

    def _delay(self) -> float:
        first, most = self._tuning.retry_first_s, self._tuning.retry_most_s
        return float(min(most, first * 2 ** min(self._failures, 16)))

    def _wake_at(self, at_s: float | None) -> None:
        """Not later than then; None: time alone changes nothing."""
        if at_s is not None:
            self._wakes.append(at_s)

    # -- for people and for tests ----------------------------------------------------------------

    def _turn(self, now_s: float, cause: ev.Event) -> None:
        state = self._state_now()
        if state is not self.state:
            self.state = state
            self.story.append(Step(now_s, state, type(cause).__name__))

    def _state_now(self) -> State:
        if not self.pods.hold:
            return State.DONE if self.job_id is None and not self._submitting else State.ENDING
        if self._submitting:
            return State.SUBMITTING
        if self.job_id is None:
            return State.KNOWN
        if self.facts is None or self.facts.allocation is None:
            return State.QUEUED
        if not self.slots.placed:
            return State.ALLOCATED
        return State.PLACING if self._waiting() else State.RUNNING

    def validate(self) -> None:
        """Assert what must hold between any two events (property tests call it)."""
        assert not (self._submitting and self.job_id is not None), "a second job under way"
        assert self.facts is None or self.facts.job_id == self.job_id, "facts of another job"
        seats = [self.slots.of(uid) for uid in self.pods.rows]
        taken = [seat for seat in seats if seat is not None]
        assert len(taken) == len(set(taken)), "two pods in one slot"
        assert self._pinning <= self.pods.rows.keys(), "pinning a pod that is gone"


def _slot_or(slot: int | None, last: int) -> int:
    return last if slot is None else slot
