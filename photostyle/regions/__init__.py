"""Regions: label maps from a file or a grid, matched between content and style, brought to each layer."""
