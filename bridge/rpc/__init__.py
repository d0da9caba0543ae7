"""gRPC: what the bridge's processes tell each other, and what people ask (proto/slurmbridge/v1).

The controller that leads serves where each pod may be bound; replicas of the extender follow it.

    placement_feed    what changed since the last look, from the controller's state
    placement_ledger  what was told, by cursor, so that a follower can go on where it stood  (pure)
    leader            serves the ledger
    follower          holds it in a replica, and knows how old it is

It also answers whoever shows a Kubernetes token:

    bridge_service    the service: who may ask what
    callers           whose token it is and what he may see, by the API server
    answers           what there is to tell, from the controller's state and from Slurm
    native_jobs       Slurm's jobs that are not the bridge's
    explain_wire      rows as messages, and back  (pure)
    asking            the way of a command to the service

    channels          TLS for both
    slurmbridge       generated from proto/ (`make proto`)
"""
