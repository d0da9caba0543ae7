"""The Kubernetes programs: given by KUBEBUILDER_ASSETS, or built from `tests/e2e/controlplane`. And
Karpenter, built from its Go module (`tests/e2e/karpenter`)."""

import os
import pathlib
import re
import shutil

from tests.e2e.stack import cache, errors, host, layout, progress

PROGRAMS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubectl",
    "kwok",
)
KARPENTER = "karpenter"
_SOURCE = layout.REPOSITORY / "tests" / "e2e" / "controlplane"
_KARPENTER_SOURCE = layout.REPOSITORY / "tests" / "e2e" / "karpenter"
_KARPENTER_MODULE = "sigs.k8s.io/karpenter"
_GO = (1, 26)


def link(where: layout.Layout, say: progress.Say) -> None:
    """Fill the folder `components` with a link per program, building what is not there yet."""
    where.components.mkdir(exist_ok=True)
    assets = pathlib.Path(os.environ.get("KUBEBUILDER_ASSETS") or "/nonexistent")
    given = {name: assets / name for name in PROGRAMS if (assets / name).exists()}
    built = None if set(PROGRAMS) <= set(given) else _built(where, say)
    for name in PROGRAMS:
        path = where.components / name
        path.unlink(missing_ok=True)
        path.symlink_to(given.get(name) or built or "")
    path = where.components / KARPENTER
    path.unlink(missing_ok=True)
    path.symlink_to(_karpenter(where, say))


def karpenter_source() -> pathlib.Path:
    """Give the folder of Karpenter's own source, which has its kinds."""
    command = ["go", "list", "-m", "-f", "{{.Dir}}", _KARPENTER_MODULE]
    return pathlib.Path(host.run(command, directory=_KARPENTER_SOURCE).strip())


def _karpenter(where: layout.Layout, say: progress.Say) -> pathlib.Path:
    """Karpenter with the provider whose nodes are kwok's."""
    go, source = _go(), _KARPENTER_SOURCE
    parts = [(source / name).read_bytes() for name in ("go.mod", "go.sum")]
    package = f"{_KARPENTER_MODULE}/kwok"
    return cache.get(
        f"karpenter-{cache.key(go, *parts)}",
        lambda path: [
            "go",
            "build",
            "-buildvcs=false",
            "-ldflags",
            "-s -w",
            "-o",
            str(path),
            package,
        ],
        stack=where.root,
        say=say,
        doing="building Karpenter: 3 minutes on two cores, once …",
        directory=source,
    )


def _built(where: layout.Layout, say: progress.Say) -> pathlib.Path:
    go = _go()
    sources = sorted([*_SOURCE.glob("*.go"), _SOURCE / "go.mod", _SOURCE / "go.sum"])
    key = cache.key(go, *(part for path in sources for part in (path.name, path.read_bytes())))
    version = _kubernetes_version()
    # kubectl and kwok refuse a server whose version they can't parse.
    flags = f"-s -w -X k8s.io/component-base/version.gitVersion={version}"
    return cache.get(
        f"controlplane-{key}",
        lambda path: ["go", "build", "-buildvcs=false", "-ldflags", flags, "-o", str(path), "."],
        stack=where.root,
        say=say,
        doing=f"building Kubernetes {version}: 9 minutes on two cores, once …",
        directory=_SOURCE,
    )


def _go() -> str:
    wanted = ".".join(str(part) for part in _GO)
    if shutil.which("go") is None:
        raise errors.MissingTool(f"Go ≥ {wanted} is missing: it builds the Kubernetes programs")
    version = host.run(["go", "env", "GOVERSION"], directory=_SOURCE).strip()
    match = re.match(r"go(\d+)\.(\d+)", version)
    if match is None or (int(match[1]), int(match[2])) < _GO:
        raise errors.MissingTool(f"Go ≥ {wanted} is needed to build the stack, this is {version}")
    return version


def _kubernetes_version() -> str:
    match = re.search(r"^\s*k8s\.io/kubernetes (v\S+)", (_SOURCE / "go.mod").read_text(), re.M)
    assert match is not None
    return match[1]
