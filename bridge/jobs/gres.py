"""Devices: what the pods use and what the `gres` annotation says of it, as Slurm's TRES.

What the pods use is asked per task. The annotation may name its type and raise its count, never
lower it: a pod with 8 GPUs can't tell Slurm 1. What it names beyond the pods' own devices is asked
per node, as the Go bridge did.

The type of a pod's GPUs comes from the annotation, else from a node selector or required affinity
on the label that names GPUs, where the nodes left bear that type in Slurm too. A job that names no
type may be given any, MIG slices too. So where the nodes left have slices beside whole GPUs, the
type of the whole ones is said, if they are of one.

Resources that the map doesn't name (a site's own devices, ephemeral storage, huge pages) are
nothing that Slurm could count: `bridge.placement` leaves out the nodes that can't give them, and
counts them before the pods are let go.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.gangs.languages import gres as language
from bridge.gangs.languages.gres import Demand
from bridge.model import bounds, devices
from bridge.model.devices import ResourceMap
from bridge.model.scheduling import PodShape, Requirement
from bridge.state.slurm_facts import NodeKind


@dataclass(frozen=True, slots=True)
class Tres:
    """The devices in Slurm's own form, "" for none."""

    per_task: str = ""
    per_node: str = ""


def build(
    shape: PodShape,
    wish: str,
    *,
    resource_map: ResourceMap,
    type_label: str,
    kinds: Sequence[NodeKind],
) -> Tres:
    """What each task (a pod of `shape`) and each node is asked for.

    `kinds`: the nodes that may be given, empty where Slurm has not told. Raises BadInput for an
    annotation that can't be read, names fewer devices than the pods use, or none that is there.
    """
    own = _own(shape, resource_map)
    beyond: Demand = {}
    for (name, kind), count in language.parse(wish).items():
        kind = _as_slurm_spells_it(name, kind, kinds)
        if (name, kind) in own:
            own[name, kind] = max(own[name, kind], count)
        elif any(device == name for device, _ in own):
            _refine(own, name, kind, count)
        else:
            beyond[name, kind] = count
    for name, kind in [key for key in own if not key[1]]:
        found = _type(shape, name, type_label, kinds)
        if found:
            own[name, found] = own.get((name, found), 0) + own.pop((name, kind))
    _check_one_way(own)
    return Tres(_said(own), _said(beyond))


def _own(shape: PodShape, resource_map: ResourceMap) -> Demand:
    own: Demand = {}
    for resource, count in shape.requests.extended:
        gres = resource_map.get(resource)
        if gres is not None and count > 0:
            key = devices.split(gres)
            own[key] = own.get(key, 0) + count
    return own


def _refine(own: Demand, name: str, kind: str, count: int) -> None:
    """The annotation says the type of devices that the pod asks for without one."""
    untyped = own.get((name, ""))
    if untyped is None or not kind:
        raise language.refusal(f"the pod asks for {name} with a type; name that type: "
                   f"{bounds.some([f'{n}:{k}' for n, k in own if n == name])}")  # fmt: skip
    del own[name, ""]
    own[name, kind] = max(untyped, count)


def _as_slurm_spells_it(name: str, kind: str, kinds: Sequence[NodeKind]) -> str:
    """The type as the nodes have it. Raises BadInput where none has it."""
    if not kind or not kinds:
        return kind
    there = {one for node in kinds for one in node.types(name)}
    for one in (kind, *sorted(there)):
        if one in there and one.lower() == kind.lower():
            return one
    shown = bounds.some(sorted(f"{name}:{one}" if one else name for one in there))
    shown = shown or f"no {name}"
    raise language.refusal(f"the nodes that can take the pod have {shown}, not {name}:{kind}")


def _type(shape: PodShape, name: str, label: str, kinds: Sequence[NodeKind]) -> str:
    """The type of the pod's devices that have none; "" where any will do."""
    with_some = [types for node in kinds if (types := node.types(name))]
    if name == "gpu" and (selected := _selected(shape, label)):
        kind = devices.gpu_type(selected)
        if all(kind in types for types in with_some):
            return kind
    whole = {kind for types in with_some for kind in types if not devices.is_slice(kind)}
    beside_slices = any(
        any(map(devices.is_slice, types)) and not all(map(devices.is_slice, types))
        for types in with_some
    )
    return whole.pop() if beside_slices and len(whole) == 1 else ""


def _selected(shape: PodShape, label: str) -> str:
    """The one value of the label that its node selector or affinity leaves; "" for several."""
    for key, value in shape.node_selector:
        if key == label:
            return value
    if not shape.affinity_terms:
        return ""
    found = {_only(term.expressions, label) for term in shape.affinity_terms}
    return found.pop() if len(found) == 1 else ""


def _only(expressions: Sequence[Requirement], label: str) -> str:
    for one in expressions:
        if one.key == label and one.operator == "In" and len(one.values) == 1:
            return one.values[0]
    return ""


def _check_one_way(own: Demand) -> None:
    """Slurm counts what is asked for with a type into what is asked for without."""
    for name, kind in own:
        if not kind and sum(device == name for device, _ in own) > 1:
            raise language.refusal(
                f"the pod asks for {name} of one type and for {name} of any type, which Slurm "
                f"can't count separately; name a type for these, like {name}:h100:{own[name, kind]}"
            )


def _said(demand: Demand) -> str:
    return ",".join(
        f"gres/{name}:{kind}:{count}" if kind else f"gres/{name}:{count}"
        for (name, kind), count in sorted(demand.items())
    )
