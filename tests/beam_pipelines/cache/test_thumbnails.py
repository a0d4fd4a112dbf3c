from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from beam_pipelines.cache import thumbnails
from tfrecords.errors import BakeError


def some(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 16, 16, 3), np.uint8)


def write(path: Path, table: np.ndarray) -> None:
    thumbnails.write(str(path), [one.tobytes() for one in table])


@pytest.mark.parametrize("count", [0, 1, 5])
def test_read_is_the_inverse_of_write(tmp_path: Path, count: int) -> None:
    table = some(count, 1)
    write(tmp_path / "a", table)
    assert np.array_equal(thumbnails.read(str(tmp_path / "a")), table)


def test_rows_are_found_in_their_packs_in_any_order(tmp_path: Path) -> None:
    tables = {"b": some(3, 1), "a": some(4, 2)}
    for name, table in tables.items():
        write(tmp_path / name, table)
    # The fourth row is a reject.
    places = [("b", 2), ("a", 0), ("a", 3), (None, None), ("b", 0)]
    facts = pa.table(
        {
            "pack": pa.array([pack for pack, _ in places], pa.string()),
            "index": pa.array([index for _, index in places], pa.int32()),
        }
    )
    rows = np.array([4, 0, 2, 1])
    found = thumbnails.load(str(tmp_path), facts, rows)
    expected = [tables[places[row][0]][places[row][1]] for row in rows]
    assert np.array_equal(found, np.stack(expected))
    assert thumbnails.load(str(tmp_path), facts, rows[:0]).shape == (0, 16, 16, 3)


def test_a_damaged_file_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "a.thumbs").write_bytes(b"x" * 100)
    with pytest.raises(BakeError, match=r"a\.thumbs is damaged: remove the \.cache folder"):
        thumbnails.read(str(tmp_path / "a"))
