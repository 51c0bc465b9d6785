"""Finish: what is done with the optimised picture, and the colours that a style takes on for it beforehand."""
