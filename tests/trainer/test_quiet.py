from __future__ import annotations

import pytest

from tfrecords import allocator, cores
from trainer import quiet


@pytest.mark.parametrize("verbose", [True, False])
def test_memory_is_set_before_tensorflow_is_used(
    verbose: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    arenas: list[int] = []
    monkeypatch.setattr(allocator, "keep_freed", arenas.append)
    quiet.import_tensorflow(verbose)
    assert arenas == [cores.usable()]
