"""kube-scheduler's extender: no pod is bound where Slurm has not placed it.

kube-scheduler keeps its own checks (volumes, ports, devices) and asks us three things over HTTPS:
which of these nodes, which of them rather, and at last to bind. Everything we know is handed in
(`Placements`, `Scores`); we keep nothing, so any number of replicas answers alike.

    contracts    what is handed in: placements, binder, scores
    wire         kube-scheduler's calls and our answers as JSON (names are read as bytes)
    filter       candidates × placement → answer                                     (pure)
    prioritize   candidates × scores → answer                                      (pure)
    scoring      scores from both sides' state, by the placement core
    bind         is the job still running? then POST the Binding
    service      body in, body out: the edge; never raises

May import `bridge.kube.api.errors` (what a refused Binding means) and what is below it.
"""
