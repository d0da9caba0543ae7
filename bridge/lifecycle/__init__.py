"""The gang's life, from its first pod to the end of its Slurm job: every decision of it.

`machine` takes events in and gives instructions out; `controller` performs these and hands in what
came of them. Pure: no I/O, no clock. Imports `bridge.model` only.
"""
