"""Who a pod's job is in Slurm."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import BadInput
from bridge.jobs import allowance, identity
from bridge.jobs.allowance import Allowed
from bridge.jobs.identity import Identity, Rules
from bridge.model.gang import JobParameters
from bridge.model.namespace import Namespace

PREFIX = "slurmjob.slinky.slurm.net/"
LAB = {"user": "alice:hpc", "accounts": "physics, chem", "partitions": "gpu,cpu", "qos": "normal"}


def a_namespace(**annotations: str) -> Namespace:
    said = {PREFIX + key: text for key, text in annotations.items()}
    return Namespace(name="lab", uid="u", annotations=said)


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({}, Allowed()),
        ({"user": "alice:hpc"}, Allowed(user="alice", group="hpc")),
        ({"user": " alice ", "group": " hpc "}, Allowed(user="alice", group="hpc")),
        ({"user": "alice:hpc", "group": "hpc"}, Allowed(user="alice", group="hpc")),
        ({"user": "alice:hpc\n"}, Allowed(user="alice", group="hpc")),
        ({"user": "1001:1002"}, Allowed(user="1001", group="1002")),
        ({"user": "0:4294967293"}, Allowed(user="0", group="4294967293")),
        ({"user": r"AD\alice.b@x-y$:_g"}, Allowed(user=r"AD\alice.b@x-y$", group="_g")),
        ({"accounts": "physics"}, Allowed(accounts=("physics",))),
        ({"accounts": "b, a,b"}, Allowed(accounts=("b", "a"))),
        ({"partitions": "gpu,cpu"}, Allowed(partitions=("gpu", "cpu"))),
        ({"qos": "high,normal"}, Allowed(qos=("high", "normal"))),
    ],
)
def test_what_a_namespace_says(annotations: dict[str, str], expected: Allowed) -> None:
    """User and group in one annotation or in two; lists with blanks, each value once."""
    assert allowance.of(a_namespace(**annotations)) == expected


@pytest.mark.parametrize(
    ("annotations", "key", "said"),
    [
        ({"user": ""}, "user", "write user:group"),
        ({"user": "alice"}, "user", "has no group"),
        ({"user": "1001"}, "user", "has no group"),
        ({"user": "alice:"}, "user", "has no group"),
        ({"user": ":hpc"}, "user", "write user:group"),
        ({"user": "alice:hpc:x"}, "user", "write user:group"),
        ({"user": "al ice:hpc"}, "user", "write user:group"),
        ({"user": "-1:1"}, "user", "write user:group"),
        ({"user": "4294967294:1"}, "user", "write user:group"),
        ({"user": "1:99999999999"}, "user", "write user:group"),
        ({"user": "x" * 300 + ":g"}, "user", "write user:group"),
        ({"user": "alice:hpc", "group": "other"}, "group", "is not the group of alice:hpc"),
        ({"user": "alice", "group": "a,b"}, "group", "write user:group"),
        ({"group": "hpc"}, "group", "has no user beside it"),
        ({"accounts": ""}, "accounts", "separated by commas"),
        ({"accounts": "a,,b"}, "accounts", "separated by commas"),
        ({"partitions": "gpu cpu"}, "partitions", "separated by commas"),
        ({"qos": "a,\x00"}, "qos", "separated by commas"),
    ],
)
def test_malformed_annotations(annotations: dict[str, str], key: str, said: str) -> None:
    """Each is told with its key, the namespace, the accepted forms and who can help."""
    with pytest.raises(BadInput) as caught:
        allowance.of(a_namespace(**annotations))
    assert caught.value.field == f"metadata.annotations[{PREFIX}{key}]"
    sentence = str(caught.value)
    assert sentence.startswith(f"annotation {PREFIX}{key} of namespace lab: ")
    assert said in sentence
    assert "ask the namespace's admin" in sentence
    assert len(sentence) < 700


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, Identity("alice", "hpc", "physics", "gpu", "normal")),
        ({"account": "chem"}, Identity("alice", "hpc", "chem", "gpu", "normal")),
        ({"partition": "cpu"}, Identity("alice", "hpc", "physics", "cpu", "normal")),
        ({"user_id": "alice"}, Identity("alice", "hpc", "physics", "gpu", "normal")),
        ({"group_id": "hpc"}, Identity("alice", "hpc", "physics", "gpu", "normal")),
    ],
)
def test_inside_what_is_allowed(parameters: dict[str, Any], expected: Identity) -> None:
    """The first of a list where the pod says nothing, else what it chose; repeating is allowed."""
    assert identity.of(a_namespace(**LAB), JobParameters(**parameters), Rules()) == expected


@pytest.mark.parametrize(
    ("parameters", "key", "said"),
    [
        ({"account": "biology"}, "account", "Choose one of physics, chem"),
        ({"partition": "debug"}, "partition", "Choose one of gpu, cpu"),
        ({"qos": "high"}, "qos", "Choose one of normal"),
        ({"user_id": "root"}, "user-id", "its pods are user alice in Slurm"),
        ({"user_id": "root", "group_id": "hpc"}, "user-id", "its pods are user alice in Slurm"),
        ({"group_id": "wheel"}, "group-id", "its pods are group hpc in Slurm"),
    ],
)
def test_outside_of_it(parameters: dict[str, Any], key: str, said: str) -> None:
    """Refused with what is allowed and whom to ask."""
    with pytest.raises(BadInput) as caught:
        identity.of(a_namespace(**LAB), JobParameters(**parameters), Rules())
    assert caught.value.field == f"metadata.annotations[{PREFIX}{key}]"
    assert said in str(caught.value)
    assert "namespace lab" in str(caught.value)
    assert "ask the namespace's admin" in str(caught.value)


def test_all_objections_at_once() -> None:
    """Nobody corrects them one by one."""
    chosen = JobParameters(account="x", partition="y", qos="z", user_id="root")
    found = identity.objections(a_namespace(**LAB), chosen, Rules())
    assert [error.field.rsplit("/", 1)[1] for error in found] == [
        "user-id]",
        "account]",
        "partition]",
        "qos]",
    ]
    assert len(identity.objections(a_namespace(user="al ice"), chosen, Rules())) == 1


def test_a_namespace_that_says_nothing() -> None:
    """Its jobs are the token's user's, in whatever account they name, unless a user is required."""
    chosen = JobParameters(account="any", partition="other", qos="high")
    assert identity.of(a_namespace(), chosen, Rules()) == Identity("", "", "any", "other", "high")
    with pytest.raises(BadInput, match="names no Slurm user") as caught:
        identity.of(a_namespace(), chosen, Rules(required=True))
    assert f"set its annotation {PREFIX}user to user:group" in str(caught.value)


def test_pods_that_name_a_user_where_the_namespace_names_none() -> None:
    """Refused too: else anybody who may create a pod may be anybody in Slurm."""
    with pytest.raises(BadInput, match="which names no user"):
        identity.of(a_namespace(), JobParameters(user_id="root", group_id="root"), Rules())


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"user_id": "bob", "group_id": "bio"}, ("bob", "bio")),
        ({"user_id": "alice"}, ("alice", "hpc")),
        ({"group_id": "bio"}, ("alice", "bio")),
        ({}, ("alice", "hpc")),
    ],
)
def test_where_pods_choose_the_user(parameters: dict[str, Any], expected: tuple[str, str]) -> None:
    """Anybody, as with the Go bridge; the namespace's is the default."""
    rules = Rules(pods_choose_user=True)
    who = identity.of(a_namespace(**LAB), JobParameters(**parameters), rules)
    assert (who.user, who.group) == expected


