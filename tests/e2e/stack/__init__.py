"""The real stack: a stock Kubernetes control plane, kwok's kubelets and a Slurm cluster, as
processes of this machine, with nothing of the bridge in it.

What only the real parts can prove (that the API server takes a patch, that slurmctld grants what
was asked) is proven here; everything else is cheaper on the in-memory stack. Nothing here imports
the bridge, so that a bridge that is broken can't break the ground it is tested on.

`python -m tests.e2e.stack --help` is the same by hand.
"""

from tests.e2e.stack.errors import StackError
from tests.e2e.stack.layout import Settings
from tests.e2e.stack.nodes import Pool
from tests.e2e.stack.stack import Stack

__all__ = ["Stack", "Settings", "Pool", "StackError"]
