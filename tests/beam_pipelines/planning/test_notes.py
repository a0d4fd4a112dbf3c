"""What a person is told of a plan."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from beam_pipelines.planning import notes


def test_odd_pictures_that_are_kept_are_counted() -> None:
    facts = pa.table(
        {"key": ["a", "b", "c", "d"], "detail": pa.array([None, "odd", "rejected", "odder"])}
    )
    (told,) = notes.remarks(facts, np.array([0, 1, 3]))
    assert told.startswith("2 unusual pictures are kept, such as 'b' (odd); see detail in ")
    assert list(notes.remarks(facts, np.array([1])))[0].startswith("1 unusual picture is kept")
    assert not list(notes.remarks(facts, np.array([0])))
