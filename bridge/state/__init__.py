"""The one in-memory truth: pods, their owners, nodes, and which pods form which gang.

One writer (the controller's loop), no I/O, no decisions. Everything here is rebuilt from the API
server after a restart. May import `workloads`, `placement` and `model`.
"""
