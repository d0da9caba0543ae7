import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.model.job import GANG_CHARACTERS, LAST_GENERATION, Garbled, JobIdentity
from bridge.slurm import identity

_UID = "0b8f4a2e-6c8d-4f6b-9d0a-7a6b5c4d3e2f"
_ONE = JobIdentity(_UID, _UID, 3, "StatefulSet/research-team-7/llama-70b-pretraining-workers")
_ANY = st.characters(exclude_categories=())
_TEXT = st.text(_ANY, min_size=1) | st.builds(
    lambda one, times: one * times, _ANY, st.integers(1, 3000)
)
_PLAIN = st.text(st.sampled_from("abc019-/#."), min_size=1, max_size=GANG_CHARACTERS)


def test_fits_into_200_bytes() -> None:
    """Two uids and a long owner stay small: slurmctld keeps it with every job."""
    assert len(identity.format(_ONE).encode()) <= 200


@given(_TEXT, _TEXT, st.integers() | st.just(10**5000), _TEXT)
@example("\x01" * 800, "\x01" * 800, -1, "\x01" * 800)
@example("\ud800", '"\\', 10**100, "\x00")
def test_what_is_written_reads_back(cluster: str, gang: str, generation: int, owner: str) -> None:
    """Any identity is the same after its way through admin_comment, which is short and ASCII."""
    one = JobIdentity(cluster, gang, generation, owner)
    text = identity.format(one)
    assert text.isascii()
    assert text.isprintable()
    assert len(text) <= 1000
    assert identity.parse(text) == one
    assert one.is_of(cluster, gang)


@given(_PLAIN, st.integers(0, LAST_GENERATION))
def test_what_the_bridge_compares_by_is_never_cut(gang: str, generation: int) -> None:
    """Uids, namespaces and numbers of the lengths that Kubernetes and we give them."""
    found = identity.parse(identity.format(JobIdentity(_UID, gang, generation, "o")))
    assert found == JobIdentity(_UID, gang, generation, "o")
    assert isinstance(found, JobIdentity)
    assert (found.cluster, found.gang, found.generation) == (_UID, gang, generation)


@given(_TEXT, _TEXT)
def test_ids_that_differ_are_not_each_others(one: str, other: str) -> None:
    """Also where both are too long to be written whole."""
    for text in {other, one + other, other * 99} - {one}:
        assert not JobIdentity(_UID, one, 0, "o").is_of(_UID, text)
        assert not JobIdentity(one, _UID, 0, "o").is_of(text, _UID)


@pytest.mark.parametrize(("cluster", "gang"), [("", "g"), ("c", "")])
def test_an_identity_without_a_cluster_or_a_gang_is_none(cluster: str, gang: str) -> None:
    """It would be everybody's."""
    with pytest.raises(ValueError, match="identifies nothing"):
        JobIdentity(cluster, gang, 0, "o")


@pytest.mark.parametrize(
    "comment",
    [
        "",
        "restarted by ops",
        "{",
        "[]",
        "{}",
        "null",
        '{"slurm-bridge": {"cluster": "c", "gang": "g"}, "more": 1}',
        '{"slurm-bridge": {"cluster": "c", "gang": "g"}} seen by ops',
        '{"slurm-bridge": {"cluster": "c", "gang": "g"}',
        '{"Slurm-Bridge": {"cluster": "c", "gang": "g"}}',
        '{"pods": ["team/web-0"]}',
        '{"a":' * 100_000 + "1" + "}" * 100_000,
        '{"slurm-bridge": ' + "[" * 100_000 + "]" * 100_000 + "}",
        "{" + " " * 100_000 + "}",
        '{"pods": ' + "7" * 5000 + "}",
        "\ud800",
        None,
        7,
        b'{"slurm-bridge": {"cluster": "c", "gang": "g"}}',
        {"slurm-bridge": {"cluster": "c", "gang": "g"}},
    ],
)
def test_everything_else_is_somebody_elses_job(comment: object) -> None:
    """A job is ours only by a JSON object with exactly our key."""
    assert identity.parse(comment) is None


