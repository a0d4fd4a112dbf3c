from __future__ import annotations

import threading

import pytest

from trainer.runs.background import Writer


def test_jobs_are_done_in_order_while_others_go_on() -> None:
    writer, go, done = Writer(), threading.Event(), []
    for number in range(5):
        writer.submit(lambda number=number: (go.wait(10), done.append(number)))
    assert done == []
    go.set()
    writer.flush()
    assert done == list(range(5))


def test_an_error_is_raised_where_more_is_asked_for_and_nothing_is_done_behind_it() -> None:
    writer, go, done = Writer(), threading.Event(), []

    def fails() -> None:
        go.wait(10)
        raise OSError("no space left")

    writer.submit(fails)
    writer.submit(lambda: done.append("behind it"))
    go.set()
    for use in (writer.flush, writer.check, lambda: writer.submit(lambda: done.append("later"))):
        with pytest.raises(OSError, match="no space left"):
            use()
    assert done == []


def test_patience_ends() -> None:
    writer, go = Writer(), threading.Event()
    writer.submit(lambda: go.wait(10))
    writer.flush(0.01)
    go.set()
    writer.flush()
