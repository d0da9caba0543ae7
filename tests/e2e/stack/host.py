"""What the machine must offer: programs, free ports, a Debian mirror."""

import errno
import os
import pathlib
import shutil
import socket
import subprocess
from collections import abc

from tests.e2e.stack import errors, layout, progress

_PACKAGES = {"mmdebstrap": "mmdebstrap", "mount": "mount"}
"""Program → the Debian package that has it."""


def is_root() -> bool:
    """Tell whether we may mount and chroot."""
    return os.geteuid() == 0


def require_root() -> None:
    """Raise MissingTool unless we are root: Slurm's daemons live in a root of their own."""
    if not is_root():
        raise errors.MissingTool("the stack mounts and chroots: run it as root")


def install(programs: abc.Iterable[str], say: progress.Say) -> None:
    """Install by apt what is missing of the programs."""
    missing = sorted({_PACKAGES[name] for name in programs if shutil.which(name) is None})
    if not missing:
        return
    wanted = " ".join(missing)
    if shutil.which("apt-get") is None or not is_root():
        raise errors.MissingTool(f"missing: {wanted} (Debian packages); install them and try again")
    say(f"installing {wanted}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing]
    for command in (["apt-get", "update", "-q"], install):
        run(command, environment=environment)


def run(
    command: abc.Sequence[str],
    *,
    environment: abc.Mapping[str, str] | None = None,
    directory: pathlib.Path | None = None,
    stdin: str | None = None,
    keep: abc.Collection[int] = (),
) -> str:
    """Run a command to its end and give its output. It inherits the descriptors in `keep`.

    Raises CommandFailed with the end of what it printed.
    """
    done = subprocess.run(
        command,
        env=environment,
        cwd=directory,
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        check=False,
        pass_fds=keep,
    )
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        what = " ".join(command)
        raise errors.CommandFailed(f"`{what}` exited with {done.returncode}:\n{tail}")
    return done.stdout


def debian_mirror() -> str:
    """Give the mirror this machine's apt uses for Debian itself.

    Raises MissingTool on another distribution.
    """
    text = ""
    if shutil.which("apt-get"):
        text = run(["apt-get", "indextargets", "--format", "$(ORIGIN)|$(REPO_URI)|$(CODENAME)"])
    for line in text.splitlines():
        origin, uri, codename = line.split("|")
        if origin == "Debian" and "-" not in codename:
            return uri
    raise errors.MissingTool("no Debian mirror in apt's sources: the Slurm root is made from one")


def require_free_ports(where: layout.Layout) -> None:
    """Raise PortInUse for the first port of the stack that another process listens on."""
    for port in layout.Port:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", where.port(port)))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                name = port.name.lower().replace("_", "-")
                raise errors.PortInUse(
                    f"port {where.port(port)} (for {name}) is in use; "
                    "choose another range with --port-base"
                ) from error
