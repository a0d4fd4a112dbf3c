"""The examples in docstrings and in docs/api.md, run in a folder that has what they name."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import shutil
from pathlib import Path

import pytest

import evenshard
from tests.docs import snippets

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


def tried(tests: list[doctest.DocTest]) -> doctest.TestResults:
    """Runs examples, of which those that train do so with a tiny network."""
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    for test in tests:
        for example in test.examples:
            example.source = snippets.with_tiny(example.source)
        runner.run(test)
    return runner.summarize()


def of_module(name: str) -> doctest.TestResults:
    return tried(doctest.DocTestFinder().find(importlib.import_module(name)))


@pytest.mark.parametrize("name", sorted({*modules_with_examples()} - {"evenshard.running"}))
def test_docstrings(folder: Path, name: str) -> None:
    result = of_module(name)
    assert result.attempted > 0
    assert result.failed == 0


def test_docstrings_of_runs(folder: Path, trained: Path) -> None:
    shutil.copytree(trained / "runs", folder / "runs")
    result = of_module("evenshard.running")
    assert result.attempted > 0
    assert result.failed == 0


def test_the_page(folder: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    result = tried([doctest.DocTestParser().get_doctest(text, {}, PAGE.name, str(PAGE), 0)])
    assert result.attempted > 20
    assert result.failed == 0
