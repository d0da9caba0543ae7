"""`slurm-bridge nodes` and `slurm-bridge topology`: both sides' nodes for admins."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from bridge.cli import invocation as invocations
from bridge.cli.slurm import Json, with_client

if TYPE_CHECKING:
    from bridge.config import Settings
    from bridge.kube.api.decode import Page
    from bridge.nodes.survey import Row
    from bridge.slurm import SlurmClient, SlurmNode


T = TypeVar("T")


def nodes(
    context: typer.Context,
    different: Annotated[
        bool, typer.Option("--different", help="Only nodes about which something is to do.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List Kubernetes' and Slurm's nodes side by side, with what differs."""
    from bridge.cli import listing

    settings = invocations.of(context).load().settings
    rows = with_client(context, lambda client: _survey(settings, client))
    shown = [asdict(row) for row in rows if row.to_do or not different]
    listing.show(shown, noun="different node" if different else "node", as_json=as_json)


def topology(
    context: typer.Context,
    as_yaml: Annotated[
        bool, typer.Option("--yaml", help="As topology.yaml, for Slurm's configuration.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the switches that Slurm's nodes are on."""
    from bridge.cli import switches
    from bridge.nodes import places

    settings = invocations.of(context).load().settings
    found, topologies = with_client(context, _read_topologies)
    root = places.root(
        settings.nodes.topology, found, topologies=topologies, partition=settings.partition
    )
    said = f"new nodes join {root.path}" if root.path else "new nodes get no place by their labels"
    switches.show(found, as_yaml=as_yaml, as_json=as_json, joined=f"{said}: {root.why}")


def _read(page: "Page[T]") -> "Iterator[T]":
    """The rows of a list; what can't be read is told and left out."""
    from bridge.kube.api.decode import Refused

    for item in page.items:
        if isinstance(item, Refused):
            typer.echo(f"slurm-bridge: left out: {item.error}", err=True)
        else:
            yield item


async def _read_topologies(
    client: "SlurmClient",
) -> "tuple[tuple[SlurmNode, ...], dict[str, str]]":
    """Slurm's nodes, and the partitions with a topology of their own."""
    from bridge.nodes import places

    own = places.of_partitions(await client.list_partitions())
    return await client.list_nodes(), own


async def _survey(settings: "Settings", client: "SlurmClient") -> "list[Row]":
    """Reads both sides once. Raises BridgeError."""
    from bridge.app import rules
    from bridge.clock import SystemClock
    from bridge.kube.api.client import KubeClient
    from bridge.kube.objects import nodes as kube_nodes
    from bridge.kube.objects import pods as kube_pods
    from bridge.nodes import surveying
    from bridge.state.kube_state import KubeState

    ours = settings.scheduler_name
    cluster = KubeState(scheduler_name=ours, class_ignore_keys=settings.nodes.class_ignore_keys)
    clock = SystemClock()
    kube = await KubeClient.connect(settings.kubernetes, clock=clock)
    try:
        parse = kube_nodes.parser(rules.node_signs(settings))
        cluster.replace_nodes(_read(parse.page(await kube.read(kube_nodes.PATH))))
        others = await kube.read(kube_pods.PATH, kube_pods.bound_by_others(ours))
        cluster.replace_others(_read(kube_pods.parse.page(others)))
        definition = rules.registration(settings, await kube.cluster_uid())
    finally:
        await kube.close()
    return await surveying.rows(
        client, cluster=cluster, rules=definition, scheduler_name=ours, now_s=clock.time()
    )
