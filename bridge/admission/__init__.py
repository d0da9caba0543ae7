"""The webhook: which pods are the bridge's, what they get on creation, what is refused.

The API server calls us for every pod of a managed namespace and for every pod that names our
scheduler. Several replicas answer, none of them keeps anything of a call: what it needs stands in
its body, in the settings, in the pod's namespace, and in what was last read of slurmdbd.

    wire            the parts of AdmissionReview and Pod that are read (pydantic, partial)
    scope           which namespaces and pods are the bridge's              (pure)
    mutate          pod → JSON patch: scheduler, gate, toleration           (pure)
    validate        pod → refusals and warnings, on creation                (pure)
    identity_validator  who the pod would be in Slurm → refusals            (pure)
    accounts        the users' accounts and QOS, as last read               (pure)
    associations    reads them, in the background
    namespaces      keeps the namespaces, tells admins what can't be read
    protected       pod before, pod after → refusals, on update             (pure)
    managed_nodes   pods and DaemonSets that may not use managed nodes      (pure)
    review          body in, body out: the edge; never raises
    reading         body → what it says, and what follows from it alone     (pure)
    turns           where and when it is read: each namespace in its turn
    reader_process  large reviews are read in a process of their own
    reader          what runs there
    frames          what goes there and back
    webhook_config  the objects that tell the API server when to call us    (pure)
    policy          `managed_nodes` as a policy of the API server's own     (pure)
    expressions     the rules in CEL, for both                              (pure)
    selectors       the namespaces, for both                                (pure)
    shipped         deploy/webhook.yaml and deploy/managed-nodes.yaml, made from them

May import `bridge.gangs` (the users' annotations, identity), `bridge.slurm` and `bridge.kube`
(the background tasks alone), and what is below them.
"""
