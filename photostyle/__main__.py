"""``python -m photostyle``."""

from __future__ import annotations

from photostyle.apps.cli import main

if __name__ == "__main__":
    main()
