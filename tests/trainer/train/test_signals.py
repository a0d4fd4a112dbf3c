"""SIGTERM and Ctrl-C ask a run to stop."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from tfrecords.cli.run import Terminated
from trainer.train.signals import stopping_on_signal


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_asks_and_the_second_interrupts(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    asked: list[int] = []
    with pytest.raises(KeyboardInterrupt) as interrupt, stopping_on_signal(asked.append):
        os.kill(os.getpid(), number)
        assert asked == [number]
        os.kill(os.getpid(), number)
    assert asked == [number]
    assert isinstance(interrupt.value, Terminated) == (number == signal.SIGTERM)
    assert signal.getsignal(number) is before


def test_another_thread_leaves_the_handlers_alone() -> None:
    handlers: list[object] = []

    def run() -> None:
        with stopping_on_signal(lambda number: None):
            handlers.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert handlers == [signal.getsignal(signal.SIGTERM)]