def _own(**fields: Any) -> str:
    return json.dumps({"slurm-bridge": {"cluster": "c", "gang": "g", **fields}})


@pytest.mark.parametrize(
    ("comment", "cluster"),
    [
        ('{"slurm-bridge": {}}', ""),
        ('{"slurm-bridge": []}', ""),
        ('{"slurm-bridge": null}', ""),
        ('{"slurm-bridge": {"cluster": "c"}}', "c"),
        ('{"slurm-bridge": {"gang": "g"}}', ""),
        (_own(cluster=7), ""),
        (_own(cluster=""), ""),
        (_own(cluster="c" * 65), ""),
        (_own(cluster="\ud800"), ""),
        (_own(cluster="c\n"), ""),
        (_own(gang=""), "c"),
        (_own(gang=7), "c"),
        (_own(gang=None), "c"),
        (_own(gang="g" * 100_000), "c"),
        (_own(gang="\ud800"), "c"),
        (_own(gang="g\x00"), "c"),
        (_own(gang='"'), "c"),
        (_own(generation="1"), "c"),
        (_own(generation=True), "c"),
        (_own(generation=None), "c"),
        (_own(generation=1.0), "c"),
        (_own(generation=-1), "c"),
        (_own(generation=LAST_GENERATION + 1), "c"),
        (_own(generation=float("nan")), "c"),
        (_own(generation=float("inf")), "c"),
        (_own(generation={}), "c"),
        (_own()[:-2] + ', "generation": ' + "9" * 5000 + "}}", "c"),
        (_own()[:-2] + ', "generation": -' + "9" * 5000 + "}}", "c"),
        (_own(owner=7), "c"),
        (_own()[:-2] + ', "gang": "other"}}', "c"),
        (_own()[:-2] + ', "cluster": "other"}}', ""),
        (_own()[:-1] + ', "slurm-bridge": {"cluster": "c", "gang": "other"}}', ""),
        (
            '{"slurm-bridge":{"cluster":"c","gang":' + "[" * 100_000 + "]" * 100_000 + "}}",
            "c",
        ),
    ],
)
def test_an_identity_that_cannot_be_understood_is_told_apart(comment: str, cluster: str) -> None:
    """It is no other people's job; its cluster stands there where it can be read."""
    assert identity.parse(comment) == Garbled(cluster)


def test_unknown_further_fields_are_ignored() -> None:
    """A later bridge may write more into its object; the job stays ours."""
    own = {"cluster": "c", "gang": "g", "generation": 1, "owner": "Job/a/b", "new": 1}
    found = identity.parse(json.dumps({"slurm-bridge": own}))
    assert found == JobIdentity("c", "g", 1, "Job/a/b")


@pytest.mark.parametrize("owner", ["Job/team/" + "\x01" * 800, "Job/team/trän", "x" * 100_000])
def test_an_earlier_bridges_longer_owner_changes_nothing(owner: str) -> None:
    """It is for people; the job is its gang's."""
    found = identity.parse(_own(generation=2, owner=owner))
    assert found == JobIdentity("c", "g", 2, owner)


@given(st.text(_ANY, max_size=60))
def test_no_text_crashes_it(text: str) -> None:
    """Whatever an admin wrote is read or is not ours."""
    for comment in (text, "{" + text, '{"slurm-bridge":' + text, '{"slurm-bridge":{' + text):
        identity.parse(comment)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(_ANY, max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["cluster", "gang", "generation", "owner"]), inner)
    ),
    max_leaves=8,
)


@given(_JSON)
def test_whatever_has_exactly_our_key_is_ours_or_garbled(own: object) -> None:
    """Never somebody else's; and what is understood is what `format` writes."""
    found = identity.parse(json.dumps({"slurm-bridge": own}))
    assert found is not None
    if isinstance(found, JobIdentity):
        assert identity.parse(identity.format(found)) == found
