from __future__ import annotations

import io

from tfrecords.cli.progress import LINE_SECONDS, Progress


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_elsewhere_than_on_a_terminal_a_line_now_and_then() -> None:
    clock, file = Clock(), io.StringIO()
    with Progress("verify", 200, "B", file, clock) as progress:
        for _ in range(5):
            progress.advance(25)
            clock.now += LINE_SECONDS * 0.6
    assert file.getvalue() == "verify: 37%\nverify: 62%\n"


def test_a_quick_job_says_nothing() -> None:
    file = io.StringIO()
    with Progress("verify", 0, "B", file, Clock()) as progress:
        progress.advance(1)
    assert file.getvalue() == ""


def test_a_bar_on_a_terminal_goes_away_at_the_end() -> None:
    file = Terminal()
    with Progress("verify", 2000, "B", file) as progress:
        progress.advance(1000)
    assert "verify" in file.getvalue()
    assert file.getvalue().endswith("\r")
