"""A kube-scheduler stand-in: one profile, the stock filters, HTTP extenders, no preemption.

    queue      what is to be scheduled, and what must happen before it is tried again
    cluster    nodes and what is bound or about to be bound on them
    extender   the extender protocol over HTTPS (Go's JSON field names)
    scheduler  one pod at a time: filter, extender, score, bind

It calls the extender over a real socket with a client certificate, as the shipped kube-scheduler
does; the API server it calls in process.
"""
