"""The Slurm side: what runs, and how it is spoken to.

Every program runs inside the Slurm root (`chroot`), so its id, log and end are those of any other
process. Accounting is real: slurmctld tells slurmdbd of its jobs, which keeps them in MariaDB.
slurmctld ends itself when it finds no accounting at its first start, so these start in order.
"""

import json
import socket
import subprocess
import urllib.error
import urllib.request
from typing import Any

from tests.e2e.stack import components, errors, host, layout, progress, slurmroot

VERSION = "v0.0.45"
"""Of slurmrestd's API, for our own probes."""

Answer = dict[str, Any]
"""A decoded answer of slurmrestd; `Any` because it is the wire, looked into by probes only."""

NATIVE = "native"
"""The partition of the node that really runs jobs; it has no other."""
NATIVE_NODE = "native-1"

SINK_NODE = "sink-1"
"""The node that answers for all external nodes while its slurmd runs; it has no partition."""
SINK_ADDRESS = "127.0.0.1"
"""NodeAddr that external nodes need for that: slurmctld speaks to it, on SlurmdPort."""

COMMANDS = (
    *("squeue", "sinfo", "scontrol", "scancel", "sbatch", "srun", "salloc", "sdiag", "sprio"),
    *("sacct", "sacctmgr", "sreport", "sshare"),
)
"""Slurm's commands that get a wrapper in `bin/`."""

_DATABASE_SOCKET = "/run/mysqld/mysqld.sock"
_DATABASE_OPTIONS = (
    f"--socket={_DATABASE_SOCKET}",
    "--skip-networking",
    "--init-file=/etc/slurm/accounts.sql",
    "--innodb-buffer-pool-size=64M",
    "--innodb-log-file-size=64M",
    "--innodb-flush-log-at-trx-commit=2",  # survives a kill, not a power cut
    "--innodb-flush-method=nosync",
    "--innodb-use-native-aio=0",
    "--innodb-lock-wait-timeout=900",  # slurmdbd complains below that
    "--performance-schema=OFF",
)
_TOKEN_LIFE_S = 10 * 365 * 24 * 3600
_NOBODY = "65534"


