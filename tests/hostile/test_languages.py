"""Every text that a user writes is read or refused, at a cost that is bounded and linear."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import names
from bridge.errors import BadInput
from bridge.gangs import annotations
from bridge.gangs.languages import gres
from bridge.jobs import allowance, constraints, identity
from bridge.model import bounds, quantity, spelling
from bridge.model.gang import JobParameters
from bridge.model.namespace import Namespace
from bridge.state.slurm_facts import NodeFacts, NodeKind
from tests.builders import a_pod
from tests.hostile.languages import ALL, ANNOTATIONS, ANY, NAMESPACES, Language, Worst
from tests.hostile.measured import cost, refusal

SIZES = (32, 64, 128, 256, 512, 1024, 2048, 4096)
HUGE = (1 << 16, 1 << 18)
"""Characters. Kubernetes takes 2^18 of all annotations of an object."""
MOST_STEPS = 12_000
"""Of the interpreter, for the worst text that is looked at: well below a millisecond."""
MOST_TO_REFUSE = 200
"""For a text that is too long, whatever it says."""

WORST = [
    pytest.param(language, worst, id=f"{language.name}: {name}")
    for language in ALL
    for name, worst in {**ANY, **language.worst}.items()
]
languages = pytest.mark.parametrize("language", ALL, ids=lambda one: one.name)


@pytest.mark.parametrize(("language", "worst"), WORST)
def test_reading_is_linear_and_bounded(language: Language, worst: Worst) -> None:
    """Twice the text costs twice the steps at the most; beyond the limit nothing is looked at."""
    costs = [cost(partial(language.read, worst(size))) for size in SIZES]
    assert max(costs) <= MOST_STEPS
    for before, after in pairwise(costs):
        assert after <= 2.5 * before + 200
    for size in HUGE:
        text = worst(size)
        assert len(text) > language.longest
        assert cost(partial(language.read, text)) <= MOST_TO_REFUSE


@languages
def test_the_worst_texts_are_refused_with_a_sentence(language: Language) -> None:
    """Its annotation and the accepted form stand in it, and it does not repeat the text."""
    for worst in (*ANY.values(), *language.worst.values()):
        for size in (0, 1, 100, 5000, 1 << 18):
            judge(language, worst(size))


def judge(language: Language, text: str) -> None:
    """It is read, or refused as it should be."""
    error = refusal(lambda: language.read(text))
    if error is None:
        assert len(text) <= language.longest
        return
    sentence = str(error)
    assert language.form in sentence
    assert len(sentence) < BadInput.LONGEST
    assert sentence.isprintable()
    if language.key:
        assert language.key in sentence
        assert language.key in error.field


PIECES = st.sampled_from(
    ["0", "9", "a", "A", " ", "\t", ",", ":", "/", "+", "-", ".", "e", "E", "m", "Ki", "&", "|",
     "(", ")", "[", "]", "*", "!", "=", "gpu", "gres/", "after", "afterok", "singleton", "job/",
     "x1", "٣", "\0", "\ud800", "\n", "é", "\U0001f600", "%s", "{}"]
)  # fmt: skip
TEXTS = st.one_of(
    st.text(st.characters(), max_size=80),
    st.lists(PIECES, max_size=40).map("".join),
    st.builds(lambda piece, count: piece * count, PIECES, st.integers(0, 5000)),
)


@languages
@given(text=TEXTS)
def test_any_text_is_read_or_refused(language: Language, text: str) -> None:
    """Half characters, other scripts' digits and control characters too; nothing else is raised."""
    judge(language, text)


NINES = "9" * 5000
NUMBERS = [
    *(language.key for language in ANNOTATIONS if "number" in language.form),
    *(names.JOB_PREFIX + suffix for suffix in ("cpu-per-task", "mem-per-node", "timelimit")),
]


@pytest.mark.parametrize("key", NUMBERS)
@pytest.mark.parametrize(
    "text", [NINES, "-" + NINES, "0." + NINES, NINES + "Gi", "٩" * 18, "-1"], ids=lambda t: t[:3]
)
def test_a_number_of_five_thousand_digits_is_a_mistake_in_it(key: str, text: str) -> None:
    """`int()` raises ValueError beyond 4,300 digits, and that once ended the process."""
    if key.endswith("timelimit") and text == "-1":
        return  # as sbatch reads it: no limit
    said = {key: text}
    error = refusal(lambda: (annotations.parse(said), annotations.gang_size(said)))
    assert error is not None
    assert key in str(error)


@pytest.mark.parametrize("before", ["gpu:", "gpu=-", "after:1+", "after:", "1e"])
def test_numbers_inside_of_lists_are_bounded_too(before: str) -> None:
    """Counts of devices, job ids, minutes after, exponents."""
    for language in ALL:
        for digits in (7, 11, 19, 500, 5000):
            judge(language, before + "9" * digits)


