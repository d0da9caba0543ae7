import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.job import JobIdentity
from bridge.slurm import identity

_UID = "0b8f4a2e-6c8d-4f6b-9d0a-7a6b5c4d3e2f"
_ONE = JobIdentity(_UID, _UID, 3, "StatefulSet/research-team-7/llama-70b-pretraining-workers")
_TEXT = st.text(min_size=1, max_size=40)


def test_fits_into_200_bytes() -> None:
    """Two uids and a long owner stay small: slurmctld keeps it with every job."""
    assert len(identity.format(_ONE).encode()) <= 200


@given(_TEXT, _TEXT, st.integers(0, 10**9), st.text(max_size=40))
def test_what_is_written_reads_back(cluster: str, gang: str, generation: int, owner: str) -> None:
    """Any identity survives the way through admin_comment, and the text is plain ASCII."""
    one = JobIdentity(cluster, gang, generation, owner)
    assert identity.format(one).isascii()
    assert identity.parse(identity.format(one)) == one


@pytest.mark.parametrize(
    "comment",
    [
        "",
        "restarted by ops",
        "{",
        "[]",
        "{}",
        "null",
        '{"slurm-bridge": {}}',
        '{"slurm-bridge": []}',
        '{"slurm-bridge": {"cluster": "c"}}',
        '{"slurm-bridge": {"cluster": "c", "gang": ""}}',
        '{"slurm-bridge": {"cluster": "c", "gang": 7}}',
        '{"slurm-bridge": {"cluster": "c", "gang": "g", "generation": "1"}}',
        '{"slurm-bridge": {"cluster": "c", "gang": "g", "generation": true}}',
        '{"slurm-bridge": {"cluster": "c", "gang": "g"}, "more": 1}',
        '{"pods": ["team/web-0"]}',
        '{"a":' * 900 + "1" + "}" * 900,
        "{" + " " * 5000 + "}",
    ],
)
def test_everything_else_is_somebody_elses_job(comment: str) -> None:
    """A job is ours only by a JSON object with exactly our key and a whole identity in it."""
    assert identity.parse(comment) is None


def test_unknown_further_fields_are_ignored() -> None:
    """A later bridge may write more into its object; the job stays ours."""
    own = {"cluster": "c", "gang": "g", "generation": 1, "owner": "Job/a/b", "new": 1}
    found = identity.parse(json.dumps({"slurm-bridge": own}))
    assert found == JobIdentity("c", "g", 1, "Job/a/b")


@given(st.text(max_size=60))
def test_no_text_crashes_it(text: str) -> None:
    """Whatever an admin wrote is read or is not ours."""
    identity.parse(text)
    identity.parse("{" + text)
