"""How the API server is asked: client, transport, credentials, watches, events, the lease.

Knows nothing of pods or nodes: rows are made by `bridge.kube.objects`.
"""
