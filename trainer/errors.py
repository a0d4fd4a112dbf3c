"""What can go wrong in ways a person can mend: one readable line each, with the remedy."""

from __future__ import annotations


class TrainerError(Exception):
    """A command cannot go on. The text says what was expected, what came and what to do."""


class UsageError(TrainerError):
    """The command line is at fault: exit code 2."""


class OutOfMemoryError(TrainerError):
    """The device has not the memory for a step."""
