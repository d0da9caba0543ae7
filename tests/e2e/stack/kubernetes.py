"""The Kubernetes side: etcd, API server, controllers, the stock scheduler, kwok's kubelets.

Tuned for one small machine and short tests: nothing is written to disk for safety, no leader is
elected, and no client is slowed by a rate limit that would be the thing measured.
"""

import http.client
import pathlib
import shutil
import urllib.error
import urllib.request
from collections import abc

import yaml

from tests.e2e.stack import access, components, layout, mounts, pki

_SERVICE_RANGE = "10.96.0.0/16"
_API_HOSTS = (
    *pki.LOOPBACK,
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "10.96.0.1",
)
_LEASE_S = 200
"""kwok renews a node's lease every quarter of it: 10 requests a second for 500 nodes."""
_GRACE_S = _LEASE_S + 40
"""After that without a lease a node is not ready. Tests that kill a kubelet say so themselves."""

_FEATURES = "--feature-gates=GenericWorkload=true,GangScheduling=true"
"""PodGroup and Workload of scheduling.k8s.io, in the schedulers too: a cluster that has them has
them everywhere, so pods of a group go through kube-scheduler's own gang scheduling as well."""

BRIDGE_SCHEDULER = "bridge-scheduler"
"""Name of the component that `Stack.start_bridge_scheduler` starts."""

_STOCK_SCHEDULER = {
    "apiVersion": "kubescheduler.config.k8s.io/v1",
    "kind": "KubeSchedulerConfiguration",
    "leaderElection": {"leaderElect": False},
}

USERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "admin": ("kubernetes-admin", ("system:masters",)),
    "kube-controller-manager": ("system:kube-controller-manager", ()),
    "kube-scheduler": ("system:kube-scheduler", ()),
    "kwok": ("kwok", ("system:masters",)),
}
"""Certificate → user and groups."""


