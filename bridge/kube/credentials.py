# mypy: disable-error-code="no-untyped-call"
"""Where the API server is and who we are there, and staying who we are.

The `kubernetes` package reads kubeconfigs, runs exec plugins (EKS, GKE, AKS) and finds the service
account in a pod. It reads files and may run a program for seconds, so it does that in a thread of
its own. Bound tokens last an hour, exec tokens fifteen minutes, certificates a day: what was loaded
is loaded anew before it ends, and at once when the API server says 401.
"""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config.exec_provider import ExecProvider
from kubernetes.aio.config.incluster_config import InClusterConfigLoader
from kubernetes.aio.config.kube_config import KubeConfigLoader

from bridge.config import KubernetesSettings
from bridge.errors import BridgeError, ConfigError

_FILES_LAST_S = 60.0
"""Tokens in files are rotated by others; client-go looks again after a minute, too."""
_BEFORE_EXPIRY_S = 60.0
_PLUGIN_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Places:
    """Where credentials are looked for, in the order of client-go: settings, $KUBECONFIG, the
    pod's service account, the home directory.
    """

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    service_account: Path = Path("/var/run/secrets/kubernetes.io/serviceaccount")
    home: Path = field(default_factory=Path.home)


@dataclass(frozen=True, slots=True)
class Access:
    """What a request needs. `lasts_s`: seconds after which it is to be loaded anew, inf: never."""

    target: str
    api: ApiClient
    authorization: str
    lasts_s: float
    tls: tuple[str, ...]
    """What the TLS context was made of; when it changes, so must the connections."""


async def load(settings: KubernetesSettings, *, places: Places, now_s: float) -> Access:
    """Read everything anew. `now_s` is the time since the epoch, for tokens with an expiry.

    Raises ConfigError when there is nothing to be found or it can't be used, with what to do.
    """
    return await asyncio.to_thread(_load, settings, places, now_s)


def _load(settings: KubernetesSettings, places: Places, now_s: float) -> Access:
    files = _kubeconfig(settings, places)
    try:
        if files:
            if not any(Path(one).expanduser().is_file() for one in files.split(os.pathsep)):
                raise ConfigError(
                    f"Kubernetes: no kubeconfig at {files}; set kubernetes.kubeconfig or "
                    "$KUBECONFIG"
                )
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                return runner.run(_from_kubeconfig(files, settings.context, now_s))
        return _in_cluster(places)
    except BridgeError:
        raise
    except Exception as error:  # the package raises its own, yaml's, ssl's, KeyError, OSError …
        source = f"kubeconfig {files}" if files else "the service account of this pod"
        raise ConfigError(
            f"Kubernetes: can't use {source}: {error}; set kubernetes.kubeconfig (and .context) "
            "or $KUBECONFIG, or run in a pod with a service account"
        ) from error


def _kubeconfig(settings: KubernetesSettings, places: Places) -> str:
    """Path (or paths, as $KUBECONFIG allows); "" means in-cluster."""
    named = settings.kubeconfig or places.environ.get("KUBECONFIG", "")
    if named:
        return named
    if places.environ.get("KUBERNETES_SERVICE_HOST") and places.service_account.exists():
        return ""
    at_home = places.home / ".kube" / "config"
    return str(at_home) if at_home.exists() else ""


async def _from_kubeconfig(files: str, context: str, now_s: float) -> Access:
    configuration = Configuration()
    async with asyncio.timeout(_PLUGIN_LIMIT_S):
        loader: KubeConfigLoader = await config.load_kube_config(
            config_file=files,
            context=context or None,
            client_configuration=configuration,
            persist_config=False,
        )
    user = loader._user or {}
    by_plugin = "exec" in user
    token = configuration.api_key.get("BearerToken", "")
    if by_plugin and not token and not configuration.cert_file:
        await ExecProvider(user["exec"]).run()  # the loader only logs why; ask again and raise it
        raise ConfigError(f"Kubernetes: the exec plugin of {files} gave no credentials")
    lasts_s = _FILES_LAST_S
    if by_plugin:
        expiry = getattr(loader, "exec_plugin_expiry", None)
        left_s = expiry.timestamp() - now_s - _BEFORE_EXPIRY_S if expiry else float("inf")
        lasts_s = max(left_s, _BEFORE_EXPIRY_S / 2)
    name = loader.current_context["name"]
    return _access(f"context {name}", configuration, token, lasts_s)


def _in_cluster(places: Places) -> Access:
    configuration = Configuration()
    InClusterConfigLoader(
        token_filename=str(places.service_account / "token"),
        cert_filename=str(places.service_account / "ca.crt"),
        environ=places.environ,
    ).load_and_set(configuration)
    token = configuration.api_key.get("BearerToken", "")
    return _access("in-cluster", configuration, token, _FILES_LAST_S)


def _access(source: str, configuration: Configuration, token: str, lasts_s: float) -> Access:
    configuration.connection_pool_maxsize = 0  # the client bounds what is in flight, not watches
    scheme, _, secret = token.partition(" ")
    return Access(
        target=f"{source}, server {configuration.host}",
        api=ApiClient(configuration),
        authorization=f"{scheme.capitalize()} {secret.strip()}" if secret else "",
        lasts_s=lasts_s,
        tls=_tls(configuration),
    )


def _tls(configuration: Configuration) -> tuple[str, ...]:
    files = (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file)
    contents = [Path(name).read_text() if name else "" for name in files]
    return (configuration.host, str(configuration.verify_ssl), *contents)
