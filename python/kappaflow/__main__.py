"""``python -m kappaflow``, the same as the command ``kappaflow``."""

from __future__ import annotations

from .cli import main

if __name__ == "__main__":
    main()
