"""What a pod's row says."""

import pytest

from bridge.model.pod import Pod
from tests.builders import a_pod


@pytest.mark.parametrize(
    ("pod", "pinned_node", "node"),
    [
        (a_pod().build(), "", ""),
        (a_pod().pinned(7, "n2").build(), "n2", "n2"),
        (a_pod().pinned(7, "n2").bound("n1").build(), "n2", "n1"),
        (a_pod().bound("n1").build(), "", "n1"),
    ],
)
def test_node(pod: Pod, pinned_node: str, node: str) -> None:
    """A pod's node is the one that it is bound to, else the one that a pin has given it."""
    assert (pod.pinned_node, pod.node) == (pinned_node, node)
