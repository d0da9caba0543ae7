"""What a client can do, one module per noun; `client.SlurmClient` is all of them together.

Each call says what it tries (an `Operation`), asks through the session, and hands the answer to the
wire of the version that was agreed on. What isn't found raises, also where Slurm answers 200 with
an empty list.
"""
