"""What a pattern takes from a path: its first capture, or all that it matches."""

from __future__ import annotations

import re

import pytest

from tfrecords.inputs.patterns import span_of, taken


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("cat", "a/cat_1.jpg", "cat"),
        ("(c.)t_", "a/cat_1.jpg", "ca"),
        ("(dog)?_1", "a/cat_1.jpg", "_1"),
        ("(?:c)(a)(t)", "a/cat_1.jpg", "a"),
        ("dog", "a/cat_1.jpg", None),
        ("", "a", ""),
    ],
)
def test_the_first_capture_or_the_whole_match(
    pattern: str, path: str, expected: str | None
) -> None:
    assert taken(re.compile(pattern), path) == expected
    span = span_of(re.compile(pattern), path)
    assert (None if span is None else path[slice(*span)]) == expected
