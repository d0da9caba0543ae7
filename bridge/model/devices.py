"""Kubernetes' extended resources under Slurm's names: one map for whoever registers nodes, asks
for jobs, or checks what was granted.

MIG slices are GPUs of the slice's type (`nvidia.com/mig-1g.10gb` → `gpu:1g.10gb`): Slurm counts
them apart from whole GPUs of the same node, and needs no further name in its GresTypes. What it
does not do is keep a job that names no type from a slice, see `bridge.jobs.gres`.

Huge pages are in no map. The kubelet takes what is reserved for them out of the node's allocatable
memory, so Slurm's RealMemory, made of that, never held them: adding them to a job's memory would
ask for it twice. They are counted by the bridge, as everything that the map does not name.
"""

import re
from collections.abc import Collection, Iterator, Mapping

_MODEL = re.compile(
    r"gb300|gb200|b300|b200|h200|h100|a100|a10g?|l40s?|l4|t4g?|v100s?|mi[0-9]+[a-z0-9]*"
)
_SLICE = re.compile(r"[0-9]+g\.[0-9]+gb\b")


class ResourceMap(Mapping[str, str]):
    """Extended resource → GRES, as "name" or "name:type".

    A key may end in `*`, and its value then holds what the star stood for: `nvidia.com/mig-*` →
    `gpu:*`. Exact keys go before stars, longer stars before shorter. Iterates over its keys as
    they were given.
    """

    def __init__(self, entries: Mapping[str, str]) -> None:
        self._entries = dict(entries)
        self._stars = sorted(
            (key[:-1] for key in self._entries if key.endswith("*")), key=len, reverse=True
        )

    def __getitem__(self, resource: str) -> str:
        exact = self._entries.get(resource)
        if exact is not None:
            return exact
        for prefix in self._stars:
            if resource.startswith(prefix) and resource != prefix:
                return self._entries[prefix + "*"].replace("*", resource[len(prefix) :])
        raise KeyError(resource)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def within(self, known: Collection[str] | None) -> "ResourceMap":
        """Those whose GRES name Slurm knows (GresTypes); all, where that can't be told (None).

        Slurm drops an unknown name from a node without a word, and refuses each job that asks
        for it.
        """
        if known is None or all(_name(gres) in known for gres in self._entries.values()):
            return self
        return ResourceMap(
            {key: gres for key, gres in self._entries.items() if _name(gres) in known}
        )


def split(gres: str) -> tuple[str, str]:
    """ "gpu:1g.10gb" → ("gpu", "1g.10gb"); "gpu" → ("gpu", "")."""
    name, _, kind = gres.partition(":")
    return name, kind


def gpu_type(product: str) -> str:
    """`NVIDIA-H100-80GB-HBM3` → `h100`; a product we do not know keeps its whole name.

    Where all GPUs of a node are cut alike, NVIDIA's label ends in `-MIG-<profile>` and the slices
    are counted as nvidia.com/gpu: then the profile is the type, or a seventh would be a whole.
    """
    whole, _, profile = product.lower().partition("-mig-")
    if profile:
        return profile
    words = [word for word in re.split(r"[^a-z0-9]+", whole) if word]
    for word in words:
        if _MODEL.fullmatch(word):
            return word
    return "_".join(words)


def is_slice(kind: str) -> bool:
    """Whether a GPU's type in Slurm is a MIG profile (`1g.10gb`, `3g.40gb.me`)."""
    return _SLICE.match(kind) is not None


def _name(gres: str) -> str:
    return split(gres)[0]
