"""Which slot of a gang runs on which of the nodes that Slurm granted.

The entry is `assign.assign`. The folder decides within a grant and never asks for another one: the
answer is an `Assignment`, or a `Shortfall` that says what is missing and whether waiting helps.

    assign        the entry; slots that have nothing to do with other pods
    alike         slots of one kind with terms about other pods
    mixed         slots of several kinds
    grants        what a grant holds, counted in pods
    room          how many slots each granted node takes, and the sentence where that is too few
    problem       what granted nodes have for slots of different kinds, as bins
    packing       the search for places in bins
    neighbours    what terms about other pods allow on the granted nodes
    together      slots in one domain, one to a domain, or spread
    spreading     how many slots each domain gets, so that they are spread well
    search        slots whose terms are about each other, pod by pod
    ranks         slots in rank order onto nodes along the topology
"""
