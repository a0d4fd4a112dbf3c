"""What a release is checked by, and the files around it: read as those read them who use them."""

from __future__ import annotations

import importlib.util
import os
import re
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parents[1]


def load(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("release_check", ROOT / ".ci/release_check.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_workflow_runs_exactly_what_ci_runs() -> None:
    workflow = load(".github/workflows/ci.yml")
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert [step["run"] for step in steps if "run" in step] == [".ci/run"]
    assert all(
        re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"]) for step in steps if "uses" in step
    )
    assert os.access(ROOT / ".ci/run", os.X_OK)
    # YAML 1.1 takes a bare `on` as true.
    assert set(workflow[True]) == {"push", "pull_request"}
    assert workflow["permissions"] == {"contents": "read"}


def test_the_workflow_tries_every_python_that_is_supported(check: ModuleType) -> None:
    matrix = load(".github/workflows/ci.yml")["jobs"]["test"]["strategy"]["matrix"]
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    classified = re.findall(r"Python :: (3\.\d+)", text)
    assert matrix["python"] == classified == list(check.SUPPORTED)


@pytest.mark.parametrize("name", ["fault", "wish"])
def test_issue_forms_are_as_github_reads_them(name: str) -> None:
    form = load(f".github/ISSUE_TEMPLATE/{name}.yml")
    assert form["name"] and form["description"]
    ids = [field["id"] for field in form["body"]]
    assert len(ids) == len(set(ids))
    for field in form["body"]:
        assert field["type"] in ("textarea", "input", "dropdown", "markdown", "checkboxes")
        assert field["attributes"]["label"]


def test_the_hooks_are_commands_of_the_environment_that_make_installs() -> None:
    (repository,) = load(".pre-commit-config.yaml")["repos"]
    entries = [hook["entry"].split()[0] for hook in repository["hooks"]]
    assert repository["repo"] == "local"
    assert entries == [".venv/bin/ruff", ".venv/bin/ruff", ".venv/bin/lint-imports"]


def test_the_citation_has_what_its_format_requires() -> None:
    found = load("CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= found.keys()
    assert found["license"] == "Apache-2.0"


def test_the_page_of_a_package_index_is_checked(check: ModuleType) -> None:
    assert list(check.page_problems((ROOT / "README.md").read_text(encoding="utf-8"))) == []
    bad = "[a](docs/a.md)\n```\n<script>"
    assert len(list(check.page_problems(bad))) == 3


def test_what_a_wheel_must_hold_is_in_the_repository(check: ModuleType) -> None:
    assert [name for name in check.NEEDED if not (ROOT / name).is_file()] == []


def test_a_wheel_is_checked(check: ModuleType, tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    head = "Metadata-Version: 2.4\nName: evenshard\nDescription-Content-Type: text/markdown\n\n"
    good, bad = tmp_path / "good.whl", tmp_path / "bad.whl"
    with zipfile.ZipFile(good, "w") as archive:
        for name in check.NEEDED:
            archive.writestr(name, "")
        archive.writestr("evenshard-1.dist-info/METADATA", head + readme)
    assert list(check.wheel_problems(good)) == []
    with zipfile.ZipFile(bad, "w") as archive:
        archive.writestr("tests/test_a.py", "")
        archive.writestr("evenshard-1.dist-info/METADATA", "Name: evenshard\n\nother")
    problems = "\n".join(check.wheel_problems(bad))
    for part in ("is missing", "tests/test_a.py", "text/markdown", "is not README.md"):
        assert part in problems


def test_only_pythons_that_run_are_found(check: ModuleType, tmp_path: Path) -> None:
    for name, code in (("python3.10", 1), ("python3.12", 0)):
        (tmp_path / name).write_text(f"#!/bin/sh\nexit {code}\n")
        (tmp_path / name).chmod(0o755)
    assert check.pythons([tmp_path]) == {"3.12": tmp_path / "python3.12"}
