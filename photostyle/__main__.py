"""``python -m photostyle``."""

from __future__ import annotations

from photostyle.apps.cli.app import main

if __name__ == "__main__":
    main()
