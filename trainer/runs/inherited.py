"""What a run keeps of those that it began with, by --fork_from or --weights.

`metrics_before.csv` of a fork has their rows of metrics.csv, the first run's first.
`trained_before.parquet` has their pictures as trained_on.parquet has a run's own, with the digest
of each one's data set.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfrecords.errors import TrainerError
from tfrecords.system import atomic
from trainer.runs import history, trained_on
from trainer.runs.history import History, HistoryError
from trainer.runs.trained_on import SCHEMA, TrainedOn

METRICS_BEFORE = "metrics_before.csv"
TRAINED_BEFORE = "trained_before.parquet"

_DATASET = "dataset"
_SCHEMA = SCHEMA.append(pa.field(_DATASET, pa.string(), nullable=False))


@dataclass(frozen=True, eq=False)
class Inherited:
    """What a run keeps of one that it began with.

    Attributes:
      columns: of metrics.csv.
      rows: of metrics.csv, as text or numbers; of the runs that it began with first.
      trained: what was trained on, by data set; None where one of the runs does not say.
    """

    columns: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    trained: tuple[TrainedOn, ...] | None

    def write(self, run_dir: Path) -> None:
        """Writes the files into a run's directory.

        Raises:
          OSError: one cannot be written.
        """
        self._write_rows(run_dir / METRICS_BEFORE)
        if self.trained is None:
            (run_dir / TRAINED_BEFORE).unlink(missing_ok=True)
            return
        tables = [
            each.pictures.append_column(
                _SCHEMA.field(_DATASET), [pa.array([each.digest] * len(each.pictures), pa.string())]
            ).cast(_SCHEMA)
            for each in self.trained
        ]
        table = pa.concat_tables([_SCHEMA.empty_table(), *tables])
        with atomic.temporary_path(run_dir / TRAINED_BEFORE) as temporary:
            pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)

    def _write_rows(self, path: Path) -> None:
        if not self.rows:
            path.unlink(missing_ok=True)
            return
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(self.rows)
        atomic.write_text(path, text.getvalue())


def of_run(
    run_dir: Path,
    columns: Sequence[str],
    rows: Sequence[Mapping[str, Any]] | None,
    *,
    is_fork: bool,
) -> Inherited:
    """Returns what a run that begins with another keeps of it.

    Args:
      run_dir: of the run.
      columns: of metrics.csv.
      rows: of its own epochs until the fork; None where only its weights are taken.
      is_fork: whether it began with another run itself.

    Raises:
      TrainerError: a file of it is damaged.
    """
    own = trained_on.read(run_dir)
    before = trained_before(run_dir)
    if before is None and not is_fork:
        before = ()
    known = None if own is None or before is None else (*before, own)
    if rows is None:
        return Inherited(tuple(columns), (), known)
    earlier = _rows(run_dir) if is_fork else ()
    return Inherited(tuple(columns), (*earlier, *rows), known)


def remove(run_dir: Path) -> None:
    """Removes the files of a run that never trained a step."""
    for name in (METRICS_BEFORE, TRAINED_BEFORE):
        (run_dir / name).unlink(missing_ok=True)


def epochs_before(run_dir: Path, count: int) -> History:
    """Returns the epochs before a fork; none where the file does not have `count` of them."""
    try:
        found = history.load(run_dir / METRICS_BEFORE)
    except (OSError, HistoryError, UnicodeDecodeError):
        return History({})
    return found if len(found) == count else History({})


def trained_before(run_dir: Path) -> tuple[TrainedOn, ...] | None:
    """Returns what the runs that a run began with were trained on; None if it does not say.

    Raises:
      TrainerError: the file is damaged.
    """
    path = run_dir / TRAINED_BEFORE
    try:
        table = pq.read_table(path, page_checksum_verification=True).cast(_SCHEMA)
    except FileNotFoundError:
        return None
    except (OSError, pa.ArrowException, ValueError) as error:
        reason = " ".join(str(error).split())
        raise TrainerError(
            f"{path} is damaged: {reason}; restore it from a copy of the run"
        ) from error
    return tuple(
        TrainedOn(digest, table.filter(pc.equal(table[_DATASET], digest)).select(SCHEMA.names))
        for digest in dict.fromkeys(table[_DATASET].to_pylist())
    )


def _rows(run_dir: Path) -> tuple[Mapping[str, Any], ...]:
    """Returns the rows of metrics_before.csv as text."""
    try:
        with open(run_dir / METRICS_BEFORE, newline="", encoding="utf-8") as file:
            return tuple(csv.DictReader(file))
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TrainerError(f"cannot read {run_dir / METRICS_BEFORE}: {error}") from error
