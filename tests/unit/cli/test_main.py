"""The command as a user meets it: words in, lines and an exit code out."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import bridge
from bridge import config, errors
from bridge.cli import main
from bridge.cli.main import explain


@dataclass
class Terminal:
    """Runs the command in this process; `started` has the settings that `run` was given."""

    capture: pytest.CaptureFixture[str]
    default_config: Path
    started: list[config.Settings] = field(default_factory=list)
    outcome: int | Exception = 0

    def __call__(
        self, *words: str, environ: Mapping[str, str] | None = None
    ) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        with pytest.raises(SystemExit) as left:
            main(
                words,
                environ=environ or {},
                default_config=self.default_config,
                start=self._start,
            )
        out, err = self.capture.readouterr()
        assert isinstance(left.value.code, int)
        return left.value.code, out, err

    def _start(self, settings: config.Settings, role: str) -> int:
        self.started.append(settings)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Terminal:
    """A terminal on a machine without a default settings file."""
    return Terminal(capsys, tmp_path / "config.yaml")


def test_version_tells_bridge_python_and_slurm(terminal: Terminal) -> None:
    """`--version` names all three on stdout."""
    code, out, err = terminal("--version")
    assert code == 0
    assert err == ""
    assert out.startswith(f"slurm-bridge {bridge.__version__}")
    assert "\nPython 3." in out
    assert out.endswith("\nSlurm REST API v0.0.44, v0.0.45\n")


def test_no_words_show_the_help(terminal: Terminal) -> None:
    """The bare command says what there is."""
    code, out, _ = terminal()
    assert code == 0
    assert "--kubeconfig" in out
    assert "config" in out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["rnu"], "slurm-bridge: No such command 'rnu'. Did you mean 'run'?; see"),
        (["--nonsense"], "slurm-bridge: No such option: --nonsense; see `slurm-bridge --help`"),
        (["config"], "slurm-bridge: Missing command; see `slurm-bridge config --help`"),
        (["run", "--config"], "slurm-bridge: Option '--config' requires an argument; see"),
        (["run", "--set", "x"], "slurm-bridge: --set x: write it like --set slurm.pollIntervalS="),
        (["run", "--set", "x=1"], "slurm-bridge: --set x: unknown key x;"),
        (["run", "--log-level", "loud"], "slurm-bridge: --log-level: logLevel: 'loud': input"),
        (["run", "--config", "/gone"], "slurm-bridge: /gone: the settings file can't be read: No"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    words: Sequence[str], expected: str, terminal: Terminal
) -> None:
    """Whoever mistypes gets the remedy, not a page."""
    code, out, err = terminal(*words)
    assert (code, out, terminal.started) == (2, "", [])
    assert err.startswith(expected)
    assert err.count("\n") == 1


def test_wrong_settings_name_file_line_and_key(terminal: Terminal, tmp_path: Path) -> None:
    """A mistake in the file ends `run` and `config validate` alike with exit code 2."""
    file = tmp_path / "bridge.yaml"
    file.write_text("partition: a\nslurm:\n  polIntervalS: 1\nlogLevel: loud\n")
    for words in (["run"], ["config", "validate"], ["config", "show"]):
        code, out, err = terminal(*words, "--config", str(file))
        assert (code, out) == (2, "")
        assert err.splitlines() == [
            f"slurm-bridge: {file}:3: unknown key slurm.polIntervalS; "
            "did you mean slurm.pollIntervalS?",
            f"slurm-bridge: {file}:4: logLevel: 'loud': input should be 'debug', 'info', "
            "'warning' or 'error'",
        ]


@pytest.mark.parametrize(
    "words",
    [
        ["--context", "a", "--log-level=error", "--set", "partition=p", "run"],
        ["run", "--context", "a", "--log-level=error", "--set", "partition=p"],
        ["--context=a", "run", "--set=partition=p", "--log-level", "error"],
    ],
)
def test_global_options_may_stand_anywhere(words: Sequence[str], terminal: Terminal) -> None:
    """As with kubectl, it does not matter on which side of the command they are."""
    assert terminal(*words)[0] == 0
    [settings] = terminal.started
    assert settings.kubernetes.context == "a"
    assert settings.log_level == "error"
    assert settings.partition == "p"


@pytest.mark.parametrize("by", ["flag", "variable", "default"])
def test_where_the_settings_file_is_found(by: str, terminal: Terminal, tmp_path: Path) -> None:
    """The flag names it, else the environment, else the image's own place."""
    file = tmp_path / "named.yaml"
    terminal.default_config.write_text("partition: default\n")
    file.write_text(f"partition: {by}\n")
    words = ["run", "--config", str(file)] if by == "flag" else ["run"]
    environ = {
        "flag": {"SLURM_BRIDGE_CONFIG": "/nowhere"},
        "variable": {"SLURM_BRIDGE_CONFIG": str(file)},
        "default": {},
    }[by]
    assert terminal(*words, environ=environ)[0] == 0
    assert terminal.started[0].partition == by


