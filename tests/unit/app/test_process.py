"""One process with all parts, as it stands on its port."""

import asyncio
import ssl
from pathlib import Path

import httpx2
import pytest

from bridge import names
from bridge.app.process import App
from bridge.clock import SystemClock
from tests.unit.app.surroundings import surroundings


def trusting(tls: Path, *, as_scheduler: bool) -> ssl.SSLContext:
    """Knows the bridge's own certificate, and shows kube-scheduler's."""
    context = ssl.create_default_context(cafile=str(tls / "ca.crt"))
    if as_scheduler:
        context.load_cert_chain(tls / "client.crt", tls / "client.key")
    return context


@pytest.mark.parametrize("as_scheduler", [True, False])
@pytest.mark.parametrize("path", [names.FILTER_PATH, names.PRIORITIZE_PATH, names.BIND_PATH])
async def test_who_may_call_the_extender(tmp_path: Path, path: str, as_scheduler: bool) -> None:
    """Nobody without a client certificate, also where the settings name no CA."""
    tls = tmp_path / "tls"
    server = {"listen": "127.0.0.1:0", "certificateDir": str(tls)}
    slurm = {"endpoints": ["unix:///nowhere.sock"]}
    async with surroundings(tmp_path, server=server, slurm=slurm) as settings:
        app = await App.build(settings, clock=SystemClock())
        try:
            context = await asyncio.to_thread(trusting, tls, as_scheduler=as_scheduler)
            assert app.https is not None
            async with app.https, httpx2.AsyncClient(verify=context) as client:
                answer = await client.post(f"https://127.0.0.1:{app.https.port}{path}", json={})
        finally:
            await app.close()
    assert (answer.status_code == 403) is not as_scheduler
