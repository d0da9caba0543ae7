"""What a gang waits for, each with its patience: when time alone changes something, and what.

Each class keeps one kind of wait. Times are monotonic seconds that the caller hands in. Pure.
"""
