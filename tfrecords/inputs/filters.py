"""Which files of a walked folder or an archive are left out unread."""

from __future__ import annotations

import re

# Left behind by operating systems. A folder of such a name, or of one that begins with a dot, is
# not entered.
_CLUTTER = ("__MACOSX", "Thumbs.db", "desktop.ini", "@eaDir")

# One search of a name takes half as long as looking at its parts one by one.
_HIDDEN = re.compile(rf"(?:^|/)(?:\.|(?:{'|'.join(map(re.escape, _CLUTTER))})(?:/|\Z))")


def is_hidden(name: str) -> bool:
    """Returns whether a POSIX path has a part that is hidden or that a system left behind."""
    return _HIDDEN.search(name) is not None
