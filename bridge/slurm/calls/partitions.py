"""Partitions, as an admin has configured them."""

from bridge.slurm.answers import Operation
from bridge.slurm.calls.base import Calls, in_path, the_only
from bridge.slurm.partitions import Partition


class PartitionCalls(Calls):
    """`/partitions/`, `/partition/{name}`."""

    async def list_partitions(self) -> tuple[Partition, ...]:
        """All partitions."""
        return await self._read(
            Operation("listing partitions", about="partition"),
            "/partitions/",
            lambda wire, answer: wire.partitions(answer),
        )

    async def get_partition(self, name: str) -> Partition:
        """One partition. Raises NotFound."""
        operation = Operation(f"reading partition {name}", about="partition")
        found = await self._read(
            operation,
            f"/partition/{in_path(name, 'partition')}",
            # One that isn't there is 200, a warning, and no list.
            lambda wire, answer: wire.partitions(answer) if "partitions" in answer else (),
        )
        return the_only(found, operation, "partition")
