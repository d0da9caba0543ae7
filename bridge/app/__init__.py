"""The composition root: builds every part, hands each what it needs, starts and stops them.

The only module that knows everyone. One process here: the controller, the extender and the
webhook share one truth, so the extender's placement is never older than the controller's.

Starting: reflectors and watcher first; the gangs decide only when all of them have synced and
recovery has found whose jobs are whose. Stopping (SIGTERM): not ready at once, calls in flight are
answered, then everything ends; pods and jobs stay as they are.

`connections` reaches both sides, `rules` cuts the settings to what each part needs, `watches`
brings what Kubernetes tells to where it is kept, `readiness` says what is too long ago, `ending`
ends the process on time, `process` is the whole.
"""

from bridge.app.process import App, Role, run

__all__ = ["App", "Role", "run"]
