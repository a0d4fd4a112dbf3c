"""`python -m trainer.lineage`: from a record's id, or a prediction, back to its source file."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from tfrecords import framing, ledger, reader
from tfrecords.cli import flags, following
from tfrecords.cli.flags import flag
from tfrecords.cli.run import DONE, Command
from tfrecords.errors import TrainerError, UsageError
from tfrecords.locations import Folder
from tfrecords.manifest import Manifest
from tfrecords.schema import parse_id, record_id
from tfrecords.sizes import readable
from trainer import remote
from trainer.data.version import DataVersion
from trainer.metrics import mistakes, predictions
from trainer.metrics.metrics import Predictions
from trainer.runs import locate
from trainer.runs.config_file import RunConfig, require_directory
from trainer.runs.evaluation_file import EVALUATION, StoredEvaluation

_WHAT, _WHERE, _RUN = "Which picture", "Where", "Run"

# Near-duplicates that are named; a group of plain backgrounds may have thousands.
_NAMED = 8


@dataclass(frozen=True)
class LineageConfig:
    """A question. Fields are the flags of `evenshard lineage`.

    Raises:
      UsageError: none or more than one of the ways to name a picture.
    """

    id: str = flag(
        "", _WHAT, "Id of a record: the key of its file, with #k for copy k.", metavar="ID"
    )
    row: int | None = flag(None, _WHAT, "Row of predictions.parquet, from 0.", metavar="N")
    mistakes: int | None = flag(None, _WHAT, "The N worst mistakes of the run.", metavar="N")
    run_dir: str = flag("", _WHERE, "Directory of a run or of an evaluation.", metavar="DIR")
    data_dir: str = flag(
        "", _WHERE, "Data set. Default: the one that the run was trained on.", metavar="DIR"
    )
    json: bool = flag(False, _RUN, "Print a list of JSON objects instead of text.")

    def __post_init__(self) -> None:
        flags.convert_fields(self)
        remote.check_local("run_dir", self.run_dir)
        given = bool(self.id) + (self.row is not None) + (self.mistakes is not None)
        if given != 1:
            raise UsageError("name pictures in one way: --id, --row or --mistakes")
        if not self.run_dir and (not self.id or not self.data_dir):
            raise UsageError(
                "--id needs --data_dir or --run_dir"
                if self.id
                else "--row and --mistakes need --run_dir"
            )
        if self.mistakes is not None and self.mistakes < 1:
            raise UsageError(f"--mistakes must be 1 or more, not {self.mistakes}")


@dataclass(frozen=True)
class RecordPrediction:
    """What a network predicted for one record.

    Attributes:
      row: of predictions.parquet.
      label: name of the true class.
      label_probability: of the true class.
      predicted: name of the predicted class.
      probability: of the predicted class.
    """

    row: int
    label: str
    label_probability: float
    predicted: str
    probability: float


@dataclass(frozen=True)
class Origin:
    """The source file of a record, and the record's place in the shards.

    Attributes:
      id: of the record.
      copy: 0 for an original, else the number of the augmented copy.
      source: its row of sources.parquet.
      near_duplicates: (key, split) of other files of its near-duplicate group; at most a few.
      near_duplicate_count: how many there are.
      shard: file name of the shard that holds the record; None if it is in none.
      position: index within the shard.
      offset: byte of the shard where the record begins.
      prediction: true and predicted class with probabilities; None without predictions.
      fold: that it is validation of; None where it is of none, or there are none.
    """

    id: str
    copy: int
    source: dict[str, Any]
    near_duplicates: tuple[tuple[str, str], ...]
    near_duplicate_count: int
    shard: str | None
    position: int | None
    offset: int | None
    prediction: RecordPrediction | None
    fold: int | None = None


def trace(data_dir: str | Folder, manifest: Manifest, id_: str) -> Origin:
    """Returns the source file and the place of the record called `id_`.

    Raises:
      TrainerError: the data set has no file of that key.
      ledger.LedgerError: sources.parquet cannot be read.
      framing.DamagedRecordError: the shard that holds it is damaged.
    """
    root = remote.folder(data_dir)
    key, copy = _key_and_copy(root, id_)
    id_ = record_id(key, copy)
    (source,) = _rows(root, "key", key)
    similar = [row for row in _group(root, source) if row["key"] != key]
    stored = None
    if source["shard"]:
        stored = next(reader.find(root, manifest, source["split"], [id_]), None)
    return Origin(
        id=id_,
        copy=copy,
        source=source,
        near_duplicates=tuple(
            (row["key"], row["split"] or row["status"]) for row in similar[:_NAMED]
        ),
        near_duplicate_count=len(similar),
        shard=stored.shard if stored else None,
        position=stored.position if stored else None,
        offset=stored.offset if stored else None,
        prediction=None,
        fold=manifest.fold_of_shard(stored.shard) if stored else None,
    )


def describe(origin: Origin) -> str:
    """Returns the answer as lines of text."""
    source = origin.source
    kind = f"augmented copy {origin.copy} of it" if origin.copy else "the original"
    shape = (
        f"{source['width']}×{source['height']} {source['format']} {source['mode']}, "
        if source["width"]
        else ""
    )
    lines = {
        "record": f"{origin.id} ({kind})",
        "source file": source["key"],
        "": f"{shape}{readable(source['bytes'])}",
        "sha256": source["sha256"] or "unread",
        "class": source["class"] or "none",
        "status": " ".join(filter(None, (source["status"], source["reason"], source["detail"]))),
        "split, rank": f"{source['split'] or '–'}, {_dash(source['rank'])}",
        "near-duplicates": _near_duplicates(origin),
        "shard": f"{origin.shard}, record {origin.position}, byte {origin.offset}"
        if origin.shard
        else "in none",
    }
    if origin.fold is not None:
        lines["fold"] = f"{origin.fold}: validation with --fold={origin.fold}, else train"
    if origin.prediction:
        predicted = origin.prediction
        lines["prediction"] = (
            f"{predicted.predicted} {predicted.probability:.1%}; true class {predicted.label} "
            f"{predicted.label_probability:.1%}"
        )
    return "\n".join(f"{name + ':' if name else '':17}{text}" for name, text in lines.items())


def to_json(origin: Origin) -> dict[str, Any]:
    """Returns the answer as a JSON object."""
    return dataclasses.asdict(origin)


def run(config: LineageConfig) -> list[Origin]:
    """Answers the question.

    Raises:
      TrainerError, ManifestError, LedgerError: with one readable line.
    """
    data_dir = remote.folder(config.data_dir) if config.data_dir else _data_dir_of(config.run_dir)
    manifest = remote.load(data_dir)
    asked = list(_asked(config))
    try:
        with DataVersion.of_all(data_dir, manifest).reading():
            return [
                dataclasses.replace(trace(data_dir, manifest, id_), prediction=prediction)
                for id_, prediction in asked
            ]
    except (ledger.LedgerError, framing.DamagedRecordError) as error:
        raise TrainerError(str(error)) from error


def _asked(config: LineageConfig) -> Iterator[tuple[str, RecordPrediction | None]]:
    """Yields (id, prediction) of each picture that the flags name."""
    path = Path(config.run_dir, predictions.FILENAME)
    if not config.run_dir or (config.id and not path.exists()):
        yield config.id, None
        return
    try:
        predicted, classes, _ = predictions.read(path)
    except FileNotFoundError as error:
        raise TrainerError(f"no {path}: the run has not finished; train or evaluate it") from error
    except predictions.PredictionsError as error:
        raise TrainerError(str(error)) from error
    for row in _rows_asked(config, predicted):
        if row is None:
            yield config.id, None
        else:
            yield predicted.ids[row], _prediction(predicted, classes, row)


def _rows_asked(config: LineageConfig, predicted: Predictions) -> list[int | None]:
    """Returns the rows that the flags name; None for an --id without a prediction."""
    if config.row is not None:
        if not 0 <= config.row < len(predicted.ids):
            raise UsageError(f"--row must be 0 to {len(predicted.ids) - 1}, not {config.row}")
        return [config.row]
    index = {id_: row for row, id_ in enumerate(predicted.ids)}
    if config.id:
        return [index.get(config.id)]
    return [index[mistake.id] for mistake in mistakes.worst(predicted, config.mistakes or 0)]


def _prediction(predicted: Predictions, classes: Sequence[str], row: int) -> RecordPrediction:
    only = slice(row, row + 1)
    one = Predictions(predicted.ids[only], predicted.labels[only], predicted.logits[only])
    (probabilities,) = one.probabilities()
    label, guess = int(one.labels[0]), int(one.predicted[0])
    return RecordPrediction(
        row=row,
        label=classes[label],
        label_probability=float(probabilities[label]),
        predicted=classes[guess],
        probability=float(probabilities[guess]),
    )


def _key_and_copy(root: Folder, id_: str) -> tuple[str, int]:
    """Returns the source's key and the copy's number, from a record's id or from a key itself."""
    candidates = (parse_id(id_), (id_, 0))
    for key, copy in candidates:
        try:
            if _rows(root, "key", key):
                return key, copy
        except ledger.LedgerError as error:
            raise TrainerError(str(error)) from error
    raise TrainerError(
        f"the data set in {root} has no source {candidates[0][0]!r}; ids are POSIX paths "
        "relative to the input directory, as in predictions.parquet"
    )


