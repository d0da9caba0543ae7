"""What waits together, and what it asks of Slurm: pods and their owners → Gang → JobSpec.

Pure: no I/O, no clock. May import `bridge.model`; never `placement`, `kube`, `slurm`, which sit
beside it.
"""
