"""The one in-memory truth: pods, their owners, nodes (`kube_state`), and what Slurm has.

One writer (the controller's loop), no I/O, no decisions. Everything here is rebuilt from the API
server after a restart. May import `gangs`, `placement` and `model`.
"""
