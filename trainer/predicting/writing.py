"""The files of a prediction, each whole under its name or not there."""

from __future__ import annotations

import itertools
import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfrecords.system import atomic
from trainer.data.decoding import Decoded
from trainer.predicting import cells
from trainer.predicting.answers import Answers
from trainer.predicting.sample import Sample
from trainer.predicting.wish import separator_of

HEADER = ("Id", "Expected")
REJECTS_HEADER = ("Id", "reason", "detail")


@dataclass(frozen=True, eq=False)
class Submission:
    """The predictions of a run, or of several, on unlabelled pictures.

    Attributes:
      ids: of all pictures, in the order asked for.
      classes: names in label order.
      labels: int32[n, k], likeliest first; -1 where the picture could not be read.
      probabilities: float32[n, k], of those labels.
      fallback: class of the pictures that could not be read.
      shares: float64[classes], the probabilities of the pictures that could not be read.
      rejects: those pictures, and why.
    """

    ids: tuple[str, ...]
    classes: tuple[str, ...]
    labels: np.ndarray
    probabilities: np.ndarray
    fallback: str
    shares: np.ndarray
    rejects: tuple[Decoded, ...]

    def expected(self, row: int) -> str:
        """Returns the class of a picture: the likeliest, or the fallback."""
        label = self.labels[row, 0]
        return self.fallback if label < 0 else self.classes[label]

    def spread(self, row: int) -> np.ndarray:
        """Returns the probabilities of a picture, float64[classes] in label order; needs all k."""
        if self.labels[row, 0] < 0:
            return self.shares
        result = np.zeros(len(self.classes), np.float64)
        result[self.labels[row]] = self.probabilities[row]
        return result


@dataclass(frozen=True, slots=True)
class Paths:
    """Where the files of a prediction go.

    Attributes:
      submission: the CSV that was asked for; as .tsv it has tabs.
      rejects: what could not be read, and why.
      top_k: the likeliest classes and their probabilities.
      runs: which runs answered, where there are several.
    """

    submission: Path
    rejects: Path
    top_k: Path
    runs: Path

    @classmethod
    def of(cls, output: str) -> Paths:
        """Returns the paths that go with --output."""
        beside = (Path(f"{output}{end}") for end in (".rejects.csv", ".top_k.csv", ".runs.json"))
        return cls(Path(output), *beside)

    def all(self) -> tuple[Path, ...]:
        """Returns all of them."""
        return self.submission, self.rejects, self.top_k, self.runs


@dataclass(frozen=True, eq=False)
class Layout:
    """How a submission is laid out.

    Attributes:
      answers: what is written for each picture.
      sample: that it is to be like, or None.
      rows: for each row of the sample, the picture that it asks for; () without a sample.
      escape_formulas: whether spreadsheets are kept from running ids and classes.
    """

    answers: Answers = Answers()
    sample: Sample | None = None
    rows: tuple[int, ...] = ()
    escape_formulas: bool = False


def check_writable(output: str) -> None:
    """Makes the folder of a file, and tries to write there, before hours of work.

    Raises:
      OSError: nothing can be written there.
    """
    path = Path(output)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_file():
        return  # A pipe or a device.
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            return
    except OSError as error:
        error.filename = output
        raise


def write(
    found: Submission,
    paths: Paths,
    layout: Layout | None = None,
    top_k: int = 0,
    record: Mapping[str, Any] | None = None,
) -> None:
    """Writes the submission, and before it what goes with it.

    Files of an earlier prediction that no longer apply are deleted. The submission comes last:
    once it is there, the others are.

    Raises:
      OSError: a file cannot be written; it names the path.
    """
    layout = layout or Layout()
    text = cells.escaped if layout.escape_formulas else str
    if found.rejects:
        _write_csv(paths.rejects, REJECTS_HEADER, (_reject(item, text) for item in found.rejects))
    else:
        _remove_earlier(paths.rejects)
    if top_k:
        k = min(top_k, found.labels.shape[1])
        _write_csv(paths.top_k, _top_header(k), _top_rows(found, k, text))
    else:
        _remove_earlier(paths.top_k)
    if record is not None:
        atomic.write_text(paths.runs, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    else:
        _remove_earlier(paths.runs)
    if layout.sample is not None:
        _write_like(paths.submission, layout.sample, found, layout)
    else:
        _write_csv(
            paths.submission,
            _header(found, layout.answers, text),
            (
                [text(id_), *_values(found, row, layout.answers, text)]
                for row, id_ in enumerate(found.ids)
            ),
            separator_of(paths.submission),
        )


def formulas(found: Submission) -> list[str]:
    """Returns the ids and classes that a spreadsheet takes for formulas."""
    return [name for name in (*found.ids, *found.classes) if cells.is_formula(name)]


def _header(found: Submission, answers: Answers, text: Callable[[str], str]) -> list[str]:
    if len(answers.labels) > 1:
        return [HEADER[0], *(text(found.classes[label]) for label in answers.labels)]
    return list(HEADER)


def _values(
    found: Submission, row: int, answers: Answers, text: Callable[[str], str]
) -> Sequence[str]:
    """Returns what is written for a picture."""
    if len(answers.labels) == 1:
        return [cells.one_decimal(found.spread(row)[answers.labels[0]])]
    if answers.labels:
        return cells.decimals(found.spread(row)[list(answers.labels)])
    if not answers.as_index:
        return [text(found.expected(row))]
    label = int(found.labels[row, 0])
    return [str(label if label >= 0 else found.classes.index(found.fallback))]


def _write_like(path: Path, sample: Sample, found: Submission, layout: Layout) -> None:
    values = (_values(found, row, layout.answers, str) for row in layout.rows)
    with atomic.open_bytes(path) as file:
        file.write(sample.decoded.mark)
        for piece in sample.filled(layout.answers.columns, values):
            file.write(sample.encode(piece))


def _top_header(k: int) -> list[str]:
    return ["Id", *(f"{name}_{i}" for i in range(1, k + 1) for name in ("class", "p"))]


def _top_rows(found: Submission, k: int, text: Callable[[str], str]) -> Iterator[list[str]]:
    for row, id_ in enumerate(found.ids):
        line = [text(id_)]
        for label, p in zip(found.labels[row, :k], found.probabilities[row, :k], strict=True):
            line += [text(found.classes[label]), f"{p:.6f}"] if label >= 0 else ["", ""]
        yield line


def _reject(item: Decoded, text: Callable[[str], str]) -> list[str]:
    reason = item.reason.value if item.reason else ""
    return [text(item.source.key), reason, text(item.detail)]


def _remove_earlier(path: Path) -> None:
    """Removes what an earlier prediction wrote beside its submission, and says so."""
    if path.exists():
        path.unlink()
        print(f"removed {path}, which was of an earlier prediction", file=sys.stderr)


def _write_csv(
    path: Path, header: Sequence[str], rows: Iterable[Sequence[str]], separator: str = ","
) -> None:
    """Writes a table; odd bytes of file names come out as they were."""
    with atomic.open_text(path, newline="", errors="surrogateescape") as file:
        for line in itertools.chain([header], rows):
            file.write(separator.join(cells.field(text, separator) for text in line) + "\n")
