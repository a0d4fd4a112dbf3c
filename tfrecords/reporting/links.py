"""Links between the report of a data set and those of the runs that were trained on it.

They are relative and lead to files that were there when they were written: a folder that has both
can be moved as a whole. The page of a data set is older than its runs: each run adds a line to
it, and a page that is written again keeps the lines whose files are still there.
"""

from __future__ import annotations

import contextlib
import html
import os
import re
from pathlib import Path
from urllib.parse import quote, unquote

from tfrecords.system import atomic

PAGE = Path("report", "index.html")

# The last runs are what is looked for.
MOST = 100

_BLOCK = re.compile(
    "<!-- runs of (?P<digest>[0-9a-f]*) -->(?P<lines>.*?)<!-- end of runs -->", re.DOTALL
)
_LINE = re.compile(r'<li><a href="(?P<href>[^"]*)">(?P<name>[^<]*)</a>(?P<note>[^<]*)</li>')


def relative(page: Path, target: Path) -> str:
    """Returns the way from a page to a file, for `href`; "" where the file is absent.

    Links of folders are followed: a browser takes "..", of a page opened by its real path, as
    the system does.
    """
    if not target.is_file():
        return ""
    try:
        way = os.path.relpath(os.path.realpath(target), os.path.realpath(page.parent))
    except ValueError:  # On another drive.
        return ""
    return quote(Path(way).as_posix())


def block(digest: str, lines: str = "") -> str:
    """Returns the place for lines in the page of a data set of this digest, with some."""
    return f"<!-- runs of {digest} -->{lines}<!-- end of runs -->"


def kept(page: Path, digest: str) -> str:
    """Returns the lines of a page whose files are still there.

    "" without a page, or where it is of another data set, which this one replaces.
    """
    try:
        found = _BLOCK.search(page.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return ""
    lines = _LINE.finditer(found["lines"]) if found and found["digest"] == digest else ()
    return "".join(line[0] for line in lines if (page.parent / _path(line["href"])).is_file())


def add(page: Path, digest: str, target: Path, name: str, note: str) -> bool:
    """Adds a line to the page of a data set, in place of an earlier one to the same file.

    Args:
      page: of the data set.
      digest: of the data set that the run was trained on.
      target: page of the run.
      name: of the run.
      note: behind it, such as a score.

    Returns:
      Whether it could: the page may be absent, read-only, of an earlier version, or of another
      data set.
    """
    href = html.escape(relative(page, target))
    if not href:
        return False
    with contextlib.suppress(OSError, UnicodeDecodeError):
        text = page.read_text(encoding="utf-8")
        found = _BLOCK.search(text)
        if found is None or found["digest"] != digest:
            return False
        others = [line[0] for line in _LINE.finditer(found["lines"]) if line["href"] != href]
        shown = f"{html.escape(name)}</a>{html.escape(f' {note}' if note else '')}"
        lines = [*others, f'<li><a href="{href}">{shown}</li>'][-MOST:]
        text = text[: found.start()] + block(digest, "".join(lines)) + text[found.end() :]
        atomic.write_text(page, text, durable=False)
        return True
    return False


def _path(href: str) -> str:
    return unquote(html.unescape(href))
