"""The composition root: builds every part, hands each what it needs, starts and stops them.

The only module that knows everyone. In one process (`run`) the controller, the extender and the
webhook share one truth, so the extender's placement is never older than the controller's. As
processes of their own, the extender follows the controller that leads, and the webhook follows
namespaces by itself.

Starting: reflectors and watcher first; the gangs decide only when all of them have synced and
recovery has found whose jobs are whose. Stopping (SIGTERM): not ready at once, calls in flight are
answered, then everything ends; pods and jobs stay as they are.

`controlling`, `extending` and `reviewing` build the three parts, `serving_rpc` and `following` what
controllers tell extenders, `serving_api` what people may ask; `leading` says who leads.
`connections` reaches both sides, `rules` and `identities` cut the settings to what each part needs,
`watches` brings what Kubernetes tells to where it is kept, `readiness` says what is too long ago,
`ending` ends the process on time, `process` is the whole.
"""

from bridge.app.process import App, Role, run

__all__ = ["App", "Role", "run"]
