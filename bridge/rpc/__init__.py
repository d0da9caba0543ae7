"""What the bridge's processes tell each other, over gRPC (proto/slurmbridge/v1).

The controller that leads serves where each pod may be bound; replicas of the extender follow it.

    placement_feed    what changed since the last look, from the controller's state
    placement_ledger  what was told, by cursor, so that a follower can go on where it stood  (pure)
    leader            serves the ledger
    follower          holds it in a replica, and knows how old it is
    slurmbridge       generated from proto/ (`make proto`)
"""
