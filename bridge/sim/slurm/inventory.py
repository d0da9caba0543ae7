"""How nodes come, change and go, and how they are reserved."""

from dataclasses import replace

from bridge.sim.slurm import het, nodeconf, reservations
from bridge.sim.slurm.errors import NODE_EXISTS, NODES_BUSY, Refused
from bridge.sim.slurm.nodes import Node
from bridge.sim.slurm.running import Running
from bridge.sim.slurm.script import Exit


class Inventory(Running):
    """Nodes and reservations."""

    def add_nodes(self, line: str, now: float) -> list[Node]:
        """Register the nodes of a `NodeName=…` line. Raises Refused."""
        self.advance(now)
        confs = nodeconf.parse(line, gres_types=self.behaviour.gres_types)
        if any(self.table.get(conf.name) for conf in confs):
            raise Refused(NODE_EXISTS)
        added = []
        for conf in confs:
            leaf = self.tree.place(conf.topology) if self.tree else -1
            if leaf >= 0 and self.tree:
                self.tree.switches[leaf].nodes += 1
            added.append(self.table.add(conf, leaf, now))
        self._stir(now)
        return added

    def remove_node(self, name: str, now: float) -> None:
        """Raises Refused: 2018 unknown, 2016 while jobs are on it or a reservation has it."""
        self.advance(now)
        node = self.node(name)
        if node.jobs or self.reservations.on(name):
            raise Refused(NODES_BUSY)
        if self.tree and node.leaf >= 0:
            self.tree.switches[node.leaf].nodes -= 1
        self.table.remove(node)
        self._stir(now)

    def move_node(self, node: Node, topology: str) -> None:
        """Hang a node elsewhere into the tree. Raises Refused (2178)."""
        if self.tree:
            leaf = self.tree.place(topology)
            for index, sign in ((node.leaf, -1), (leaf, 1)):
                if index >= 0:
                    self.tree.switches[index].nodes += sign
            node.leaf = leaf
        node.topology = topology

    def node_changed(self, now: float) -> None:
        """A node's record was changed by its caller (`node_update`)."""
        self.table.changed()
        self._stir(now)

    def node_down(self, node: Node, now: float) -> None:
        """A node goes DOWN: its jobs end NODE_FAIL."""
        node.down = True
        for job_id in list(node.jobs):
            for job in het.components(self.jobs, self.jobs[job_id]):
                if job.running:
                    job.exit = Exit(signal=1)
                    self._end(job, "NODE_FAIL", now, reason="NodeDown")
        self.node_changed(now)

    # Reservations

    def reserve(self, reservation: reservations.Reservation, now: float) -> None:
        """Keep a reservation that may be, until it ends."""
        self.reservations.put(reservation)
        for when in (reservation.start_s, reservation.end_s):
            if when > now:
                self._at(when, self._turn)
        self._turn(now)

    def unreserve(self, name: str, now: float) -> None:
        """Raises Refused: 2053 unknown, 2055 in use."""
        self.reservations.remove(name, [*self._waiting.values(), *self._running.values()])
        self._stir(now)

    def _turn(self, now: float) -> None:
        """A reservation begins or ends: its jobs end with it, those that still wait are held."""
        for name in self.reservations.turn(now):
            jobs = [*self._running.values(), *self._waiting.values()]
            for job in [job for job in jobs if job.request.reservation == name]:
                job.request = replace(job.request, reservation="")
                if job.running:
                    self._end(job, "TIMEOUT", now, reason="TimeLimit")
                else:
                    job.held, job.priority = True, 0
                    job.reason = "ReservationDeleted"
                    job.description = f"Reservation {name} was deleted"
        self._queue.changed()
        self._stir(now)
