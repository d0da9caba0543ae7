"""What a gang asks of Slurm: a gang → its Slurm job.

`builder` makes the job, of one component or several (`tasks`); `jobspec` translates one component
field by field, with a module for each field that has rules of its own: `constraints`, `gres`,
`memory`, `dependencies` (by `workload_status`), `identity` (within a namespace's `allowance`),
`jobtexts`. `node_constraints` says on which nodes it may run, `full_nodes` which of them are full
now, `shortage` why no nodes of Slurm can ever take it (by its `needs` and the `usable_nodes`); all
three keep their `answers`. `to_slurm` is the only place where a job becomes a request to Slurm, and
Slurm's job becomes facts for the gang.

Pure: no I/O, no clock. May import `state` and what lies below; never `lifecycle` or `controller`.
"""
