"""``python -m photostyle``."""

from photostyle.apps.cli import main

if __name__ == "__main__":
    main()
