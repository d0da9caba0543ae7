"""What `slurm-bridge demo` does: a bridge between an embedded Kubernetes and an embedded Slurm.

All of it in this process, but nobody takes a short cut: the API server calls the webhook, the
kube-scheduler stand-in calls the extender (HTTPS, with its client certificate), and an observer
that only reads the API server and slurmrestd says how it went.
"""

import asyncio
import io
import json
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvloop
from rich.console import Console

from bridge import config, names, telemetry
from bridge.admission import webhook_config
from bridge.app import App
from bridge.clock import Clock, SystemClock
from bridge.errors import BridgeError
from bridge.sim.demo import scenario as scenarios
from bridge.sim.demo import summary
from bridge.sim.demo.cluster import TOPOLOGY, Cluster
from bridge.sim.demo.colours import Colours
from bridge.sim.demo.demo_run import DemoRun, Outcome, Pace
from bridge.sim.demo.observer import Observer
from bridge.sim.demo.scenario import Scenario
from bridge.sim.demo.screen import screen
from bridge.sim.demo.timeline import Timeline

FAILED, INTERRUPTED = 1, 130
_STANDS_WITHIN_S = 30.0
_PIPE_COLUMNS = 120


class NotStanding(BridgeError):
    """The demo's cluster did not come up."""


def run(*, quick: bool, as_json: bool, pace: Pace | None = None, extender_url: str = "") -> int:
    """All of `slurm-bridge demo`; the exit code.

    The last two are for tests: other times, and an extender that kube-scheduler calls instead of
    the bridge's.
    """
    scenario = scenarios.QUICK if quick else scenarios.FULL
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PIPE_COLUMNS
    log = io.StringIO()
    telemetry.configure(level="info", log_format="console", stream=log)
    try:
        with tempfile.TemporaryDirectory(prefix="slurm-bridge-demo-") as folder:
            outcome = uvloop.run(_on_console(scenario, console, Path(folder), pace, extender_url))
    except BridgeError as error:
        _keep(log, console)
        if as_json:
            print(json.dumps({"ok": False, "problems": [str(error)]}), flush=True)
        raise
    interrupted = outcome.ending == "interrupted"
    if interrupted:
        console.print(f"interrupted after {outcome.timeline.snapshot.at_s:.1f} s")
    else:
        colours = Colours(one.name for one in scenario.workloads)
        console.print(summary.table(outcome, colours, width=console.width))
    if not outcome.ok and not interrupted:
        _keep(log, console)
    if as_json:
        print(json.dumps(summary.as_object(outcome)), flush=True)
    if interrupted:
        return INTERRUPTED
    return 0 if outcome.ok else FAILED


def _keep(log: io.StringIO, console: Console) -> None:
    """What the bridge logged, for whoever wants to know why."""
    with tempfile.NamedTemporaryFile(
        "w", prefix="slurm-bridge-demo-", suffix=".log", delete=False
    ) as file:
        file.write(log.getvalue())
    console.print(f"what the bridge did: {file.name}", soft_wrap=True)


async def _on_console(
    scenario: Scenario, console: Console, folder: Path, pace: Pace | None, extender_url: str
) -> Outcome:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    console.print(
        f"an embedded Kubernetes and Slurm come up: {scenario.nodes} nodes, {scenario.gpus} GPUs"
    )
    shown = screen(console, scenario)
    async with standing(
        scenario, clock=SystemClock(), folder=folder, pace=pace, extender_url=extender_url
    ) as demo_run:
        with shown:
            return await demo_run.run(stop, shown.show)


@asynccontextmanager
async def standing(
    scenario: Scenario,
    *,
    clock: Clock,
    folder: Path,
    pace: Pace | None = None,
    extender_url: str = "",
) -> AsyncIterator[DemoRun]:
    """The cluster with a bridge in it, its nodes registered, and a run that can begin.

    `folder` takes the certificates. `extender_url` has kube-scheduler call another extender than
    the bridge's. Raises NotStanding.
    """
    async with Cluster(scenario, clock=clock) as cluster:
        settings = _settings(cluster, folder)
        app = await App.build(settings, clock=clock)
        async with _at_work(app, clock):
            tls = folder / "tls"
            await cluster.furnish(await _webhooks(app.https_port, tls / "ca.crt"))
            if extender_url:
                await cluster.connect_extender(extender_url)
            else:
                await cluster.connect_extender(
                    f"https://127.0.0.1:{app.https_port}{names.EXTENDER_PREFIX}",
                    ca=tls / "ca.crt",
                    client=(tls / "client.crt", tls / "client.key"),
                )
            async with cluster.ask_kubernetes() as kubernetes, await cluster.ask_slurm() as slurm:
                observer = Observer(kubernetes, slurm, clock=clock)
                await _until_registered(observer, scenario, clock)
                timeline = Timeline(scenario, await observer.nodes())
                yield DemoRun(
                    scenario, kubernetes=kubernetes, observer=observer, timeline=timeline,
                    clock=clock, pace=pace,
                )  # fmt: skip


def _settings(cluster: Cluster, folder: Path) -> config.Settings:
    return config.Settings.model_validate(
        {
            "slurmRestApi": cluster.slurm.url,
            "partition": scenarios.PARTITION,
            "managedNamespaces": [scenarios.NAMESPACE],
            "slurm": {"tokenFile": str(cluster.slurm.token_file), "pollIntervalS": 0.2},
            "kubernetes": {"kubeconfig": str(cluster.kubernetes.kubeconfig), "qps": 2000},
            "server": {
                "listen": "127.0.0.1:0",
                "metricsListen": "127.0.0.1:0",
                "certificateDir": str(folder / "tls"),
            },
            "api": {"listen": "127.0.0.1:0"},
            "nodes": {"topology": TOPOLOGY},
            "identity": {"podsSetPriority": True},
            "conditionIntervalS": 2,
        }
    )


@asynccontextmanager
async def _at_work(app: App, clock: Clock) -> AsyncIterator[None]:
    """The bridge runs and is ready; what ends it before its time is raised here."""
    stop = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(app.run(stop), name="bridge")
            until_s = clock.monotonic() + _STANDS_WITHIN_S
            while not (app.https_port and app.controller.recovered):
                if clock.monotonic() > until_s:
                    raise NotStanding(f"the bridge was not ready within {_STANDS_WITHIN_S:.0f} s")
                await clock.sleep(0.02)
            try:
                yield
            finally:
                stop.set()
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None  # who failed first says why
    finally:
        await app.close()


async def _webhooks(port: int, ca: Path) -> list[webhook_config.Manifest]:
    target = webhook_config.Target(
        url=f"https://127.0.0.1:{port}", ca=await asyncio.to_thread(ca.read_bytes)
    )
    calls = webhook_config.Calls(managed_namespaces=(scenarios.NAMESPACE,))
    return [webhook_config.mutating(calls, target), webhook_config.validating(calls, target)]


async def _until_registered(observer: Observer, scenario: Scenario, clock: Clock) -> None:
    until_s = clock.monotonic() + _STANDS_WITHIN_S
    while len(known := await observer.registered()) < scenario.nodes:
        if clock.monotonic() > until_s:
            raise NotStanding(
                f"{len(known)} of {scenario.nodes} nodes were registered in Slurm within "
                f"{_STANDS_WITHIN_S:.0f} s; is the machine very busy?"
            )
        await clock.sleep(0.1)
