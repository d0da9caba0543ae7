"""Answers that are kept as long as what they follow from stays as it is."""

from bridge.jobs.answers import MOST_KEPT, Answers


def test_an_answer_is_found_once_until_something_else_follows() -> None:
    """Also one that says nothing."""
    found: list[str] = []

    def find(key: str) -> str:
        found.append(key)
        return ""

    answers: Answers[str, str] = Answers()
    for follows_from in ((1,), (1,), (2,), (1,)):
        for key in "ab":
            assert answers.of(follows_from, key, lambda key=key: find(key)) == ""  # type: ignore[misc]
    assert found == ["a", "b"] * 3


def test_no_more_are_kept_than_that() -> None:
    """Beyond it, all are dropped."""
    answers: Answers[int, int] = Answers()
    for key in range(MOST_KEPT + 1):
        answers.of((), key, int)
    assert len(answers) == 1
