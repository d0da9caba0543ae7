"""The predicates that keep a shape off a node, in the order in which they are checked.

They are kube-scheduler's own filters (NodeName, NodeAffinity, VolumeZone, TaintToleration,
NodeUnschedulable, NodeResourcesFit, NodePorts, InterPodAffinity, PodTopologySpread). The order is
the one that helps a user most: what a node is comes before the state that it is in, before what is
free on it, and before which pods are beside it.
"""

from enum import IntEnum

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int8]
"""Values of `Predicate`."""


class Predicate(IntEnum):
    """The predicate that a node fails first."""

    FITS = 0
    """The node fails none."""
    ABSENT = 1
    """Kubernetes has no such node (or no node has the row)."""
    DELETING = 2
    SELECTOR = 3
    """Node selector, required node affinity, or where a bound volume can be reached."""
    TAINT = 4
    """A taint that says what the node is."""
    CAPACITY = 5
    """Even without the pods that go again, the node could not take the shape."""
    CORDONED = 6
    NOT_READY = 7
    """It does not answer. Pods that tolerate it are kept away too: nobody would run them there."""
    UNHEALTHY = 8
    """One of its conditions or taints says that nothing new may start there. Pods that tolerate
    everything are kept away too."""
    STATE_TAINT = 9
    """A taint that comes and goes with the node's state."""
    FREE = 10
    """A resource is used up now."""
    PORTS = 11
    """A host port is taken now."""
    AFFINITY = 12
    """No pod that required pod affinity wants is in the node's domain."""
    ANTI_AFFINITY = 13
    """Required anti-affinity keeps the pod away: its own, or that of a pod in the node's domain."""
    SPREAD = 14
    """Topology spread (DoNotSchedule): there would be too many pods in the node's domain."""


PASSING = (Predicate.STATE_TAINT, Predicate.FREE, Predicate.PORTS)
"""The predicates that a node may pass later without anybody's help: waiting may be enough.

A node that does not answer may never do so again: it is not waited for.
"""

BESIDE = np.isin(list(Predicate), (Predicate.AFFINITY, Predicate.ANTI_AFFINITY, Predicate.SPREAD))
"""By code: pods that are beside it keep the pod off the node. They stay for as long as they like,
unless they are being deleted."""
