"""The claims that a pod's spec names: PersistentVolumeClaims, and ResourceClaims of devices."""

from bridge.kube.objects import wire
from bridge.model import bounds


def of(
    spec: wire.PodSpec, pod: str, *, placed: bool = False, at: str = "spec"
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Those that it names, each once, and those of its generic ephemeral volumes, whose claims are
    called pod-volume.

    Raises BadInput for more than are read; of a pod that is `placed` the first ones are enough, as
    nobody waits for its claims any more.
    """
    named: dict[str, None] = {}
    ephemeral: list[str] = []
    for volume in spec.get("volumes") or ():
        source = volume.get("persistentVolumeClaim")
        if source is not None:
            named[source.get("claimName", "")] = None
        elif volume.get("ephemeral") is not None:
            ephemeral.append(f"{pod}-{volume.get('name', '')}")
    count = len(named) + len(ephemeral)
    if not placed:
        bounds.check_count(count, bounds.MOST_CLAIMS, "claims", field=f"{at}.volumes")
    return tuple(named)[: bounds.MOST_CLAIMS], tuple(ephemeral)[: bounds.MOST_CLAIMS]


def of_devices(spec: wire.PodSpec) -> tuple[str, ...]:
    """Names of its entries in spec.resourceClaims, the first ones of many."""
    entries = (spec.get("resourceClaims") or ())[: bounds.MOST_CLAIMS]
    return tuple([one.get("name", "") for one in entries])
