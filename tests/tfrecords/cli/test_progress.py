from __future__ import annotations

import io

import pytest

from tfrecords.cli import progress
from tfrecords.cli.progress import LINE_SECONDS, Progress


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class NotebookStream(io.StringIO):
    """As a notebook's kernel has it for standard error: no terminal, and a cell that shows it."""


NotebookStream.__module__ = "ipykernel.iostream"


def advance(shown: Progress, clock: Clock, times: int, note: str = "") -> None:
    with shown:
        for _ in range(times):
            clock.now += LINE_SECONDS * 0.6
            shown.advance(25, note)


def test_elsewhere_than_on_a_terminal_a_line_now_and_then() -> None:
    clock, file = Clock(), io.StringIO()
    advance(Progress("verify", 200, "B", file=file, clock=clock), clock, 5)
    assert file.getvalue() == (
        "verify: 25%, 8 B/s, about 0:18 left\nverify: 50%, 8 B/s, about 0:12 left\n"
    )


def test_what_was_done_before_and_what_comes_later() -> None:
    clock, file = Clock(), io.StringIO()
    shown = Progress("epoch 2/3", 100, " img", done=50, later=100, file=file, clock=clock)
    advance(shown, clock, 2, "loss 1.250")
    assert file.getvalue() == "epoch 2/3: 100%, loss 1.250, 8.33 img/s, about 0:12 left\n"


def test_nothing_done_promises_nothing() -> None:
    clock, file = Clock(), io.StringIO()
    with Progress("copy", 0, " copies", file=file, clock=clock) as shown:
        clock.now += LINE_SECONDS
        shown.advance(0)
    assert file.getvalue() == "copy: 0%\n"


def test_a_quick_job_says_nothing() -> None:
    file = io.StringIO()
    with Progress("verify", 0, "B", file=file, clock=Clock()) as shown:
        shown.advance(1)
    assert file.getvalue() == ""


@pytest.mark.parametrize("stream", [Terminal, NotebookStream])
def test_a_bar_on_a_terminal_or_in_a_notebook_goes_away_at_the_end(
    stream: type[io.StringIO],
) -> None:
    file = stream()
    with Progress("verify", 2000, "B", file=file) as shown:
        shown.advance(1000, "loss 1.250")
        progress.write_line("a line above", file)
    assert "verify" in file.getvalue() and "a line above\n" in file.getvalue()
    assert file.getvalue().endswith("\r")


@pytest.mark.parametrize(("kind", "stream"), [("none", Terminal()), ("lines", Terminal())])
def test_a_kind_that_is_asked_for(kind: str, stream: io.StringIO) -> None:
    with Progress("verify", 2, "B", kind=kind, file=stream, clock=Clock()) as shown:
        shown.advance(1)
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (125, "2:05"), (3723, "1:02:03"), (90_000, "25:00:00")]
)
def test_durations(seconds: float, text: str) -> None:
    assert progress.duration(seconds) == text
