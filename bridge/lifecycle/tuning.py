"""How long a gang waits for what. All times are in seconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Notices:
    """The times of messages to the authors of pods."""

    condition_interval_s: float = 10.0
    """The least time between two writes of one pod's condition, whatever they say."""
    first_condition_s: float = 0.5
    """A job that starts within this time gets no `waits` condition at all."""
    idle_nodes_s: float = 30.0
    """How long nodes that a gang no longer needs are held before an event says so."""
    warn_s: float = 600.0
    """How long before its time limit a gang is warned."""
    end_margin_s: float = 2.0
    """How long before the limit, in addition to their grace period, pods are told to end."""


@dataclass(frozen=True, slots=True)
class Retries:
    """The times between tries."""

    first_s: float = 0.5
    """The wait before the first retry; each further failure in a row doubles it."""
    most_s: float = 60.0
    """The longest such wait: in the end, one submit a minute."""
    refused_s: float = 15.0
    """The least time between two submits of what Slurm refused, while nothing is known to have
    changed."""
    room_s: float = 1.0
    """The time between two checks of nodes that are still used by pods which are ending."""
    stranded_s: float = 15.0
    """Between two updates of a job that Slurm has set aside because no node can take it."""
    judged_s: float = 2.0
    """A Job that says what a disruption means has that long to judge its pods, before the pods of
    the gang's other Jobs end."""
    settled_s: float = 5.0
    """For so long the idle nodes of a gang stay the same before its job gives them back."""
    end_again_s: float = 30.0
    """The time before a pod or a job that was told to end is told again."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long something is waited for before the gang goes another way."""

    room_s: float = 300.0
    """How long to wait for nodes of the job that are still used by pods which are ending."""
    avoid_s: float = 300.0
    """The longest time for which an owner's jobs leave out a node whose grant was of no use."""
    stuck_pin_s: float = 30.0
    """How long kube-scheduler may find no way onto the node of a pinned pod (a volume is just being
    made, a pod there is ending)."""
    claims_s: float = 10.0
    """How long a claim may be away (created again, changed) while a job waits or holds nodes."""
    unscheduled_s: float = 25.0
    """How long a deleted pod without a node may stay: Kubernetes' garbage collector looks for such
    pods every 20 s."""
    members_s: float = 600.0
    """How long members may be missing while the gang holds its nodes; after that the gang waits as
    long before it queues again."""
    replacement_s: float = 300.0
    """How long a gang keeps its nodes without a pod, while its owner may replace the pods."""
    unknown_owner_s: float = 20.0
    """As `replacement_s`, if the owner can't be read: then the owner's end is not noticed."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """All times."""

    notices: Notices = Notices()
    retries: Retries = Retries()
    patience: Patience = Patience()
