"""Which proxy the environment means, case by case as Go reads it."""

import pytest

from bridge.kube.api import proxies

PROXY = {"HTTPS_PROXY": "http://p:1"}


@pytest.mark.parametrize(
    ("server", "environ", "proxy"),
    [
        ("https://k8s.corp:6443", {}, None),
        ("https://k8s.corp:6443", {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ("https://k8s.corp:6443", {"https_proxy": "http://p:1"}, "http://p:1"),
        ("https://k8s.corp:6443", {"HTTP_PROXY": "http://p:1"}, None),
        ("http://k8s.corp", {"HTTP_PROXY": "http://p:1"}, "http://p:1"),
        ("https://127.0.0.1:6443", PROXY, None),
        ("https://[::1]:6443", PROXY, None),
        ("https://localhost:6443", PROXY, None),
    ],
)
def test_which(server: str, environ: dict[str, str], proxy: str | None) -> None:
    """By the scheme of the server; never for this machine itself."""
    assert proxies.for_server(server, environ) == proxy


@pytest.mark.parametrize(
    ("server", "no_proxy", "direct"),
    [
        ("https://k8s.corp", "*", True),
        ("https://k8s.corp", "k8s.corp", True),
        ("https://k8s.corp", "other, K8S.corp ", True),
        ("https://k8s.corp", "corp", True),
        ("https://k8s.corp", ".corp", True),
        ("https://k8s.corp", "*.corp", True),
        ("https://corp", ".corp", False),
        ("https://corp", "corp", True),
        ("https://k8scorp", "corp", False),
        ("https://k8s.corp", "k8s.corp:443", True),
        ("https://k8s.corp:6443", "k8s.corp:443", False),
        ("https://10.96.0.1", "10.96.0.0/12", True),
        ("https://10.200.0.1", "10.96.0.0/12", False),
        ("https://10.96.0.1:443", "10.96.0.1", True),
        ("https://10.96.0.1", "10.96.0.10", False),
        ("https://[fd00::1]:443", "fd00::/8", True),
        ("https://[fd00::1]:443", "fd00::1", True),
        ("https://[fd00::1]:443", "[fd00::1]:443", True),
        ("https://k8s.corp", "10.0.0.0/8", False),
        ("https://10.0.0.1", "10.0.0.0/99", False),
        ("https://k8s.corp", "", False),
        ("https://k8s.corp", ",,", False),
    ],
)
def test_exceptions(server: str, no_proxy: str, direct: bool) -> None:
    """$NO_PROXY: names with what is below them, addresses, networks, ports."""
    found = proxies.for_server(server, {**PROXY, "NO_PROXY": no_proxy})
    assert found == (None if direct else "http://p:1")
