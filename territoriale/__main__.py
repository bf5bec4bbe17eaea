"""`python -m territoriale` is `territoriale`."""

from __future__ import annotations

from territoriale.cli import main

if __name__ == "__main__":
    main()
