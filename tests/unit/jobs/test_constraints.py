"""The user's constraints, weighed against the node classes."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import BadInput
from bridge.jobs import constraints
from bridge.sim.slurm import features
from bridge.state.slurm_facts import NodeFacts, NodeKind

FACTS = NodeFacts(
    tuple(
        NodeKind(frozenset(words.split()))
        for words in ("class-a ib rack1", "class-b ib rack2", "class-c rack1", "class-c rack2 ib")
    )
)
CLASSES = ("class-a", "class-b", "class-c")


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ("", "class-a|class-b|class-c"),
        ("rack1|rack2", "class-a|class-b|class-c"),
        ("ib&rack1", "class-a"),
        ("(rack1|rack2)&class-b", "class-b"),
        ("ib|gone", "(class-a|class-b|class-c)&ib"),
        ("ib&(rack1|rack2)", "(class-a|class-b|class-c)&ib&(rack1|rack2)"),
        ("rack2", "(class-b|class-c)&rack2"),
        ("(ib&rack1)|(ib&rack2)", "(class-a|class-b|class-c)&ib&(rack1|rack2)"),
        ("rack1|rack2&ib", "(class-a|class-b|class-c)&(rack1|rack2)&ib"),
        (" rack1 & ib ", "class-a"),
        ("[rack1|rack2]", "(class-a|class-b|class-c)&[rack1|rack2]"),
        ("[rack1|rack2]&class-b", "class-b&[rack1|rack2]"),
        ("[rack1|gone]", "(class-a|class-c)&rack1"),
        ("[rack1]", "(class-a|class-c)&rack1"),
    ],
)
def test_a_wish_becomes_the_classes_that_satisfy_it(wish: str, said: str) -> None:
    """Whole classes stand for it; where a class has both kinds of nodes, Slurm is told the rest."""
    assert constraints.build(CLASSES, wish, facts=FACTS, nodes=2).text == said


@pytest.mark.parametrize(
    ("wish", "said"),
    [("[rack1|rack2]&class-b", "class-b"), ("[rack1|rack2]", "class-a|class-b|class-c")],
)
def test_one_pod_is_always_on_nodes_alike(wish: str, said: str) -> None:
    """So brackets are an OR for it."""
    assert constraints.build(CLASSES, wish, facts=FACTS, nodes=1).text == said


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ("rack3", "no node in Slurm has feature rack3"),
        ("rakc1", "did you mean"),
        ("class-a&class-b", "no node that can take the pod"),
        ("ib&rack1&class-c", "no node that can take the pod"),
    ],
)
def test_what_no_node_has_is_refused_with_what_there_is(wish: str, says: str) -> None:
    """Slurm would refuse the job, or let it wait for ever."""
    with pytest.raises(BadInput, match=says) as refusal:
        constraints.build(CLASSES, wish, facts=FACTS, nodes=2)
    assert refusal.value.field == "metadata.annotations[slurmjob.slinky.slurm.net/constraints]"


def test_while_slurm_has_not_told_its_nodes_the_wish_is_passed_on() -> None:
    """It can judge for itself."""
    built = constraints.build(("class-a", "class-b"), "x|y", facts=NodeFacts(), nodes=1)
    assert (built.text, built.classes) == ("(class-a|class-b)&(x|y)", ("class-a", "class-b"))


WORDS = st.sampled_from("abcd")
FLAT = st.lists(WORDS, min_size=1, max_size=4).flatmap(
    lambda words: st.lists(
        st.sampled_from("&|"), min_size=len(words) - 1, max_size=len(words) - 1
    ).map(lambda signs: "".join(map("".join, zip(words, [*signs, ""], strict=True))))
)
TERM = st.one_of(WORDS, FLAT.map(lambda flat: f"({flat})"))
WISH = st.lists(st.tuples(TERM, st.sampled_from("&|")), min_size=1, max_size=4).map(
    lambda terms: "".join(term + sign for term, sign in terms)[:-1]
)
NODES = st.lists(
    st.tuples(st.sampled_from(("k1", "k2", "k3")), st.frozensets(WORDS)), min_size=1, max_size=6
)


@given(wish=WISH, nodes=NODES)
def test_slurm_gives_the_same_nodes_for_what_we_say(
    wish: str, nodes: list[tuple[str, frozenset[str]]]
) -> None:
    """Judged as Slurm reads the user's own words: from the left, signs of one rank."""
    facts = NodeFacts(tuple(NodeKind(words | {name}) for name, words in nodes))
    classes = sorted({name for name, _ in nodes})
    theirs = features.parse(wish)
    assert theirs is not None
    wanted = [kind for kind in facts.kinds if theirs.matches(kind.features)]
    with contextlib.suppress(BadInput):
        built = constraints.build(classes, wish, facts=facts, nodes=3)
        ours = features.parse(built.text)
        assert ours is not None
        assert [kind for kind in facts.kinds if ours.matches(kind.features)] == wanted
        assert ours.names() <= {f for kind in facts.kinds for f in kind.features}
        return
    assert not wanted
