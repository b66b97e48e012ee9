"""SparseScore: the advisory agent. It proposes; a person decides.

    events ─ features ─> row ─ scorer ─> score ─ policy ─> verdict, grade ─ decision ─> record and its hash
                                                    └─ counterfactual: the fewest changes that flip it

Every number that is hashed is an integer, so that the same facts give the same record on every machine and
in every year. Nothing here reads a clock, a network or a database; `replay` proves it for each proposal.
"""
