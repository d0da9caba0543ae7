"""The stack as one object: what the command line, `make e2e` and the tests use.

    with stack.Stack.up(name="mine", port_base=17000) as real: ...

or, against a stack that `make stack-up` left running, `stack.Stack.attach()`.
"""

import contextlib
import fcntl
import os
import pathlib
import types
from collections import abc

from tests.e2e.stack import (
    cache,
    components,
    errors,
    host,
    karpenter,
    kubernetes,
    layout,
    mounts,
    nodes,
    processes,
    programs,
    progress,
    slurm,
    slurmds,
)


class Stack:
    """One running stack: a Kubernetes cluster and a Slurm cluster on this machine."""

    def __init__(self, where: layout.Layout) -> None:
        self.layout = where
        self.kubernetes = kubernetes.Kubernetes(where)
        self.slurm_cluster = slurm.Slurm(where)
        self._runner = components.Runner(where)

    @classmethod
    def up(cls, settings: layout.Settings | None = None, *, say: progress.Say = print) -> "Stack":
        """Start a stack, or attach to it if it is up; what is left of a dead one is cleaned first.

        Takes under half a minute once the parts are built. Raises StackError.
        """
        host.require_root()
        where = layout.Layout.of(settings or layout.Settings())
        _claim(where.root)
        with _locked(where.root):
            stack = cls(where)
            if where.mark.exists():
                stack = cls(layout.Layout.read(where.root))
                if stack.is_up():
                    say(f"the stack {stack.layout.name} is up already")
                    return stack
                say("cleaning what is left of an earlier stack")
                stack._clean()
            stack = cls(where)
            try:
                stack._start(say)
            except BaseException:
                say("ending what was started; the logs stay until `down` or the next `up`")
                stack._end()
                raise
        return stack

    @classmethod
    def fresh(cls, name: str, port_base: int) -> "Stack":
        """Start one that nobody has used; what a run that was killed has left of it ends first."""
        settings = layout.Settings(name=name, port_base=port_base)
        root = layout.Layout.of(settings).root
        if root.exists():
            cls.in_folder(root).down()
        return cls.up(settings)

    @classmethod
    def attach(cls, directory: pathlib.Path | None = None, *, name: str = "default") -> "Stack":
        """Give the stack that is up in that folder. Raises StackError if there is none."""
        stack = cls(layout.Layout.read(directory or layout.default_directory(name)))
        if not stack.is_up():
            raise errors.StackError(f"the stack in {stack.layout.root} is not up")
        return stack

    @classmethod
    def in_folder(cls, root: pathlib.Path) -> "Stack":
        """Give the stack of that folder, in whatever state it is; for status and down.

        Raises StackError if the folder has something else in it.
        """
        if root.exists() and not any(root.iterdir()):  # `up` was killed at its first step
            return cls(layout.Layout(root=root, name="", port_base=0))
        return cls(layout.Layout.read(root))

    def down(self) -> None:
        """End every process, unmount everything, remove the folder. Does nothing twice."""
        if not self.layout.root.exists():
            return
        with _locked(self.layout.root):
            self._clean()
            self.layout.root.rmdir()

    def __enter__(self) -> "Stack":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self.down()

    # What a test needs to know.

    @property
    def kubeconfig(self) -> pathlib.Path:
        """The cluster admin's kubeconfig."""
        return self.layout.kubeconfig

    @property
    def slurm_url(self) -> str:
        """The address of slurmrestd."""
        return self.slurm_cluster.url

    @property
    def slurm_token_file(self) -> pathlib.Path:
        """A file with a JWT of SlurmUser."""
        return self.layout.slurm_token

    @property
    def bridge_tls(self) -> tuple[pathlib.Path, pathlib.Path, pathlib.Path]:
        """CA, certificate and key that the extender and the webhook may serve with."""
        pki = self.layout.pki
        return pki / "ca.crt", pki / "bridge.crt", pki / "bridge.key"

    @property
    def extender_port(self) -> int:
        """The port that the bridge scheduler expects the extender on, by default."""
        return self.layout.port(layout.Port.EXTENDER)

    @property
    def webhook_port(self) -> int:
        """A port that is free for a webhook server."""
        return self.layout.port(layout.Port.WEBHOOK)

    def is_up(self) -> bool:
        """Tell whether every component that belongs to a started stack runs."""
        every = self._components()
        return self._complete.exists() and all(self._runner.running(name) for name in every)

    def status(self) -> dict[str, int | None]:
        """Give each component's process id, None for those that do not run."""
        names = [*self._components(), *self._runner.names()]
        found = {name: self._runner.running(name) for name in dict.fromkeys(names)}
        return {name: one.pid if one else None for name, one in found.items()}

    # What a test does.

    def run_kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl as admin and give its output. Raises CommandFailed."""
        return self.kubernetes.api.kubectl(*arguments, stdin=stdin)

    def slurm(self, *command: str, user: str = "", stdin: str | None = None) -> str:
        """Run a Slurm command (`slurm("squeue", "-h")`) as root or one of slurmroot.USERS."""
        return self.slurm_cluster.run(*command, user=user, stdin=stdin)

    def create_nodes(self, pool: nodes.Pool) -> list[str]:
        """Create a pool of kwok nodes, wait until they are ready, give their names."""
        return nodes.create(self.kubernetes.api, pool, timeout_s=60.0 + pool.count / 10)

    def start_bridge_scheduler(
        self,
        *,
        extender_url: str = "",
        ca: pathlib.Path | None = None,
        certificate: pathlib.Path | None = None,
        key: pathlib.Path | None = None,
    ) -> None:
        """Start (or, with another address, start anew) the kube-scheduler with our profile.

        It presents the certificate and key to the extender at `extender_url`
        (`https://127.0.0.1:<extender_port>/scheduler` if empty) and trusts `ca`.
        """
        self._runner.stop(kubernetes.BRIDGE_SCHEDULER)
        component = self.kubernetes.bridge_scheduler(
            extender_url=extender_url, ca=ca, certificate=certificate, key=key
        )
        self._runner.start(component)

    def start_slurmd(self) -> None:
        """Start the node that runs batch jobs, in the partition slurm.NATIVE, if it doesn't run.

        It stays until the stack ends: other tests may use it by then.
        """
        self._runner.start(self.slurm_cluster.slurmd())

    def start_slurmds(self, nodes: abc.Sequence[slurmds.Slurmd]) -> None:
        """Start the slurmds of these nodes and wait until Slurm has them."""
        every = [
            slurmds.component(self.slurm_cluster, self.layout, node, position=position)
            for position, node in enumerate(nodes)
        ]
        self._runner.start(*every)

    def remove_slurmds(self, nodes: abc.Sequence[slurmds.Slurmd]) -> None:
        """End the slurmds of these nodes and take the nodes out of Slurm."""
        self._runner.stop(*(node.component for node in nodes))
        for node in nodes:
            self.slurm("scontrol", "delete", f"nodename={node.name}")

    def start_sink(self) -> None:
        """Start the slurmd that answers for all external nodes, if it doesn't run."""
        self._runner.start(self.slurm_cluster.sink())

    def stop_sink(self) -> None:
        """End that slurmd and remove its node, as an admin does who wants no sink any more."""
        self._runner.stop(self.slurm_cluster.sink().name)
        self.slurm_cluster.forget_sink()

    def start_karpenter(self, instance_types: pathlib.Path) -> None:
        """Start Karpenter, which makes nodes of these types; its kinds are there afterwards."""
        for kinds in karpenter.KINDS:
            self.run_kubectl("apply", "-f", str(programs.karpenter_source() / kinds))
        self._runner.start(karpenter.component(self.layout, instance_types))

    def stop(self, component: str, *, kill: bool = True) -> None:
        """End a component, by SIGKILL unless told otherwise."""
        self._runner.stop(component, kill=kill)

    def start(self, component: str) -> None:
        """Bring a stopped component back and wait until it is ready."""
        every = self._components()
        if component == kubernetes.BRIDGE_SCHEDULER and component in self._runner.names():
            every[component] = self.kubernetes.bridge_scheduler_again()
        slurmd = self.slurm_cluster.slurmd()
        every[slurmd.name] = slurmd
        if component not in every:
            known = ", ".join(every)
            raise errors.StackError(f"no component {component!r}; there are {known}")
        self._runner.start(every[component])

    def restart(self, component: str, *, kill: bool = True) -> None:
        """End a component and bring it back."""
        self.stop(component, kill=kill)
        self.start(component)

    def log(self, component: str) -> str:
        """Read a component's log."""
        path = self._runner.log(component)
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def _complete(self) -> pathlib.Path:
        """Exists when the start was finished."""
        return self.layout.root / "complete"

    def _components(self) -> dict[str, components.Component]:
        every = [*self.kubernetes.parts(), *self.slurm_cluster.parts()]
        return {component.name: component for component in every}

    def _start(self, say: progress.Say) -> None:
        where = self.layout
        host.require_free_ports(where)
        where.save()
        host.install(("mount",), say)
        for folder in (where.log, where.run, where.bin):
            folder.mkdir()
        programs.link(where, say)
        say("preparing certificates and the Slurm root")
        self.kubernetes.prepare()
        self.slurm_cluster.prepare(say)
        self.kubernetes.api.write_wrapper()
        self.slurm_cluster.write_wrappers()
        _write_env(self)
        say("starting etcd, kube-apiserver, accounting, slurmctld")
        # The slow ones first and together; the others would only retry until these answer.
        first = [self.kubernetes.etcd(), self.kubernetes.apiserver()]
        for component in first:
            self._runner.spawn(component)
        for component in self.slurm_cluster.accounting():
            self._runner.start(component)
        self._runner.start(*first, self.slurm_cluster.slurmctld())
        say("starting the other components")
        self._runner.start(*self._components().values())
        self._complete.touch()
        say("the stack is up")

    def _end(self) -> None:
        """End all processes and unmount everything."""
        root = self.layout.root
        known = [one for name in self._runner.names() if (one := self._runner.running(name))]
        processes.end(known, grace_s=0.0)  # nothing of it is needed any more
        processes.end(processes.strays(root), grace_s=2.0)  # a builder cleans up after itself
        mounts.unmount_below(root)
        cache.sweep()

    def _clean(self) -> None:
        self._end()
        root = self.layout.root
        # The mark goes last: a clean-up that is killed can be done again.
        for path in sorted(root.iterdir(), key=lambda path: path == self.layout.mark):
            mounts.remove(path)


