"""Speaking to the API server as admin: certificates, kubeconfigs, kubectl, plain requests."""

import http.client
import pathlib
import ssl
import urllib.request
from collections import abc

import yaml

from tests.e2e.stack import host, layout, pki


class Access:
    """The way to the API server of one stack, and the authority that its users come from."""

    def __init__(self, where: layout.Layout) -> None:
        self._where = where
        self.authority = pki.Authority(where.pki)

    @property
    def url(self) -> str:
        """The address of the API server."""
        return f"https://127.0.0.1:{self._where.port(layout.Port.APISERVER)}"

    def write_kubeconfig(
        self,
        path: pathlib.Path,
        *,
        certificate: str,
        user: str,
        groups: abc.Sequence[str] = (),
    ) -> None:
        """Issue a client certificate for a user in groups and write a kubeconfig that uses it."""
        crt, key = self.authority.issue(certificate, common_name=user, organizations=groups)
        cluster = {"server": self.url, "certificate-authority": str(self.authority.certificate)}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": self._where.name,
            "clusters": [{"name": self._where.name, "cluster": cluster}],
            "users": [
                {"name": user, "user": {"client-certificate": str(crt), "client-key": str(key)}}
            ],
            "contexts": [
                {"name": self._where.name, "context": {"cluster": self._where.name, "user": user}}
            ],
        }
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(content))

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl as admin and give its output. Raises CommandFailed."""
        program = str(self._where.components / "kubectl")
        command = [program, f"--kubeconfig={self._where.kubeconfig}", *arguments]
        return host.run(command, stdin=stdin)

    def get(self, path: str) -> str:
        """GET a path of the API server as admin; empty if it does not answer with 200."""
        request = urllib.request.Request(f"{self.url}{path}")
        try:
            with self.opener().open(request, timeout=10) as response:
                return str(response.read().decode())
        except (OSError, http.client.HTTPException):
            return ""

    def connect(self) -> http.client.HTTPSConnection:
        """Open a connection to the API server as admin."""
        port = self._where.port(layout.Port.APISERVER)
        return http.client.HTTPSConnection("127.0.0.1", port, context=self._tls(), timeout=30)

    def write_wrapper(self) -> None:
        """Write `bin/kubectl`."""
        path = self._where.bin / "kubectl"
        program = self._where.components / "kubectl"
        path.write_text(f'#!/bin/sh\nKUBECONFIG="{self._where.kubeconfig}" exec "{program}" "$@"\n')
        path.chmod(0o755)

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        context.load_cert_chain(self._where.pki / "admin.crt", self._where.pki / "admin.key")
        return context

    def opener(self) -> urllib.request.OpenerDirector:
        """Give what opens URLs that a certificate of this authority serves, past any proxy."""
        https = urllib.request.HTTPSHandler(context=self._tls())
        return urllib.request.build_opener(urllib.request.ProxyHandler({}), https)
