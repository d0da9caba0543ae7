"""The examples of docs/slurm-client.md, run as they stand, each in a process of its own.

python -m tests.contract.examples PYTHON      against the emulator, with that interpreter
"""

import asyncio
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from bridge.model.job import Gres
from bridge.sim.slurm import EmbeddedSlurm
from bridge.slurm import NodeDefinition, SlurmClient, TokenSource

PAGE = Path(__file__).parents[2] / "docs" / "slurm-client.md"
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def examples() -> list[str]:
    """Each block of Python in the page."""
    return _BLOCK.findall(PAGE.read_text())


def run(example: str, *, python: str, url: str, token_file: Path) -> tuple[int, str]:
    """Exit code and all that was printed."""
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "SLURM_REST_URL": url,
        "SLURM_JWT_FILE": str(token_file),
    }
    if python == sys.executable:  # else the package is installed there
        environment["PYTHONPATH"] = str(PAGE.parents[1])
    with tempfile.TemporaryDirectory() as elsewhere:
        done = subprocess.run(
            [python, "-c", example],
            cwd=elsewhere,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )
    return done.returncode, done.stdout


def a_node(name: str, topology: str) -> NodeDefinition:
    """A node that has what the examples ask for."""
    return NodeDefinition(
        name=name,
        address="127.0.0.1",
        cpus=16,
        memory_mib=64_000,
        features=("slurm-bridge",),
        topology=topology,
        gres=(Gres("gpu", "h100", 8),),
    )


async def _main(python: str) -> int:
    async with EmbeddedSlurm(accounting=True) as slurm:
        token = TokenSource.from_file(slurm.token_file)
        async with SlurmClient(endpoints=[slurm.url], token=token) as client:
            await client.create_node(a_node("n1", "topo:root:leaf"))
        for example in examples():
            code, said = await asyncio.to_thread(
                run, example, python=python, url=slurm.url, token_file=slurm.token_file
            )
            if code:
                print(example, said, sep="\n", file=sys.stderr)
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_main(sys.argv[1])))
