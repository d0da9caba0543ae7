"""The nouns: Pod, Node, Gang, JobSpec, Allocation, Placement. Frozen rows, no I/O, no decisions.

May import: `bridge.names`, `bridge.errors`. Everything else imports it.
"""
