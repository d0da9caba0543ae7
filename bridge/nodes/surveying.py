"""Reads Slurm for a `survey` of both sides' nodes."""

from bridge import slurm
from bridge.nodes import definition, places
from bridge.nodes.controller import gres_names, reservations
from bridge.nodes.survey import Row, survey
from bridge.state.kube_state import KubeState


async def rows(
    client: slurm.SlurmClient,
    *,
    cluster: KubeState,
    rules: definition.Rules,
    scheduler_name: str,
    now_s: float,
) -> list[Row]:
    """The nodes of Kubernetes, as `cluster` knows them, beside those of Slurm, as they are now.
    Raises SlurmError."""
    return survey(
        cluster=cluster,
        slurm_nodes={node.name: node for node in await client.list_nodes()},
        rules=rules,
        scheduler_name=scheduler_name,
        gres_names=await gres_names(client),
        reserved=await reservations(client),
        now_s=now_s,
        topologies=places.of_partitions(await client.list_partitions()),
    )
