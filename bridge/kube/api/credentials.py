# mypy: disable-error-code="no-untyped-call"
"""Where the API server is and who we are there, and staying who we are.

The `kubernetes` package reads kubeconfigs, runs exec plugins (EKS, GKE, AKS) and finds the service
account in a pod. It reads files and may run a program for seconds, so its blocking half is used,
in a thread. Bound tokens last an hour, exec tokens fifteen minutes, certificates a day: what was
loaded is loaded anew before it ends, and at once when the API server says 401.
"""

import base64
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.config.exec_provider import ExecProvider
from kubernetes.config.incluster_config import InClusterConfigLoader
from kubernetes.config.kube_config import ConfigNode, KubeConfigLoader, KubeConfigMerger

from bridge import files
from bridge.config import KubernetesSettings
from bridge.errors import ConfigError, Unreadable
from bridge.files import LIMIT_S, Worker
from bridge.kube.api import bounded, proxies

T = TypeVar("T")

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
    namespace: str = ""
    """That of the kubeconfig's context; "" where it names none."""


class Loader:
    """Reads the credentials that the settings name, outside of the event loop.

    What hangs (a mount, an exec plugin) is given up, so that its callers are not held for good.
    """

    def __init__(
        self,
        settings: KubernetesSettings,
        *,
        places: Places,
        worker: Worker | None = None,
        plugin_limit_s: float = _PLUGIN_LIMIT_S,
    ) -> None:
        self._settings = settings
        self._places = places
        self._worker = worker or Worker()
        self._plugin_limit_s = plugin_limit_s

    async def load(self, *, now_s: float) -> Access:
        """Read everything anew. `now_s` is the time since the epoch, for tokens with an expiry.

        Raises ConfigError when there is nothing to be found or it can't be used, with what to do.
        """
        places = self._places
        named = self._settings.kubeconfig or places.environ.get("KUBECONFIG", "")
        look_up = partial(_kubeconfig, named, self._settings.context, places)
        chosen = await self._call(look_up, what=f"kubeconfig {named or 'in the home directory'}")
        if chosen is None:
            if context := self._settings.context:
                raise ConfigError(
                    f"Kubernetes: context {context} is of a kubeconfig, and none is named; set "
                    "kubernetes.kubeconfig or $KUBECONFIG, or name no context"
                )
            in_cluster = partial(_in_cluster, places)
            return await self._call(in_cluster, what="the service account of this pod")
        return await self._call(
            partial(chosen.access, places, now_s, plugin_limit_s=self._plugin_limit_s),
            what=f"kubeconfig {chosen.named}",
            limit_s=self._plugin_limit_s + LIMIT_S if chosen.has_plugin else None,
        )

    async def transport(self, access: Access) -> ApiClient:
        """Connections for these credentials. Raises ConfigError when a certificate can't be
        used."""
        try:
            return await self._worker.call(
                lambda: ApiClient(access.configuration), what="its CA or client certificate"
            )
        except (OSError, ValueError, Unreadable) as error:  # ssl.SSLError is an OSError
            raise ConfigError(
                f"Kubernetes: {access.target}: can't use its CA or client certificate: {error}"
            ) from error

    async def _call(
        self, function: Callable[[], T], *, what: str, limit_s: float | None = None
    ) -> T:
        try:
            return await self._worker.call(function, what=what, limit_s=limit_s)
        except ConfigError:
            raise
        except Exception as error:  # the package raises its own, yaml's, ssl's, KeyError …
            raise ConfigError(
                f"Kubernetes: can't use {what}: {error}; set kubernetes.kubeconfig (and .context) "
                "or $KUBECONFIG, or run in a pod with a service account"
            ) from error


