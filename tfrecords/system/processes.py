"""Worker processes that start without the program that started them.

A spawned process usually imports its parent's `__main__` again. Where that is a script that calls
us without an `if __name__ == "__main__"`, each worker would run the script anew. Our workers are
given functions of our own modules only, so they never need it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import spawn
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any

# The parts of a child's preparation that make it import its parent's `__main__`.
_MAIN = ("init_main_from_name", "init_main_from_path")

_LOCK = threading.Lock()


class _Process(SpawnProcess):
    @staticmethod
    def _Popen(process_obj: Any) -> Any:
        with _without_main():
            return SpawnProcess._Popen(process_obj)


class _Context(SpawnContext):
    Process = _Process


def spawn_context() -> SpawnContext:
    """Returns the context of fresh processes that import nothing of the calling program.

    Forked ones would inherit locks that threads of Arrow, TensorFlow or a notebook hold.
    """
    return _CONTEXT


@contextmanager
def _without_main() -> Iterator[None]:
    """Keeps `__main__` out of what this thread's next process is told."""
    thread = threading.get_ident()
    with _LOCK:
        original = spawn.get_preparation_data

        def prepare(name: str) -> dict[str, Any]:
            data = original(name)
            if threading.get_ident() == thread:
                data = {key: value for key, value in data.items() if key not in _MAIN}
            return data

        spawn.get_preparation_data = prepare
        try:
            yield
        finally:
            spawn.get_preparation_data = original


_CONTEXT = _Context()
