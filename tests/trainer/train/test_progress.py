from __future__ import annotations

import io

import pytest

from trainer.train import progress
from trainer.train.progress import EpochProgress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run_an_epoch(kind: str, stream: io.StringIO) -> str:
    shown = EpochProgress(kind, epochs=3, pictures=100, stream=stream)
    shown.say("begins")
    shown.start_epoch(1, done=40)
    for _ in range(3):
        shown.update(20, loss=1.25)
    shown.end_epoch(1, "loss 1.250")
    return stream.getvalue()


def test_a_terminal_gets_a_bar_with_rate_and_time_left() -> None:
    text = run_an_epoch("auto", Terminal())
    assert "epoch 2/3:  40%" in text and "img/s" in text
    assert text.endswith("epoch 2/3  loss 1.250\n")


def test_a_file_gets_lines_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_an_epoch("auto", io.StringIO()) == "begins\nepoch 2/3  loss 1.250\n"
    monkeypatch.setattr(progress, "LINE_INTERVAL", -1.0)
    lines = run_an_epoch("lines", io.StringIO()).splitlines()
    assert len(lines) == 5
    assert lines[1].startswith("epoch 2/3: 60%, loss 1.250, ")
    assert " img/s, about " in lines[1] and lines[1].endswith(" left")


def test_nothing_is_nothing() -> None:
    assert run_an_epoch("none", Terminal()) == ""


@pytest.mark.parametrize("kind", ["auto", "bar", "lines", "none"])
def test_what_must_be_known_of_the_results_is_always_said(kind: str) -> None:
    stream = io.StringIO()
    EpochProgress(kind, epochs=3, pictures=100, stream=stream).note("no class is balanced")
    assert stream.getvalue() == "note: no class is balanced\n"
