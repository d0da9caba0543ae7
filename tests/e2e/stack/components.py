"""A component: a process of the stack with a name, and how one knows that it is ready."""

import dataclasses
import os
import pathlib
import time
from collections import abc

from tests.e2e.stack import errors, layout, processes

_BASE_ENVIRONMENT = ("HOME", "LANG", "TZ", "TMPDIR")
"""All that is handed on of our environment: a proxy or a KUBECONFIG set there must not matter."""


@dataclasses.dataclass(frozen=True, slots=True)
class Component:
    """One process of the stack."""

    name: str
    """Its log is `log/<name>.log`."""
    argv: tuple[str, ...]
    ready: abc.Callable[[], bool]
    """Asked again and again after the start; must not raise while it is not there yet."""
    environment: abc.Mapping[str, str] = dataclasses.field(default_factory=dict)
    timeout_s: float = 120.0


class Runner:
    """Starts and ends components, and remembers in the state folder who runs."""

    def __init__(self, where: layout.Layout) -> None:
        self._where = where

    def log(self, name: str) -> pathlib.Path:
        """Give the path of a component's log."""
        return self._where.log / f"{name}.log"

    def running(self, name: str) -> processes.Identity | None:
        """Give the component's process, None if it does not run."""
        return processes.recorded(self._record(name))

    def names(self) -> list[str]:
        """List the components that were started, running or not, in order of start."""
        records = self._where.run.glob("*.pid")
        return [path.stem for path in sorted(records, key=lambda path: path.stat().st_mtime_ns)]

    def spawn(self, component: Component) -> None:
        """Start it without waiting; does nothing if it runs."""
        if self.running(component.name):
            return
        base = {name: os.environ[name] for name in _BASE_ENVIRONMENT if name in os.environ}
        base["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        processes.spawn(
            component.argv,
            record=self._record(component.name),
            log=self.log(component.name),
            environment={**base, **component.environment},
            stack=self._where.root,
        )

    def wait_ready(self, component: Component) -> None:
        """Wait until it is ready. Raises ComponentFailed if it ends or the time is over."""
        deadline = time.monotonic() + component.timeout_s
        while not component.ready():
            if self.running(component.name) is None:
                raise errors.ComponentFailed(self._story(component.name, "ended while starting"))
            if time.monotonic() > deadline:
                what = f"was not ready after {component.timeout_s:.0f} s"
                raise errors.ComponentFailed(self._story(component.name, what))
            time.sleep(0.05)

    def start(self, *components: Component) -> None:
        """Start all of them, then wait until each is ready."""
        for component in components:
            self.spawn(component)
        for component in components:
            self.wait_ready(component)

    def stop(self, *names: str, kill: bool = False) -> None:
        """End components: asked first, or (`kill`) at once as in a crash."""
        found = [one for name in names if (one := self.running(name))]
        processes.end(found, grace_s=0.0 if kill else 10.0)

    def _record(self, name: str) -> pathlib.Path:
        return self._where.run / f"{name}.pid"

    def _story(self, name: str, what: str) -> str:
        log = self.log(name)
        tail = log.read_text(errors="replace").splitlines()[-15:] if log.exists() else []
        return "\n".join([f"{name} {what}; the end of {log}:", *(f"  {line}" for line in tail)])
