"""The kinds of resources that are counted, with slurmdbd's numbers for them."""

from collections.abc import Mapping
from typing import Final

from bridge.sim.slurm.wire import Complaints, Json

IDS: Final = {
    "cpu": 1,
    "mem": 2,
    "energy": 3,
    "node": 4,
    "billing": 5,
    "fs/disk": 6,
    "vmem": 7,
    "pages": 8,
    "gres/gpu": 1001,
    "gres/gpu:h100": 1002,
    "gres/gpumem": 1003,
    "gres/gpuutil": 1004,
}
"""As AccountingStorageTRES=gres/gpu,gres/gpu:h100 makes them in an empty database."""
COUNTED: Final = frozenset({"gpu", "gpu:h100"})
"""The GRES of that line."""
_DYNAMIC = ("dynamic_offset", 1000)
_NOT_COUNTED = -2


def row(name: str, count: int) -> dict[str, Json]:
    """One kind with a count."""
    kind, _, rest = name.partition("/")
    return {"type": kind, "name": rest, "id": IDS[name], "count": count}


def show(counts: Mapping[str, int]) -> list[dict[str, Json]]:
    """Kinds with counts, in the order of their numbers."""
    return [row(name, counts[name]) for name in IDS if name in counts]


def show_held(counts: Mapping[str, int]) -> list[dict[str, Json]]:
    """What a job got: with the energy, which nobody measured."""
    return show({**counts, "energy": _NOT_COUNTED}) if counts else []


def everything(*, with_offset: bool) -> list[dict[str, Json]]:
    """All kinds; the table of them has a mark where those of the site begin."""
    rows = [row(name, 0) for name in IDS]
    if with_offset:
        name, number = _DYNAMIC
        rows.append({"type": name, "name": "", "id": number, "count": 0})
        rows.sort(key=lambda one: int(one["id"]))
    return rows


def read(value: Json, complaints: Complaints, source: str) -> dict[str, int]:
    """Counts by kind; kinds that nobody counts are ignored without a word."""
    counts = {}
    for index, one in enumerate(value if isinstance(value, list) else []):
        if not isinstance(one, dict):
            complaints.no_object(one, f"{source}[{index}]/")
            continue
        name = "/".join(str(one[key]) for key in ("type", "name") if one.get(key))
        count = one.get("count", 0)
        if name in IDS and isinstance(count, int):
            counts[name] = count
    return counts
