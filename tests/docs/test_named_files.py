"""Files, modules and make targets that the pages name in code spans are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

# Folders of the repository; a path that begins with another name is one of an example.
_FOLDERS = "beam_pipelines|benchmarks|docker|docs|evenshard|experiments|tests|tfrecords|trainer"
_PATH = re.compile(rf"(?<![\w/.-])((?:{_FOLDERS})/[\w./-]+\.(?:json|md|py|toml|xml|yaml))")
_MODULE = re.compile(rf"python -m ((?:{_FOLDERS})[\w.]*)")
_TARGET = re.compile(r"(?:`|^ {4})make ([a-z][a-z-]*)", re.MULTILINE)


def absent(text: str) -> list[str]:
    """Returns the files, modules and make targets that a text names and that are not there."""
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    modules = {name: ROOT / name.rstrip(".").replace(".", "/") for name in _MODULE.findall(text)}
    return [
        *(name for name in _PATH.findall(text) if not (ROOT / name).is_file()),
        *(
            name
            for name, path in modules.items()
            if not (path.with_suffix(".py").is_file() or (path / "__main__.py").is_file())
        ),
        *(name for name in _TARGET.findall(text) if name not in targets),
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_names_is_there(page: Path) -> None:
    assert absent(page.read_text(encoding="utf-8")) == []


def test_what_is_absent_is_seen() -> None:
    text = "`tests/nowhere.py`, `python -m benchmarks.nowhere`, `make nothing`, tests/conftest.py"
    assert absent(text) == ["tests/nowhere.py", "benchmarks.nowhere", "nothing"]
