"""Runs played controllers beside a story: a thread that looks around."""

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path

import httpx2

from tests.arena.api import Kubernetes
from tests.arena.controllers import builtin, jobset, kubeflow, leaderworkerset, ray, simulation
from tests.arena.controllers.webhooks import Webhook, serving
from tests.arena.controllers.world import World

Reconcile = Callable[[World], None]

_WEBHOOKS = {
    "jobset": Webhook("jobset", jobset.NAME, jobset.mutate),
    "leaderworkerset": Webhook("leaderworkerset", leaderworkerset.NAME, leaderworkerset.mutate),
}
_EVERY_S = 0.1


def _controllers() -> dict[str, Reconcile]:
    """Fresh ones, by name."""
    return {
        "jobset": jobset.reconcile,
        "leaderworkerset": leaderworkerset.LeaderWorkerSets().reconcile,
        "mpijob": kubeflow.mpijobs,
        "pytorchjob": kubeflow.pytorchjobs,
        "trainjob": kubeflow.trainjobs,
        "raycluster": ray.reconcile,
        "rayjob": ray.rayjobs,
        "foreman": builtin.foreman,
        "simulation": simulation.reconcile,
        "cronjob": builtin.cronjobs,
    }


class Controllers:
    """Some controllers at work in one namespace, while the context lasts.

    `tls` is the authority, the certificate and the key of a server on loopback. Leaving raises
    what a controller has stumbled over.
    """

    def __init__(
        self,
        kubernetes: Kubernetes,
        namespace: str,
        names: tuple[str, ...],
        *,
        tls: tuple[Path, Path, Path],
    ) -> None:
        self._world = World(kubernetes, namespace)
        self._kubernetes = kubernetes
        self._names = names
        self._tls = tls
        self._stop = threading.Event()
        self._errors: list[BaseException] = []
        self._exits = contextlib.ExitStack()

    def __enter__(self) -> "Controllers":
        with self._exits as exits:
            asked = [_WEBHOOKS[name] for name in self._names if name in _WEBHOOKS]
            if asked:
                exits.enter_context(
                    serving(asked, self._kubernetes, self._world, self._errors, tls=self._tls)
                )
            known = _controllers()
            chosen = [known[name] for name in self._names]
            looking = threading.Thread(target=self._look, args=(chosen,), daemon=True)
            looking.start()
            exits.callback(looking.join, 30)
            exits.callback(self._stop.set)
            self._exits = exits.pop_all()
        return self

    def __exit__(self, *raised: object) -> None:
        self._exits.close()
        if self._errors:
            raise self._errors[0]

    def _look(self, chosen: list[Reconcile]) -> None:
        while not self._stop.wait(_EVERY_S):
            for reconcile in chosen:
                try:
                    with contextlib.suppress(httpx2.TransportError):  # the story took it away
                        reconcile(self._world)
                except Exception as error:  # told when the context ends
                    self._errors.append(error)
                    return
