"""bridge.kube against API servers that misbehave in every way real ones do."""
