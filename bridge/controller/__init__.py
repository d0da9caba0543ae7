"""Drives the gangs: performs their machines' instructions, and hands the results to the machines.

An event reaches a gang in one of these ways, and `gang_loop` hands it to the gang's machine:
- The cluster changed: `cluster_changes` gives the gang its turn (`turns`), in which `reconciler`
  tells its machine of its pods and owner.
- Slurm told of a job: `job_index` knows whose it is (`job_claims`, `het_jobs`).
- Time passed: `timers`.
- A request was answered: `job_submitter`, `job_updater`, `job_canceller`, `pod_writer`, which work
  in a `pool`.

The machine's instructions go to `performer`, which knows whose work each is: those above, `placer`,
`gang_jobs` (the job that the gang should have by now) and `pod_events`.

`recovery` finds the jobs of gangs after a start, `job_sweep` those that got lost later;
`start_gate` holds gangs back until their jobs are known, `held_pods` and `start_notice` tell their
pods so.
`fault_handler` sets aside a gang that the bridge itself fails at (`faults`). `placements` answers
the extender.
`parts` and `controller` build all of them.

May import `lifecycle`, `jobs`, `state` and what lies below; never `admission`, `extender` or
`nodes`.
"""

from bridge.controller.controller import GangController
from bridge.controller.parts import GangRules, Outages, Surroundings

__all__ = ["GangController", "GangRules", "Outages", "Surroundings"]
