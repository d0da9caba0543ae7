"""Nodes: read, registered, changed, removed."""

from collections.abc import Sequence

from bridge.model.ids import SlurmNodeName
from bridge.slurm import answers
from bridge.slurm.answers import Operation
from bridge.slurm.calls.base import Calls, in_path
from bridge.slurm.errno import Kind
from bridge.slurm.errors import MalformedAnswer
from bridge.slurm.http import Request
from bridge.slurm.nodes import NodeDefinition, SlurmNode


class NodeCalls(Calls):
    """`/nodes/`, `/node/{name}`, `/new/node/`."""

    async def list_nodes(self, *, raw: bool = False) -> tuple[SlurmNode, ...]:
        """All nodes; with `raw`, each with all that Slurm sent (2 KB a node)."""
        operation = Operation("listing nodes")
        answer, wire = await self._session.ask(operation, lambda _: Request("GET", "/nodes/"))
        return answers.read(answer, operation, lambda body: wire.nodes(body, raw=raw))

    async def get_node(self, name: SlurmNodeName) -> SlurmNode:
        """One node, with `raw`. Raises NotFound."""
        operation = Operation(f"reading node {name}", about="node")
        answer, wire = await self._session.ask(
            operation, lambda _: Request("GET", f"/node/{in_path(name, 'node')}")
        )
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
        await self._session.ask(
            operation, lambda _: Request("DELETE", f"/node/{in_path(name, 'node')}")
        )

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
                f"/node/{in_path(name, 'node')}",
                wire.node_changes(
                    features=features,
                    active_features=active_features,
                    state=state,
                    reason=reason,
                    comment=comment,
                    weight=weight,
                    topology=topology,
                ),
            ),
        )


def _path(name: str) -> str:
    return f"/node/{in_path(name, 'node')}"
