"""How long a gang waits for what. All times are in seconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Notices:
    """When the authors of pods are told something."""

    condition_interval_s: float = 10.0
    """Between two writes of one pod's condition, whatever they say."""
    first_condition_s: float = 0.5
    """A job that starts within this time gets no `waits` condition at all."""
    idle_nodes_s: float = 30.0
    """How long nodes that a gang needs no more are held before that is told."""
    warn_s: float = 600.0
    """How long before its time limit a gang is warned."""
    end_margin_s: float = 2.0
    """Beside the pods' grace, the time before the limit at which they are told to end."""


@dataclass(frozen=True, slots=True)
class Retries:
    """When something is tried or asked for again."""

    first_s: float = 0.5
    """Before the first retry of what failed; each further failure in a row doubles it."""
    most_s: float = 60.0
    """The longest such wait: in the end, one submit a minute."""
    refused_s: float = 15.0
    """The least time between two submits of what Slurm refused, while nothing is known to have
    changed."""
    room_s: float = 1.0
    """Between two looks at nodes that pods which are ending still use."""
    stranded_s: float = 15.0
    """Between two updates of a job that Slurm has set aside because no node can take it."""
    judged_s: float = 2.0
    """A Job that says what a disruption means has that long to judge its pods, before the pods of
    the gang's other Jobs end."""
    end_again_s: float = 30.0
    """Before a pod or a job that was told to end is told again."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long something is waited for before the gang goes another way."""

    room_s: float = 300.0
    """Nodes of the job that pods which are ending still use."""
    avoid_s: float = 300.0
    """An owner's jobs leave out a node whose grant was of no use, at most so long."""
    stuck_pin_s: float = 30.0
    """kube-scheduler finds no way onto the node of a pinned pod (a volume that is just being made,
    a pod that ends there)."""
    claims_s: float = 10.0
    """A claim is away (made anew, changed) while a job waits or holds its nodes for its pods."""
    members_s: float = 600.0
    """Members do not come while the gang holds its nodes; it stays away as long after that."""
    replacement_s: float = 300.0
    """A gang keeps its nodes with no pod on them, while its owner may replace the pods."""
    unknown_owner_s: float = 20.0
    """The same where the owner can't be read: nothing would tell that the owner is gone."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """All of them."""

    notices: Notices = Notices()
    retries: Retries = Retries()
    patience: Patience = Patience()
