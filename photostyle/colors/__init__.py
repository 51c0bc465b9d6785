"""Colours: their statistics, what carries them from one picture to another, and what keeps them."""
