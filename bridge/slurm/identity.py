"""Whose job it is: the JSON object in a job's admin_comment.

Ids repeat after a loss of state, names are anybody's. A job is ours only when its admin_comment is
a JSON object with exactly our key; every other job is somebody else's and is never touched.
Only Slurm's operators can write an admin_comment.
"""

import json

from bridge import names
from bridge.model.job import JobIdentity

_CLUSTER, _GANG, _GENERATION, _OWNER = "cluster", "gang", "generation", "owner"
_MAX_CHARACTERS = 4096


def format(identity: JobIdentity) -> str:  # noqa: A001 — read as identity.format
    """The text; the same identity always gives the same text, so jobs are found by comparing."""
    own = {
        _CLUSTER: identity.cluster,
        _GANG: identity.gang,
        _GENERATION: identity.generation,
        _OWNER: identity.owner,
    }
    return json.dumps({names.ADMIN_COMMENT_KEY: own}, separators=(",", ":"), ensure_ascii=True)


def parse(admin_comment: str) -> JobIdentity | None:
    """Who stands in it; None when the job is not ours."""
    if len(admin_comment) > _MAX_CHARACTERS or not admin_comment.startswith("{"):
        return None
    try:
        found = json.loads(admin_comment)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.keys() != {names.ADMIN_COMMENT_KEY}:
        return None
    own = found[names.ADMIN_COMMENT_KEY]
    if not isinstance(own, dict):
        return None
    cluster, gang = own.get(_CLUSTER), own.get(_GANG)
    generation, owner = own.get(_GENERATION, 0), own.get(_OWNER, "")
    if not (isinstance(cluster, str) and isinstance(gang, str) and isinstance(owner, str)):
        return None
    if not isinstance(generation, int) or isinstance(generation, bool) or not (cluster and gang):
        return None
    return JobIdentity(cluster, gang, generation, owner)
