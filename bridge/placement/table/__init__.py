"""All nodes and what their pods hold: one writer, and snapshots for everybody else.

`NodeTable` is the only writer; an update costs as much as what changed. A `Snapshot` never changes,
so any reader may keep it. The folder only stores values: it decides nothing about pods, and it
imports nothing else of `bridge.placement`.

    node_table     the writer: nodes and pods come, change and go
    snapshot       what readers see: `Layout`, `Capacity`, `Snapshot`
    columns        arrays that are published without a copy where possible
    shards         a mapping that is frozen for the price of what changes afterwards
    interning      equal values get one small number
    ledger         the same for values that many rows share and that come and go; answers are kept
    labels         the nodes' labels: narrow ones in sets, wide ones in columns
    taints         the nodes' taints in sets
    paths          where a node hangs in the fabric
    ports          the host ports that pods have taken
    placed_pods    who the pods on the nodes are, and whom they keep away
    namespaces     the labels of the namespaces
    unknown_nodes  pods that name a node which Kubernetes does not have
"""

from bridge.placement.table.node_table import NodeTable
from bridge.placement.table.snapshot import Snapshot

__all__ = ["NodeTable", "Snapshot"]