@pytest.mark.parametrize(
    "text", ["1" * 11, "0" * 300, str(2**32 - 2), "٣", NINES, "a" * 256], ids=lambda t: t[:3]
)
def test_ids_of_people_are_bounded(text: str) -> None:
    """Slurm's are 32 bits."""
    assert not allowance.is_id(text)


@pytest.mark.parametrize(
    "text", [NINES, "٣", "-1", "", str(2**32), "1.0", "0x7", "7\n"], ids=lambda text: text[:3]
)
def test_a_job_id_on_a_pod_that_is_none(text: str) -> None:
    """The row has no job; anybody may put such a label on a pod that nobody guards."""
    assert replace(a_pod().build(), labels={names.JOB_ID_LABEL: text}).job_id is None


@pytest.mark.parametrize("sign", [1, -1])
def test_amounts_end_where_kubernetes_stops_counting(sign: int) -> None:
    """The API server cuts a quantity at 2^63 - 1."""
    for amount in (10**30, 10**5000, 1e300):
        assert quantity.whole(sign * amount) == sign * (2**63 - 1)
    for text in ("9" * 63, "9" * 20 + "Ei", "1e999"):
        assert quantity.whole(text if sign > 0 else f"-{text}") == sign * (2**63 - 1)


# -- what is said about unknown words ----------------------------------------------------------


def test_a_thousand_unknown_words_are_not_all_looked_up() -> None:
    """A comparison costs tens of microseconds: of few words, with few known ones."""
    known = [f"rack{number}" for number in range(2000)]
    costs = [cost(partial(spelling.meant, known[:n], known[n:])) for n in (3, 300, 1000)]
    assert max(costs) <= 1.5 * min(costs)
    assert spelling.meant(["rakc7"], known) != ()
    assert spelling.nearest("r" * 65, known) == ""


def test_features_that_no_node_has() -> None:
    """The refusal of 64 unknown features among thousands of known ones is as cheap as of three."""
    kinds = tuple(NodeKind(frozenset({f"rack{number}", "ib"})) for number in range(2000))
    facts = NodeFacts(kinds)

    def build(count: int) -> Callable[[], object]:
        wish = "|".join(f"rakc{number}" for number in range(count))
        return lambda: constraints.build((), wish, facts=facts, nodes=4)

    error = refusal(build(64))
    assert error is not None
    assert "did you mean rack" in str(error)
    assert cost(build(64)) <= 1.5 * cost(build(3)) + 2000


def test_a_long_list_of_devices_is_not_weighed_against_every_node() -> None:
    """32 items at the most."""
    assert refusal(lambda: gres.parse(",".join(f"a{n}" for n in range(bounds.MOST_GRES)))) is None
    error = refusal(lambda: gres.parse(",".join(f"a{n}" for n in range(bounds.MOST_GRES + 1))))
    assert error is not None
    assert "at most 32" in str(error)


# -- all of an object's annotations ------------------------------------------------------------


def many(count: int, form: str = names.JOB_PREFIX + "tiemlimit-{n}") -> dict[str, str]:
    """Keys that nobody knows."""
    return {form.format(n=number): "x" for number in range(count)}


@pytest.mark.parametrize("form", [names.JOB_PREFIX + "x{n}", "slinky.slurm.net/x{n}", "x{n}"])
def test_thousands_of_unknown_keys(form: str) -> None:
    """They are not looked at one by one, for each known key."""

    def read(count: int) -> Callable[[], object]:
        values = {**many(count, form), names.JOB_PREFIX + "priority": "high"}
        return lambda: annotations.parse(values)

    assert cost(read(8000)) == cost(read(1))


def test_the_names_of_parameters_are_in_one_place() -> None:
    """Rows keep what is named there, and readers read what is kept."""
    of_namespaces = {language.key for language in NAMESPACES}
    of_pods = {language.key for language in ANNOTATIONS}
    assert of_pods | of_namespaces == names.PARAMETERS
    assert {names.JOB_PREFIX + suffix for suffix in annotations._READERS} <= names.PARAMETERS


LONG = st.text(st.characters(), max_size=20).map(lambda text: text * 50)
KEYS = sorted(names.PARAMETERS)


@given(
    pod=st.dictionaries(st.sampled_from(KEYS), TEXTS | LONG),
    namespace=st.dictionaries(st.sampled_from(KEYS), TEXTS | LONG),
    rules=st.builds(identity.Rules, st.booleans(), st.booleans(), st.booleans()),
)
def test_who_a_pod_is(
    pod: Mapping[str, str], namespace: Mapping[str, str], rules: identity.Rules
) -> None:
    """What both say, in any combination: each objection is a sentence of bounded length."""
    lab = Namespace("lab", "u", annotations=namespace)
    parameters = JobParameters()
    with contextlib.suppress(BadInput):
        parameters = annotations.parse(pod)
    objections: list[Any] = list(identity.objections(lab, parameters, rules))
    assert bool(objections) == (refusal(lambda: identity.of(lab, parameters, rules)) is not None)
    assert all(len(str(one)) < BadInput.LONGEST for one in objections)
