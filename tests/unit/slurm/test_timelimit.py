import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import BadInput
from bridge.slurm import timelimit


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("90", 90), ("90:30", 91), ("1:30:00", 90), ("1:30:01", 91), ("2-12", 3600),
     ("2-12:30", 3630), ("2-12:30:00", 3630), ("0:30", 1), ("1-0", 1440), ("1-", 1440),
     ("90:61", 92), ("1-25", 2940), ("1:90:90", 152), ("010", 10), ("71582787", 71582787),
     ("0", timelimit.UNLIMITED), ("00:00:00", timelimit.UNLIMITED), ("0-0", timelimit.UNLIMITED),
     ("UNLIMITED", timelimit.UNLIMITED), ("infinite", timelimit.UNLIMITED),
     ("-1", timelimit.UNLIMITED)],
)  # fmt: skip
def test_reads_all_forms_of_sbatch(text: str, minutes: int) -> None:
    """Every form of --time is minutes, as sbatch 26.05 took each of these."""
    assert timelimit.parse(text) == minutes


@pytest.mark.parametrize(
    "text",
    ["", "1:2:3:4", "1-2:3:4:5", "-5", "+5", "1d", "-1-0", "a", "1.5", "5:", ":30", "1-:30", "5 ",
     "٣", "INF", "71582788", "9" * 30],
)  # fmt: skip
def test_refuses_what_is_no_limit(text: str) -> None:
    """The refusal tells the accepted forms. sbatch refuses them too, or makes nonsense of them."""
    with pytest.raises(BadInput, match="write it like"):
        timelimit.parse(text)


@given(st.integers(1, timelimit.LONGEST_MIN))
def test_what_is_written_reads_back(minutes: int) -> None:
    """squeue's form is exact."""
    assert timelimit.parse(timelimit.format(minutes)) == minutes


def test_unlimited_reads_back() -> None:
    """UNLIMITED has its own word."""
    assert timelimit.parse(timelimit.format(timelimit.UNLIMITED)) == timelimit.UNLIMITED
