"""The yardstick of the placement bench measures the same thing."""

from bench import clusters, plain
from bridge.placement.filters import feasible


def test_the_plain_loop_and_the_core_agree() -> None:
    """The same nodes pass, for seeds and sizes that the bench does not use."""
    for seed in range(3):
        cluster = clusters.a_cluster(150, seed=seed)
        found = feasible(cluster.table().snapshot(), clusters.SHAPE, now=True)
        loop = plain.Loop(cluster).filter_and_score(clusters.SHAPE, [cluster.nodes[0].name])
        assert {name for name, _ in loop} == set(found.names())
        assert 0 < len(loop) < 150
        assert all(0 <= score <= 10 for _, score in loop)


def test_clusters_are_the_same_for_the_same_seed() -> None:
    """A report can be repeated."""
    fresh = clusters.a_cluster.__wrapped__
    assert fresh(50, seed=1) == fresh(50, seed=1)
    assert fresh(50, seed=1) != fresh(50, seed=2)
