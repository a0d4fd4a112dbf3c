"""Who reads what is said while something works: a person at a shell, or one who calls from Python.

Texts name flags and commands, as the shell has them. A caller from Python gives what translates
them, for as long as its call lasts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_translate: ContextVar[Callable[[str], str] | None] = ContextVar("translate", default=None)


@contextmanager
def translated(translate: Callable[[str], str]) -> Iterator[None]:
    """Has `translate` change each text that is said in the block, in this thread."""
    token = _translate.set(translate)
    try:
        yield
    finally:
        _translate.reset(token)


def said(text: str) -> str:
    """Returns a text as its audience reads it; "" if there is nothing to say to this one."""
    translate = _translate.get()
    return text if translate is None else translate(text)
