"""Requests that several controllers make alike."""

from typing import Any

from bridge.sim.kube.apiserver.core import ApiServer, Target
from bridge.sim.kube.apiserver.failure import ApiFailure
from bridge.sim.kube.apiserver.objects import Object


async def create_once(api: ApiServer, target: Target, obj: Object) -> None:
    """Create what may be there already, in a namespace that may be gone. Raises ApiFailure for
    everything else."""
    try:
        await api.create(target, obj)
    except ApiFailure as problem:
        if problem.code not in (404, 409):
            raise


async def delete(api: ApiServer, target: Target, obj: Object, **options: Any) -> bool:
    """Delete this very object, whose uid is sent; False where it is gone or another has its name.

    `options` are those of DeleteOptions. Raises ApiFailure for everything else.
    """
    wanted = {**options, "preconditions": {"uid": obj["metadata"]["uid"]}}
    try:
        await api.delete(target, wanted)
    except ApiFailure as problem:
        if problem.code not in (404, 409):
            raise
        return False
    return True
