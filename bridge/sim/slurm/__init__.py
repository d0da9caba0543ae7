"""A Slurm to try things on: slurmctld's decisions and slurmrestd's answers, in one process.

The core is pure: `cluster.Cluster` is told the time and changes only when asked; `rest.Rest` turns
requests into answers without sockets. `embedded.EmbeddedSlurm` serves that over HTTP. It answers
what the real daemons answered: tests/unit/sim/recordings/slurm, re-recorded by
`python -m tests.recording.slurm`.

    cluster     nodes, jobs, time; in layers: core, queueing, running, inventory
    scheduler, plan, place, select, fit   who starts where
    het, batch  jobs of other shapes      script, cores                         what runs, on what
    reserve, reservations, reserved       nodes that are kept                   licenses
    rest        requests and answers      embedded, faults                      over sockets
    dbd         slurmdbd: accounts, QOS, history; policy is how the cluster asks it
"""

from bridge.sim.slurm.behaviour import Behaviour
from bridge.sim.slurm.cluster import Cluster
from bridge.sim.slurm.core import Change
from bridge.sim.slurm.embedded import EmbeddedSlurm
from bridge.sim.slurm.partition import Partition
from bridge.sim.slurm.topology import Tree

__all__ = ["EmbeddedSlurm", "Cluster", "Behaviour", "Change", "Partition", "Tree"]
