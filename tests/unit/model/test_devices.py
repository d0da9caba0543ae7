"""Extended resources under Slurm's names."""

import pytest

from bridge.model import devices
from bridge.model.devices import ResourceMap

MAP = ResourceMap(
    {"nvidia.com/gpu": "gpu", "nvidia.com/mig-*": "gpu:*", "nvidia.com/*": "odd", "x.io/efa": "efa"}
)


@pytest.mark.parametrize(
    ("resource", "gres"),
    [
        ("nvidia.com/gpu", "gpu"),
        ("nvidia.com/mig-1g.10gb", "gpu:1g.10gb"),
        ("nvidia.com/mig-1g.10gb.me", "gpu:1g.10gb.me"),
        ("nvidia.com/mig-", "odd"),
        ("nvidia.com/other", "odd"),
        ("x.io/efa", "efa"),
        ("x.io/efas", None),
        ("hugepages-2Mi", None),
        ("ephemeral-storage", None),
    ],
)
def test_the_nearest_key_tells_the_gres(resource: str, gres: str | None) -> None:
    """Exact before stars, long stars before short; the star stands for something."""
    assert MAP.get(resource) == gres


def test_what_slurm_does_not_know_is_left_out() -> None:
    """It would drop the name from nodes silently and refuse the jobs."""
    known = MAP.within({"gpu"})
    assert known.get("nvidia.com/mig-1g.10gb") == "gpu:1g.10gb"
    assert known.get("x.io/efa") is None
    assert MAP.within(None) is MAP


@pytest.mark.parametrize(
    ("product", "kind"),
    [
        ("NVIDIA-H100-80GB-HBM3", "h100"),
        ("NVIDIA-A10G", "a10g"),
        ("Tesla-T4", "t4"),
        ("NVIDIA-GB200", "gb200"),
        ("Quadro RTX 6000", "quadro_rtx_6000"),
        ("NVIDIA-A100-SXM4-40GB-MIG-1g.5gb", "1g.5gb"),
        ("", ""),
    ],
)
def test_the_gpus_type_is_its_model(product: str, kind: str) -> None:
    """As people write it after `gpu:`; an unknown product keeps its name, a slice its profile."""
    assert devices.gpu_type(product) == kind


@pytest.mark.parametrize(
    ("kind", "slices"), [("1g.10gb", True), ("3g.40gb.me", True), ("h100", False), ("", False)]
)
def test_a_slice_is_told_by_its_profile(kind: str, *, slices: bool) -> None:
    """From whole GPUs, which carry their model."""
    assert devices.is_slice(kind) == slices
