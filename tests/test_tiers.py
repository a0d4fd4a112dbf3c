"""The rule that chooses the fast tests, on the tests themselves and on small files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import tiers
from tests.support.processes import commands

TESTS = tiers.ROOT / "tests"


def starts_one() -> None:
    subprocess.run([])


def starts_one_in_an_inner_function() -> None:
    def inner() -> None:
        starts_one()

    inner()


def needs_a_package() -> None:
    pytest.importorskip("tensorflow")


def imports_a_package() -> None:
    import keras  # noqa: F401


def runs_a_command() -> None:
    commands.run("module")


def does_neither() -> None:
    assert sum(range(3)) == 3


@pytest.mark.parametrize(
    "function",
    [starts_one, starts_one_in_an_inner_function, needs_a_package, imports_a_package,
     runs_a_command],
)  # fmt: skip
def test_what_starts_commands_or_imports_a_heavy_package_is_slow(function: object) -> None:
    assert tiers.is_slow_function(function)  # type: ignore[arg-type]  # Any function will do.


def test_what_does_neither_is_fast() -> None:
    assert not tiers.is_slow_function(does_neither)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import numpy.linalg", {"numpy"}),
        ("try:\n    import keras\nexcept ImportError:\n    import zlib", {"keras", "zlib"}),
        ("class A:\n    import json", {"json"}),
        ("def f():\n    import keras", set()),
        ("async def f():\n    import keras", set()),
        ("if TYPE_CHECKING:\n    import keras\nelse:\n    import json", {"json"}),
        ("tf = pytest.importorskip('tensorflow')", {"tensorflow"}),
        ("from tfrecords import errors", {"tfrecords", "tfrecords.errors"}),
        ("from tfrecords.errors import UsageError", {"tfrecords.errors"}),
    ],
)
def test_what_a_file_imports(text: str, found: set[str], tmp_path: Path) -> None:
    path = tmp_path / "test_some.py"
    path.write_text(text)
    behind = tiers.modules_behind(path)
    assert found <= behind
    assert not ({"keras", "tensorflow"} - found) & behind


def test_each_kind_of_file_is_told() -> None:
    assert tiers.is_fast_file(TESTS / "tfrecords" / "test_framing.py")
    assert not tiers.is_fast_file(TESTS / "trainer" / "train" / "test_loop.py")
    assert not tiers.is_fast_file(TESTS / "trainer" / "report" / "test_page.py")
    assert not tiers.is_fast_file(TESTS / "integration" / "test_leaks.py")


def test_no_fast_file_imports_tensorflow() -> None:
    """Against the interpreter's own word: the rule only reads the source."""
    names = [
        ".".join(path.relative_to(tiers.ROOT).with_suffix("").parts)
        for path in sorted(TESTS.rglob("test_*.py"))
        if tiers.is_fast_file(path)
    ]
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n"
        "    try: importlib.import_module(name)\n"
        "    except BaseException as error:\n"
        "        if type(error).__name__ != 'Skipped': raise\n"
        "print([name for name in ('keras', 'tensorflow') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tiers.ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert len(names) > 50
    assert done.stdout.strip() == "[]"
