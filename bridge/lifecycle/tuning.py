"""How long a gang waits for what."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tuning:
    """Times that the machine waits, in seconds."""

    condition_interval_s: float = 10.0
    """Between two writes of one pod's condition, whatever they say."""
    first_condition_s: float = 0.5
    """A job that starts within this time gets no `waits` condition at all."""
    retry_first_s: float = 0.5
    """Before the first retry of what failed; each further failure doubles it."""
    retry_most_s: float = 30.0
    refused_retry_s: float = 15.0
    """Between two submits of what Slurm refused: its cause (a partition, a node) may change."""
    room_retry_s: float = 1.0
    room_s: float = 300.0
    """How long a gang holds nodes that pods which are ending still keep from it."""
    avoid_s: float = 300.0
    """How long an owner's jobs leave out a node whose grant was of no use."""
    stranded_s: float = 15.0
    """Between two updates of a job that Slurm has set aside because no node can take it."""
    unplaceable_s: float = 30.0
    """How long kube-scheduler may find no way onto the node of a pinned pod (a volume that is
    just being made, a pod that ends there) before the place counts as lost."""
    volumes_s: float = 10.0
    """How long a claim may be away (made anew, changed) before a job that waits or holds its nodes
    for its pods is given up."""
    members_s: float = 600.0
    """How long a gang holds its nodes for members that do not come, and stays away after that."""
    warn_s: float = 600.0
    """How long before its time limit a gang is warned."""
    end_margin_s: float = 2.0
    """Beside the pods' grace, the time before the limit at which they are told to end."""
    idle_nodes_s: float = 30.0
    """How long nodes that a gang needs no more are held before that is told."""
    replacement_s: float = 300.0
    """How long a gang keeps its nodes with no pod on them, while its owner may replace them."""
    unknown_s: float = 20.0
    """The same where the owner can't be read: nothing would tell that it is gone."""
    end_again_s: float = 30.0
