"""`python -m trainer.sweep.child PARENT CORES flags…`: trainer.train as a trial of a sweep.

It stays on the cores it is given. It saves a checkpoint and stops when the sweep is gone: one
that is killed with SIGKILL cannot stop its children itself.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence

# How soon an orphan stops, seconds.
_WATCH_INTERVAL = 0.5


def keep_to(cores: Sequence[int]) -> None:
    """Confines this process and its threads to some cores; without any, changes nothing."""
    if cores and hasattr(os, "sched_setaffinity"):  # Linux.
        os.sched_setaffinity(0, cores)


def stop_without(parent: int) -> None:
    """Starts a thread that sends this process SIGTERM once `parent` is no longer its parent.

    A thread is used because only Linux has PR_SET_PDEATHSIG.
    """
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_INTERVAL)
    os.kill(os.getpid(), signal.SIGTERM)


def main(argv: Sequence[str]) -> int:
    """Returns the exit code of trainer.train."""
    parent, cores, *flags = argv
    keep_to([int(core) for core in cores.split(",") if core])
    stop_without(int(parent))
    # After the cores are set: libraries count them on import.
    from trainer.train.__main__ import COMMAND

    return COMMAND.run(flags)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
