"""What an admin sees of the nodes with the command line, while the bridge is at work."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from bridge import names
from tests.arena.api import wait_for
from tests.arena.arena import Arena, Nodes
from tests.arena.fixtures import Begin


def run(arena: Arena, *words: str, code: int = 0) -> str:
    """`slurm-bridge WORDS` with the bridge's own settings; what it prints."""
    config = arena.bridge.folder / "config.yaml"
    done = subprocess.run(
        [sys.executable, "-m", "bridge", "--config", str(config), *words],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout


def rows(arena: Arena, *words: str) -> list[dict[str, Any]]:
    """Of `slurm-bridge nodes --json`."""
    found: list[dict[str, Any]] = json.loads(run(arena, "nodes", "--json", *words))
    return found


def test_both_sides_of_the_nodes_are_one_table(arena: Arena, begin: Begin) -> None:
    """Where they agree nothing is to do. What an admin of Slurm has drained says so."""
    names_of = begin(Nodes(count=2, gpus=8, cpus=16))

    def settled() -> bool:
        ours = [row for row in rows(arena) if row["node"] in names_of]
        return len(ours) == 2 and not any(row["to_do"] for row in ours)

    wait_for("both sides agree", settled, every_s=0.5)
    one, two = (row for row in rows(arena) if row["node"] in names_of)
    assert (one["kubernetes"], one["slurm"]) == ("Ready", "IDLE")
    assert one["cpus"] == "16"
    assert one["devices"].startswith("gpu:h100:8")
    assert one["topology"].startswith("fabric:root:")
    arena.slurm.drain(two["node"], "broken fan")
    (only,) = (row for row in rows(arena, "--different") if row["node"] in names_of)
    assert only["node"] == two["node"]
    assert only["slurm"] == "IDLE+DRAIN (broken fan)"
    assert "an admin" in only["to_do"]
    assert two["node"] in run(arena, "nodes")


def test_the_switches_are_a_tree_and_a_file(arena: Arena, begin: Begin) -> None:
    """With the nodes on them; the file is what Slurm reads."""
    (name,) = begin(Nodes(count=1))
    labels = arena.kubernetes.get(f"/api/v1/nodes/{name}")["metadata"]["labels"]
    leaf = labels[f"{names.AWS_NETWORK_LAYER_PREFIX}3"]
    for form in ((), ("--yaml",), ("--json",)):
        said = run(arena, "topology", *form)
        assert leaf in said
        assert name in said
    assert "- switch: root\n      children: " in run(arena, "topology", "--yaml")
    assert "new nodes join fabric:root" in run(arena, "topology")


def test_preflight_says_what_is_not_as_it_should_be(arena: Arena, begin: Begin) -> None:
    """The stories' stack breaks nothing, but has no sink and no DefMem*; with a sink the first is
    good. A partition that does not exist would break the bridge, which the exit code says."""
    begin(Nodes(count=2), sink=False)

    def levels(*words: str, code: int = 0) -> dict[str, str]:
        found = json.loads(run(arena, "preflight", "--json", *words, code=code))
        assert all(one["found"] for one in found)
        return {one["check"]: one["level"] for one in found}

    found = levels()
    assert "breaks" not in found.values()
    assert {found[name] for name in ("sink", "DefMem*")} == {"costs"}
    good = ("Slurm's version", "token's user", "MaxNodeCount", "PreemptMode", "GresTypes",
            "threads of external nodes", "partition of the settings")  # fmt: skip
    assert {found[name] for name in (*good, "rights in Kubernetes")} == {"ok"}
    arena.start_sink()
    assert levels()["sink"] == "ok"
    wrong = ("--set", "partition=gone")
    assert levels(*wrong, code=1)["partition of the settings"] == "breaks"
    assert "gone does not exist" in run(arena, "preflight", *wrong, code=1)
