"""`slurm-bridge slurm …` against the emulator, as a user types it."""

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from bridge.cli import main
from bridge.sim.slurm import EmbeddedSlurm
from bridge.slurm import NodeDefinition, SlurmClient, TokenSource


class Terminal:
    """Runs `slurm-bridge slurm` with words, against one Slurm."""

    def __init__(
        self, slurm: EmbeddedSlurm, capture: pytest.CaptureFixture[str], folder: Path
    ) -> None:
        self._global = ("--set", f"slurm.endpoints={slurm.url}")
        self._environ = {"SLURM_JWT_FILE": str(slurm.token_file)}
        self.token = Path(slurm.token_file).read_text().strip()
        self._capture = capture
        self._nowhere = folder / "no.yaml"

    def __call__(
        self, *words: str, environ: Mapping[str, str] | None = None
    ) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        with pytest.raises(SystemExit) as left:
            main(
                [*self._global, "slurm", *words],
                environ=self._environ if environ is None else environ,
                default_config=self._nowhere,
            )
        out, err = self._capture.readouterr()
        assert isinstance(left.value.code, int)
        return left.value.code, out, err


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Terminal]:
    """One node, and a server in a thread of its own, since commands have loops of their own."""
    started, stop = threading.Event(), threading.Event()
    found: list[EmbeddedSlurm] = []

    async def serve() -> None:
        async with EmbeddedSlurm() as slurm:
            token = TokenSource.from_file(slurm.token_file)
            async with SlurmClient(endpoints=[slurm.url], token=token) as client:
                await client.create_node(
                    NodeDefinition(
                        name="n1",
                        address="127.0.0.1",
                        cpus=8,
                        memory_mib=16_000,
                        topology="topo:root:leaf",
                    )
                )
            found.append(slurm)
            started.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert started.wait(30)
    yield Terminal(found[0], capsys, tmp_path)
    stop.set()
    thread.join()


def test_a_jobs_life(terminal: Terminal) -> None:
    """Submitted, listed, cancelled, and listed no more."""
    code, out, _ = terminal("submit", "--name", "train", "--time", "1:30:00", "--tasks", "2")
    assert code == 0
    job_id = out.strip()
    code, out, _ = terminal("jobs", "--json")
    (job,) = json.loads(out)
    assert (job["id"], job["name"], job["state"], job["nodes"]) == (
        int(job_id),
        "train",
        "RUNNING",
        "n1",
    )
    code, out, _ = terminal("jobs")
    assert "train" in out
    assert "RUNNING" in out
    assert json.loads(terminal("jobs", job_id, "--json")[1]) == [job]
    code, _, err = terminal("cancel", job_id, "999999")
    assert code == 0
    assert "999999: Slurm does not know it" in err
    assert f"job {job_id}:" not in err
    assert json.loads(terminal("jobs", "--json")[1]) == []
    (over,) = json.loads(terminal("jobs", "--all", "--json")[1])
    assert over["state"] == "CANCELLED"
    assert json.loads(terminal("jobs", "--state", "pending", "--json")[1]) == []
    assert terminal("jobs")[1] == "no jobs\n"


def test_nodes(terminal: Terminal) -> None:
    """As a table and as JSON."""
    (node,) = json.loads(terminal("nodes", "--json")[1])
    assert (node["name"], node["cpus"], node["allocated_cpus"]) == ("n1", 8, 0)
    assert "n1" in terminal("nodes")[1]


def test_what_slurm_says_of_a_job_is_told(terminal: Terminal) -> None:
    """Beside the id: on stderr, or as a field."""
    code, out, err = terminal("submit", "--hold")
    assert (code, out.strip().isdigit()) == (0, True)
    assert "held" in err
    said = json.loads(terminal("submit", "--hold", "--json")[1])
    assert said["warnings"]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("submit", "--partition", "nope"), 1, "partition"),
        (("submit", "--memory-per-cpu", "much"), 2, "--memory-per-cpu"),
        (("submit", "--time", "soon"), 2, "--time"),
        (("cancel", "1", "--signal", "NOPE"), 1, "knows only"),
        (("jobs", "--state", "waiting"), 2, "PENDING"),
        (("jobs", "999999"), 1, "999999"),
        (("cancel",), 2, "--help"),
    ],
)
def test_a_mistake_is_one_line(
    terminal: Terminal, words: tuple[str, ...], code: int, told: str
) -> None:
    """And an exit code."""
    found, _, err = terminal(*words)
    assert found == code
    assert told in err
    assert len(err.splitlines()) == 1


def test_the_token_is_scontrols(terminal: Terminal) -> None:
    """In a file, or in the variable that `scontrol token` sets; without one that is told."""
    word = terminal.token
    assert terminal("nodes", environ={"SLURM_JWT": word})[0] == 0
    code, _, err = terminal("nodes", environ={})
    assert code == 2
    assert "SLURM_JWT" in err
    code, _, err = terminal("nodes", environ={"SLURM_JWT": "wrong"})
    assert code == 1
    assert "valid" in err


def test_a_slurm_that_is_away(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Exit code 3; without an endpoint it is told how to name one."""
    for words, code, told in (
        (("--set", "slurm.endpoints=http://127.0.0.1:9", "slurm", "jobs"), 3, "127.0.0.1:9"),
        (("slurm", "jobs"), 2, "slurm.endpoints"),
    ):
        with pytest.raises(SystemExit) as left:
            main(words, environ={}, default_config=tmp_path / "no.yaml")
        assert left.value.code == code
        assert told in capsys.readouterr().err
