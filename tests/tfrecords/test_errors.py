"""One readable line, whatever a runner made of an error."""

from __future__ import annotations

import pytest

from tfrecords.errors import BakeError
from tfrecords.framing import DamagedRecordError
from tfrecords.images.decode_pool import WorkerDiedError


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (BakeError("cannot write x"), "cannot write x"),
        (WorkerDiedError("a worker process ended"), "a worker process ended"),
        (DamagedRecordError("a.pack", 7, "CRC differs"), "a.pack: damaged record at byte 7"),
    ],
)
def test_an_error_is_found_behind_what_a_runner_raised(error: Exception, line: str) -> None:
    wrapped = RuntimeError("the runner's own")
    wrapped.__cause__ = error
    as_text = RuntimeError(
        f"Traceback …\n{type(error).__module__}.{type(error).__name__}: {error} "
        "[while running 'Bake/Plan']\nmore"
    )
    for raised in (error, wrapped, as_text):
        found = BakeError.find(raised)
        assert found is not None
        assert str(found).startswith(line) and "while running" not in str(found)


def test_other_errors_stay_what_they_are() -> None:
    assert BakeError.find(ValueError("no BakeError")) is None
