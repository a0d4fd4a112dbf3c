"""`trained_on.parquet`: the pictures that a run was trained on, so that it need not trust a path.

One row for each original, in key order: its key, the last 64 bits of its file's sha256, its
perceptual hash and its group of near-duplicates; about 20 bytes and the key. The pages of the file
have checksums. The schema's metadata holds, under `evenshard` and as JSON, the data set's digest.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfrecords import folds, ledger
from tfrecords.errors import TrainerError
from tfrecords.locations import Folder
from tfrecords.manifest import SplitInfo
from tfrecords.system import atomic
from trainer.data.selection import Selection

FILENAME = "trained_on.parquet"

SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        ("sha256", pa.uint64()),
        ("phash", pa.uint64()),
        ("group", pa.int64()),
    ]
)

_METADATA = b"evenshard"
# Of the 64 hex digits of a sha256: two of 10 million files share 64 bits once in 400,000 bakes.
_FIRST_DIGIT, _DIGITS = 48, 64
_SELECTED_BY = ("class", "split", "rank", "shard")


@dataclass(frozen=True, eq=False)
class TrainedOn:
    """The pictures that a run was trained on.

    Attributes:
      digest: of the data set.
      pictures: a table of `SCHEMA`.
    """

    digest: str
    pictures: pa.Table


def of(
    data_dir: Folder,
    digest: str,
    split: str,
    selection: Selection,
    fold: SplitInfo | None = None,
) -> TrainedOn:
    """Returns the originals of a data set's split that a selection takes; see `pictures_of`.

    Raises:
      ledger.LedgerError: sources.parquet is absent or damaged.
    """
    return TrainedOn(digest, pictures_of(data_dir, split, selection, fold))


def pictures_of(
    data_dir: Folder, split: str, selection: Selection, fold: SplitInfo | None = None
) -> pa.Table:
    """Returns the originals of a split that a selection takes, as a table of `SCHEMA`.

    Args:
      data_dir: of the data set.
      split: its name.
      selection: of its records.
      fold: the split itself, if it is one of a fold, which the ledger does not know by name.

    Raises:
      ledger.LedgerError: sources.parquet is absent or damaged.
    """
    rows_of = (
        _selected(data_dir, SCHEMA.names, split, selection)
        if fold is None
        else _selected_in_fold(data_dir, SCHEMA.names, fold, selection)
    )
    tables = [
        pa.table(
            [rows["key"], _last_bits(rows["sha256"]), rows["phash"], rows["group"]], schema=SCHEMA
        )
        for rows in rows_of
    ]
    return pa.concat_tables([SCHEMA.empty_table(), *tables])


def write(run_dir: Path, trained_on: TrainedOn) -> None:
    """Writes the file into a run's directory, whole or not at all.

    Raises:
      OSError: it cannot be written.
    """
    about = json.dumps({"dataset": trained_on.digest}).encode()
    table = trained_on.pictures.replace_schema_metadata({_METADATA: about})
    with atomic.temporary_path(run_dir / FILENAME) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)


def read(run_dir: Path) -> TrainedOn | None:
    """Returns the contents of the file in a run's directory; None if it is absent.

    Raises:
      TrainerError: it is damaged.
    """
    path = run_dir / FILENAME
    try:
        table = pq.read_table(path, page_checksum_verification=True)
        about = json.loads((table.schema.metadata or {})[_METADATA])
        return TrainedOn(str(about["dataset"]), table.select(SCHEMA.names).cast(SCHEMA))
    except FileNotFoundError:
        return None
    except (OSError, pa.ArrowException, KeyError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise TrainerError(f"{path} is damaged: {reason}; delete it, and train again") from error


def _selected(
    data_dir: Folder, columns: Sequence[str], split: str, selection: Selection
) -> Iterator[pa.Table]:
    """Yields the ledger's rows of the originals that a selection takes, some at a time."""
    classes = pa.array(selection.classes, pa.string())
    for batch in ledger.stream(data_dir, [*columns, *_SELECTED_BY]):
        table = pa.Table.from_batches([batch])
        keep = pc.and_(pc.equal(table["split"], split), pc.is_valid(table["shard"]))
        keep = pc.and_(keep, pc.is_in(table["class"], classes))
        if selection.max_rank is not None:
            keep = pc.and_(keep, pc.less(table["rank"], selection.max_rank))
        yield table.filter(keep)


def _selected_in_fold(
    data_dir: Folder, columns: Sequence[str], split: SplitInfo, selection: Selection
) -> Iterator[pa.Table]:
    """Yields the same of a split of a fold: the rows of its shards, by their ranks in the fold."""
    labels = dict(zip(selection.classes, selection.labels, strict=True))
    limit = dict(zip(selection.labels, selection.originals(split), strict=True))
    ranks = folds.load(data_dir, split, labels)
    shards = pa.array([shard.filename for shard in split.shards], pa.string())
    for batch in ledger.stream(data_dir, [*columns, *_SELECTED_BY]):
        table = pa.Table.from_batches([batch])
        known = pc.is_in(table["class"], pa.array(labels, pa.string()))
        table = table.filter(pc.and_(pc.is_in(table["shard"], shards), known))
        label = np.array([labels[name] for name in table["class"].to_pylist()], np.int64)
        stored = table["rank"].to_numpy().astype(np.int64)
        rank = ranks.ranks(label, stored, np.zeros_like(label))
        below = np.array([limit[each] for each in label.tolist()], np.int64)
        yield table.filter(pa.array(rank < below))


def _last_bits(hexadecimal: pa.ChunkedArray) -> pa.Array:
    """Returns uint64, the number that the last digits of each sha256 are; null for null."""
    digits = pc.utf8_slice_codeunits(hexadecimal, _FIRST_DIGIT, _DIGITS)
    padded = pc.utf8_lpad(pc.fill_null(digits, ""), _DIGITS - _FIRST_DIGIT, "0")
    values = np.frombuffer(bytes.fromhex("".join(padded.to_pylist())), ">u8").astype(np.uint64)
    return pa.array(values, mask=pc.is_null(digits).to_numpy())
