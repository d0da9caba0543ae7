"""Numbers that keep their values, and answers that are continued."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bridge.placement.table import ledger
from bridge.placement.table.ledger import Ledger, LedgerWriter

Value = tuple[str, int]
"""Home and number."""


class Asked:
    """A question that counts how often it is asked."""

    def __init__(self) -> None:
        self.times: Counter[Value] = Counter()

    def __call__(self, value: Value) -> bool:
        self.times[value] += 1
        return value[1] % 2 == 0


def test_a_question_is_asked_about_each_value_once() -> None:
    """Values that come later are asked about alone; the nobody of number 0 never is."""
    values: Ledger[Value] = Ledger(("", 0), lambda value: value[0])
    question = Asked()
    for number in range(1, 50):
        assert values.append(("a", number)) == number
        verdicts = values.verdicts("even", question)
        assert verdicts.tolist() == [False, *(n % 2 == 0 for n in range(1, number + 1))]
    assert set(question.times.values()) == {1}
    assert ("", 0) not in question.times


def test_a_question_about_some_homes_looks_at_no_others() -> None:
    """Answers about values of other homes are False, now and later."""
    values: Ledger[Value] = Ledger(("", 0), lambda value: value[0])
    question = Asked()
    for number in range(1, 9):
        values.append(("ab"[number % 2], number))
    assert np.flatnonzero(values.verdicts("even", question, ("a",))).tolist() == [2, 4, 6, 8]
    values.append(("b", 10))
    values.append(("a", 12))
    assert np.flatnonzero(values.verdicts("even", question, ("a",))).tolist() == [2, 4, 6, 8, 10]
    assert {home for home, _ in question.times} == {"a"}
    assert not values.verdicts("none", question, ()).any()


def test_answers_are_bounded() -> None:
    """Whoever asks new questions drives out the oldest ones, and gets his answers all the same."""
    values: Ledger[Value] = Ledger(("", 0))
    values.append(("a", 2))
    for number in range(ledger.KEPT_QUESTIONS + 5):
        assert values.verdicts(number, Asked()).tolist() == [False, True]
    question = Asked()
    values.verdicts(ledger.KEPT_QUESTIONS, question)
    assert not question.times
    values.verdicts(0, question)
    assert question.times


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 8)), max_size=60))
def test_a_number_is_its_value_s_as_long_as_anybody_uses_it(steps: list[tuple[bool, int]]) -> None:
    """Beginning anew moves the values that are in use, and their answers, and no others."""
    writer: LedgerWriter[Value] = LedgerWriter(("", 0), lambda value: value[0])
    used: list[tuple[Value, int]] = []
    question = Asked()
    for comes, number in steps:
        value = ("a", number)
        if comes:
            used.append((value, writer.number(value)))
        elif used:
            writer.release(used.pop(number % len(used))[1])
        if number == 8:
            before = writer.ledger
            kept = list(before.values)
            moved = writer.begin_anew()
            used = [(value, int(moved[at])) for value, at in used]
            assert before.values == kept
            assert len(writer.ledger.values) == 1 + len({value for value, _ in used})
        verdicts = writer.ledger.verdicts("even", question)
        for value, at in used:
            assert writer.ledger.values[at] == value
            assert verdicts[at] == (value[1] % 2 == 0)
            assert writer.find(value) == at


def test_a_ledger_does_not_grow_with_the_past() -> None:
    """Gangs come and go for months: but for a few, half of the values are in use."""
    writer: LedgerWriter[Value] = LedgerWriter(("", 0))
    for number in range(10_000):
        writer.release(writer.number(("a", number)))
        if writer.is_sparse:
            writer.begin_anew()
        assert len(writer.ledger.values) < 1100
