"""The embedded Kubernetes: real REST paths on a loopback socket, in one asyncio process.

Problem: the demo, the flow tests and the what-if simulator need a Kubernetes that gates, admits,
schedules, binds, runs and deletes pods as the real one does, on a machine that has nothing but
Python. So the parts that the bridge meets are played here, each by its own module:

    apiserver/    REST, watch, patches, validation, admission webhooks (called over HTTPS)
    controllers/  Job, ReplicaSet, Deployment, StatefulSet, DaemonSet, garbage collection, pod GC,
                  namespaces, taints, volumes
    kubelet       runs what is bound, ends what is deleted
    scheduler/    a kube-scheduler stand-in that speaks the extender protocol
    embedded      EmbeddedKubernetes: all of them, started and stopped together

The controllers here call the API server's core in process (no socket between them), everybody
else goes over HTTP: the bridge, its webhook, its extender, kubectl.

The API server's answers are compared with recordings of the real one (Kubernetes 1.36,
`python -m tests.recording.kube`). What it lacks: RBAC beyond RoleBindings to the default roles
(`apiserver.rights`), server-side apply, protobuf, unknown fields (kept and never complained of),
managedFields, quotas, DRA, preemption, pod affinity and topology spread, restarts of containers,
a controller for CronJobs, NodeRestriction (as where it is not switched on).

May import: `bridge.model`, `bridge.names`, `bridge.errors`, `bridge.clock`.
"""
