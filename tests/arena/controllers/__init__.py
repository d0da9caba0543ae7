"""The controllers of kinds that a stack doesn't bring along, as far as the bridge can tell.

Each plays what its real one does to Kubernetes: which objects it makes, called what, owned by
whom, marked how, and when; not what it does inside of containers. They look around ten times a
second over plain HTTP, on both stacks alike, and their pod webhooks are called by the API server
before the bridge's own.

`Controllers` is the way in; a module is a controller: `reconcile(world)` looks at all objects of
its kind and does the next step for each, `mutate(world, pod)` is its pod webhook.
"""

from tests.arena.controllers.running import Controllers

__all__ = ["Controllers"]
