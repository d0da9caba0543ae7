"""Where the stories of tests/flows happen: a Kubernetes, a Slurm, a bridge between them.

A story is written once and runs on two stacks: the embedded one (`make test`) and the real one
(`make e2e`, `--stack=real`). It sees both only through what a user sees: the API server and
slurmrestd, read by clients of the tests' own, never by the bridge's.
"""
