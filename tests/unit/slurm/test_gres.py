import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import BadInput
from bridge.model.job import Gres
from bridge.slurm import gres

_WORD = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True).filter(lambda w: w != "no_consume")
_TYPE = st.from_regex(r"[a-z][a-z0-9_.\-]{0,8}", fullmatch=True).filter(lambda w: w != "no_consume")
_GRES = st.builds(Gres, _WORD, st.one_of(st.just(""), _TYPE), st.integers(0, 10**12))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ()),
        ("(null)", ()),
        ("gpu:8", (Gres("gpu", "", 8),)),
        ("gpu", (Gres("gpu", "", 1),)),
        ("gpu:h100", (Gres("gpu", "h100", 1),)),
        ("gpu:h100:8(IDX:0-7)", (Gres("gpu", "h100", 8),)),
        ("gpu:h100:0(IDX:N/A),efa:0", (Gres("gpu", "h100", 0), Gres("efa", "", 0))),
        ("gpu:h100:2(IDX:0,3),efa(CNT:4)", (Gres("gpu", "h100", 2), Gres("efa", "", 4))),
        ("efa:rdma(CNT:3)", (Gres("efa", "rdma", 3),)),
        ("gpu:a100:2(S:0-1),gpu:h100:1", (Gres("gpu", "a100", 2), Gres("gpu", "h100", 1))),
        ("gres/gpu:h100:2,gres/efa:4", (Gres("gpu", "h100", 2), Gres("efa", "", 4))),
        ("gres/gpu=2", (Gres("gpu", "", 2),)),
        ("bandwidth:lustre:no_consume:4G", (Gres("bandwidth", "lustre", 4 << 30),)),
        ("gres/gpu:h100=1K", (Gres("gpu", "h100", 1024),)),
        ("gres/gpu:1KB,gres/efa:1KiB", (Gres("gpu", "", 1000), Gres("efa", "", 1024))),
        ("gres/gpu::2,,gres/efa", (Gres("gpu", "", 2), Gres("efa", "", 1))),
        ("gpu:nvidia_h100_80gb_hbm3:8", (Gres("gpu", "nvidia_h100_80gb_hbm3", 8),)),
    ],
)
def test_parses_what_slurm_writes(text: str, found: tuple[Gres, ...]) -> None:
    """Names, types and counts are read; indices and flags are left out."""
    assert gres.parse(text) == found


@pytest.mark.parametrize(
    "text",
    ["gpu:h100:x:2", ":2", "gpu:h 100:2", "8", "gpu:a:b", "gpu:", "gpu:h100:", "gres/gpu=",
     "gres/gpu=x", " gpu:2", "gpu:2\n", "gpu:٣", "license/matlab:1"],
)  # fmt: skip
def test_refuses_what_is_no_gres(text: str) -> None:
    """Neither written by Slurm nor taken from a job: refused with the accepted forms."""
    with pytest.raises(BadInput, match="write it like"):
        gres.parse(text)


@given(st.lists(_GRES, max_size=6))
def test_formatting_and_parsing_are_inverse(items: list[Gres]) -> None:
    """What is formatted, for a node or for a job, reads back the same."""
    assert gres.parse(gres.format(items)) == tuple(items)
    assert gres.parse(gres.format_tres(items)) == tuple(items)


@given(st.text(alphabet="gpu:h1(IDXCNT-),=/ 0", max_size=40))
def test_any_text_is_a_gres_or_refused(text: str) -> None:
    """No text crashes the parser."""
    for read in (gres.parse, gres.indices, gres.parse_tres):
        try:
            read(text)
        except BadInput:
            continue


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("gpu:h100:8(IDX:0-7)", {("gpu", "h100"): tuple(range(8))}),
        ("gpu:h100:2(IDX:0,3),efa:2(IDX:0-1)", {("gpu", "h100"): (0, 3), ("efa", ""): (0, 1)}),
        ("efa(CNT:4)", {}),
        ("gpu:h100:0(IDX:N/A)", {}),
        ("", {}),
    ],
)
def test_tells_which_devices_were_given(
    text: str, found: dict[tuple[str, str], tuple[int, ...]]
) -> None:
    """The indices of a job's gres_detail are the devices on that node."""
    assert gres.indices(text) == found


def test_a_hostile_device_range_is_refused() -> None:
    """A range of billions is not built; nor are digits of other scripts read."""
    for ranges in ("0-4000000000", "0-65535," * 3000 + "1", "²", "1-²", "٣", "", "1-", "-1"):
        with pytest.raises(BadInput):
            gres.numbers(ranges)


def test_parses_tres() -> None:
    """TRES keep their values as text, since their units differ."""
    assert gres.parse_tres("cpu=4,mem=400M,node=2,gres/gpu:h100=2") == {
        "cpu": "4", "mem": "400M", "node": "2", "gres/gpu:h100": "2",
    }  # fmt: skip
