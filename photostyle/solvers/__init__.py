"""Solvers: the schedule, the optimisation over pixels or over an affine field, its closed-form start, checkpoints."""
