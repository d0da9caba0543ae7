"""Which pods belong together, and what they ask for: pods and their owners → gangs.

    index        who is in which gang, kept as pods and owners come and go
    demand       what a gang asks for: its slots, their shapes, the user's parameters
    roles        the roles of a gang by its owner's spec, without what is done (`progress`)
    membership   which gang a pod is in, by what stands above it (`lineage`)
    owners       what stands above pods
    mounts       which pods mount which claims
    volumes      what claims ask of nodes; `reach`: for single slots
    annotations  what users say in annotations (`languages`: the small languages in them)
    indexed      sets under keys

Pure: no I/O, no clock. May import `bridge.placement.filters` (node selectors are matched there)
and `bridge.model`.
"""
