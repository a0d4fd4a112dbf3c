"""A folder beside a script that has the name of one of our packages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def installed(tmp_path: Path) -> dict[str, str]:
    """Returns an environment in which our packages are found as installed ones are: last."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(f"import sys; sys.path.append({str(ROOT)!r})")
    return {**os.environ, "PYTHONPATH": str(site)}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    package = tmp_path / "place" / "trainer"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('the wrong trainer ran')")
    return package.parent


@pytest.mark.parametrize(
    "call", [["-c", "import evenshard; evenshard.TrainConfig"], ["-m", "evenshard", "train"]]
)
def test_it_is_named_and_never_run(tmp_path: Path, place: Path, call: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, *call], cwd=place, env=installed(tmp_path), capture_output=True, text=True
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert f"`import trainer` finds {place / 'trainer'}, which hides" in last
    assert "the wrong trainer ran" not in done.stderr


def test_a_mere_folder_hides_nothing(tmp_path: Path, place: Path) -> None:
    (place / "trainer" / "__init__.py").unlink()
    code = "import evenshard; print(evenshard.TrainConfig.__module__)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=place, env=installed(tmp_path), capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.stdout == "trainer.config\n", done.stderr
