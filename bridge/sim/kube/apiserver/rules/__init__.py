"""What the API server knows of a kind beyond its metadata: defaults, validation, what may change.

`base.Rules` is what every kind gets; a module per kind that has more. All pure: objects in,
causes out. The rules follow k8s.io/kubernetes/pkg/apis/*/validation and pkg/registry/*/strategy
of Kubernetes 1.36; the ones that the bridge leans on are compared with recordings of the real
API server in tests/unit/sim/kube.
"""