class Kubernetes:
    """The Kubernetes cluster of one stack."""

    def __init__(self, where: layout.Layout) -> None:
        self._where = where
        self.api = access.Access(where)

    def prepare(self) -> None:
        """Make certificates, kubeconfigs and configuration files."""
        self.api.authority.create()
        self.api.authority.issue("kube-apiserver", common_name="kube-apiserver", hosts=_API_HOSTS)
        self.api.authority.issue("bridge", common_name="slurm-bridge", hosts=pki.LOOPBACK)
        self.api.authority.issue("component", common_name="component", hosts=pki.LOOPBACK)
        self.api.authority.create_key_pair("service-account")
        self._where.etc.mkdir()
        for name, (user, groups) in USERS.items():
            path = self._where.kubeconfig if name == "admin" else self._etc(name, "kubeconfig")
            self.api.write_kubeconfig(path, certificate=name, user=user, groups=groups)
        (self._where.etc / ".kwok").mkdir()
        shutil.copyfile(layout.FILES / "kwok.yaml", self._where.etc / ".kwok" / "kwok.yaml")
        self._write_scheduler_config("kube-scheduler", _STOCK_SCHEDULER)
        self._where.etcd.mkdir()
        mounts.mount("-t", "tmpfs", "-o", "mode=700", "tmpfs", str(self._where.etcd))

    def parts(self) -> list[components.Component]:
        """All of Kubernetes, in order of start."""
        return [
            self.etcd(),
            self.apiserver(),
            self.controller_manager(),
            self.scheduler(),
            self.kwok(),
        ]

    def etcd(self) -> components.Component:
        """The store; nothing is synced to disk, the stack does not outlive the machine."""
        client = f"http://127.0.0.1:{self._where.port(layout.Port.ETCD)}"
        peer = f"http://127.0.0.1:{self._where.port(layout.Port.ETCD_PEER)}"
        return self._component(
            "etcd",
            f"--data-dir={self._where.etcd / 'data'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
            "--quota-backend-bytes=4294967296",
            "--log-level=warn",
            ready=lambda: _answers(f"{client}/health"),
        )

    def apiserver(self) -> components.Component:
        """The API server, with RBAC, and room for everybody's requests."""
        return self._component(
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self._where.port(layout.Port.ETCD)}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            # Endpoints may not be loopback addresses; nobody asks for the service here.
            "--endpoint-reconciler-type=none",
            f"--secure-port={self._where.port(layout.Port.APISERVER)}",
            *self._serving("kube-apiserver"),
            f"--client-ca-file={self.api.authority.certificate}",
            "--authorization-mode=Node,RBAC",
            f"--service-cluster-ip-range={_SERVICE_RANGE}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self._where.pki / 'service-account.pub'}",
            f"--service-account-signing-key-file={self._where.pki / 'service-account.key'}",
            # Asked for by the schedulers and controllers, which else complain twice a second.
            f"--requestheader-client-ca-file={self.api.authority.certificate}",
            "--requestheader-allowed-names=front-proxy",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            "--allow-privileged=true",
            _FEATURES,
            "--runtime-config=scheduling.k8s.io/v1alpha2=true",
            "--max-requests-inflight=3000",
            "--max-mutating-requests-inflight=1500",
            "--profiling=false",
            f"--audit-policy-file={layout.FILES / 'audit.yaml'}",
            f"--audit-log-path={self._where.audit_log}",
            "--audit-log-mode=batch",
            ready=lambda: self.api.get("/readyz") == "ok",
        )

    def controller_manager(self) -> components.Component:
        """All built-in controllers."""
        name = "kube-controller-manager"
        port = self._where.port(layout.Port.CONTROLLER_MANAGER)
        return self._component(
            name,
            f"--kubeconfig={self._etc(name, 'kubeconfig')}",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            *self._serving("component"),
            "--leader-elect=false",
            "--use-service-account-credentials=true",
            f"--service-account-private-key-file={self._where.pki / 'service-account.key'}",
            f"--root-ca-file={self.api.authority.certificate}",
            "--kube-api-qps=2000",
            "--kube-api-burst=4000",
            "--concurrent-job-syncs=20",
            "--concurrent-gc-syncs=20",
            f"--node-monitor-grace-period={_GRACE_S}s",
            _FEATURES,
            "--profiling=false",
            ready=lambda: self._answers_tls(port) and self._default_account_exists(),
        )

    def scheduler(self) -> components.Component:
        """The cluster's own scheduler, for pods that are not ours and to compare with."""
        return self._scheduler("kube-scheduler", layout.Port.SCHEDULER)

    def bridge_scheduler(
        self,
        *,
        extender_url: str = "",
        ca: pathlib.Path | None = None,
        certificate: pathlib.Path | None = None,
        key: pathlib.Path | None = None,
    ) -> components.Component:
        """The second scheduler, as shipped in `deploy/`, asking the extender at that address.

        By default the address is the stack's own extender port, and the certificates its own.
        """
        shipped = layout.REPOSITORY / "deploy" / "kube-scheduler-config.yaml"
        config = yaml.safe_load(shipped.read_text())
        port = self._where.port(layout.Port.EXTENDER)
        extender = config["extenders"][0]
        extender["urlPrefix"] = extender_url or f"https://127.0.0.1:{port}/scheduler"
        extender["tlsConfig"] = {
            "caFile": str(ca or self.api.authority.certificate),
            "certFile": str(certificate or self._where.pki / "kube-scheduler.crt"),
            "keyFile": str(key or self._where.pki / "kube-scheduler.key"),
        }
        self._write_scheduler_config(BRIDGE_SCHEDULER, config)
        return self.bridge_scheduler_again()

    def bridge_scheduler_again(self) -> components.Component:
        """The second scheduler with the configuration it had last."""
        return self._scheduler(BRIDGE_SCHEDULER, layout.Port.BRIDGE_SCHEDULER)

    def kwok(self) -> components.Component:
        """The kubelets of all nodes labelled type=kwok."""
        address = f"127.0.0.1:{self._where.port(layout.Port.KWOK)}"
        return self._component(
            "kwok",
            f"--kubeconfig={self._etc('kwok', 'kubeconfig')}",
            "--manage-nodes-with-label-selector=type=kwok",
            "--cidr=10.0.0.0/8",
            f"--node-lease-duration-seconds={_LEASE_S}",
            f"--server-address={address}",
            ready=lambda: _answers(f"http://{address}/healthz"),
            # It always reads ~/.kwok/kwok.yaml: let that be ours, not the user's.
            environment={"HOME": str(self._where.etc)},
        )

    def _component(
        self,
        name: str,
        *flags: str,
        ready: abc.Callable[[], bool],
        environment: abc.Mapping[str, str] | None = None,
        program: str = "",
    ) -> components.Component:
        argv = (str(self._where.components / (program or name)), *flags)
        return components.Component(name, argv, ready=ready, environment=environment or {})

    def _write_scheduler_config(self, name: str, config: abc.Mapping[str, object]) -> None:
        kubeconfig = str(self._etc("kube-scheduler", "kubeconfig"))
        connection = {"kubeconfig": kubeconfig, "qps": 1000, "burst": 2000}
        text = yaml.safe_dump({**config, "clientConnection": connection})
        self._etc(name, "yaml").write_text(text)

    def _scheduler(self, name: str, port: layout.Port) -> components.Component:
        number = self._where.port(port)
        return self._component(
            name,
            f"--config={self._etc(name, 'yaml')}",
            _FEATURES,
            "--bind-address=127.0.0.1",
            f"--secure-port={number}",
            *self._serving("component"),
            f"--authentication-kubeconfig={self._etc('kube-scheduler', 'kubeconfig')}",
            f"--authorization-kubeconfig={self._etc('kube-scheduler', 'kubeconfig')}",
            ready=lambda: self._answers_tls(number),
            program="kube-scheduler",
        )

    def _etc(self, name: str, suffix: str) -> pathlib.Path:
        return self._where.etc / f"{name}.{suffix}"

    def _serving(self, name: str) -> tuple[str, str]:
        crt, key = self._where.pki / f"{name}.crt", self._where.pki / f"{name}.key"
        return f"--tls-cert-file={crt}", f"--tls-private-key-file={key}"

    def _answers_tls(self, port: int) -> bool:
        return _answers(f"https://127.0.0.1:{port}/healthz", self.api.opener())

    def _default_account_exists(self) -> bool:
        """Without it no pod can be created in the namespace."""
        return bool(self.api.get("/api/v1/namespaces/default/serviceaccounts/default"))


def _answers(url: str, opener: urllib.request.OpenerDirector | None = None) -> bool:
    opener = opener or urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as response:
            return bool(response.status == 200)
    except (OSError, urllib.error.URLError, http.client.HTTPException):
        return False
