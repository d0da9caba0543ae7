"""Somebody who asks the bridge, with the rights that a story gives them."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.arena.api import Object
from tests.arena.arena import NAMESPACE, Arena

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Answer:
    """What a command came to."""

    code: int
    said: str
    error: str


@dataclass(frozen=True)
class Researcher:
    """Somebody with a token, and the command line."""

    arena: Arena
    token_file: Path
    port: int = 0
    """Of one of several controllers; 0 for any."""

    def ask(self, *words: str) -> Answer:
        """`slurm-bridge WORDS`."""
        ca = self.arena.loopback_tls()[0]
        done = subprocess.run(
            [
                sys.executable, "-m", "bridge", *words,
                "--server", f"127.0.0.1:{self.port or self.arena.api_port}",
                "--ca", str(ca), "--token-file", str(self.token_file),
            ],
            cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return Answer(done.returncode, done.stdout, done.stderr)

    def told(self, *words: str) -> str:
        """The same, where an answer is due."""
        answer = self.ask(*words)
        assert answer.code == 0, answer.error
        return answer.said

    def json(self, *words: str) -> Any:
        """The same, for programs."""
        return json.loads(self.told(*words, "--json"))


@contextmanager
def granted(arena: Arena, account: str, *, role: str, namespace: str) -> Iterator[None]:
    """The account has this role in this namespace; "" for all of them."""
    group = "rbac.authorization.k8s.io"
    kind = "RoleBinding" if namespace else "ClusterRoleBinding"
    where = f"namespaces/{namespace}/rolebindings" if namespace else "clusterrolebindings"
    binding: Object = {
        "apiVersion": f"{group}/v1",
        "kind": kind,
        "metadata": {"name": f"explain-{account}", "namespace": namespace},
        "subjects": [
            {
                "apiGroup": group,
                "kind": "User",
                "name": f"system:serviceaccount:{NAMESPACE}:{account}",
            }
        ],
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
    }
    arena.kubernetes.create(binding)
    try:
        yield
    finally:
        arena.kubernetes.delete(f"/apis/{group}/v1/{where}/explain-{account}")
