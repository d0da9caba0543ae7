"""The command line: one module per group of commands, and nothing that decides anything.

May import everything else (the work itself lazily, so that `--help` and `--version` answer at
once); nobody imports it. Exit codes are in `bridge.cli.main`.
"""

from bridge.cli.main import kubectl, main

__all__ = ["main", "kubectl"]
