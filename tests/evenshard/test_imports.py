"""What the face costs to import, seen in a fresh interpreter."""

from __future__ import annotations

import pytest

from tests.test_imports import imported_by

HEAVY = {
    "apache_beam", "tensorflow", "keras", "torch", "numpy", "pyarrow", "PIL", "matplotlib",
    "jinja2", "yaml",
}  # fmt: skip
OPTIONAL = {"apache_beam", "tensorflow", "keras", "torch", "matplotlib", "jinja2"}


@pytest.mark.parametrize("module", ["evenshard", "evenshard.__main__", "evenshard.commands"])
def test_the_package_and_its_command_import_nothing_heavy(module: str) -> None:
    assert not imported_by(module) & HEAVY


@pytest.mark.parametrize(
    "module",
    ["baking", "training", "dataset", "running", "plan_result", "completion", "arguments"],
)
def test_beam_and_tensorflow_are_imported_only_when_they_work(module: str) -> None:
    assert not imported_by(f"evenshard.{module}") & OPTIONAL
