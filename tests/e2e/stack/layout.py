"""Where everything of one stack is: its settings, its paths, its ports.

All state is in one folder, so that ending a stack is: end what runs, unmount what is mounted,
remove the folder. Ports are offsets from one base, so that a second stack only needs another base.
"""

import dataclasses
import enum
import json
import os
import pathlib

from tests.e2e.stack import errors

DEFAULT_PORT_BASE = 16440
"""Below the ephemeral range, so that no outgoing connection sits on one of our ports."""

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
FILES = pathlib.Path(__file__).resolve().parent / "files"


class Port(enum.IntEnum):
    """Offsets from the port base. Twenty belong to a stack."""

    APISERVER = 0
    ETCD = 1
    ETCD_PEER = 2
    CONTROLLER_MANAGER = 3
    SCHEDULER = 4
    BRIDGE_SCHEDULER = 5
    KWOK = 6
    SLURMCTLD = 7
    SLURMRESTD = 8
    SLURMD = 9
    SLURMDBD = 10
    EXTENDER = 11
    """Ours to bind: nothing of the stack listens here, the bridge's HTTPS server may."""
    WEBHOOK = 12
    """As EXTENDER, for tests that serve the webhook on its own."""
    WEBHOOK_BALANCER = 14
    """Before several webhooks of a story."""
    API = 15
    """Where people ask the bridge."""
    NATIVE = 13
    """Of the node that runs jobs (`Stack.start_slurmd`). SLURMD is the sink's (`Stack.start_sink`):
    a slurmd there answers for all external nodes that have its address."""
    KARPENTER = 16
    """Its metrics."""
    KARPENTER_PROBES = 17
    """The first of the stories' slurmds has it too: no story starts both."""


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """What a stack is started with; kept in the state folder as `stack.json`."""

    name: str = "default"
    directory: pathlib.Path | None = None
    """The state folder; None means one under the user's state folder, by name."""
    port_base: int = DEFAULT_PORT_BASE


def default_directory(name: str) -> pathlib.Path:
    """Give the state folder of the stack of that name when none is chosen."""
    home = pathlib.Path.home()
    state = pathlib.Path(os.environ.get("XDG_STATE_HOME") or home / ".local" / "state")
    return state / "slurm-bridge" / f"stack-{name}"


def cache_directory() -> pathlib.Path:
    """Give the folder of built parts, shared by all stacks of this user."""
    home = pathlib.Path.home()
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return cache / "slurm-bridge"


@dataclasses.dataclass(frozen=True, slots=True)
class Layout:
    """Paths and ports of one stack."""

    root: pathlib.Path
    name: str
    port_base: int

    @classmethod
    def of(cls, settings: Settings) -> "Layout":
        """Derive the layout from what was asked for."""
        root = settings.directory or default_directory(settings.name)
        # The kernel lists mounts by their real paths, and that is how they are found again.
        return cls(root=root.resolve(), name=settings.name, port_base=settings.port_base)

    @classmethod
    def read(cls, root: pathlib.Path) -> "Layout":
        """Read the layout of the stack whose folder this is.

        Raises StackError if the folder is not one of ours.
        """
        root = root.resolve()
        if not root.exists():
            raise errors.StackError(f"there is no stack in {root}")
        try:
            saved = json.loads((root / "stack.json").read_text())
            return cls(root=root, name=saved["name"], port_base=saved["port_base"])
        except (OSError, ValueError, KeyError) as error:
            message = f"{root} is not the folder of a stack (reading stack.json: {error})"
            raise errors.StackError(message) from error

    def save(self) -> None:
        """Write `stack.json`: the mark by which a folder is known to be ours."""
        text = json.dumps({"name": self.name, "port_base": self.port_base})
        (self.root / "stack.json").write_text(text + "\n")

    def port(self, port: Port) -> int:
        """Give the number of a port."""
        return self.port_base + port

    @property
    def mark(self) -> pathlib.Path:
        """The file by which a folder is known to be a stack's."""
        return self.root / "stack.json"

    @property
    def audit_log(self) -> pathlib.Path:
        """What the bridge has asked of the API server, a line of JSON each."""
        return self.log / "audit.log"

    @property
    def log(self) -> pathlib.Path:
        """One file per component."""
        return self.root / "log"

    @property
    def run(self) -> pathlib.Path:
        """One file per started process: who it is, to be sure before it is killed."""
        return self.root / "run"

    @property
    def bin(self) -> pathlib.Path:
        """Wrappers for people: kubectl, squeue and so on, each bound to this stack."""
        return self.root / "bin"

    @property
    def components(self) -> pathlib.Path:
        """The Kubernetes programs (links)."""
        return self.root / "components"

    @property
    def etc(self) -> pathlib.Path:
        """Configuration of the Kubernetes side."""
        return self.root / "etc"

    @property
    def pki(self) -> pathlib.Path:
        """Certificates and keys."""
        return self.root / "pki"

    @property
    def etcd(self) -> pathlib.Path:
        """The data of etcd, a tmpfs where we may mount one."""
        return self.root / "etcd"

    @property
    def slurm(self) -> pathlib.Path:
        """The Slurm root and what belongs to it."""
        return self.root / "slurm"

    @property
    def slurm_root(self) -> pathlib.Path:
        """The Debian root the Slurm daemons live in."""
        return self.slurm / "root"

    @property
    def kubeconfig(self) -> pathlib.Path:
        """The cluster admin's kubeconfig."""
        return self.root / "kubeconfig"

    @property
    def slurm_token(self) -> pathlib.Path:
        """A JWT of SlurmUser."""
        return self.slurm / "slurm.jwt"

    @property
    def env(self) -> pathlib.Path:
        """The file to source."""
        return self.root / "env"
