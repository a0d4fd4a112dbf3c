"""All pages that are made at build time, without mkdocs."""

from __future__ import annotations

from pathlib import Path

from docs.site import api_page, command_pages, front_page, notebook_page, reject_page


def pages(root: Path) -> dict[str, str]:
    """Returns path below docs/ → Markdown.

    Args:
      root: of the repository.
    """
    docs = root / "docs"
    return {
        "index.md": front_page.markdown(_text(root / "README.md")),
        "tutorials/notebook.md": notebook_page.markdown(_text(docs / "tutorials/notebook.ipynb")),
        "reference/python-api.md": api_page.markdown(),
        "reference/reject-reasons.md": reject_page.markdown(_text(docs / "pixels.md")),
        **command_pages.pages(),
    }


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
