"""Finish: what is done with the optimised picture."""
