"""Names that Slurm takes for something else than one node's.

slurmctld knows the words ALL and DEFAULT in any case: a DELETE or an update of ALL reaches every
node, and to register a node of that name ends slurmctld. slurmrestd reads a piece of a path as JSON
reads a value, before it looks for a node: `/node/007` is node 7, `/node/no` is node false. Of the
digits at a name's end slurmctld makes a number of 64 bits. All of it was seen in 26.05, with names
that Kubernetes allows.
"""

import re
from typing import Final

from bridge.errors import BadInput

LONGEST: Final = 78
"""Characters. Slurm registers longer ones, but leaves them out of a job's allocation (26.05)."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PLAIN_NUMBER = re.compile(r"0|[1-9][0-9]*")
_NUMBER = re.compile(
    r"0x[0-9a-f]*\.?[0-9a-f]*(p[+-]?[0-9]+)?|[0-9]+\.?[0-9]*(e[+-]?[0-9]+)?", re.IGNORECASE
)
_MOST_DIGITS = 18
_LAST_DIGITS = re.compile(r"[0-9]*\Z")
_WORDS: Final = {
    "all": "which Slurm takes for every node",
    "default": "which Slurm takes for what all nodes have in common",
    **dict.fromkeys(("null", "inf", "infinity", "nan"), "which slurmrestd does not read as text"),
    **dict.fromkeys(
        ("y", "yes", "t", "true", "on", "n", "no", "f", "false", "off"),
        "which slurmrestd reads as true or false",
    ),
}


def is_reserved(name: str) -> bool:
    """Whether Slurm takes the name, in a list of nodes too, for every node or for none."""
    return name.lower() in ("all", "default")


def check(name: str) -> None:
    """Raise BadInput for a name with which no node can be registered."""
    check_meaning(name)
    if len(name) > LONGEST:
        raise BadInput(
            f"{name!r} has {len(name)} characters, and Slurm names only nodes of at "
            f"most {LONGEST} characters in what it grants; give the node a shorter "
            "name in Slurm",
            field="name",
        )


def check_meaning(name: str) -> None:
    """Raise BadInput for a name by which Slurm would take none, another or every node."""
    if not _NAME.fullmatch(name):
        raise BadInput(f"{_shown(name)} can't be a node's name in Slurm", field="name")
    why = _WORDS.get(name.lower(), "")
    if not why and _NUMBER.fullmatch(name) and not _PLAIN_NUMBER.fullmatch(name):
        why = "which slurmrestd reads as another number"
    if not why and len(_LAST_DIGITS.search(name)[0]) > _MOST_DIGITS:  # type: ignore[index]
        why = f"whose last digits are more than the {_MOST_DIGITS} that Slurm can count with"
    if why:
        raise BadInput(f"{_shown(name)} can't be a node's name in Slurm, {why}", field="name")


def _shown(name: str) -> str:
    return repr(name if len(name) <= 80 else f"{name[:77]}…")
