"""Simulation: a kind that nobody but its own controller knows. A pod for each of its cells."""

import copy

from tests.arena.controllers.world import POD, Kind, World

SIMULATION = Kind("science.example.org/v1", "Simulation", "simulations")


def reconcile(world: World) -> None:
    """Every Simulation has its cells."""
    for one in world.live(SIMULATION):
        for number in range(one["spec"]["cells"]):
            pod = copy.deepcopy(one["spec"]["cell"])
            pod.setdefault("metadata", {})["name"] = f"{one['metadata']['name']}-{number}"
            world.create(POD, one, pod)
