"""The Debian root that has Slurm: made once, cached, and laid under each stack by overlayfs.

Why a root of its own: the bridge needs Slurm 25.11, the stable Debian releases are older, and
packages of another release don't install beside those of this one. The suite below has 26.05.
"""

import pathlib
import secrets
import shutil
import string
from collections import abc

from tests.e2e.stack import cache, host, layout, mounts, progress

_SUITE = "forky"
_PACKAGES = (
    "slurmctld",
    "slurmd",
    "slurmrestd",
    "slurmdbd",
    "slurm-client",
    "slurm-wlm-basic-plugins",
    "slurm-wlm-jwt-plugin",
    "slurm-wlm-mysql-plugin",
    "mariadb-server",  # behind slurmdbd; its packages make an empty database in the root
    "procps",
    "iproute2",
    "python3-minimal",
)
USERS = {"alice": 10001, "bob": 10002, "carol": 10003}
"""People of the Slurm cluster, for tests of identity: name → uid, gid the same."""

_SLURM_ID = 64030
"""Debian's fixed uid and gid of the user slurm."""


def cached(where: layout.Layout, say: progress.Say) -> pathlib.Path:
    """Give the cached root, making it if this package list was never made here."""

    def command(path: pathlib.Path) -> list[str]:
        host.install(("mmdebstrap",), say)
        options = ["--quiet", "--variant=minbase", "--mode=root", "--format=directory"]
        # The machine's clock may be far from the archive's.
        options += ["--aptopt=Acquire::Check-Valid-Until false"]
        options += [f"--include={','.join(_PACKAGES)}"]
        source = f"deb {host.debian_mirror()} {_SUITE} main"
        return ["mmdebstrap", *options, _SUITE, str(path), source]

    return cache.get(
        f"slurm-root-{cache.key(_SUITE, *_PACKAGES)}",
        command,
        stack=where.root,
        say=say,
        doing=f"making the Slurm root (Debian {_SUITE}): half a minute, once …",
    )


def lay(where: layout.Layout, say: progress.Say) -> None:
    """Make `slurm/root` of this stack: a writable view of the cached root, with /proc and /dev."""
    base = cached(where, say)
    root = where.slurm_root
    root.mkdir(parents=True)
    if not _overlay(where, base):  # refused inside some containers
        host.run(["cp", "-a", f"{base}/.", str(root)])
    for name in ("proc", "dev"):
        if not mounts.mount("--bind", f"/{name}", str(root / name)):
            raise mounts.refused(root / name)
    # Without the host's names each look-up waits 5 seconds for a name server.
    shutil.copyfile("/etc/hosts", root / "etc" / "hosts")
    with (root / "etc" / "passwd").open("a") as passwd, (root / "etc" / "group").open("a") as group:
        for name, number in USERS.items():
            passwd.write(f"{name}:x:{number}:{number}::/tmp:/bin/sh\n")
            group.write(f"{name}:x:{number}:\n")


def configure(where: layout.Layout, values: abc.Mapping[str, object]) -> None:
    """Write Slurm's configuration, keys and state folders into the root."""
    root = where.slurm_root
    etc = root / "etc" / "slurm"
    etc.mkdir(exist_ok=True)
    for name in ("slurm.conf", "slurmdbd.conf", "topology.yaml", "cgroup.conf", "accounts.sql"):
        text = string.Template((layout.FILES / name).read_text()).substitute(values)
        (etc / name).write_text(text)
    # It holds a password where others need one, so slurmdbd wants it to be its user's alone.
    (etc / "slurmdbd.conf").chmod(0o600)
    shutil.chown(etc / "slurmdbd.conf", _SLURM_ID, _SLURM_ID)
    for name, size in (("slurm.key", 1024), ("jwt_hs256.key", 32)):
        key = etc / name
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(size))
        shutil.chown(key, _SLURM_ID, _SLURM_ID)
    for name, owner in (
        ("var/spool/slurmctld", "slurm"),
        ("var/spool/slurmd", "root"),
        ("run/slurm", "root"),
        ("run/slurmdbd", "slurm"),
        ("run/mysqld", "mysql"),
    ):
        (root / name).mkdir(parents=True, exist_ok=True)
        host.run(["chroot", str(root), "chown", owner, f"/{name}"])


def _overlay(where: layout.Layout, base: pathlib.Path) -> bool:
    layer = where.slurm / "layer"
    layer.mkdir()
    mounts.mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", str(layer))  # on disk it works as well
    (layer / "upper").mkdir()
    (layer / "work").mkdir()
    options = f"lowerdir={base},upperdir={layer / 'upper'},workdir={layer / 'work'}"
    return mounts.mount("-t", "overlay", "overlay", "-o", options, str(where.slurm_root))
