"""The cells of the tutorial's notebook run in order."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

from tests.docs import snippets

NOTEBOOK = Path(__file__).parents[2] / "docs" / "tutorials" / "notebook.ipynb"


def cells() -> list[dict[str, Any]]:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    found: list[dict[str, Any]] = notebook["cells"]
    return found


def run_cell(source: str, namespace: dict[str, Any]) -> Any:
    """Runs a cell, and returns the value of its last line, as a notebook shows it."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), namespace)
    if last is None:
        return None
    return eval(compile(ast.Expression(last.value), "cell", "eval"), namespace)


def test_it_runs(first_folder: Path) -> None:
    namespace: dict[str, Any] = {}
    shown: list[str] = []
    for cell in cells():
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and not source.startswith("%pip"):
            value = run_cell(snippets.with_tiny(snippets.smaller(source)), namespace)
            html = getattr(value, "_repr_html_", None)
            shown.append(html() if html else repr(value))
    assert len(shown) > 8
    assert any("<svg" in text for text in shown)
    assert namespace["answers"].ids == ("1.jpg", "2.jpg", "3.jpg")


def test_it_is_stored_without_results() -> None:
    code = [cell for cell in cells() if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
