"""`slurm-bridge nodes` and `slurm-bridge topology`: both sides' nodes for admins."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.invocation import Invocation
from bridge.cli.slurm import Json, with_client

if TYPE_CHECKING:
    from bridge.config import Settings
    from bridge.nodes.survey import Row
    from bridge.slurm import SlurmClient


def nodes(
    context: typer.Context,
    different: Annotated[
        bool, typer.Option("--different", help="Only nodes about which something is to do.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List Kubernetes' and Slurm's nodes side by side, with what differs."""
    from bridge.cli import listing

    settings = _settings(context)
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

    found = with_client(context, lambda client: client.list_nodes())
    switches.show(found, as_yaml=as_yaml, as_json=as_json)


def _settings(context: typer.Context) -> "Settings":
    invocation = context.obj
    assert isinstance(invocation, Invocation)
    return invocation.load().settings


async def _survey(settings: "Settings", client: "SlurmClient") -> "list[Row]":
    """Reads both sides once. Raises BridgeError."""
    from bridge.app import rules
    from bridge.clock import SystemClock
    from bridge.errors import BadInput
    from bridge.kube.api.client import KubeClient
    from bridge.kube.objects import nodes as kube_nodes
    from bridge.kube.objects import pods as kube_pods
    from bridge.nodes.survey import survey
    from bridge.slurm import ServerTooOld
    from bridge.state.kube_state import KubeState

    ours = settings.scheduler_name
    others = {"fieldSelector": f"spec.schedulerName!={ours},spec.nodeName!="}
    cluster = KubeState(scheduler_name=ours, class_ignore_keys=settings.nodes.class_ignore_keys)
    kube = await KubeClient.connect(settings.kubernetes, clock=SystemClock())
    try:
        for raw in (await kube.get(kube_nodes.PATH)).get("items") or ():
            try:
                cluster.upsert_node(kube_nodes.parse(raw))
            except BadInput as error:
                typer.echo(f"slurm-bridge: a node is left out: {error}", err=True)
        for raw in (await kube.get(kube_pods.PATH, others)).get("items") or ():
            try:
                cluster.upsert_other(kube_pods.parse(raw))
            except BadInput as error:
                typer.echo(f"slurm-bridge: a pod is left out: {error}", err=True)
        definition = rules.registration(settings, await kube.cluster_uid())
    finally:
        await kube.close()
    slurm_nodes = {node.name: node for node in await client.list_nodes()}
    try:
        names = frozenset((await client.configuration()).get("GresTypes") or ())
    except ServerTooOld:
        names = None
    return survey(
        cluster=cluster,
        slurm_nodes=slurm_nodes,
        rules=definition,
        scheduler_name=ours,
        gres_names=names,
    )
