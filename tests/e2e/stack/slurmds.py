"""Nodes of stories on which a real slurmd runs, several in one root; and the shipped Prolog.

A slurmd takes any name (`-N`), so it can be the slurmd of a kwok node: a hybrid node.
"""

import base64
import dataclasses
import pathlib
import shutil
import subprocess

import yaml

from tests.e2e.stack import access, components, errors, layout, mounts, slurm

_FIRST_PORT, _LAST_PORT = 17, 19
"""Of the stack's twenty, behind those that a story's bridge listens on."""
_PROLOG = layout.REPOSITORY / "deploy" / "prolog" / "slurm-bridge-prolog"


@dataclasses.dataclass(frozen=True, slots=True)
class Slurmd:
    """A slurmd that registers its node, and what it says of the node."""

    name: str
    cpus: int = 8
    memory_mib: int = 16384
    features: tuple[str, ...] = ("slurm-bridge",)

    @property
    def component(self) -> str:
        """The name of its process."""
        return f"slurmd-{self.name}"


def component(
    cluster: slurm.Slurm, where: layout.Layout, node: Slurmd, *, position: int
) -> components.Component:
    """The slurmd as a process of the stack; `position` chooses its port."""
    port = where.port_base + _FIRST_PORT + position
    if port > where.port_base + _LAST_PORT:
        raise errors.StackError("a stack has no ports for so many slurmds")
    conf = {
        "CPUs": f"{node.cpus} Sockets=1 CoresPerSocket={node.cpus} ThreadsPerCore=1",
        "RealMemory": node.memory_mib,
        "Feature": ",".join(node.features),
        "NodeAddr": "127.0.0.1",
        "Port": port,
        "Topology": "fabric:root:with-slurmd",
    }
    words = " ".join(f"{key}={value}" for key, value in conf.items())
    argv = cluster.enter("/usr/sbin/slurmd", "-D", "-Z", "-N", node.name, "--conf", words)

    def is_idle() -> bool:
        command = cluster.enter("sinfo", "--noheader", "--nodes", node.name, "--format=%T")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return "idle" in done.stdout.split()

    return components.Component(node.component, tuple(argv), ready=is_idle, timeout_s=30)


def install_prolog(
    cluster: slurm.Slurm,
    where: layout.Layout,
    api: access.Access,
    kubernetes_names: dict[str, str],
    **settings: object,
) -> pathlib.Path:
    """Let slurmds run the shipped Prolog, with `settings`, as the kubelets of these nodes (name in
    Slurm → in Kubernetes). Gives the path of its log."""
    root = where.slurm_root
    shutil.copy(_PROLOG, root / "etc" / "slurm" / _PROLOG.name)
    kubectl = root / "usr" / "bin" / "kubectl"
    if not kubectl.exists():
        kubectl.touch()
        program = (where.components / "kubectl").resolve()
        if not mounts.mount("--bind", str(program), str(kubectl)):
            raise mounts.refused(kubectl)
    folder = root / "etc" / "kubernetes"
    folder.mkdir(exist_ok=True)
    for slurm_name, name in kubernetes_names.items():
        path = folder / f"{slurm_name}.conf"
        user = f"system:node:{name}"
        api.write_kubeconfig(
            path, certificate=f"kubelet-{name}", user=user, groups=["system:nodes"]
        )
        path.write_text(_with_files_inside(path.read_text()))
    log = "var/log/slurm-bridge-prolog.log"
    said = {"kubeconfig": "/etc/kubernetes/$SLURMD_NODENAME.conf", "log": f"/{log}", **settings}
    conf = "".join(f"{key}={value}\n" for key, value in said.items())
    (root / "etc" / "slurm" / f"{_PROLOG.name}.conf").write_text(conf)
    (root / log).unlink(missing_ok=True)
    configure(cluster, where, Prolog=f"/etc/slurm/{_PROLOG.name}", PrologFlags="Alloc")
    return root / log


def configure(cluster: slurm.Slurm, where: layout.Layout, **lines: str) -> None:
    """Set these lines of slurm.conf for now; "" takes one away. They stand nowhere else there."""
    path = where.slurm_root / "etc" / "slurm" / "slurm.conf"
    kept = [line for line in path.read_text().splitlines() if line.partition("=")[0] not in lines]
    said = [f"{key}={value}" for key, value in lines.items() if value]
    path.write_text("\n".join([*kept, *said]) + "\n")
    cluster.run("scontrol", "reconfigure")


def _with_files_inside(kubeconfig: str) -> str:
    """The kubeconfig with its certificates in it: their files are not in the root."""
    content = yaml.safe_load(kubeconfig)
    for section in (content["clusters"][0]["cluster"], content["users"][0]["user"]):
        for key in ("certificate-authority", "client-certificate", "client-key"):
            if key in section:
                data = pathlib.Path(section.pop(key)).read_bytes()
                section[f"{key}-data"] = base64.b64encode(data).decode()
    return str(yaml.safe_dump(content))