def _rows(root: Folder, column: str, value: object) -> list[dict[str, Any]]:
    """Returns the ledger's rows with a value in a column."""
    return ledger.select(root, ledger.SCHEMA.names, pc.field(column) == value).to_pylist()


def _group(root: Folder, source: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the ledger's rows of a source's near-duplicate group, its own included."""
    return [] if source["group"] is None else _rows(root, "group", source["group"])


def _data_dir_of(run_dir: str) -> Folder:
    """Returns the data set of a run or of an evaluation.

    Raises:
      UsageError: it does not exist or does not say, or TensorFlow does not read the URL.
      TrainerError: it is gone, or neither a run nor an evaluation is there.
    """
    stored = RunConfig.read_if_present(run_dir)
    if stored is not None:
        return locate.data_dir(run_dir, stored)
    if not Path(run_dir, EVALUATION).exists():
        require_directory(run_dir)
        raise TrainerError(f"{run_dir} is neither a run nor an evaluation: it has no config.json")
    judged = StoredEvaluation.read(Path(run_dir, EVALUATION))
    if not judged.data_dir:
        raise UsageError(f"{run_dir} does not say which data set it belongs to: give --data_dir")
    there = remote.load(judged.data_dir).digest
    if judged.digest not in ("", there):
        raise TrainerError(
            f"{run_dir} is of the data set {judged.digest[:12]}…, and {judged.data_dir} holds "
            f"another ({there[:12]}…), baked again since: give --data_dir"
        )
    return remote.folder(judged.data_dir)


def _near_duplicates(origin: Origin) -> str:
    if not origin.near_duplicate_count:
        return "none"
    named = ", ".join(f"{key} ({split})" for key, split in origin.near_duplicates)
    more = origin.near_duplicate_count - len(origin.near_duplicates)
    return named + (f" and {more:,} more" if more else "")


def _dash(value: object) -> str:
    return "–" if value is None else str(value)


def main(config: LineageConfig) -> int:
    """Answers, as text or as JSON."""
    origins = run(config)
    if config.json:
        print(json.dumps([to_json(origin) for origin in origins], indent=2, ensure_ascii=False))
    else:
        print("\n\n".join(map(describe, origins)) or "no mistakes")
    if config.run_dir and not config.mistakes and not config.json:
        print(following.line("lineage", f"--run_dir={config.run_dir}", "--mistakes=10"))
    return DONE


COMMAND = Command(
    module="trainer.lineage",
    summary=(
        "Traces a record's id, a row of predictions.parquet or a run's worst mistakes back to "
        "the source file: its size, near-duplicates, split and place in the "
        "shards."
    ),
    arguments="",
    config=LineageConfig,
    main=main,
    examples="""\
evenshard lineage --data_dir=shards --id=homer/0001.jpg
evenshard lineage --run_dir=runs/a --row=7
evenshard lineage --run_dir=runs/a --mistakes=10""",
)


if __name__ == "__main__":
    sys.exit(COMMAND.run())
