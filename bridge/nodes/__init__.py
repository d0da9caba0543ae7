"""Kubernetes nodes as Slurm nodes: registered, named by class, tainted, removed.

`plan` is pure (both sides' nodes → actions), with one module for each thing that is planned
(`drains`, `reservations`, `marks`); `controller` has the actions performed and learns what Slurm's
nodes are like; `capacities`, pure, counts what they have; `survey`, pure, puts both sides
next to each other for people. Never imports `admission`, `lifecycle` or `extender`.
"""
