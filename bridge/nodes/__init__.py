"""Kubernetes nodes as Slurm nodes: registered, named by class, tainted, removed.

`plan` is pure (both sides' nodes → actions), `controller` performs the actions. Never imports
`admission`, `lifecycle` or `extender`.
"""
