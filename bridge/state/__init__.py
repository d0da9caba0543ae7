"""The one in-memory truth: pods, owners and nodes (`kube_state`), and Slurm's nodes and partitions.

One writer (the controller's loop), no I/O, no decisions. Everything here is rebuilt from the API
server after a restart. May import `gangs`, `placement` and `model`.
"""
