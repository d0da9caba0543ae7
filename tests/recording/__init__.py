"""Asks the real daemons a fixed list of questions and keeps their answers for the emulators.

Run against a Slurm of its own (no nodes, partitions `slurm-bridge` and `high`, a topology `topo`
with the switch `root`): `python -m tests.recording.slurm --help`.
"""
