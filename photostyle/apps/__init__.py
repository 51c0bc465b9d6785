"""The faces of photostyle."""
