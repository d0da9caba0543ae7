"""Which slot of a gang runs on which of the nodes that Slurm granted.

The entry is `assign.assign`. The folder decides within a grant and never asks for another one: the
answer is an `Assignment`, or a `Shortfall` that says what is missing and whether waiting helps.

    assign        gangs whose slots have one shape; the others go to `mixed`
    mixed         gangs whose slots ask for different things
    grants        what a grant holds, counted in pods
    room          how many slots each granted node takes, and the sentence where that is too few
    problem       what granted nodes have for slots of different shapes, as bins
    packing       the search for places in bins
    ranks         slots in rank order onto nodes along the topology
    pod_affinity  members that must share a domain, or must not
"""
