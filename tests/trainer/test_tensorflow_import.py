from __future__ import annotations

import pytest

from tfrecords.system import allocator, cores
from trainer import tensorflow_import


@pytest.mark.parametrize("verbose", [True, False])
def test_memory_is_set_before_tensorflow_is_used(
    verbose: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    arenas: list[int] = []
    monkeypatch.setattr(allocator, "keep_freed", arenas.append)
    tensorflow_import.import_tensorflow(verbose)
    assert arenas == [cores.usable()]
