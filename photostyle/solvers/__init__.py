"""Solvers: the coarse-to-fine schedule, the optimisation over pixels, checkpoints."""
