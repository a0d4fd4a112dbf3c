from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tfrecords.errors import EvenshardError
from tfrecords.system import extras


def test_what_is_installed_passes_and_is_not_imported() -> None:
    sys.modules.pop("this", None)
    extras.require("trainer", "json", "this")
    assert "this" not in sys.modules


def test_one_line_names_what_is_missing_and_the_pip_line() -> None:
    with pytest.raises(EvenshardError) as caught:
        extras.require("beam", "json", "no_such_module")
    assert str(caught.value) == (
        "this needs no_such_module, which is not installed; run: pip install 'evenshard[beam]'"
    )
    with pytest.raises(extras.MissingExtraError, match="no_such_module, nor_this, which are not"):
        extras.require("beam", "no_such_module", "nor_this")


def test_a_folder_of_that_name_is_no_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "some_dependency").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(extras.MissingExtraError, match="some_dependency"):
        extras.require("beam", "some_dependency")


def test_a_module_that_may_not_be_imported_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "json", None)  # type: ignore[arg-type]  # None hides a module.
    with pytest.raises(extras.MissingExtraError, match="json"):
        extras.require("beam", "json")


def test_an_extra_knows_what_its_commands_import(monkeypatch: pytest.MonkeyPatch) -> None:
    extras.require("trainer")
    monkeypatch.setitem(sys.modules, "keras", None)  # type: ignore[arg-type]  # None hides a module.
    with pytest.raises(extras.MissingExtraError, match=r"needs keras, .*evenshard\[trainer\]"):
        extras.require("trainer")
