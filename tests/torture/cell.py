"""A forked process with little memory and little time, for what reads hostile bytes."""

from __future__ import annotations

import faulthandler
import os
import resource
import signal
import warnings
from collections.abc import Callable

from tests.torture.case import Lost
from tfrecords.errors import EvenshardError

# Beyond what this process has mapped already.
MEMORY = 1 << 30
SECONDS = 60

_MOST_MIB = 500  # Resident, beyond what was there before.


def confined(work: Callable[[], str], most_mib: int = _MOST_MIB) -> str:
    """Returns what `work` returns, or the line of its error.

    Args:
      work: done in the process.
      most_mib: memory that it may take.

    Raises:
      Lost: it crashed, hung, took more memory than it may, or raised what a person cannot read.
    """
    receiver, sender = os.pipe()
    with warnings.catch_warnings():
        # Python 3.12 warns that other threads' locks stay closed in the child: `work` needs none.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        os.close(receiver)
        _in_child(work, sender)
    os.close(sender)
    with os.fdopen(receiver, "rb") as pipe:
        begun, _, said = pipe.read().decode("utf-8", "replace").partition("\n")
    _, status, used = os.wait4(child, 0)
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        raise Lost(f"it took more than {SECONDS} s" if name == "SIGALRM" else f"{name} ended it")
    if said.startswith("lost: "):
        raise Lost(said.removeprefix("lost: "))
    grown = (used.ru_maxrss - int(begun)) >> 10
    if grown > most_mib:
        raise Lost(f"it took {grown} MiB of memory")
    return said


def _in_child(work: Callable[[], str], sender: int) -> None:
    code = "lost: it ended without a word"
    # Fewer pages than its parent has: those of files are not copied.
    os.write(sender, b"%d\n" % _resident_kb())
    try:
        faulthandler.disable()
        # Decoders print what they think of a picture.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SECONDS)
        most = _mapped() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        # A crash is what is looked for: it needs no file of its memory.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        try:
            code = work()
        except (EvenshardError, OSError) as error:
            text = str(error)
            code = f"lost: an error of several lines: {text!r}" if "\n" in text else "refused"
        except BaseException as error:
            code = f"lost: {type(error).__name__}: {error}"
    finally:
        os.write(sender, code.encode("utf-8", "replace")[:4000])
        os._exit(0)


def _mapped() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def _resident_kb() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() >> 10