def _write_env(stack: Stack) -> None:
    where = stack.layout
    lines = {
        "KUBECONFIG": where.kubeconfig,
        "SLURM_REST_URL": stack.slurm_url,
        "SLURM_JWT_FILE": where.slurm_token,
        "STACK_DIR": where.root,
        "STACK_CA": where.pki / "ca.crt",
        "STACK_EXTENDER_PORT": stack.extender_port,
    }
    text = "".join(f'export {name}="{value}"\n' for name, value in lines.items())
    where.env.write_text(f'{text}export PATH="{where.bin}:$PATH"\n')


def _claim(root: pathlib.Path) -> None:
    """Create the folder. Raises StackError if it has anything that is not a stack's."""
    root.mkdir(parents=True, exist_ok=True)
    if not (root / "stack.json").exists() and any(root.iterdir()):
        raise errors.StackError(f"{root} is not empty and not a stack's folder: choose another")


@contextlib.contextmanager
def _locked(root: pathlib.Path) -> abc.Iterator[None]:
    """Hold the folder itself as a lock: it leaves no file behind. Raises StackError if taken."""
    handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not _lock(handle, root):
            raise errors.StackError(f"another command is at work on {root}: wait for it")
        yield
    finally:
        os.close(handle)


def _lock(handle: int, root: pathlib.Path) -> bool:
    with contextlib.suppress(BlockingIOError, FileNotFoundError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Who has removed the folder meanwhile had the lock of that one, not of a new one.
        return os.path.samestat(os.fstat(handle), root.stat())
    return False
