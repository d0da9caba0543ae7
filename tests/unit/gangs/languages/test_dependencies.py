"""The annotation `dependency`, read."""

import pytest

from bridge.errors import BadInput
from bridge.gangs.languages import dependencies
from bridge.model.gang import Dependency


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("afterok:12", [("afterok", "12")]),
        ("afterok:12:13", [("afterok", "12"), ("afterok", "13")]),
        ("after:12+5", [("after", "12+5")]),
        ("afterany:Job/prepare, afternotok:7", [("afterany", "job/prepare"), ("afternotok", "7")]),
        ("singleton", [("singleton", "")]),
        ("afterok:7,afterok:7", [("afterok", "7")]),
    ],
)
def test_ids_and_workloads_are_read(text: str, parsed: list[tuple[str, str]]) -> None:
    """Each once, kinds in lower case."""
    assert dependencies.parse(text) == tuple(Dependency(*one) for one in parsed)


@pytest.mark.parametrize(
    "text",
    ["", "12", "afterok", "afterok:", "later:12", "afterok:0", "afterok:12?afterok:13",
     "aftercorr:1", "afterok:12+5", "afterok:job/", "afterok:job/a/b", "singleton:3",
     "afterok:job/A b"],
)  # fmt: skip
def test_other_forms_are_refused_with_the_accepted_ones(text: str) -> None:
    """Also those of Slurm that a placeholder has no use for."""
    with pytest.raises(BadInput, match="afterany:job/prepare"):
        dependencies.parse(text)