def _kubeconfig(named: str, context: str, places: Places) -> "_Kubeconfig | None":
    """The one that is `named` (several, as $KUBECONFIG allows); None means in-cluster."""
    at_home = places.home / ".kube" / "config"
    if named:
        paths = [Path(one).expanduser() for one in named.split(os.pathsep) if one]
        there = [path for path in paths if path.exists()]
    elif places.environ.get("KUBERNETES_SERVICE_HOST") and places.service_account.exists():
        return None
    elif at_home.exists():
        named, there = str(at_home), [at_home]
    else:
        return None
    if not there:
        raise ConfigError(
            f"Kubernetes: no kubeconfig at {named}; set kubernetes.kubeconfig or $KUBECONFIG"
        )
    for path in there:
        files.read(path)  # the package would wait for a FIFO
    merged = KubeConfigMerger(named).config
    context = context or merged["current-context"]
    entry = merged["contexts"].get_with_name(context)["context"]
    cluster = merged["clusters"].get_with_name(entry["cluster"])["cluster"]
    user, namespace = _user(merged, entry.safe_get("user")), entry.safe_get("namespace")
    return _Kubeconfig(named, context, merged, cluster, user, str(namespace or ""))


def _user(merged: ConfigNode, name: str | None) -> ConfigNode | None:
    found = merged["users"].get_with_name(name, safe=True) if name else None
    return found["user"] if found is not None and found.safe_get("user") else None


@dataclass(frozen=True, slots=True)
class _Kubeconfig:
    """The merged content of the files, and the context that counts."""

    named: str
    """The files, as they were named."""
    context: str
    merged: ConfigNode = field(repr=False)
    cluster: ConfigNode = field(repr=False)
    user: ConfigNode | None = field(repr=False)
    namespace: str = ""

    @property
    def has_plugin(self) -> bool:
        """Whether the context's credentials come from a program."""
        return self.user is not None and "exec" in self.user and "token" not in self.user

    def access(self, places: Places, now_s: float, *, plugin_limit_s: float) -> Access:
        """What the context says, with the answer of its plugin and what its files hold."""
        self._check_files()
        lasts_s = self._ask_plugin(now_s, plugin_limit_s) if self.has_plugin else _FILES_LAST_S
        configuration = Configuration()
        loader = KubeConfigLoader(config_dict=self.merged, active_context=self.context)
        loader.load_and_set(configuration)
        token = configuration.api_key.get("BearerToken", "")
        access = _access(f"context {self.context}", configuration, token, lasts_s, places)
        return replace(access, namespace=self.namespace)

    def _check_files(self) -> None:
        """Those that the context names must be files: the package would wait for a FIFO.

        Raises Unreadable.
        """
        named = [(self.user, "tokenFile", "token"), (self.cluster, "certificate-authority", "")]
        named += [(self.user, key, "") for key in ("client-certificate", "client-key")]
        for node, key, instead in named:
            if node is not None and node.safe_get(key) and (instead or f"{key}-data") not in node:
                files.read(Path(node.path or "").absolute().parent / node[key])

    def _ask_plugin(self, now_s: float, limit_s: float) -> float:
        """Run the context's exec plugin, and write its answer where static credentials stand; how
        long the credentials last.

        The package would run it, too, but tells neither why it failed nor when its token expires.
        """
        user = self.user
        assert user is not None
        folder = str(Path(user.path).parent) if user.path else None
        plugin = ExecProvider(user["exec"], folder, self.cluster)
        plugin.args = [sys.executable, "-I", bounded.__file__, f"{limit_s:g}", *plugin.args]
        answer: Mapping[str, Any] = plugin.run()
        credentials: dict[str, str] = user.value
        del credentials["exec"]
        if "token" in answer:
            credentials["token"] = answer["token"]
        if "clientCertificateData" in answer:
            certificate, key = answer["clientCertificateData"], answer["clientKeyData"]
            credentials["client-certificate-data"] = _encoded(certificate)
            credentials["client-key-data"] = _encoded(key)
        if not answer.get("expirationTimestamp"):
            return float("inf")
        ends_s = datetime.fromisoformat(answer["expirationTimestamp"]).timestamp()
        return max(ends_s - now_s - _BEFORE_EXPIRY_S, _BEFORE_EXPIRY_S / 2)


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


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
    named = (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file)
    contents = [files.read(Path(name)).decode() if name else "" for name in named]
    said = (configuration.proxy, configuration.tls_server_name, configuration.verify_ssl)
    return (configuration.host, *map(str, said), *contents)
