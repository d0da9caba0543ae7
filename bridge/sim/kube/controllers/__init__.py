"""The controllers of kube-controller-manager that the bridge's pods meet.

They live in the API server's process: they read its store directly (never stale, so no
expectations are needed) and write through its core, webhooks included. Each is a `run()` that
never ends by itself; `bridge.sim.kube.embedded` owns the tasks.
"""
