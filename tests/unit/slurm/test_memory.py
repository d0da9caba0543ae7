import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import BadInput
from bridge.slurm import memory


@pytest.mark.parametrize(
    ("text", "mib"),
    [("512", 512), ("512M", 512), ("16G", 16384), ("62.50G", 64000), ("1.5T", 1572864),
     ("1K", 1), ("1025K", 2), ("0", 0), ("1gb", 1024), ("4P", 4 << 30),
     ("1.50G", 1536), ("010", 10)],
)  # fmt: skip
def test_reads_sizes_rounded_up_to_mib(text: str, mib: int) -> None:
    """Suffixes are powers of 1024, a bare number is MiB, parts of one count as one."""
    assert memory.parse(text) == mib


@pytest.mark.parametrize(
    "text", ["", "M", "-1", "1X", "1e3", "1 G", " 1G", "1B", "1MiB", "1GBB", ".5G", "٣", "9" * 40]
)
def test_refuses_what_is_no_size(text: str) -> None:
    """The refusal tells the accepted forms."""
    with pytest.raises(BadInput, match="write it like"):
        memory.parse(text)


@given(st.integers(0, 10**15))
def test_what_is_written_reads_back(mib: int) -> None:
    """The shortest form is exact."""
    assert memory.parse(memory.format(mib)) == mib
