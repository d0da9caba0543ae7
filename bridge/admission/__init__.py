"""The webhook: which pods are the bridge's, what they get on creation, what is refused.

The API server calls us for every pod of a managed namespace and for every pod that names our
scheduler. Several replicas answer, none of them keeps anything: what a call needs stands in its
body, in the settings and in the labels of the pod's namespace.

    wire            the parts of AdmissionReview and Pod that are read (pydantic, partial)
    scope           which namespaces and pods are the bridge's              (pure)
    mutate          pod → JSON patch: scheduler, gate, toleration           (pure)
    validate        pod → refusals and warnings, on creation                (pure)
    protected       pod before, pod after → refusals, on update             (pure)
    review          body in, body out: the edge; never raises
    webhook_config  the objects that tell the API server when to call us    (pure)
    shipped         deploy/webhook.yaml, made from them

May import `bridge.workloads` (the parser of the users' annotations) and what is below it.
"""
