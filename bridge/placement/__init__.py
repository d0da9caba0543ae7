"""Where pods may run, where best, and which pod on which granted node. Pure numpy.

The package may import `bridge.model`, `bridge.names` and `bridge.errors`. It has no I/O, no
asyncio, no clock and no log. Its folders are layers, which import-linter holds: each line may
import the lines below it.

    fit       which slot of a gang runs on which of the nodes that Slurm granted
    score     which of several nodes is best
    filters   which nodes can take a shape, ever or now, and why the others can't
    topology  the fabric's tree: the order of nodes and the distance between them
    table     all nodes and what their pods hold: one writer, and snapshots that never change
"""
