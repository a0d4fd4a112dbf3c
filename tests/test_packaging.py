"""What a package index shows, and what a source distribution holds."""

from __future__ import annotations

import fnmatch
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import evenshard

ROOT = Path(__file__).parents[1]
REPOSITORY = "https://github.com/evenshard/evenshard"
FILES = f"{REPOSITORY}/blob/main/"
PICTURES = "https://raw.githubusercontent.com/evenshard/evenshard/main/"

# No part of a distribution: `setup.py` and what setuptools adds by itself apart.
_NOT_DISTRIBUTED = {".gitignore", "MANIFEST.in"}
_ADDED = re.compile(r"(beam_pipelines|evenshard|tfrecords|trainer)/|LICENSE|README|pyproject|setup")


def links_of_readme() -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))


def test_the_readme_reads_the_same_on_a_package_index() -> None:
    """Relative links and pictures lead nowhere there."""
    links = links_of_readme()
    assert links
    assert [link for link in links if not link.startswith("https://")] == []


def test_the_readmes_links_lead_to_files() -> None:
    ours = [
        link.removeprefix(prefix).partition("#")[0]
        for link in links_of_readme()
        for prefix in (FILES, PICTURES)
        if link.startswith(prefix)
    ]
    assert ours
    assert [path for path in ours if not (ROOT / path).is_file()] == []


def test_the_version_is_written_down_once() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert re.fullmatch(r"\d+\.\d+\.\d+", evenshard.__version__)
    assert 'attr = "tfrecords.__version__"' in text
    assert evenshard.__version__ not in text


def test_a_source_distribution_holds_the_whole_repository() -> None:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("no git checkout")
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    patterns = []
    for line in (ROOT / "MANIFEST.in").read_text(encoding="utf-8").splitlines():
        command, *words = line.split()
        if command == "include":
            patterns += words
        elif command == "recursive-include":
            patterns += [f"{words[0]}/*{word.lstrip('*')}" for word in words[1:]]
    missed = [
        path
        for path in listed.stdout.splitlines()
        if path not in _NOT_DISTRIBUTED
        and not _ADDED.match(path)
        and not any(fnmatch.fnmatch(path, pattern) for pattern in patterns)
    ]
    assert missed == []
