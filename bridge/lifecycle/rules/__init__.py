"""What follows from a gang's facts. One module per rule; the order stands in `machine.RULES`.

A rule reads and changes the facts, adds instructions to the decision and asks for its timer. It
returns True when nothing more is to be decided now.
"""
