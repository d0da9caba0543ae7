"""What each manifest of tests/manifests has to become in Slurm: the table of test_kinds.

The rules behind it: a gang is one Slurm job with a task for each pod. A JobSet is one gang, or one
for each replicated job where their starts are ordered; a LeaderWorkerSet's group is one, a PodGroup
is one of the pods that must start together, a training job of several roles is one. Small roles
ride along in the tasks of the large one. Where a controller places pod after pod itself (exclusive
topology), and in every other kind, each pod is a job of its own.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.arena.api import Object
from tests.arena.arena import NAMESPACE, Arena, Nodes
from tests.flows import changes
from tests.flows.holdings import Held, as_seen, held


@dataclass(frozen=True)
class Story:
    """A manifest, who makes its pods, and what they hold once all of them run."""

    manifest: str
    owner: str
    """Its name: the Slurm jobs' names begin with it."""
    jobs: tuple[Held, ...]
    pods: int = 0
    """That run; 0: as many as the jobs have tasks."""
    controllers: tuple[str, ...] = ()
    """Played, on both stacks."""
    lacking: tuple[str, ...] = ()
    """Played on the embedded stack only, which has none."""
    nodes: Nodes = field(default_factory=lambda: Nodes(count=4))
    first: Callable[[Arena], None] | None = None
    """What the user does before any pod runs."""
    then: Callable[[Arena], None] | None = None
    """What happens when all run; afterwards the same holds again, or `jobs_then`."""
    jobs_then: tuple[Held, ...] | None = None
    ever: int | None = None
    """How many jobs Slurm ever gets for it; None: those of the end."""
    may_submit_again: bool = False
    """Restarts may go on in the allocation or queue anew; a grant in a domain that is somebody
    else's by then is given back. Then `ever` is not looked at."""
    seconds: float = 30.0

    @property
    def submitted(self) -> int:
        """`ever`, counted."""
        return len(self.jobs_then or self.jobs) if self.ever is None else self.ever

    @property
    def running(self) -> int:
        """How many pods run."""
        return self.pods or sum(job.tasks for job in self.jobs)


def differences(story: Story, wanted: tuple[Held, ...], jobs: list[Object]) -> str:
    """What is not as it has to be; "" when all is."""
    found = Counter(as_seen(job) for job in jobs)
    if found != Counter(wanted):
        return f"Slurm has {dict(found)}, wanted are {dict(Counter(wanted))}"
    odd = [job["name"] for job in jobs if not _is_named(story, job["name"])]
    return f"jobs called {odd}" if odd else ""


def _is_named(story: Story, name: str) -> bool:
    return name.startswith((f"{NAMESPACE}/{story.owner}", story.owner))


RESEARCH: dict[str, Any] = {"account": "research"}
_LEAVES = Nodes(count=4, per_leaf=2)
_ZONES = Nodes(count=4, zones=("us-west-2a", "us-west-2b"))

