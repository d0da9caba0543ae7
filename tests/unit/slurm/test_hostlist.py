import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import BadInput
from bridge.slurm import hostlist

_LABEL = st.from_regex(r"[a-z][a-z.\-]{0,3}", fullmatch=True)
_NAME = st.builds(
    lambda parts, tail: "".join(label + number for label, number in parts) + tail,
    st.lists(st.tuples(_LABEL, st.from_regex(r"[0-9]{1,3}", fullmatch=True)), max_size=3),
    _LABEL,
)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ()),
        ("n1", ("n1",)),
        ("n[1-3]", ("n1", "n2", "n3")),
        ("n[1,3]", ("n1", "n3")),
        ("n[08-11]", ("n08", "n09", "n10", "n11")),
        ("n[1-2,7],m,k[3]", ("n1", "n2", "n7", "m", "k3")),
        ("a[1-2]b[3-4]", ("a1b3", "a1b4", "a2b3", "a2b4")),
        ("i-[1-2]-[0,249].x", ("i-1-0.x", "i-1-249.x", "i-2-0.x", "i-2-249.x")),
        ("n1, n2 ,", ("n1", "n2")),
        ("n2,n1,n2", ("n2", "n1", "n2")),
    ],
)  # fmt: skip
def test_expands_as_scontrol_does(text: str, names: tuple[str, ...]) -> None:
    """Ranges stand anywhere, padding is kept, the last bracket varies fastest, order stays."""
    assert hostlist.expand(text) == names


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("n[1-3", "not closed"),
        ("n1-3]", "don't match"),
        ("n[[1]]", "don't match"),
        ("n[3-1]", "counts down"),
        ("n[a-b]", "no range"),
        ("n[]", "no range"),
        ("n[1-]", "no range"),
        ("n[0-9999999]", "more than"),
        ("n[0-9999][0-9999]", "more than"),
        ("n[0-199999],m[0-199999]", "more than"),
        ("n[0-9]" * 7, "more than"),
        (f"n[0-{'9' * 30}]", "no range"),
    ],
)
def test_refuses_what_is_no_list_or_too_long(text: str, why: str) -> None:
    """Broken lists and lists that would fill the memory are refused with the reason."""
    with pytest.raises(BadInput, match=re.escape(why)):
        hostlist.expand(text)


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], ""),
        (["n1"], "n1"),
        (["n3", "n1", "n2", "n1"], "n[1-3]"),
        (["n9", "n10"], "n[9-10]"),
        (["n09", "n10"], "n[09-10]"),
        (["n098", "n099", "n100"], "n[098-100]"),
        (["n09", "n99", "n100"], "n[09,99-100]"),
        (["n1", "n01"], "n[1,01]"),
        (["a1", "b1"], "a1,b1"),
        (["login", "n1", "n2"], "login,n[1-2]"),
        (["r1-n5", "r2-n5", "r3-n5"], "r[1-3]-n5"),
        (["ip-10-0-1-7.x", "ip-10-0-2-7.x"], "ip-10-0-[1-2]-7.x"),
    ],
)
def test_compresses(names: list[str], text: str) -> None:
    """Names that differ in one number, wherever it stands, share a bracket."""
    assert hostlist.compress(names) == text


@pytest.mark.parametrize("name", ["", "n[1]", "a,b", "a b"])
def test_compress_refuses_names_that_a_list_cant_hold(name: str) -> None:
    """What could be read back as something else is not written."""
    with pytest.raises(BadInput):
        hostlist.compress([name])


@given(st.lists(_NAME, max_size=30))
def test_what_was_compressed_expands_to_the_same_names(names: list[str]) -> None:
    """compress then expand gives each name once, none lost, none added."""
    expanded = hostlist.expand(hostlist.compress(names))
    assert sorted(expanded) == sorted(set(names))


@given(st.integers(0, 20_000), st.integers(1, 300))
def test_consecutive_nodes_are_one_range(first: int, count: int) -> None:
    """A run of numbers without padding is one bracket, also over a power of ten."""
    names = [f"node{number}" for number in range(first, first + count)]
    expected = f"node[{first}-{first + count - 1}]" if count > 1 else names[0]
    assert hostlist.compress(names) == expected


@given(st.text(alphabet="n[]-,0159 .", max_size=40))
def test_any_text_is_a_list_or_refused(text: str) -> None:
    """No text crashes the parser or makes a name with a bracket or comma."""
    try:
        names = hostlist.expand(text)
    except BadInput:
        return
    assert not any(set("[],") & set(name) for name in names)
