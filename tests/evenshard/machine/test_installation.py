"""What is installed: bounds of versions, and imports that fail or take their process with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from evenshard.machine import installation
from evenshard.machine.installation import EXTRAS, Library


@pytest.mark.parametrize(
    ("bounds", "version", "fits"),
    [
        (">=2.0", "2.0.0", True),
        (">=2.0", "1.26.4", False),
        (">=12.1.1,<13", "12.3.0", True),
        (">=12.1.1,<13", "13.0.0", False),
        (">=12.1.1,<13", "12.1", False),
        ("<2.22,>=2.21", "2.21.0rc1", True),
        ("", "0", True),
    ],
)
def test_a_version_fits_its_bounds(bounds: str, version: str, fits: bool) -> None:
    assert Library("numpy", "", bounds, version).fits is fits


def test_requirements_are_read_as_metadata_has_them() -> None:
    found = installation.libraries(
        (
            "numpy>=2.0",
            'tensorflow[and-cuda]<2.22,>=2.21; extra == "trainer"',
            'torch>=2.2 ; extra == "torch"',
            'ruff>=0.8; extra == "dev"',
            'not-a-library>=1; extra == "heif"',
            "cykooz-resizer<5,>=4.0.1; sys_platform != 'linux' or platform_machine == 'x86_64'",
        )
    )
    assert [(each.name, each.extra, each.bounds) for each in found] == [
        ("numpy", "", ">=2.0"),
        ("tensorflow", "trainer", "<2.22,>=2.21"),
        ("torch", "torch", ">=2.2"),
        ("not-a-library", "heif", ">=1"),
        ("cykooz-resizer", "", "<5,>=4.0.1"),
    ]
    assert found[0].version and not found[3].version
    assert [each.somewhere for each in found] == [False] * 4 + [True]


def test_what_resizes_is_told_by_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENSHARD_RESIZE_KERNEL", "numpy")
    assert installation.resize_kernel() == "numpy"
    monkeypatch.setenv("EVENSHARD_RESIZE_KERNEL", "abacus")
    assert installation.resize_kernel() == ""


def test_every_extra_named_is_one() -> None:
    text = (Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8")
    for extra in EXTRAS:
        assert f"\n{extra} = [" in text


def test_imports_that_fail_are_told_from_those_that_end_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_here.py").write_text("raise ImportError('libfoo.so.3 is missing')")
    (tmp_path / "crashes_here.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert installation.failed_imports(["json", "broken_here"]) == {
        "broken_here": "ImportError: libfoo.so.3 is missing"
    }
    assert installation.failed_imports(["json", "broken_here", "crashes_here"]) == {
        "broken_here": "ImportError: libfoo.so.3 is missing",
        "crashes_here": "ended by signal 11",
    }


def test_what_another_process_answers() -> None:
    answer = installation.ask("print('a banner'); print('[1, 2]')")
    assert (answer.value, answer.trouble) == ([1, 2], "")
    assert installation.ask("raise ValueError('no')").trouble == "ValueError: no"
    assert installation.ask("pass").trouble == "no answer"
