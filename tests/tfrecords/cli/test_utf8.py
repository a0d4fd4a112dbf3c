from __future__ import annotations

import io
import sys

import pytest

from tfrecords.cli import utf8


def test_utf_8_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utf8.os, "execve", lambda *_: pytest.fail("started again"))
    assert not utf8.is_needed()
    utf8.restart_if_needed()


def test_another_encoding_starts_the_same_command_again(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[object, ...]] = []
    monkeypatch.setattr(utf8.os, "execve", lambda *arguments: started.append(arguments))
    monkeypatch.setattr(utf8.sys, "getfilesystemencoding", lambda: "iso8859-9")
    monkeypatch.setattr(utf8.sys, "orig_argv", ["python", "-m", "trainer.train", "--epochs=1"])
    utf8.restart_if_needed()
    ((program, argv, environment),) = started
    assert program == sys.executable and isinstance(environment, dict)
    assert argv == [sys.executable, "-X", "utf8", "-m", "trainer.train", "--epochs=1"]
    assert environment["PYTHONUTF8"] == "1"
    with pytest.warns(UserWarning, match="as iso8859-9 here: .* PYTHONUTF8=1"):
        utf8.warn_if_needed()


def test_every_text_can_be_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    utf8.print_anything()
    print("Möwe …", flush=True)
    assert raw.getvalue() == rb"M\xf6we \u2026" + b"\n"
