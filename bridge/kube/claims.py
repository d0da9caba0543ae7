"""The PersistentVolumeClaims that a pod's spec names."""

from bridge.kube import wire


def named(spec: wire.PodSpec) -> tuple[str, ...]:
    """By name, each once."""
    sources = (one.get("persistentVolumeClaim") for one in spec.get("volumes") or ())
    names = (source.get("claimName", "") for source in sources if source is not None)
    return tuple(dict.fromkeys(names))


def ephemeral(spec: wire.PodSpec, pod: str) -> tuple[str, ...]:
    """Those of its generic ephemeral volumes, whose claims are named pod-volume."""
    return tuple(
        f"{pod}-{volume.get('name', '')}"
        for volume in spec.get("volumes") or ()
        if volume.get("persistentVolumeClaim") is None and volume.get("ephemeral") is not None
    )
