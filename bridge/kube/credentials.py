# mypy: disable-error-code="no-untyped-call"
"""Where the API server is and who we are there, and staying who we are.

The `kubernetes` package reads kubeconfigs, runs exec plugins (EKS, GKE, AKS) and finds the service
account in a pod. It reads files and may run a program for seconds, so its blocking half is used,
in a thread. Bound tokens last an hour, exec tokens fifteen minutes, certificates a day: what was
loaded is loaded anew before it ends, and at once when the API server says 401.
"""

import asyncio
import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.config.exec_provider import ExecProvider
from kubernetes.config.incluster_config import InClusterConfigLoader
from kubernetes.config.kube_config import ConfigNode, KubeConfigLoader, KubeConfigMerger

from bridge.config import KubernetesSettings
from bridge.errors import BridgeError, ConfigError
from bridge.kube import proxies

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
    """What a request needs. `lasts_s`: seconds after which it is to be loaded anew, inf: never.

    Secrets are not in its repr.
    """

    target: str
    configuration: Configuration = field(repr=False)
    authorization: str = field(repr=False)
    lasts_s: float
    tls: tuple[str, ...] = field(repr=False)
    """What the TLS context was made of; when it changes, so must the connections."""


async def load(settings: KubernetesSettings, *, places: Places, now_s: float) -> Access:
    """Read everything anew. `now_s` is the time since the epoch, for tokens with an expiry.

    Raises ConfigError when there is nothing to be found or it can't be used, with what to do.
    """
    try:
        async with asyncio.timeout(_PLUGIN_LIMIT_S):
            return await asyncio.to_thread(_load, settings, places, now_s)
    except TimeoutError:
        raise ConfigError(
            f"Kubernetes: no credentials after {_PLUGIN_LIMIT_S:g} s; does the kubeconfig's exec "
            "plugin wait for input?"
        ) from None


async def transport(access: Access) -> ApiClient:
    """Connections for these credentials. Raises ConfigError when a certificate can't be used."""
    try:
        return await asyncio.to_thread(ApiClient, access.configuration)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise ConfigError(
            f"Kubernetes: {access.target}: can't use its CA or client certificate: {error}"
        ) from error


def _load(settings: KubernetesSettings, places: Places, now_s: float) -> Access:
    files = _kubeconfig(settings, places)
    try:
        if files:
            return _from_kubeconfig(files, settings.context, places, now_s)
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


def _from_kubeconfig(files: str, context: str, places: Places, now_s: float) -> Access:
    if not any(Path(one).expanduser().is_file() for one in files.split(os.pathsep)):
        raise ConfigError(
            f"Kubernetes: no kubeconfig at {files}; set kubernetes.kubeconfig or $KUBECONFIG"
        )
    merged = KubeConfigMerger(files).config
    name = context or merged["current-context"]
    lasts_s = _ask_plugin(merged, name, now_s)
    configuration = Configuration()
    loader = KubeConfigLoader(config_dict=merged, active_context=name)
    loader.load_and_set(configuration)
    token = configuration.api_key.get("BearerToken", "")
    return _access(f"context {name}", configuration, token, lasts_s, places)


def _ask_plugin(merged: ConfigNode, context: str, now_s: float) -> float:
    """Run the context's exec plugin, if it has one, and write its answer where static
    credentials stand; how long the credentials last.

    The package would run it, too, but tells neither why it failed nor when its token expires.
    """
    entry = merged["contexts"].get_with_name(context)["context"]
    user = _user(merged, entry.safe_get("user"))
    if user is None or "exec" not in user or "token" in user:
        return _FILES_LAST_S
    cluster = merged["clusters"].get_with_name(entry["cluster"])["cluster"]
    folder = str(Path(user.path).parent) if user.path else None
    answer: Mapping[str, Any] = ExecProvider(user["exec"], folder, cluster).run()
    credentials: dict[str, str] = user.value
    del credentials["exec"]
    if "token" in answer:
        credentials["token"] = answer["token"]
    if "clientCertificateData" in answer:
        certificate, key = answer["clientCertificateData"], answer["clientKeyData"]
        credentials["client-certificate-data"] = base64.b64encode(certificate.encode()).decode()
        credentials["client-key-data"] = base64.b64encode(key.encode()).decode()
    if not answer.get("expirationTimestamp"):
        return float("inf")
    ends_s = datetime.fromisoformat(answer["expirationTimestamp"]).timestamp()
    return max(ends_s - now_s - _BEFORE_EXPIRY_S, _BEFORE_EXPIRY_S / 2)


def _user(merged: ConfigNode, name: str | None) -> ConfigNode | None:
    found = merged["users"].get_with_name(name, safe=True) if name else None
    return found["user"] if found is not None and found.safe_get("user") else None


def _in_cluster(places: Places) -> Access:
    configuration = Configuration()
    InClusterConfigLoader(
        token_filename=str(places.service_account / "token"),
        cert_filename=str(places.service_account / "ca.crt"),
        environ=places.environ,
    ).load_and_set(configuration)
    token = configuration.api_key.get("BearerToken", "")
    return _access("in-cluster", configuration, token, _FILES_LAST_S, places)


def _access(
    source: str, configuration: Configuration, token: str, lasts_s: float, places: Places
) -> Access:
    configuration.connection_pool_maxsize = 0  # the client bounds what is in flight, not watches
    # aiohttp would look for a proxy in a thread for every request, and for a password in .netrc,
    # which it refuses to see beside a token.
    configuration.client_session_kwargs = {"trust_env": False}
    configuration.proxy = configuration.proxy or proxies.for_server(
        configuration.host, places.environ
    )
    scheme, _, secret = token.partition(" ")
    return Access(
        target=f"{source}, server {configuration.host}",
        configuration=configuration,
        authorization=f"{scheme.capitalize()} {secret.strip()}" if secret else "",
        lasts_s=lasts_s,
        tls=_tls(configuration),
    )


def _tls(configuration: Configuration) -> tuple[str, ...]:
    files = (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file)
    contents = [Path(name).read_text() if name else "" for name in files]
    said = (configuration.proxy, configuration.tls_server_name, configuration.verify_ssl)
    return (configuration.host, *map(str, said), *contents)
