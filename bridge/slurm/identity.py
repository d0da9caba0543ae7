"""Whose job it is: the JSON object in a job's admin_comment.

Ids repeat after a loss of state, names are anybody's. A job is ours only when its admin_comment is
a JSON object with exactly our key; every other job is somebody else's and is never touched.
Only Slurm's operators can write an admin_comment.

What is written is read back as it was, whatever the identity: a JobIdentity holds nothing that
could not be (bridge.model.job). A job that has our key, but an identity that can't be understood
(another version of the bridge wrote it, or somebody changed it by hand), is told apart from other
people's jobs: taken for one of those, it would be left running beside a second job of its gang.
"""

import json
import re
from collections.abc import Sequence
from typing import Final

from bridge import names
from bridge.model import texts
from bridge.model.job import (
    CLUSTER_CHARACTERS,
    GANG_CHARACTERS,
    LAST_GENERATION,
    Garbled,
    JobIdentity,
)

_CLUSTER, _GANG, _GENERATION, _OWNER = "cluster", "gang", "generation", "owner"
_MOST_DIGITS: Final = len(str(LAST_GENERATION))
_OURS: Final = re.compile(rf'\{{"{names.ADMIN_COMMENT_KEY}":\{{"{_CLUSTER}":"([^"\\]*)"')
"""How `format` begins, for a text that is nested too deeply to be parsed."""
_AMBIGUOUS: Final = object()
"""The value of a key that stands twice in an object."""


def format(identity: JobIdentity) -> str:  # noqa: A001 — read as identity.format
    """The text: ASCII, at most 1,000 characters. The same identity always gives the same text, so
    jobs are found by comparing.
    """
    own = {
        _CLUSTER: identity.cluster,
        _GANG: identity.gang,
        _GENERATION: identity.generation,
        _OWNER: identity.owner,
    }
    return json.dumps({names.ADMIN_COMMENT_KEY: own}, separators=(",", ":"))


def parse(admin_comment: object) -> JobIdentity | Garbled | None:
    """Who stands in it; None when the job is not ours, Garbled when that can't be understood."""
    if not isinstance(admin_comment, str) or not admin_comment.startswith("{"):
        return None
    try:
        found = json.loads(admin_comment, parse_int=_integer, object_pairs_hook=_object)
    except RecursionError:
        begins = _OURS.match(admin_comment)
        return Garbled(_cluster(begins[1])) if begins else None
    except ValueError:
        return None
    if not isinstance(found, dict) or found.keys() != {names.ADMIN_COMMENT_KEY}:
        return None
    return _understood(found[names.ADMIN_COMMENT_KEY])


def _understood(own: object) -> JobIdentity | Garbled:
    if not isinstance(own, dict):
        return Garbled("")
    cluster, gang = _cluster(own.get(_CLUSTER)), own.get(_GANG)
    generation, owner = own.get(_GENERATION, 0), own.get(_OWNER, "")
    if not (cluster and isinstance(owner, str) and _is_written(gang, GANG_CHARACTERS)):
        return Garbled(cluster)
    if type(generation) is not int or not 0 <= generation <= LAST_GENERATION:
        return Garbled(cluster)
    return JobIdentity(cluster, str(gang), generation, owner)


def _cluster(found: object) -> str:
    return str(found) if _is_written(found, CLUSTER_CHARACTERS) else ""


def _is_written(found: object, most: int) -> bool:
    """Whether `format` writes such a text: another one, cut to it, would be somebody else's."""
    return isinstance(found, str) and found != "" and texts.plain(found, most) == found


def _integer(digits: str) -> int | None:
    """None for more digits than ours have; Python takes 4,300 at most, and slowly."""
    return int(digits) if len(digits) <= _MOST_DIGITS else None


def _object(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        found[key] = _AMBIGUOUS if key in found else value
    return found
