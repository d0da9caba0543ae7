"""What the API server tells: each kind of object, read once into a frozen row of `bridge.model`.

May import `bridge.kube.api`, for the writes that belong to a kind (pins, conditions, taints).
"""
