"""Nodes: read, registered, changed, removed."""

from collections.abc import Sequence

from bridge.model.ids import SlurmNodeName
from bridge.slurm import answers, node_names
from bridge.slurm.answers import Operation
from bridge.slurm.calls.base import Calls, in_path
from bridge.slurm.errno import Kind
from bridge.slurm.errors import MalformedAnswer
from bridge.slurm.http import Answer, Request
from bridge.slurm.nodes import NodeDefinition, NodeListing, SlurmNode

_NOT_MODIFIED = 304


class NodeCalls(Calls):
    """`/nodes/`, `/node/{name}`, `/new/node/`.

    Calls about one node raise BadInput for a name that Slurm takes for another or for every node.
    What they can't know: by the name of a NodeSet a DELETE or an update reaches all of its nodes.
    """

    async def list_nodes(self, *, raw: bool = False) -> tuple[SlurmNode, ...]:
        """All nodes; with `raw`, each with all that Slurm sent (2 KB a node)."""
        operation = Operation("listing nodes")
        answer, wire = await self._session.ask(operation, lambda _: Request("GET", "/nodes/"))
        return answers.read(answer, operation, lambda body: wire.nodes(body, raw=raw))

    async def list_nodes_since(self, at_s: int) -> NodeListing | None:
        """All nodes; None where nothing of them has changed since the listing of `at_s`, which
        costs Slurm and us next to nothing. 0 lists them in any case.

        Slurm counts in seconds, and lists nodes again that changed in the second of the listing.
        """
        operation = Operation("listing nodes")
        path = f"/nodes/?update_time={at_s}" if at_s else "/nodes/"

        def judge(answer: Answer) -> None:
            if answer.status != _NOT_MODIFIED:
                answers.check(answer, operation)

        answer, wire = await self._session.call(
            operation, lambda _: Request("GET", path), judge=judge
        )
        if answer.status == _NOT_MODIFIED:
            return None
        return answers.read(answer, operation, wire.node_listing)

    async def get_node(self, name: SlurmNodeName) -> SlurmNode:
        """One node, with `raw`. Raises NotFound."""
        operation = Operation(f"reading node {name}", about="node")
        answer, wire = await self._session.ask(operation, lambda _: Request("GET", _path(name)))
        nodes = answers.read(answer, operation, lambda body: wire.nodes(body, raw=True))
        for node in nodes:
            if node.name == name:
                return node
        raise MalformedAnswer(f"{operation.tried}: {answer.url} told of other nodes only")

    async def create_node(self, node: NodeDefinition) -> None:
        """Register an external node. Raises AlreadyExists, InvalidRequest, BadInput."""
        operation = Operation(f"registering node {node.name}", safe=False, unspecified=Kind.INVALID)
        await self._session.ask(
            operation, lambda wire: Request("POST", "/new/node/", wire.new_node(node))
        )

    async def delete_node(self, name: SlurmNodeName) -> None:
        """Remove a node. Raises InUse while it has jobs, NotFound."""
        operation = Operation(f"deleting node {name}", about="node")
        await self._session.ask(operation, lambda _: Request("DELETE", _path(name)))

    async def update_node(
        self,
        name: SlurmNodeName,
        *,
        features: Sequence[str] | None = None,
        active_features: Sequence[str] | None = None,
        state: str | None = None,
        reason: str | None = None,
        comment: str | None = None,
        weight: int | None = None,
        topology: str | None = None,
        address: str | None = None,
    ) -> None:
        """Change a live node; None is left alone. CPUs, memory and GRES can't be changed.

        `active_features`: those of the features that are active, all if it is None.
        `state`: DRAIN and DOWN want a reason; UNDRAIN ends a drain, RESUME a DOWN.
        """
        operation = Operation(f"updating node {name}", about="node")
        await self._session.ask(
            operation,
            lambda wire: Request(
                "POST",
                _path(name),
                wire.node_changes(
                    features=features,
                    active_features=active_features,
                    state=state,
                    reason=reason,
                    comment=comment,
                    weight=weight,
                    topology=topology,
                    address=address,
                ),
            ),
        )


def _path(name: str) -> str:
    path = f"/node/{in_path(name, 'node')}"
    node_names.check_meaning(name)
    return path
