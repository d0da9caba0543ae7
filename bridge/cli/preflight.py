"""`slurm-bridge preflight`: what of both sides would break the bridge, or costs something."""

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli import invocation as invocations
from bridge.cli.slurm import Json, with_client

if TYPE_CHECKING:
    from bridge.config import Settings
    from bridge.kube.api.client import KubeClient
    from bridge.preflight.finding import Finding
    from bridge.preflight.kubernetes_side import KubernetesSide
    from bridge.preflight.rights import Right
    from bridge.preflight.slurm_side import SlurmSide
    from bridge.slurm import Qos, SlurmClient

_AT_ONCE = 8


def preflight(
    context: typer.Context,
    user: Annotated[
        str,
        typer.Option(
            "--rights-of",
            metavar="USER",
            help="Whose rights are checked, like system:serviceaccount:slurm-bridge:slurm-bridge; "
            "by default those of the kubeconfig.",
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    """Check both sides before the bridge runs. Exit code 1 if something would break."""
    from bridge.cli import listing
    from bridge.preflight.finding import breaks

    invocation = invocations.of(context)
    settings = invocation.load().settings
    token = invocation.environ.get("SLURM_JWT", "")
    findings = with_client(context, lambda client: _check(settings, client, user, token))
    listing.show([asdict(one) for one in findings], noun="check", as_json=as_json)
    if breaks(findings):
        raise typer.Exit(1)


async def _check(
    settings: "Settings", client: "SlurmClient", user: str, token: str
) -> "list[Finding]":
    """Reads both sides once. Raises BridgeError where one of them does not answer."""
    from bridge.clock import SystemClock
    from bridge.kube.api.client import KubeClient
    from bridge.preflight import kubernetes_side, slurm_side

    kube = await KubeClient.connect(settings.kubernetes, clock=SystemClock())
    try:
        of_slurm = await _slurm(settings, client, kube, token)
        of_kubernetes = await _kubernetes(settings, kube, user)
    finally:
        await kube.close()
    return [*slurm_side.check(of_slurm), *kubernetes_side.check(of_kubernetes)]


async def _slurm(
    settings: "Settings", client: "SlurmClient", kube: "KubeClient", token: str
) -> "SlurmSide":
    from bridge import files, slurm
    from bridge.cli.nodes import _read
    from bridge.kube.objects import nodes as kube_nodes
    from bridge.preflight import slurm_side

    version = await client.negotiate()
    try:
        configuration = await client.configuration()
    except slurm.ServerTooOld:
        configuration = None
    if settings.slurm.token_file:
        content = await files.Worker().read(Path(settings.slurm.token_file))
        token = content.decode(errors="replace")
    name = settings.slurm.user or slurm_side.token_user(token)
    page = kube_nodes.parse.page(await kube.read(kube_nodes.PATH))
    return slurm_side.SlurmSide(
        version=version,
        configuration=configuration,
        partitions=await client.list_partitions(),
        qos=await _qos(client),
        nodes=await client.list_nodes(raw=True),
        user=name,
        admin_level=await _admin_level(client, name),
        kube_nodes=[node for node in _read(page) if node.external],
        partition=settings.partition,
        resource_map=settings.resource_map,
    )


async def _admin_level(client: "SlurmClient", name: str) -> str | None:
    """What the accounting says of the user; None where it can't be read."""
    from bridge.errors import BridgeError

    try:
        users = await client.list_users()
    except BridgeError:
        return None
    return next((one.admin_level for one in users if one.name == name), "None")


async def _qos(client: "SlurmClient") -> "tuple[Qos, ...]":
    """Those of the accounting; none where it can't be read."""
    from bridge.errors import BridgeError

    try:
        return await client.list_qos()
    except BridgeError:
        return ()


async def _kubernetes(settings: "Settings", kube: "KubeClient", user: str) -> "KubernetesSide":
    from bridge.app.connections import username
    from bridge.errors import ConfigError
    from bridge.preflight import kubernetes_side
    from bridge.preflight.rights import RIGHTS

    gate = asyncio.Semaphore(_AT_ONCE)

    async def asked(right: "Right") -> "tuple[Right, bool | None]":
        async with gate:
            return right, await _allowed(kube, right, user)

    answers = await asyncio.gather(*(asked(right) for right in RIGHTS))
    try:
        shown = user or await username(kube)
    except ConfigError:
        shown = ""
    return kubernetes_side.KubernetesSide(
        user=shown,
        allowed={right: found for right, found in answers if found is not None},
        webhooks={kind: await _webhooks(kube, kind) for kind in kubernetes_side.PATHS},
        scheduler_name=settings.scheduler_name,
        scheduler_seen=await _scheduler_seen(kube, settings.scheduler_name),
    )


async def _allowed(kube: "KubeClient", right: "Right", user: str) -> bool | None:
    """Whether the right is there; None where that may not be asked."""
    from bridge.kube.api.errors import KubeError, Unavailable

    path, body = right.review(user)
    try:
        answer = await kube.create(path, body)
    except Unavailable:
        raise
    except KubeError:
        return None
    return bool((answer.get("status") or {}).get("allowed"))


async def _webhooks(kube: "KubeClient", kind: str) -> list[dict[str, Any]] | None:
    """All webhooks of that kind; None where they may not be read."""
    from bridge.kube.api.errors import KubeError, Unavailable

    path = f"/apis/admissionregistration.k8s.io/v1/{kind}webhookconfigurations"
    try:
        found = await kube.get(path)
    except Unavailable:
        raise
    except KubeError:
        return None
    return [one for item in found.get("items") or () for one in item.get("webhooks") or ()]


async def _scheduler_seen(kube: "KubeClient", scheduler_name: str) -> bool | None:
    """Whether events tell of a kube-scheduler with our profile (it may elect no leader)."""
    from bridge.kube.api.errors import KubeError, Unavailable

    wanted = {"fieldSelector": f"reportingController={scheduler_name}", "limit": "1"}
    try:
        found = await kube.get("/apis/events.k8s.io/v1/events", wanted)
    except Unavailable:
        raise
    except KubeError:
        return None
    return bool(found.get("items"))
