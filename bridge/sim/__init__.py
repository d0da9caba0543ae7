"""The embedded stack: a Kubernetes and a Slurm without containers, for demo, tests and what-if.

May import: model, names, errors, clock. Only `cli` and tests import it: nothing of the bridge
itself may know that it talks to a stand-in.
"""
