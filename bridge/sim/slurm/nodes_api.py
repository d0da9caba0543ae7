"""The endpoints about nodes and partitions."""

from bridge.sim.slurm import changes
from bridge.sim.slurm.answers import Answer, Call, Envelope
from bridge.sim.slurm.cluster import Cluster
from bridge.sim.slurm.errors import DATA_PATH, NO_ERROR, Refused
from bridge.sim.slurm.show_node import Usage, show_node, show_partition, usage
from bridge.sim.slurm.wire import Complaints, read_names, time_of


class NodesApi:
    """`/nodes/`, `/node/{name}`, `/new/node/`, `/partitions/`, `/partition/{name}`."""

    def __init__(self, cluster: Cluster, envelope: Envelope) -> None:
        self._cluster = cluster
        self._envelope = envelope
        self._usage: dict[str, Usage] = {}
        """By node, as of the last reading of all nodes."""
        self._seen: tuple[object, ...] = ()
        self._changed_s = 0
        """When the nodes were first seen as they are."""

    def everything(self, call: Call) -> Answer:
        """All nodes; renews the picture of their usage. With `update_time`, 304 where nothing has
        changed since the second before it."""
        table, now_seen = self._cluster.table, self._now_seen()
        if now_seen != self._seen:
            self._seen, self._changed_s = now_seen, int(call.now)
        if self._changed_s <= int(call.query.get("update_time") or 0) - 1:
            return Answer(304, "")
        self._usage = {node.name: usage(node) for node in table}
        shown = [show_node(node, self._cluster, self._usage[node.name]) for node in table]
        return self._envelope.answer({"nodes": shown, "last_update": time_of(call.now)})

    def _now_seen(self) -> tuple[object, ...]:
        table = self._cluster.table
        reserved = [(one.name, one.nodes, one.begun) for one in self._cluster.reservations]
        return table.version, table.usage_version, reserved

    def get(self, call: Call) -> Answer:
        """One node; 200 with error 0 for one that isn't there."""
        node = self._cluster.table.get(call.argument)
        if node is None:
            about = f"Failure to query node {call.argument}"
            return self._envelope.refused(NO_ERROR, about, "_dump_nodes")
        shown = show_node(node, self._cluster, self._usage.get(node.name, Usage()))
        return self._envelope.answer({"nodes": [shown], "last_update": time_of(call.now)})

    def create(self, call: Call) -> Answer:
        """Register nodes."""
        line = call.body.get("node_conf") if isinstance(call.body, dict) else None
        if line is None:
            about = "Missing required field 'node_conf' in dictionary"
            return self._envelope.refused(DATA_PATH, about, "#/node_conf/")
        try:
            for node in self._cluster.add_nodes(str(line), call.now):
                self._usage.pop(node.name, None)
        except Refused as refused:
            return self._envelope.refused(refused.number, "Failure to create node", "_create_node")
        return self._envelope.answer({})

    def update(self, call: Call) -> Answer:
        """Change one node."""
        return self._change(call, [call.argument], "_update_node")

    def update_several(self, call: Call) -> Answer:
        """Change the nodes named in the body, all or none."""
        body = call.body if isinstance(call.body, dict) else {}
        return self._change(
            call, read_names(body, "name", Complaints(), "#/") or [], "_update_nodes"
        )

    def _change(self, call: Call, names: list[str], source: str) -> Answer:
        if not isinstance(call.body, dict):
            return self._envelope.no_dictionary()
        complaints = Complaints()
        try:
            changes.update_nodes(self._cluster, names, call.body, complaints, call.now)
        except Refused as refused:
            about = f"Failure to update node {','.join(names)}"
            return self._envelope.refused(refused.number, about, source, complaints=complaints)
        return self._envelope.answer({}, complaints)

    def delete(self, call: Call) -> Answer:
        """Remove a node on which nothing runs. It is no change of the nodes for who asks whether
        there was any."""
        is_known = self._now_seen() == self._seen
        try:
            self._cluster.remove_node(call.argument, call.now)
        except Refused as refused:
            about = f"Failure to delete node {call.argument}"
            return self._envelope.refused(refused.number, about, "op_handler_node")
        self._usage.pop(call.argument, None)
        if is_known:
            self._seen = self._now_seen()
        return self._envelope.answer({})

    def partitions(self, call: Call) -> Answer:
        """All partitions."""
        return self._partitions(list(self._cluster.partitions), call.now)

    def partition(self, call: Call) -> Answer:
        """One partition; 200 with a warning for one that isn't there."""
        if call.argument not in self._cluster.partitions:
            complaints = Complaints()
            complaints.warn(f"Unable to find partition {call.argument}", "_partition_get")
            return self._envelope.answer({}, complaints)
        return self._partitions([call.argument], call.now)

    def _partitions(self, names: list[str], now: float) -> Answer:
        complaints = Complaints()
        complaints.warn(
            "Slurm accounting storage is disabled. Could not query the following: [TRES]."
        )
        cluster = self._cluster
        shown = [show_partition(cluster.partitions[name], cluster) for name in names]
        content = {"partitions": shown, "last_update": time_of(now)}
        return self._envelope.answer(content, complaints)
