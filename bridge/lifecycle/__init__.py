"""The gang's life, from its first pod to the end of its Slurm job.

`machine` is pure (event in, instructions out) and holds every decision; `runner` performs the
instructions and feeds what came of them back as events; `recovery` finds after a start which
Slurm job belongs to which gang. May import `state` and what lies below; never `admission`,
`extender` or `nodes`.
"""
