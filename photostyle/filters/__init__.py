"""Filters that follow a picture's edges."""
