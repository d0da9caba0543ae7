"""The demo's run: a cluster, what people submit to it, and somebody who watches.

Problem: a demo that reports what the bridge believes would show a broken bridge in good light. So
everything that is shown or judged here comes from an observer that reads the API server and
slurmrestd over HTTP, as an outsider would; nothing in this package knows the bridge.

    scenario   what is submitted, and when (pure)
    cluster    the embedded Kubernetes and Slurm
    service    one HTTP service, asked for JSON
    observer   both sides, read at one moment
    snapshot   what was read, as rows (pure)
    timeline   what became of each workload, from one snapshot after the other (pure)
    checks     whether all was right at every snapshot (pure)
    demo_run   submits, looks, shows, until all is done or something is wrong
    fabric, picture, summary, lines
               how it looks: the nodes, the live view, the table at the end, lines for a pipe (pure)

May import: `bridge.names`, `bridge.errors`, `bridge.clock`, `bridge.sim.kube`, `bridge.sim.slurm`.
`bridge.cli.demo` puts a bridge between the two sides.
"""
