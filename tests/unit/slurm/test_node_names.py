"""Names that Slurm takes for something else than one node's; each was tried on Slurm 26.05."""

from typing import Any, cast

import pytest

from bridge.errors import BadInput
from bridge.model.ids import SlurmNodeName
from bridge.slurm import SlurmClient, node_names

FIT = (
    "none", "nil", "any", "ANY", "self", "localhost", "127.0.0.1", "10.0.0.1", "0", "7",
    "123456789012345678", "node-1", "node-01", "node-001", "n18446744073709", "by1.example", "a--b",
    "0123-4", "5-7", "1a", "e5", "3d", "1.1.1", "nan1", "idle", "down", "cloud", "external",
    "UPPER", "under_score", "xn--80ak6aa92e", "ip-10-0-0-1.us-west-2.compute.internal", "a" * 78,
)  # fmt: skip
EVERY = ("all", "ALL", "All", "default", "Default")
OTHER = (
    "007", "00", "01", "0x1", "0XABC", "1e5", "1E5", "1.5", "1.0", "1.10", "1.", "1e400", "0x1p3",
    "y", "YES", "t", "True", "on", "n", "No", "f", "off", "null", "NULL", "Inf", "infinity", "NaN",
    "12345678901234567890", "n99999999999999999999",
)  # fmt: skip
UNFIT = ("", "n[1-2]", "a,b", "a/b", "-inf", "..", "~", "n 1", "n1\n", "x" * 100 + " ")


@pytest.mark.parametrize("name", FIT)
def test_names_that_look_odd_and_are_only_names(name: str) -> None:
    """Slurm registered, granted, drained and deleted each of them as the one node it is."""
    node_names.check(name)


@pytest.mark.parametrize("name", [*EVERY, *OTHER, *UNFIT])
def test_a_name_that_is_read_otherwise_is_refused_with_the_reason(name: str) -> None:
    """The reason is bounded, and the refusal says that it is about the name."""
    with pytest.raises(BadInput, match="can't be a node's name in Slurm") as refusal:
        node_names.check(name)
    assert refusal.value.field == "name"
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize("name", [*EVERY, *OTHER, "n[1-2]", "a,b"])
async def test_no_call_about_one_node_can_reach_another_or_every_node(name: str) -> None:
    """A DELETE of ALL would take every node out of Slurm: nothing is sent."""
    client = cast("Any", object.__new__(SlurmClient))
    node = SlurmNodeName(name)
    client._session = _Session()
    for call in (client.get_node, client.delete_node, client.update_node):
        with pytest.raises(BadInput):
            await call(node)


class _Session:
    async def ask(self, _: object, request: Any) -> None:
        """Makes the request, and sends nothing."""
        request(None)


def test_a_reserved_name_is_so_in_any_case() -> None:
    """In the list of nodes that a job leaves out, too."""
    assert all(map(node_names.is_reserved, EVERY))
    assert not node_names.is_reserved("wall")
