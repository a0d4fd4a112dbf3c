"""The examples in docstrings and in docs/api.md, run in a folder that has what they name."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import shutil
from pathlib import Path

import pytest

import evenshard

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
OPTIONS = doctest.ELLIPSIS


@pytest.fixture
def folder(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where examples run: pictures/, unlabelled/, shards/ and runs/a."""
    for name in ("pictures", "unlabelled", "shards"):
        shutil.copytree(trained / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def modules_with_examples() -> list[str]:
    found = pkgutil.iter_modules(evenshard.__path__, "evenshard.")
    source = {item.name: Path(item.module_finder.path) for item in found if not item.ispkg}  # type: ignore[union-attr]  # A finder of files has a path.
    return [
        name
        for name, path in source.items()
        if ">>>" in (path / f"{name.rpartition('.')[2]}.py").read_text(encoding="utf-8")
    ]


@pytest.mark.parametrize("name", sorted({*modules_with_examples()} - {"evenshard.running"}))
def test_docstrings(folder: Path, name: str) -> None:
    result = doctest.testmod(importlib.import_module(name), optionflags=OPTIONS)
    assert result.attempted > 0
    assert result.failed == 0


def test_docstrings_of_runs(folder: Path, trained: Path) -> None:
    shutil.copytree(trained / "runs", folder / "runs")
    result = doctest.testmod(importlib.import_module("evenshard.running"), optionflags=OPTIONS)
    assert result.attempted > 0
    assert result.failed == 0


def test_the_page(folder: Path) -> None:
    result = doctest.testfile(str(PAGE), module_relative=False, optionflags=OPTIONS)
    assert result.attempted > 20
    assert result.failed == 0
