"""The bridge as a process of its own, started as an admin would start it."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml


class Bridge:
    """`slurm-bridge run` with a settings file, or another command that runs a part of it."""

    def __init__(
        self,
        folder: Path,
        *,
        settings: Mapping[str, Any],
        probes_port: int,
        prefix: tuple[str, ...] = (),
        command: str = "run",
        name: str = "bridge",
    ) -> None:
        self.folder = folder
        self.probes_port = probes_port
        self.settings = dict(settings)
        self.log_file = folder / f"{name}.log"
        self._config_file = folder / ("config.yaml" if command == "run" else f"{name}.yaml")
        self._command = command
        self._prefix = prefix
        self._log_start = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True, seconds: float = 90.0) -> None:
        """Start it and wait until it is ready. Fails with its log."""
        config = self._write_config()
        command = [*self._prefix, sys.executable, "-m", "bridge", self._command]
        command += ["--config", str(config)]
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                cwd=Path(__file__).parents[2],
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        if wait:
            self.wait_ready(seconds)

    def _write_config(self) -> Path:
        self._config_file.write_text(yaml.safe_dump(self.settings))
        return self._config_file

    def wait_ready(self, seconds: float = 90.0) -> None:
        """Until /readyz says so."""
        end_s = time.monotonic() + seconds
        while self.ready() != "":
            self.assert_not_ended()
            assert time.monotonic() < end_s, f"not ready: {self.ready()}\n{self.log()[-4000:]}"
            time.sleep(0.05)

    def assert_not_ended(self) -> None:
        """Fails with the log of a process that will not be ready any more."""
        assert self.running, f"the bridge ended:\n{self.log()[-4000:]}"

    def ready(self) -> str:
        """ "" when it is ready and all is well, else what is missing."""
        url = f"http://127.0.0.1:{self.probes_port}/readyz"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                said = answer.read().decode()
                return said if "[!]" in said else ""
        except urllib.error.HTTPError as error:
            with error:
                return error.read().decode() or "not ready"
        except OSError as error:
            return str(error)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Of a process that has ended; minus the signal that ended it."""
        return self._process.poll() if self._process is not None else None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process is not None and self.running else None

    def kill(self) -> None:
        """SIGKILL: no farewell."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def end(self) -> None:
        """Whatever has happened: it runs no more."""
        if self.running:
            self.kill()

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        if self._process is None:
            return 0
        if self.running:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout=25)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("SIGTERM did not end the bridge within 25 s") from None

    def log(self) -> str:
        """All that it has said in this story."""
        return self.log_file.read_text()[self._log_start :] if self.log_file.exists() else ""

    def logs(self) -> list[str]:
        """The same of each process."""
        return [self.log()]

    def forget_log(self) -> None:
        """Another story begins."""
        self._log_start = len(self.log_file.read_text())
