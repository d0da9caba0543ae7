"""The tree itself: what values it takes."""

import pytest
from pydantic import ValidationError

from bridge import config
from bridge.config import tree
from bridge.config.capacity import CapacitySettings


def test_every_setting_says_what_it_does() -> None:
    """The docstring under a field is the reference, so none may lack it."""
    assert [setting.key for setting in tree.settings() if not setting.info.description] == []


def test_settings_are_frozen() -> None:
    """What was read at the start holds until the end."""
    with pytest.raises(ValidationError, match="frozen"):
        config.Settings().partition = "other"  # type: ignore[misc]


@pytest.mark.parametrize("good", ["[::]:9443", "0.0.0.0:80", "localhost:1", ":8080", "[::1]:0"])
def test_listen_addresses(good: str) -> None:
    """host:port, IPv6 in brackets, an empty host for all."""
    assert config.ServerSettings(listen=good).listen == good


@pytest.mark.parametrize("bad", ["9443", "::1:9443", "host", "host:", "host:70000", "host:https"])
def test_listen_addresses_refused(bad: str) -> None:
    """What is ambiguous or no port is refused with an example."""
    with pytest.raises(ValidationError, match="write it like"):
        config.ServerSettings(listen=bad)


@pytest.mark.parametrize(
    ("selector", "complaint"),
    [
        ({"matchLabel": {"a": "b"}}, "not matchLabel"),
        ({"matchLabels": {"a": True}}, "quote"),
        ({"matchLabels": None}, "matchLabels is empty"),
        ({"matchExpressions": [{"key": "a", "operator": "in"}]}, "none of In"),
    ],
)
def test_namespace_selector_that_kubernetes_would_refuse(
    selector: dict[str, object], complaint: str
) -> None:
    """The API server's rules for label selectors hold at the start, not at the first pod."""
    with pytest.raises(ValidationError, match=complaint):
        config.Settings(managed_namespace_selector=selector)


@pytest.mark.parametrize(
    "selector",
    [
        {},
        {"matchLabels": {"team": "ml"}},
        {"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b"]}]},
        {"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]},
    ],
)
def test_namespace_selector(selector: dict[str, object]) -> None:
    """A right selector is kept as it was written."""
    assert config.Settings(managed_namespace_selector=selector).managed_namespace_selector == (
        selector
    )


@pytest.mark.parametrize("good", ["1Gi", "512Mi", "1.5G", "1000000000"])
def test_default_memory(good: str) -> None:
    """The default memory is a Kubernetes quantity."""
    assert config.Defaults(memory=good).memory == good


@pytest.mark.parametrize("bad", ["1GB", "-1Gi", "lots", "", "1 Gi"])
def test_default_memory_refused(bad: str) -> None:
    """What Kubernetes would not read is refused here."""
    with pytest.raises(ValidationError):
        config.Defaults(memory=bad)


def test_topology_names_its_root() -> None:
    """`name:root`, or nothing."""
    assert config.NodeSettings(topology="topo:root").topology == "topo:root"
    with pytest.raises(ValidationError):
        config.NodeSettings(topology="topo")


@pytest.mark.parametrize(
    "wrong",
    [
        {"unhealthyConditions": ["KernelDeadlock"]},
        {"unhealthyConditions": ["KernelDeadlock=true"]},
        {"drainingTaints": ["*"]},
        {"drainingTaints": ["a*b"]},
        {"drainedInSlurm": "evict"},
    ],
)
def test_signs_of_nodes_are_well_formed(wrong: dict[str, object]) -> None:
    """Type=Status, and keys; a lone * would close every node."""
    with pytest.raises(ValidationError):
        config.NodeSettings.model_validate(wrong)
    good = {"unhealthyConditions": ["A=Unknown"], "drainingTaints": ["a.io/*", "b"]}
    assert config.NodeSettings.model_validate(good).draining_taints == ("a.io/*", "b")


@pytest.mark.parametrize("sizes", [[], [0], [18, 18], [18, 9], [18, 54], [18, 36, 40], [18, 30]])
def test_block_sizes_are_what_slurm_takes(sizes: list[int]) -> None:
    """Each is the base block times a larger power of two; anything else is refused by name."""
    good = config.PlacementSettings(block_sizes={"nvl": (18, 36, 144)})
    assert good.block_sizes == {"nvl": (18, 36, 144)}
    with pytest.raises(ValidationError, match="nvl"):
        config.PlacementSettings(block_sizes={"nvl": tuple(sizes)})


@pytest.mark.parametrize("weight", [-1, 1001, float("nan"), float("inf")])
def test_score_weights_are_finite_and_not_negative(weight: float) -> None:
    """A score is a weighted mean: nonsense weights are refused."""
    with pytest.raises(ValidationError):
        config.PlacementSettings(score_tier=weight)


def test_objects_to_scale_are_named_and_have_numbers_as_people_write_them() -> None:
    """Else the mode asks for nothing."""
    group = {
        "apiVersion": "cluster.x-k8s.io/v1beta1",
        "kind": "MachineDeployment",
        "namespace": "machines",
        "name": "gpu",
        "max": 4,
        "allocatable": {"cpu": 64, "memory": "512Gi"},
        "labels": {"pool": "gpu"},
    }
    made = CapacitySettings.model_validate({"mode": "scale", "scaledObjects": [group]})
    assert made.scaled_objects[0].allocatable == {"cpu": "64", "memory": "512Gi"}
    with pytest.raises(ValidationError, match="there are none"):
        CapacitySettings.model_validate({"mode": "scale"})
    with pytest.raises(ValidationError, match="labels"):
        CapacitySettings.model_validate(
            {"mode": "scale", "scaledObjects": [{**group, "labels": {}}]}
        )