STORIES = (
    Story(
        "pod",
        "notebook",
        (held(1, 3, 3, 1, minutes=90, **RESEARCH),),
    ),
    Story("job", "render", (held(1, 2, 4, 1, **RESEARCH),) * 2),
    Story("job-gang", "train", (held(3, 8, 32, 8, **RESEARCH),)),
    Story("job-gang-annotation", "tied", (held(2, 2, 4, 1),)),
    Story("job-counts-left-out", "once", (held(1, 2, 4, 1),)),
    Story("job-work-queue", "queue", (held(1, 2, 4, 1),) * 2),
    Story("job-managed-by", "lent", (held(1, 2, 4, 1),) * 2, controllers=("foreman",)),
    Story("job-waves", "sweep", (held(1, 2, 4, 1),) * 2),
    Story("job-suspended", "later", (held(1, 2, 4, 1),) * 2, first=changes.resume_job("later")),
    Story("job-deadline", "brief", (held(1, 2, 4, 1, minutes=60),)),
    Story("job-failure-policy", "picky", (held(1, 2, 4, 1),) * 2),
    Story("job-per-index", "folds", (held(1, 2, 4, 1),) * 3),
    Story("job-success-policy", "search", (held(1, 2, 4, 1),) * 3),
    Story(
        "job-elastic",
        "elastic",
        (held(1, 2, 4, 1),) * 2,
        then=changes.grow_job("elastic", 3),
        jobs_then=(held(1, 2, 4, 1),) * 3,
    ),
    Story("cronjob", "nightly", (held(1, 2, 4, **RESEARCH),), lacking=("cronjob",), seconds=90.0),
    Story(
        "deployment",
        "serve",
        (held(1, 4, 16, 2, **RESEARCH),) * 3,
        then=changes.roll_out("serve"),
        ever=6,
    ),
    Story("replicaset", "crowd", (held(1, 4, 16, 2, **RESEARCH),) * 3),
    Story("deployment-apart", "quorum", (held(1, 2, 8),) * 3, may_submit_again=True),
    Story("deployment-spread", "front", (held(1, 2, 8),) * 4, may_submit_again=True),
    Story("job-gang-spread", "mirrored", (held(4, 8, 32, 1),), nodes=_ZONES),
    Story("job-gang-together", "near", (held(4, 8, 32, 4),), nodes=_ZONES),
    Story("job-host-port", "proxies", (held(1, 2, 8),) * 3, may_submit_again=True),
    Story("statefulset", "store", (held(1, 2, 8),) * 3),
    Story("statefulset-gang", "quorum", (held(3, 2, 8),)),
    Story("jobset", "pair", (held(5, 8, 32, 1, **RESEARCH),), controllers=("jobset",)),
    Story(
        "jobset-depends-on",
        "staged",
        (held(1, 2, 8), held(4, 8, 32, 1)),
        controllers=("jobset",),
    ),
    Story(
        "jobset-in-order",
        "ordered",
        (held(1, 2, 8), held(3, 8, 32, 1)),
        controllers=("jobset",),
    ),
    Story(
        "jobset-exclusive",
        "leaves",
        (held(1, 8, 32, 8),) * 4,
        seconds=100,  # kube-scheduler may have to say once that a leaf is taken
        controllers=("jobset",),
        nodes=_LEAVES,
        may_submit_again=True,
    ),
    Story(
        "jobset-coordinator",
        "led",
        (held(3, 16, 64, 4),),
        pods=4,
        controllers=("jobset",),
    ),
    Story(
        "jobset-restart",
        "again",
        (held(4, 8, 32, 1),),
        controllers=("jobset",),
        then=changes.fail_one_and_see_all_replaced(4),
        may_submit_again=True,
    ),
    Story("jobset-failure-rules", "spot", (held(3, 8, 32, 1),), controllers=("jobset",)),
    Story("lws", "llm", (held(3, 8, 32, 4, **RESEARCH),) * 2, controllers=("leaderworkerset",)),
    Story(
        "lws-leader-ready", "patient", (held(3, 8, 32, 4),) * 2, controllers=("leaderworkerset",)
    ),
    Story(
        "lws-exclusive",
        "apart",
        (held(2, 8, 32, 8),) * 2,
        controllers=("leaderworkerset",),
        nodes=_LEAVES,
        may_submit_again=True,
    ),
    Story(
        "lws-restart",
        "brittle",
        (held(3, 8, 32, 4),),
        controllers=("leaderworkerset",),
        then=changes.restart_group("brittle", "brittle-0-1", 3),
        may_submit_again=True,
    ),
    Story("podgroup", "fit", (held(3, 8, 32, 4, **RESEARCH), held(1, 8, 32, 4, **RESEARCH))),
    Story(
        "podgroup-scheduler-plugins",
        "old",
        (held(3, 8, 32, 4, **RESEARCH), held(1, 8, 32, 4, **RESEARCH)),
    ),
    Story("mpijob", "cfd", (held(2, 16, 64, 8, **RESEARCH),), pods=3, controllers=("mpijob",)),
    Story(
        "mpijob-bare-launcher",
        "bare",
        (held(2, 2, 1, 8),),
        pods=3,
        controllers=("mpijob",),
        nodes=Nodes(count=2),
    ),
    Story("pytorchjob", "bert", (held(4, 8, 32, 4, **RESEARCH),), controllers=("pytorchjob",)),
    Story("pytorchjob-elastic", "stretchy", (held(1, 8, 32, 4),) * 3, controllers=("pytorchjob",)),
    Story(
        "trainjob",
        "finetune",
        (held(3, 8, 32, 8, **RESEARCH),),
        controllers=("trainjob", "jobset"),
        ever=2,
    ),
    Story(
        "raycluster",
        "ray",
        (held(1, 4, 16), *(held(1, 8, 32, 4),) * 2),
        controllers=("raycluster",),
    ),
    Story(
        "rayjob",
        "tune",
        (held(1, 1, 1), held(1, 4, 16), *(held(1, 8, 32, 4),) * 2),
        controllers=("rayjob", "raycluster"),
    ),
    Story("simulation", "weather", (held(1, 8, 32, 4),) * 2, controllers=("simulation",)),
    Story("simulation-gang", "climate", (held(2, 8, 32, 4),), controllers=("simulation",)),
)
