"""Host lists, GRES and TRES strings, registration lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sim.slurm import errors, gres, hosts, nodeconf, wire
from bridge.sim.slurm.errors import Refused

_KNOWN = frozenset({"gpu", "efa"})
_NODES = st.from_regex(r"[a-c]{1,2}[0-9]{1,3}", fullmatch=True) | st.sampled_from(["x", "login"])


@given(st.lists(_NODES, max_size=30))
def test_compressed_lists_expand_to_the_same(names: list[str]) -> None:
    """No name is lost, added or moved."""
    assert list(hosts.expand(hosts.compress(names))) == names


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["n0", "n1", "n2", "n7"], "n[0-2,7]"),
        (["sg1", "sc1"], "sg1,sc1"),
        (["n8", "n9", "n10"], "n[8-10]"),
        (["n08", "n09", "n10"], "n[08-10]"),
        (["n1", "n01"], "n[1,01]"),
        (["a.b", "n1"], "a.b,n1"),
    ],
)
def test_compressed_as_slurm_does(names: list[str], text: str) -> None:
    """Neighbours share brackets, in the order given; padding is kept."""
    assert hosts.compress(names) == text


@given(st.integers(0, 2**70))
def test_index_lists_tell_every_bit(mask: int) -> None:
    """`0-2,5` names exactly the bits that are set."""
    text = gres.index_list(mask)
    if not mask:
        assert text == "N/A"
        return
    seen = 0
    for piece in text.split(","):
        low, _, high = piece.partition("-")
        for number in range(int(low), int(high or low) + 1):
            seen |= 1 << number
    assert seen == mask


def test_tres_of_a_job() -> None:
    """Counts, types, both separators; memory in it is ignored, as Slurm ignores it."""
    assert gres.parse_tres("gres/gpu:h100:2,gres/efa=4,mem:100,gres/gpu", _KNOWN) == (
        gres.Ask("gpu", "h100", 2),
        gres.Ask("efa", "", 4),
        gres.Ask("gpu", "", 1),
    )


@pytest.mark.parametrize(
    ("text", "number"), [("gpu:2", errors.INVALID_TRES), ("gres/foo:1", errors.INVALID_GRES)]
)
def test_tres_that_slurm_refuses(text: str, number: int) -> None:
    """Without `gres/` it is no TRES; an unknown name is no GRES."""
    with pytest.raises(Refused) as refused:
        gres.parse_tres(text, _KNOWN)
    assert refused.value.number == number


@pytest.mark.parametrize(
    ("mib", "text"),
    [(100, "100M"), (512_000, "500G"), (12_800, "12.50G"), (19_200, "19200M"), (1 << 20, "1T")],
)
def test_memory_in_tres(mib: int, text: str) -> None:
    """A unit is raised only where half of it divides."""
    assert wire.memory_text(mib) == text


def test_several_nodes_of_one_line() -> None:
    """A host list registers each of its nodes alike."""
    line = "NodeName=n[1-3] Sockets=2 CoresPerSocket=4 ThreadsPerCore=1 RealMemory=100 Feature=a,b"
    confs = nodeconf.parse(line, gres_types=_KNOWN)
    assert [conf.name for conf in confs] == ["n1", "n2", "n3"]
    assert {(conf.cpus, conf.memory_mib, conf.features) for conf in confs} == {(8, 100, ("a", "b"))}


def test_partial_layout_is_rounded_up_to_cores() -> None:
    """CPUs that don't fill whole cores become what the cores have, silently."""
    line = "NodeName=n CPUs=62 Sockets=1 CoresPerSocket=32 ThreadsPerCore=2 RealMemory=1"
    assert nodeconf.parse(line, gres_types=_KNOWN)[0].cpus == 64


@pytest.mark.parametrize(
    ("words", "number"),
    [
        ("CPUs=3", errors.UNSPECIFIED),
        ("NodeName=n Bogus=1", errors.UNSPECIFIED),
        ("NodeName=n CPUs=x", errors.UNSPECIFIED),
        ("NodeName=n[1 CPUs=1", errors.UNSPECIFIED),
        ("NodeName=n State=Odd", errors.INVALID_NODE_STATE),
        ('NodeName=n Gres="gpu:2"', errors.INVALID_ARGUMENT),
        (
            'NodeName=n Gres="gpu:2,efa:1" GresConf="count=2,name=gpu,file=/dev/n[0-1]"',
            errors.INVALID_ARGUMENT,
        ),
    ],
)
def test_lines_that_slurm_refuses(words: str, number: int) -> None:
    """Unknown keys are "unspecified", GPUs without devices "invalid argument"."""
    with pytest.raises(Refused) as refused:
        nodeconf.parse(words, gres_types=_KNOWN)
    assert refused.value.number == number
