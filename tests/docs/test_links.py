"""Links of the pages, README.md and CONTRIBUTING.md: what they name is there, headings too."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.site import generated

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FILES = "https://github.com/evenshard/evenshard/blob/main/"

PAGES = {page.relative_to(ROOT).as_posix(): page for page in DOCS.rglob("*.md")} | {
    name: ROOT / name for name in ("README.md", "CONTRIBUTING.md")
}
GENERATED = {f"docs/{path}": text for path, text in generated.pages(ROOT).items()}


def text_of(path: str) -> str | None:
    """Returns the text of a page, generated or not; None where there is none."""
    if path in GENERATED:
        return GENERATED[path]
    file = ROOT / path
    return file.read_text(encoding="utf-8") if file.suffix == ".md" and file.is_file() else None


def anchors_of(text: str) -> set[str]:
    """Returns the anchors of a page's headings, as GitHub and as the site make them."""
    anchors = set()
    for title in re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE):
        plain = re.sub(r"[^\w\s-]", "", title).strip().lower()
        anchors |= {re.sub(r"\s", "-", plain), re.sub(r"[-\s]+", "-", plain)}
    return anchors


def links_of(text: str) -> list[str]:
    """Returns the targets of a page's links and pictures, code left out."""
    without_code = re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"\]\(([^)\s]+)\)", without_code)


def missing(page: str, link: str) -> bool:
    """Returns whether a link of a page leads nowhere; addresses elsewhere are not followed."""
    if link.startswith(FILES):
        page, link = "README.md", link.removeprefix(FILES)
    elif re.match(r"\w+:", link):
        return False
    target, _, anchor = link.partition("#")
    here = (ROOT / page).parent
    path = (here / target).resolve().relative_to(ROOT).as_posix() if target else page
    text = text_of(path)
    if text is None:
        return not (ROOT / path).exists()
    return bool(anchor) and anchor not in anchors_of(text)


@pytest.mark.parametrize("page", sorted(PAGES.keys() | GENERATED.keys()))
def test_links_lead_somewhere(page: str) -> None:
    text = text_of(page)
    assert text is not None
    assert [link for link in links_of(text) if missing(page, link)] == []


def test_a_broken_link_is_seen() -> None:
    assert missing("docs/api.md", "nowhere.md")
    assert missing("docs/api.md", "design.md#nowhere")
    assert not missing("docs/api.md", "design.md#6-run-directory")
    assert missing("docs/api.md", f"{FILES}docs/nowhere.md")
