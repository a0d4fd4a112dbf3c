"""The command under its first name, kept for scripts that have it."""

from __future__ import annotations

import sys

from evenshard.springfield_like.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
