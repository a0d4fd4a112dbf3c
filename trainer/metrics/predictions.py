"""`predictions.parquet`: a network's prediction for each picture, by the picture's id.

Columns: `id` of the record, `label` and `predicted` (names of classes), `probability` of the
predicted class, `loss` (negative log-likelihood of the true class, nats), `probabilities` (a
list in label order); all of them are calibrated where the run has a temperature. The schema's
metadata holds, under `evenshard` and as JSON, the class names in label order and what else the
writer adds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfrecords.errors import EvenshardError
from tfrecords.system import atomic
from trainer.metrics import metrics
from trainer.metrics.metrics import Predictions
from trainer.metrics.probabilities import Temperature

FILENAME = "predictions.parquet"

_METADATA = b"evenshard"


class PredictionsError(EvenshardError, ValueError):
    """A file is not a predictions.parquet; the text says what it lacks."""


def write(
    path: str | Path,
    predictions: Predictions,
    classes: Sequence[str],
    about: Mapping[str, object] | None = None,
    temperature: Temperature | None = None,
) -> None:
    """Writes predictions, whole or not at all.

    Args:
      path: of the file.
      predictions: rows in any order, which is kept.
      classes: names in label order.
      about: JSON values that describe the predictions: split, weights, digest….
      temperature: divides the logits; `about` then has it and its note.

    Raises:
      ValueError: another number of `classes` than the predictions have.
      OSError: the file cannot be written.
    """
    about = dict(about or {})
    if temperature is not None:
        about |= {"temperature": temperature.value, "temperature_note": temperature.note}
        predictions = predictions.at(temperature.value)
    table = to_table(predictions, classes, about)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with atomic.temporary_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read(path: str | Path) -> tuple[Predictions, tuple[str, ...], dict[str, object]]:
    """Returns (predictions, class names, the description given to `write`).

    The logits are the logarithms of the stored probabilities, whose softmax gives these back.
    Times `stored_temperature` they differ from the network's by a constant for each picture.

    Raises:
      PredictionsError: not a file that `write` wrote.
      OSError: the file cannot be read.
    """
    try:
        table = pq.read_table(path)
        about = json.loads((table.schema.metadata or {})[_METADATA])
        classes = tuple(about.pop("classes"))
        index = {name: i for i, name in enumerate(classes)}
        labels = np.array([index[name] for name in table["label"].to_pylist()], np.int64)
        flat = table["probabilities"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    except (pa.ArrowException, KeyError) as error:
        raise PredictionsError(
            f"{path} is not a {FILENAME} of the trainer ({error}): evaluate the run again"
        ) from error
    probabilities = flat.reshape(len(labels), len(classes))
    logits = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    return Predictions(tuple(table["id"].to_pylist()), labels, logits), classes, about


def stored_temperature(about: Mapping[str, object]) -> Temperature | None:
    """Returns the temperature of stored probabilities, from the description that `read` gives.

    None for a file of an earlier version, which has the probabilities of the logits as they are.
    """
    value = about.get("temperature")
    if not isinstance(value, (int, float)) or not value > 0:
        return None
    return Temperature(float(value), str(about.get("temperature_note", "")))


def to_table(
    predictions: Predictions, classes: Sequence[str], about: Mapping[str, object]
) -> pa.Table:
    """Returns the table that `write` writes.

    Raises:
      ValueError: another number of `classes` than the predictions have.
    """
    if len(classes) != predictions.classes:
        raise ValueError(f"{len(classes)} class names for {predictions.classes} classes")
    probabilities = predictions.probabilities()
    names = pa.array(classes, pa.string())
    columns = {
        "id": pa.array(predictions.ids, pa.string()),
        "label": names.take(pa.array(predictions.labels)),
        "predicted": names.take(pa.array(predictions.predicted)),
        "probability": pa.array(probabilities.max(axis=1)),
        "loss": pa.array(metrics.picture_losses(predictions).astype(np.float32)),
        "probabilities": pa.FixedSizeListArray.from_arrays(
            pa.array(probabilities.reshape(-1)), predictions.classes
        ),
    }
    metadata = json.dumps({"classes": list(classes), **about}, ensure_ascii=False)
    return pa.table(columns).replace_schema_metadata({_METADATA: metadata.encode()})
