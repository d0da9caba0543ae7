"""What waits together: pods and their owners → Gang.

Pure: no I/O, no clock. May import `bridge.model`; never `lifecycle`, `placement`, `kube`, `slurm`,
which sit beside it. `languages`: what users write in annotations.
"""
