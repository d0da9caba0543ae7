"""What of Slurm and Kubernetes would break the bridge, or costs something: pure checks.

`cli.preflight` reads both sides once and shows what the checks find. A check that can't see what it
would have to look at says so.
"""
