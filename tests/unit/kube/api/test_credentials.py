"""Who we are: every source, every rotation."""

import asyncio
import json
import os
import stat
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bridge.config import KubernetesSettings
from bridge.errors import ConfigError, Unreadable
from bridge.files import Worker
from bridge.kube.api import bounded, credentials, errors
from bridge.kube.api.credentials import Places
from tests.unit.kube.apiserver import (
    ApiServer,
    JumpClock,
    connected,
    kubeconfig,
    ok,
    refuse,
)

POD = "/api/v1/namespaces/team/pods/a"
NOW_S = 1_800_000_000.0


def places(folder: Path, **environ: str) -> Places:
    """Nothing but what the test put there."""
    return Places(environ=environ, service_account=folder / "account", home=folder / "home")


async def load(folder: Path, *, settings: Any = None, **environ: str) -> credentials.Access:
    """Load from what is in the folder and in this environment."""
    settings = settings or KubernetesSettings()
    loader = credentials.Loader(settings, places=places(folder, **environ))
    return await loader.load(now_s=NOW_S)


def plugin(
    folder: Path, *answers: dict[str, Any], hangs_while_there: Path | None = None
) -> dict[str, Any]:
    """An exec plugin that gives these answers, one a run; the user entry that names it."""
    hangs = f"pathlib.Path({str(hangs_while_there)!r}).exists()" if hangs_while_there else "False"
    program = folder / "plugin.py"
    program.write_text(
        f"#!{sys.executable}\n"
        "import json, pathlib, time\n"
        f"while {hangs}: time.sleep(0.05)\n"
        f"runs = pathlib.Path({str(folder / 'runs')!r})\n"
        "count = int(runs.read_text()) if runs.exists() else 0\n"
        "runs.write_text(str(count + 1))\n"
        f"answers = json.loads({json.dumps(json.dumps(answers))})\n"
        "print(json.dumps({'apiVersion': 'client.authentication.k8s.io/v1',\n"
        "    'kind': 'ExecCredential', 'status': answers[min(count, len(answers) - 1)]}))\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(program)}}


def certificate() -> tuple[str, str]:
    """A self-signed certificate and its key, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=36_500))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return built.public_bytes(serialization.Encoding.PEM).decode(), private.decode()


def runs(folder: Path) -> int:
    """How often the plugin ran."""
    return int((folder / "runs").read_text())


async def test_nothing_to_be_found(tmp_path: Path) -> None:
    """Without any source the error says where one can be given."""
    with pytest.raises(ConfigError, match=r"kubernetes\.kubeconfig .* or \$KUBECONFIG"):
        await load(tmp_path)


async def test_named_file_is_missing(tmp_path: Path) -> None:
    """A kubeconfig that was named and isn't there is an error, not a reason to look elsewhere."""
    kubeconfig(tmp_path / "other", "http://elsewhere")
    with pytest.raises(ConfigError, match="no kubeconfig at"):
        await load(
            tmp_path,
            settings=KubernetesSettings(kubeconfig=str(tmp_path / "none")),
            KUBECONFIG=str(tmp_path / "other"),
        )


@pytest.mark.parametrize("text", ["{", "[]", "clusters: []", "", "current-context: main"])
async def test_broken_file(text: str, tmp_path: Path) -> None:
    """A kubeconfig that can't be used is a ConfigError that names the file."""
    (tmp_path / "config").write_text(text)
    with pytest.raises(ConfigError, match="config"):
        await load(tmp_path, KUBECONFIG=str(tmp_path / "config"))


async def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A FIFO as kubeconfig, and one that a kubeconfig names: told at once, nothing waits."""
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ConfigError, match=f"kubeconfig {tmp_path}/fifo: .* is a FIFO"):
        await load(tmp_path, KUBECONFIG=str(tmp_path / "fifo"))
    file = kubeconfig(tmp_path / "config", "http://here")
    with pytest.raises(ConfigError, match="is a FIFO"):
        await load(tmp_path, KUBECONFIG=f"{file}:{tmp_path / 'fifo'}")
    for user in ({"tokenFile": "fifo"}, {"client-certificate": "fifo", "client-key": "fifo"}):
        file = kubeconfig(tmp_path / "config", "https://here", user)
        with pytest.raises(ConfigError, match=f"{tmp_path}/fifo is a FIFO"):
            await load(tmp_path, KUBECONFIG=str(file))


async def test_a_kubeconfig_that_hangs_is_given_up(tmp_path: Path) -> None:
    """Its mount does not answer: that is told, with its name."""
    file, answers = kubeconfig(tmp_path / "config", "http://here"), threading.Event()
    worker = Worker()
    loader = credentials.Loader(
        KubernetesSettings(kubeconfig=str(file)), places=places(tmp_path), worker=worker
    )
    try:
        with pytest.raises(Unreadable):
            await worker.call(answers.wait, what="its mount", limit_s=0.01)
        with pytest.raises(ConfigError, match=f"kubeconfig {file}: .* it hangs"):
            await loader.load(now_s=NOW_S)
    finally:
        answers.set()


async def test_unknown_context(tmp_path: Path) -> None:
    """A context that the file does not have is named in the error."""
    file = kubeconfig(tmp_path / "config", "http://here")
    with pytest.raises(ConfigError, match="nowhere"):
        await load(tmp_path, settings=KubernetesSettings(kubeconfig=str(file), context="nowhere"))


async def test_order_of_sources(tmp_path: Path) -> None:
    """The settings' file, $KUBECONFIG, the service account, the home directory; in this order."""
    (tmp_path / "home" / ".kube").mkdir(parents=True)
    kubeconfig(tmp_path / "home" / ".kube" / "config", "http://home")
    assert (await load(tmp_path)).target == "context main, server http://home"

    account(tmp_path, "pod-token")
    in_pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    access = await load(tmp_path, **in_pod)
    assert access.target == "in-cluster, server https://10.0.0.1:443"

    variable = str(kubeconfig(tmp_path / "variable", "http://variable"))
    access = await load(tmp_path, **in_pod, KUBECONFIG=variable)
    assert access.target == "context main, server http://variable"

    named = KubernetesSettings(kubeconfig=str(kubeconfig(tmp_path / "named", "http://named")))
    access = await load(tmp_path, settings=named, **in_pod, KUBECONFIG=variable)
    assert access.target == "context main, server http://named"


async def test_context_without_a_kubeconfig(tmp_path: Path) -> None:
    """A context that is named is never given up for the cluster that the pod happens to run in."""
    account(tmp_path, "pod-token")
    in_pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    with pytest.raises(ConfigError, match=r"context other.*kubernetes\.kubeconfig"):
        await load(tmp_path, settings=KubernetesSettings(context="other"), **in_pod)


async def test_several_files(tmp_path: Path) -> None:
    """$KUBECONFIG may name several files; missing ones don't matter."""
    one = kubeconfig(tmp_path / "one", "http://one")
    files = f"{tmp_path / 'none'}:{one}"
    assert (await load(tmp_path, KUBECONFIG=files)).target.endswith("http://one")


def account(folder: Path, token: str) -> Path:
    """A mounted service account."""
    mount = folder / "account"
    mount.mkdir(exist_ok=True)
    (mount / "token").write_text(token + "\n")
    (mount / "ca.crt").write_text(certificate()[0])
    return mount


async def test_in_cluster(tmp_path: Path) -> None:
    """In a pod the mounted token is the bearer, and it is looked at again within minutes."""
    account(tmp_path, "pod-token")
    access = await load(tmp_path, KUBERNETES_SERVICE_HOST="fd00::1", KUBERNETES_SERVICE_PORT="6443")
    assert access.authorization == "Bearer pod-token"
    assert access.target.endswith("https://[fd00::1]:6443")
    assert access.lasts_s <= 300


async def test_token_file_is_rotated(tmp_path: Path) -> None:
    """A new token in the file is used after a minute, without a restart and without a 401."""
    clock = JumpClock()
    token = tmp_path / "token"
    token.write_text("first")
    async with (
        ApiServer() as server,
        connected(server, tmp_path, clock=clock, user={"tokenFile": str(token)}) as client,
    ):
        server.on("GET", POD, ok({}))
        await client.get(POD)
        token.write_text("second")
        clock.now += 61
        await client.get(POD)
        assert sent(server) == ["Bearer first", "Bearer second"]


async def test_expired_on_the_way(tmp_path: Path) -> None:
    """A 401 makes us read the credentials anew and ask once more, for any verb."""
    token = tmp_path / "token"
    token.write_text("first")
    async with (
        ApiServer() as server,
        connected(server, tmp_path, user={"tokenFile": str(token)}) as client,
    ):
        server.on("PATCH", POD, refuse(401, "Unauthorized"), ok({"x": 1}))
        token.write_text("second")
        assert await client.patch(POD, {}) == {"x": 1}
        assert sent(server) == ["Bearer first", "Bearer second"]


async def test_refused_for_good(tmp_path: Path) -> None:
    """Credentials that stay refused are not read for every request, and raise Unauthorized."""
    clock = JumpClock()
    user = plugin(tmp_path, {"token": "bad"})
    async with (
        ApiServer() as server,
        connected(server, tmp_path, clock=clock, user=user) as client,
    ):
        server.on("GET", POD, refuse(401, "Unauthorized"))
        for _ in range(10):
            with pytest.raises(errors.Unauthorized, match="kubeconfig"):
                await client.get(POD)
        assert runs(tmp_path) == 2
        clock.now += 10
        with pytest.raises(errors.Unauthorized):
            await client.get(POD)
        assert runs(tmp_path) == 3


class HastyClock(JumpClock):
    """Ten seconds pass between any two looks at it."""

    def monotonic(self) -> float:
        self.now += 10
        return self.now


async def test_one_renewal_for_many(tmp_path: Path) -> None:
    """Fifty requests that get a 401 at once read the credentials once, however long that takes."""
    clock = HastyClock()
    user = plugin(tmp_path, {"token": "old"}, {"token": "new"})
    async with (
        ApiServer() as server,
        connected(server, tmp_path, clock=clock, user=user) as client,
    ):
        server.on("GET", POD, *[refuse(401, "Unauthorized")] * 50, ok({}))
        await asyncio.gather(*(client.get(POD) for _ in range(50)))
        assert runs(tmp_path) == 2


async def test_file_is_half_written(tmp_path: Path) -> None:
    """While the file can't be read the old credentials go on; the next try finds the new ones."""
    clock = JumpClock()
    async with ApiServer() as server, connected(server, tmp_path, clock=clock) as client:
        server.on("GET", POD, ok({}))
        (tmp_path / "config").write_text("{")
        clock.now += 61
        await client.get(POD)
        kubeconfig(tmp_path / "config", server.url, {"token": "second"})
        clock.now += 61
        await client.get(POD)
        assert sent(server) == ["Bearer secret", "Bearer second"]


async def test_exec_plugin(tmp_path: Path) -> None:
    """The plugin's token is used until shortly before its expiry, then the plugin runs again."""
    clock = JumpClock()
    ends = datetime.fromtimestamp(clock.time() + 900, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    user = plugin(tmp_path, {"token": "one", "expirationTimestamp": ends}, {"token": "two"})
    async with (
        ApiServer() as server,
        connected(server, tmp_path, clock=clock, user=user) as client,
    ):
        server.on("GET", POD, ok({}))
        await client.get(POD)
        clock.now += 800
        await client.get(POD)
        assert (sent(server), runs(tmp_path)) == (["Bearer one"] * 2, 1)
        clock.now += 50
        await client.get(POD)
        assert (sent(server)[-1], runs(tmp_path)) == ("Bearer two", 2)
        clock.now += 1e6  # no expiry given: only a 401 makes it run again
        await client.get(POD)
        assert runs(tmp_path) == 2


@pytest.mark.parametrize(
    ("command", "said"),
    [("false", "process returned 1"), ("/no/such/plugin", "/no/such/plugin"), ("true", "decode")],
)
async def test_exec_plugin_fails(command: str, said: str, tmp_path: Path) -> None:
    """A plugin that fails is said to have failed; we do not go on as nobody."""
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": command}}
    file = kubeconfig(tmp_path / "config", "http://here", user)
    with pytest.raises(ConfigError, match=said):
        await load(tmp_path, KUBECONFIG=str(file))


async def test_exec_plugin_that_hangs_is_ended(tmp_path: Path) -> None:
    """It is killed at its limit, that is told, and the next one is started as if nothing was."""
    hangs = tmp_path / "hangs"
    hangs.touch()
    user = plugin(tmp_path, {"token": "late"}, hangs_while_there=hangs)
    file = kubeconfig(tmp_path / "config", "http://here", user)
    loader = credentials.Loader(
        KubernetesSettings(kubeconfig=str(file)), places=places(tmp_path), plugin_limit_s=0.2
    )
    with pytest.raises(ConfigError, match=r"plugin\.py did not end within 0\.2 s"):
        await loader.load(now_s=NOW_S)
    hangs.unlink()
    loader = credentials.Loader(
        KubernetesSettings(kubeconfig=str(file)), places=places(tmp_path), plugin_limit_s=60
    )
    assert (await loader.load(now_s=NOW_S)).authorization == "Bearer late"


async def test_exec_plugin_that_hangs_holds_one_request(tmp_path: Path) -> None:
    """It is asked again before its token ends; the other requests go on with that token."""
    clock, hangs = JumpClock(), tmp_path / "hangs"
    ends = datetime.fromtimestamp(clock.time() + 900, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    answers = ({"token": "one", "expirationTimestamp": ends}, {"token": "two"})
    user = plugin(tmp_path, *answers, hangs_while_there=hangs)
    async with (
        ApiServer() as server,
        connected(server, tmp_path, clock=clock, user=user) as client,
    ):
        server.on("GET", POD, ok({}))
        hangs.touch()
        clock.now += 850
        first = asyncio.create_task(client.get(POD))
        await asyncio.sleep(0)
        for _ in range(5):
            await client.get(POD)
        assert not first.done()
        hangs.unlink()
        await first
        assert sent(server) == ["Bearer one"] * 5 + ["Bearer two"]


async def test_exec_plugin_ends_with_the_bridge(tmp_path: Path) -> None:
    """The one that hangs while the bridge is killed is not left behind."""
    script = (
        "import subprocess, sys\n"
        f"subprocess.Popen([sys.executable, {bounded.__file__!r}, '600', 'sh', '-c',"
        " 'echo $$; exec sleep 600'])\n"
        "sys.stdin.read()\n"
    )
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdin=pipe, stdout=pipe
    )
    assert process.stdout is not None
    pid = int(await process.stdout.readline())
    process.kill()
    assert await process.stdout.read() == b""  # its end: no process holds it any more
    await process.wait()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_plugin_with_certificate(tmp_path: Path) -> None:
    """A plugin may answer with a client certificate; new ones make new connections."""
    public, private = certificate()
    answer = {"clientCertificateData": public, "clientKeyData": private}
    file = kubeconfig(tmp_path / "config", "https://here", plugin(tmp_path, answer))
    access = await load(tmp_path, KUBECONFIG=str(file))
    assert public in access.tls
    assert access.authorization == ""


async def test_changed_server(tmp_path: Path) -> None:
    """A file that names another server is followed; the old connections are closed at the end."""
    clock = JumpClock()
    async with (
        ApiServer() as server,
        ApiServer() as second,
        connected(server, tmp_path, clock=clock) as client,
    ):
        server.on("GET", POD, ok({"at": 1}))
        second.on("GET", POD, ok({"at": 2}))
        assert await client.get(POD) == {"at": 1}
        kubeconfig(tmp_path / "config", second.url)
        clock.now += 61
        assert await client.get(POD) == {"at": 2}


async def test_secrets_stay_secret(tmp_path: Path) -> None:
    """Neither the target nor an error nor any repr shows the token or the key."""
    public, private = certificate()
    user = plugin(
        tmp_path,
        {"token": "secret", "clientCertificateData": public, "clientKeyData": private},
    )
    file = kubeconfig(tmp_path / "other", "https://here", user)
    access = await load(tmp_path, KUBECONFIG=str(file))
    assert access.authorization == "Bearer secret"
    assert private in access.tls
    assert "secret" not in repr(access)
    assert private.splitlines()[1] not in repr(access)

    clock = JumpClock()
    async with ApiServer() as server, connected(server, tmp_path, clock=clock) as client:
        server.on("GET", POD, refuse(401, "Unauthorized"))
        with pytest.raises(errors.Unauthorized) as caught:
            await client.get(POD)
        assert "secret" not in str(caught.value) + client.target + repr(client)


async def test_basic_authentication(tmp_path: Path) -> None:
    """User and password of the kubeconfig go out as Basic."""
    user = {"username": "me", "password": "pw"}
    async with ApiServer() as server, connected(server, tmp_path, user=user) as client:
        server.on("GET", POD, ok({}))
        await client.get(POD)
        assert sent(server) == ["Basic bWU6cHc="]


async def test_user_without_anything(tmp_path: Path) -> None:
    """A context without a user sends no Authorization at all."""
    file = kubeconfig(tmp_path / "config", "http://here")
    document = yaml.safe_load(file.read_text())
    document["users"] = []
    file.write_text(yaml.safe_dump(document))
    assert (await load(tmp_path, KUBECONFIG=str(file))).authorization == ""


async def test_proxy(tmp_path: Path) -> None:
    """The kubeconfig's own proxy is used, else the environment's."""
    file = kubeconfig(tmp_path / "config", "https://k8s.corp:6443")
    variables = {"HTTPS_PROXY": "http://p:1", "KUBECONFIG": str(file)}
    assert (await load(tmp_path, **variables)).configuration.proxy == "http://p:1"
    document = yaml.safe_load(file.read_text())
    document["clusters"][0]["cluster"]["proxy-url"] = "http://own:2"
    file.write_text(yaml.safe_dump(document))
    assert (await load(tmp_path, **variables)).configuration.proxy == "http://own:2"


async def test_no_thread_for_a_request(tmp_path: Path) -> None:
    """A request runs in the loop alone: no look-up of proxies or passwords in other threads."""
    async with ApiServer() as server, connected(server, tmp_path) as client:
        server.on("GET", POD, ok({}))
        asyncio.get_running_loop().set_default_executor(NoThreads())
        await client.get(POD)
        assert len(server.requests) == 1


class NoThreads(ThreadPoolExecutor):
    """An executor that nobody may use."""

    def submit(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("a thread for a request")


def sent(server: ApiServer) -> list[str]:
    """The Authorization of each request."""
    return [one.headers.get("Authorization", "") for one in server.requests]
