"""What the real API server answers to the delicate requests, written down.

`python -m tests.recording.kube --kubeconfig FILE` performs the scenarios against a real one (the
stack's) and writes tests/unit/sim/recordings/kube/*.json; tests/unit/sim/kube replays them
against the embedded API server.
"""
