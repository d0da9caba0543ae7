"""The user's job parameters."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import names
from bridge.errors import BadInput
from bridge.gangs import annotations
from bridge.model import timelimit
from bridge.model.gang import Dependency


def keyed(**suffixes: str) -> dict[str, str]:
    return {names.JOB_PREFIX + key.replace("_", "-"): text for key, text in suffixes.items()}


@pytest.mark.parametrize(
    ("given_as", "field", "value"),
    [
        (keyed(cpu_per_task="200m"), "cpu_per_task", 1),
        (keyed(cpu_per_task="3.5"), "cpu_per_task", 4),
        (keyed(mem_per_node="1Gi"), "mem_per_node_mib", 1024),
        (keyed(mem_per_node="1"), "mem_per_node_mib", 1),
        (keyed(timelimit="90"), "timelimit_min", 90),
        (keyed(timelimit="1:30"), "timelimit_min", 2),
        (keyed(timelimit="1:00:00"), "timelimit_min", 60),
        (keyed(timelimit="1-12"), "timelimit_min", 36 * 60),
        (keyed(timelimit="2-1:30"), "timelimit_min", 49 * 60 + 30),
        (keyed(timelimit="1-00:00:01"), "timelimit_min", 24 * 60 + 1),
        (keyed(timelimit="0:00:01"), "timelimit_min", 1),
        (keyed(dependency="afterok:7"), "dependency", (Dependency("afterok", "7"),)),
        (keyed(constraints="(a|b)&c"), "constraints", "(a|b)&c"),
        (keyed(gres="GPU:V100:2"), "gres", "GPU:V100:2"),
        (keyed(timelimit="unlimited"), "timelimit_min", timelimit.UNLIMITED),
        (keyed(timelimit="0"), "timelimit_min", timelimit.UNLIMITED),
        (keyed(exclusive=" False "), "exclusive", False),
        (keyed(exclusive="yes"), "exclusive", True),
        (keyed(priority="0"), "priority", 0),
        (keyed(min_nodes="2"), "min_nodes", 2),
        (keyed(partition="gpu"), "partition", "gpu"),
        (keyed(user_id="1000"), "user_id", "1000"),
    ],
)
def test_each_parameter_is_read_in_its_accepted_forms(
    given_as: dict[str, str], field: str, value: object
) -> None:
    """Every form that the table of parameters accepts gives its value."""
    assert getattr(annotations.parse(given_as), field) == value


@pytest.mark.parametrize(
    ("given_as", "says"),
    [
        (keyed(timelimit="soon"), "days-hours"),
        (keyed(dependency="later:7"), "afterok:123"),
        (keyed(constraints="a*2"), "counts and"),
        (keyed(constraints="((a|b)&c)"), "nesting"),
        (keyed(gres="gpu::2"), "gpu:h100:2"),
        (keyed(gres="gpu:h100:x:2"), "gpu:h100:2"),
        (keyed(min_nodes="4", max_nodes="2"), "make max-nodes as large"),
        (keyed(timelimit="71582788"), "longer than Slurm can count"),
        (keyed(timelimit="-5"), "not a time limit"),
        (keyed(cpu_per_task="many"), "not a quantity"),
        (keyed(cpu_per_task="0"), "between 1 and"),
        (keyed(mem_per_node="0"), "is no memory"),
        (keyed(max_nodes="two"), "not a whole number"),
        (keyed(min_nodes="٢"), "not a whole number"),
        (keyed(priority="-1"), "not a whole number"),
        (keyed(partition=""), "is empty"),
        (keyed(account="a\nb"), "unprintable"),
    ],
)
def test_a_malformed_value_is_refused_with_its_key_and_the_accepted_forms(
    given_as: dict[str, str], says: str
) -> None:
    """The refusal names the annotation and what would be accepted."""
    with pytest.raises(BadInput, match=says) as refusal:
        annotations.parse(given_as)
    assert next(iter(given_as)) in str(refusal.value)
    assert refusal.value.field == f"metadata.annotations[{next(iter(given_as))}]"


@given(st.dictionaries(st.sampled_from(sorted(annotations._READERS)), st.text(max_size=20)))
def test_any_text_is_parsed_or_refused(values: dict[str, str]) -> None:
    """No value leads to anything but parameters or BadInput."""
    with contextlib.suppress(BadInput):
        annotations.parse({names.JOB_PREFIX + key: text for key, text in values.items()})


def test_an_unknown_suffix_is_named_with_its_nearest() -> None:
    """A typing mistake is found, foreign annotations are not touched."""
    keys = {**keyed(time_limit="5", qqqqqqq="x", qos="a", gang="true"), "other/key": "b"}
    found = {key: annotations.nearest(key) for key in annotations.unknown(keys)}
    assert found == {
        names.JOB_PREFIX + "time-limit": names.JOB_PREFIX + "timelimit",
        names.JOB_PREFIX + "qqqqqqq": "",
    }