class Slurm:
    """The Slurm cluster of one stack."""

    def __init__(self, where: layout.Layout) -> None:
        self._where = where

    @property
    def url(self) -> str:
        """The address of slurmrestd."""
        return f"http://127.0.0.1:{self._where.port(layout.Port.SLURMRESTD)}"

    def prepare(self, say: progress.Say) -> None:
        """Lay the root and write the configuration."""
        slurmroot.lay(self._where, say)
        slurmroot.configure(
            self._where,
            {
                "hostname": socket.gethostname().partition(".")[0],
                "slurmctld_port": self._where.port(layout.Port.SLURMCTLD),
                "slurmd_port": self._where.port(layout.Port.SLURMD),
                "slurmdbd_port": self._where.port(layout.Port.SLURMDBD),
            },
        )

    def enter(self, *command: str, user: str = "") -> list[str]:
        """Give the command line that runs a command inside the root, as root or another user."""
        as_user = [f"--userspec={user}:{user}"] if user else []
        return ["chroot", *as_user, str(self._where.slurm_root), *command]

    def run(self, *command: str, user: str = "", stdin: str | None = None) -> str:
        """Run a command inside the root and give its output. Raises CommandFailed."""
        return host.run(self.enter(*command, user=user), stdin=stdin)

    def database(self) -> components.Component:
        """MariaDB, small: what it keeps ends with the stack."""
        argv = self.enter("/usr/sbin/mariadbd", "--no-defaults", "--user=mysql", *_DATABASE_OPTIONS)
        return components.Component("mariadbd", tuple(argv), ready=self._database_answers)

    def slurmdbd(self) -> components.Component:
        """The accounting daemon; it makes its tables at its first start."""
        argv = self.enter("/usr/sbin/slurmdbd", "-D")
        port = self._where.port(layout.Port.SLURMDBD)
        return components.Component("slurmdbd", tuple(argv), ready=lambda: _listens(port))

    def slurmctld(self) -> components.Component:
        """The controller.

        `-i`: killed before it first wrote the shares' usage, it would refuse to start again.
        """
        argv = self.enter("/usr/sbin/slurmctld", "-D", "-i")
        return components.Component("slurmctld", tuple(argv), ready=self._controller_is_up)

    def slurmrestd(self) -> components.Component:
        """The REST server; it refuses to run as root or SlurmUser."""
        port = self._where.port(layout.Port.SLURMRESTD)
        plugins = "slurmctld,slurmdbd,util"
        argv = self.enter("/usr/sbin/slurmrestd", "-a", "rest_auth/jwt", "-s", plugins)
        argv += ["-u", _NOBODY, "-g", _NOBODY, f"127.0.0.1:{port}"]
        return components.Component(
            "slurmrestd", tuple(argv), ready=self._rest_answers, environment={"SLURM_JWT": "daemon"}
        )

    def slurmd(self) -> components.Component:
        """A node of Slurm's own kind, small: it registers itself and runs batch jobs."""
        conf = {
            "CPUs": "2 Sockets=1 CoresPerSocket=2 ThreadsPerCore=1",
            "RealMemory": 1000,
            "Feature": NATIVE,
            "NodeAddr": "127.0.0.1",
            "Port": self._where.port(layout.Port.NATIVE),
            "Topology": f"fabric:root:{NATIVE}",
        }
        words = " ".join(f"{key}={value}" for key, value in conf.items())
        argv = self.enter("/usr/sbin/slurmd", "-D", "-Z", "-N", NATIVE_NODE, "--conf", words)
        return components.Component("slurmd", tuple(argv), ready=self._native_is_idle, timeout_s=30)

    def sink(self) -> components.Component:
        """A stock slurmd on SlurmdPort of the external nodes' address; it registers itself."""
        conf = {
            "CPUs": "1 Sockets=1 CoresPerSocket=1 ThreadsPerCore=1",
            "RealMemory": 100,
            "NodeAddr": SINK_ADDRESS,
            "Port": self._where.port(layout.Port.SLURMD),
            "Topology": f"fabric:root:{SINK_NODE}",
        }
        words = " ".join(f"{key}={value}" for key, value in conf.items())
        argv = self.enter("/usr/sbin/slurmd", "-D", "-Z", "-N", SINK_NODE, "--conf", words)
        return components.Component("sink", tuple(argv), ready=self._sink_answers, timeout_s=30)

    def forget_sink(self) -> None:
        """Remove the sink's node, whose slurmd has ended: slurmctld would miss it only minutes
        later. Does nothing where there is none."""
        if f"NodeName={SINK_NODE} " in self.run("scontrol", "show", "nodes", "--all", "--oneliner"):
            self.run("scontrol", "delete", f"nodename={SINK_NODE}")

    def parts(self) -> list[components.Component]:
        """All of Slurm, in order of start."""
        return [*self.accounting(), self.slurmctld(), self.slurmrestd()]

    def accounting(self) -> list[components.Component]:
        """What must answer before slurmctld starts, in order of start."""
        return [self.database(), self.slurmdbd()]

    def enforce(self, *what: str) -> None:
        """Have slurmctld enforce `associations`, `limits`, `qos` …; nothing: what it began with.

        For all users and partitions, so only on a stack of the test's own, and undone after it.
        """
        self.configure("AccountingStorageEnforce", ",".join(what))

    def configure(self, key: str, value: str) -> None:
        """Have slurmctld run with this line of slurm.conf, or without it if `value` is empty; on a
        stack of the test's own."""
        path = self._where.slurm_root / "etc" / "slurm" / "slurm.conf"
        lines = [one for one in path.read_text().splitlines() if not one.startswith(f"{key}=")]
        lines += [f"{key}={value}"] if value else []
        path.write_text("\n".join(lines) + "\n")
        self.run("scontrol", "reconfigure")

    def token(self, user: str = "slurm", *, life_s: int = _TOKEN_LIFE_S) -> str:
        """Have slurmctld make a JWT for a user."""
        text = self.run("scontrol", "token", f"username={user}", f"lifespan={life_s}")
        return text.strip().partition("=")[2]

    def call(self, method: str, path: str, body: object = None) -> Answer:
        """Speak to slurmrestd as SlurmUser, `path` below the version; for probes and tests.

        Raises CommandFailed with what was answered unless that is a 200.
        """
        request = urllib.request.Request(
            f"{self.url}/slurm/{VERSION}/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "X-SLURM-USER-TOKEN": self._where.slurm_token.read_text().strip(),
                "Content-Type": "application/json",
            },
        )
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with direct.open(request, timeout=30) as response:
                answer: Answer = json.load(response)
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            message = f"{method} {path}: slurmrestd answered {error.code}: {text}"
            raise errors.CommandFailed(message) from error
        return answer

    def write_wrappers(self) -> None:
        """Write `bin/squeue` and so on, which enter the root."""
        for name in COMMANDS:
            path = self._where.bin / name
            path.write_text(f'#!/bin/sh\nexec chroot "{self._where.slurm_root}" {name} "$@"\n')
            path.chmod(0o755)

    def _database_answers(self) -> bool:
        ping = self.enter("mariadb-admin", "--no-defaults", f"--socket={_DATABASE_SOCKET}", "ping")
        return subprocess.run(ping, capture_output=True, check=False).returncode == 0

    def _controller_is_up(self) -> bool:
        command = self.enter("scontrol", "ping")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if "is UP" not in done.stdout:
            return False
        if not self._where.slurm_token.exists():
            self._where.slurm_token.touch(mode=0o600)
            self._where.slurm_token.write_text(self.token() + "\n")
        return True

    def _native_is_idle(self) -> bool:
        command = self.enter("sinfo", "--noheader", "--partition", NATIVE, "--format=%T")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout.strip() in ("idle", "mixed", "allocated")

    def _sink_answers(self) -> bool:
        command = self.enter("scontrol", "show", "node", SINK_NODE)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return "State=IDLE+" in done.stdout and "NOT_RESPONDING" not in done.stdout

    def _rest_answers(self) -> bool:
        try:
            self.call("GET", "ping/")
        except (OSError, errors.CommandFailed):
            return False
        return True


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
