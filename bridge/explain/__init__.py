"""What the bridge says when people ask: why a pod waits and until when, and who else waits.

Pure: rows and texts are made of what others hold (the gangs' machines, both sides' state, Slurm's
jobs, whatever was read for the question); nothing is read here.

    rows      what is told of gangs, their jobs, the queue
    reasons   Slurm's reasons in plain words: what has to happen, what to do
    steps     the history of a gang as sentences with times
    nodes     which nodes could take a gang's pods now, and what is in the way on the others
    jobs      Slurm's jobs as rows
    advice    what a gang waits for, and what its owner can do
    notes     further facts: nodes that are left out, what is short, reservations
    place     where in Slurm's queue a job is
    view      all of that for the gangs of a cluster: found by name, told one by one
    times     points in time and lengths of time for people
    text      a story as lines of text
    table     the queue as squeue shows it
"""
