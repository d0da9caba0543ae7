"""Taints and tolerations."""

from bridge.model.scheduling import Taint, Toleration


def test_managed_nodes() -> None:
    """The toleration of the bridge's pods is for its own nodes, and for no other scheduler's."""
    ours = Toleration.managed("ours")
    assert ours.tolerates(Taint.managed("ours"))
    assert not ours.tolerates(Taint.managed("theirs"))


def test_names_of_managed_nodes() -> None:
    """They are those that stand on nodes and in manifests: a change would lose both."""
    assert Taint.managed("ours") == Taint("slinky.slurm.net/managed-node", "ours", "NoExecute")
    assert Toleration.managed("ours") == Toleration(
        "slinky.slurm.net/managed-node", "Equal", "ours", "NoExecute"
    )