@pytest.mark.parametrize(
    ("parameters", "key", "said"),
    [
        ({"user_id": "bob"}, "group-id", "user and group together"),
        ({"user_id": "b b", "group_id": "1"}, "user-id", "neither a name nor a number"),
        ({"user_id": "bob", "group_id": "-1"}, "group-id", "neither a name nor a number"),
    ],
)
def test_user_and_group_together(parameters: dict[str, Any], key: str, said: str) -> None:
    """A user whose group nobody names would get the service user's group in Slurm."""
    with pytest.raises(BadInput, match=said) as caught:
        identity.of(a_namespace(**LAB), JobParameters(**parameters), Rules(pods_choose_user=True))
    assert caught.value.field == f"metadata.annotations[{PREFIX}{key}]"


def test_a_priority_is_kept_from_pods_unless_the_settings_say_otherwise() -> None:
    """As Slurm keeps it from users: the token is an operator's, and would jump the whole queue."""
    parameters = JobParameters(priority=9)
    allowed = Rules(pods_set_priority=True)
    assert identity.apply(parameters, a_namespace(), allowed).priority == 9
    with pytest.raises(BadInput, match="PriorityClass"):
        identity.apply(parameters, a_namespace(), Rules())


def test_a_group_alone_needs_a_user() -> None:
    """Where neither namespace nor pod names one."""
    rules = Rules(pods_choose_user=True)
    with pytest.raises(BadInput, match="user and group together"):
        identity.of(a_namespace(), JobParameters(group_id="hpc"), rules)


def test_the_parameters_are_filled_in() -> None:
    """What the namespace decides stands in the job's parameters, all else is left alone."""
    wishes = JobParameters(account="chem", timelimit_min=5, constraints="ib")
    assert identity.apply(wishes, a_namespace(**LAB), Rules()) == JobParameters(
        user_id="alice",
        group_id="hpc",
        account="chem",
        partition="gpu",
        qos="normal",
        timelimit_min=5,
        constraints="ib",
    )


def test_a_namespace_that_is_not_known_yet() -> None:
    """A job as somebody else is worse than a late one."""
    with pytest.raises(BadInput, match="not known yet"):
        identity.apply(JobParameters(), None, Rules())


texts = st.text(max_size=12) | st.sampled_from(["alice", "alice:hpc", "1", "1:1", "a,b", "a"])


@given(
    annotations=st.dictionaries(
        st.sampled_from(["user", "group", "accounts", "partitions", "qos"]), texts
    ),
    chosen=st.dictionaries(
        st.sampled_from(["user_id", "group_id", "account", "partition", "qos"]), texts
    ),
    required=st.booleans(),
)
def test_never_outside_whatever_is_written(
    annotations: dict[str, str], chosen: dict[str, Any], required: bool
) -> None:
    """Refused, or exactly the namespace's user and something from each of its lists."""
    namespace, rules = a_namespace(**annotations), Rules(required=required)
    parameters = JobParameters(**chosen)
    objections = identity.objections(namespace, parameters, rules)
    if objections:
        assert all(str(error) and error.field for error in objections)
        with pytest.raises(BadInput):
            identity.of(namespace, parameters, rules)
        return
    who = identity.of(namespace, parameters, rules)
    may = allowance.of(namespace)
    assert (who.user, who.group) == (may.user, may.group)
    assert bool(who.user) == bool(who.group)
    assert who.user or not required
    for value, choice in (
        (who.account, may.accounts), (who.partition, may.partitions), (who.qos, may.qos)
    ):  # fmt: skip
        assert not choice or value in choice