@pytest.mark.parametrize("code", [0, 1, 3])
def test_exit_code_of_run_is_the_bridges_own(code: int, terminal: Terminal) -> None:
    """What the bridge returns is what the shell sees."""
    terminal.outcome = code
    assert terminal("run")[0] == code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ConfigError("a: b"), 2),
        (errors.Unreachable("GET http://slurm: refused"), 3),
        (errors.BadInput("no"), 1),
        (errors.BridgeError("failed"), 1),
    ],
)
def test_errors_of_ours_are_one_line(error: Exception, code: int, terminal: Terminal) -> None:
    """An error that the bridge raised on purpose is its message and its exit code."""
    terminal.outcome = error
    assert terminal("run")[::2] == (code, f"slurm-bridge: {error}\n")


def test_error_that_nobody_expected_is_one_line_too(terminal: Terminal) -> None:
    """A fault of ours names itself and how to see more; --debug shows the traceback."""
    terminal.outcome = RuntimeError("two\nlines")
    code, _, err = terminal("run")
    assert code == 1
    assert err.startswith("slurm-bridge: this should not have happened: RuntimeError: two lines;")
    assert err.count("\n") == 1
    assert "Traceback" in terminal("run", "--debug")[2]


def test_interrupt_is_no_fault(terminal: Terminal) -> None:
    """Ctrl-C leaves with the shell's usual code and without a word."""
    with pytest.raises(SystemExit) as left:
        main(["run"], environ={}, start=_interrupted)
    assert left.value.code == 130
    assert terminal.capture.readouterr().err == ""


def _interrupted(_settings: config.Settings, _role: str) -> int:
    raise KeyboardInterrupt


def test_unexpected_error_keeps_its_cause() -> None:
    """The type is told even where there is no message."""
    assert "AssertionError" in explain(AssertionError())[0]


def test_validate_says_what_it_looked_at(terminal: Terminal, tmp_path: Path) -> None:
    """Exit code 0 and the file's name; nothing is started."""
    file = tmp_path / "bridge.yaml"
    file.write_text("partition: a\n")
    assert terminal("config", "validate", "--config", str(file)) == (
        0,
        f"{file}: ok (1 setting given)\n",
        "",
    )
    assert terminal("config", "validate")[1] == "no file: ok (0 settings given)\n"
    assert terminal.started == []


def test_show_and_reference_print_to_stdout(terminal: Terminal) -> None:
    """Both can be redirected to a file."""
    code, out, err = terminal("config", "show", environ={"SLURM_BRIDGE_PARTITION": "p"})
    assert (code, err) == (0, "")
    assert "partition: p  # environment SLURM_BRIDGE_PARTITION\n" in out
    code, out, err = terminal("config", "reference")
    assert (code, err) == (0, "")
    assert out.startswith("# Configuration\n")


def test_help_does_not_load_the_world() -> None:
    """`--help` answers at once: neither the API clients nor numpy are imported for it."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from bridge.cli import main\n"
            "try: main(['--help'], environ={})\n"
            "except SystemExit: print(sorted({'numpy', 'aiohttp', 'kubernetes', 'grpc', 'httpx2'}"
            " & sys.modules.keys()))",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"
