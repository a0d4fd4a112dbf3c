"""The site's front page is README.md, with links that stay inside the site."""

from __future__ import annotations

import re

_DOCS = "https://github.com/evenshard/evenshard/blob/main/docs/"
_PICTURES = "https://raw.githubusercontent.com/evenshard/evenshard/main/docs/"


def markdown(readme: str) -> str:
    """Returns the front page."""
    text = readme.replace(_PICTURES, "")
    # A notebook is a page of the site, made by `notebook_page`.
    text = re.sub(re.escape(_DOCS) + r"([\w/.-]+)\.ipynb", r"\1.md", text)
    return text.replace(_DOCS, "")
