"""`python -m tfrecords.inspect DIR`: what is in a data set, on the terminal and as pictures."""

from __future__ import annotations

import itertools
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import MISSING, dataclass
from pathlib import Path

from tfrecords import example, framing, manifest
from tfrecords.cli import flags, following
from tfrecords.cli.flags import flag
from tfrecords.cli.run import Command
from tfrecords.errors import UsageError
from tfrecords.manifest import Manifest, SplitInfo
from tfrecords.reporting.html import shorten
from tfrecords.schema import TRAIN, Encoding, ImageSpec
from tfrecords.sizes import mebibytes
from tfrecords.system import atomic

_GRID_COLUMNS = 8
_MIN_BAR, _MAX_BAR = 12, 48
_MAX_ID = 200
_EIGHTHS = " ▏▎▍▌▋▊▉"


_SHOW, _PICTURES = "What to show", "Pictures to write"


@dataclass(frozen=True, kw_only=True)
class InspectConfig:
    """What to show of a data set. Fields are the flags of `evenshard inspect`.

    Raises:
      UsageError: a value out of range.
    """

    data_dir: str = flag(
        MISSING, _SHOW, "A data set that `evenshard bake` wrote.", metavar="DIR", positional=True
    )
    split: str | None = flag(
        None, _SHOW, "Show this split only, e.g. train; without the configuration.", metavar="NAME"
    )
    records: int | None = flag(
        None, _SHOW, "List the first N records of each split instead of the summary.", metavar="N"
    )
    samples: str | None = flag(
        None,
        _PICTURES,
        f"A grid of {_GRID_COLUMNS} pictures per class, those of lowest rank, of --split or train; "
        "augmented copies have a blue frame. Written instead of the summary.",
        metavar="PNG",
    )
    histogram: str | None = flag(
        None,
        _PICTURES,
        "The class balance as a figure: sources found, and records to train on. Written instead "
        "of the summary.",
        metavar="PNG",
    )

    def __post_init__(self) -> None:
        flags.convert_fields(self)
        if self.records is not None and self.records < 1:
            raise UsageError(f"--records must be 1 or more, not {self.records}")
        for name in ("samples", "histogram"):
            path = getattr(self, name)
            if path is not None and Path(path).suffix.lower() != ".png":
                raise UsageError(f"--{name}={path}: it is written as PNG: name it {path}.png")


def main(config: InspectConfig) -> None:
    """Runs the command."""
    found = manifest.load(config.data_dir)
    splits = found.splits if config.split is None else (found.split(config.split),)
    if not (config.records or config.samples or config.histogram):
        width = shutil.get_terminal_size((100, 24)).columns
        print(*summary(found, splits, width, _unicode()), sep="\n")
    if config.records:
        for split in splits:
            if split is not splits[0]:
                print()
            print(*record_lines(config.data_dir, found, split, config.records), sep="\n")
    if config.samples:
        _write(config.samples, sample_png(config.data_dir, found, config.split or TRAIN))
    if config.histogram:
        _write(config.histogram, histogram_png(found))
    if not config.records:  # A list that programs read ends with its last row.
        print(following.training(config.data_dir, folded=bool(found.folds)))


def summary(
    found: Manifest, splits: Sequence[SplitInfo], width: int = 100, unicode: bool = True
) -> Iterator[str]:
    """Yields the lines that describe a data set.

    Args:
      found: its manifest.
      splits: those to show.
      width: columns of the terminal.
      unicode: whether it shows block characters.
    """
    yield f"{found.name}: {len(found.classes):,} classes, {describe_image(found.image)}"
    yield ""
    yield from split_table(splits)
    yield ""
    if found.folds:
        yield from fold_table(found)
        yield ""
    yield from class_table(found, splits, width, unicode)
    if len(splits) < len(found.splits):  # Of some splits was asked, not of the data set.
        return
    yield ""
    statuses = ", ".join(f"{count:,} {name}" for name, count in found.statuses.items() if count)
    yield from _facts({"sources": statuses or "none"})
    yield ""
    yield from _facts({f"digest {name}": digest for name, digest in found.digests.items()})
    yield ""
    yield from _facts({f"config {name}": show_value(value) for name, value in found.config.items()})


def describe_image(spec: ImageSpec) -> str:
    """Returns an image spec in words, e.g. "224x224 pixels (squash), jpeg of quality 95"."""
    size = f"{spec.height}x{spec.width}" if spec.fixed_size else f"short side {spec.height}"
    quality = f" of quality {spec.jpeg_quality}" if spec.encoding is Encoding.JPEG else ""
    return f"{size} pixels ({spec.resize.value}), {spec.encoding.value}{quality}"


def split_table(splits: Sequence[SplitInfo]) -> list[str]:
    """Returns a table of splits, and their total if there are several."""
    rows = [_split_row(split.name, [split]) for split in splits]
    if len(rows) > 1:
        rows.append(_split_row("total", splits))
    return _table([("split", "originals", "copies", "records", "shards", "MiB"), *rows])


def fold_table(found: Manifest) -> list[str]:
    """Returns a table of the folds: what each run has in train and in validation."""
    rows = [
        (str(number), *(f"{sum(counts):,}" for counts in (
            fold.train_originals, fold.train_copies, fold.originals)), str(fold.shards))
        for number, fold in enumerate(found.folds)
    ]  # fmt: skip
    heading = ("--fold", "train originals", "train copies", "validation", "shards")
    return _table([heading, *rows])


def _split_row(name: str, splits: Sequence[SplitInfo]) -> Sequence[str]:
    originals = sum(sum(split.originals) for split in splits)
    copies = sum(sum(split.copies) for split in splits)
    shards = sum(len(split.shards) for split in splits)
    size = sum(split.bytes for split in splits)
    counts = (originals, copies, originals + copies, shards)
    return name, *(f"{count:,}" for count in counts), mebibytes(size)


def class_table(
    found: Manifest, splits: Sequence[SplitInfo], width: int, unicode: bool = True
) -> list[str]:
    """Returns a table of classes, most records first, with a bar of originals and copies."""
    totals = [
        sum(split.originals[label] + split.copies[label] for split in splits)
        for label in range(len(found.classes))
    ]
    order = sorted(range(len(totals)), key=lambda label: -totals[label])
    copied = any(any(split.copies) for split in splits)
    head = ["class", "label", *(split.name for split in splits), *(["copies"] if copied else [])]
    rows = [
        [
            shorten(found.classes[label], 32),
            str(label),
            *(f"{split.originals[label]:,}" for split in splits),
            *([f"{sum(split.copies[label] for split in splits):,}"] if copied else []),
        ]
        for label in order
    ]
    lines = _table([head, *rows])
    room = max(_MIN_BAR, min(_MAX_BAR, width - _columns(lines[0]) - 3))
    scale = room / max(totals, default=1) if any(totals) else 0
    bars = [
        bar(
            sum(split.originals[label] for split in splits) * scale,
            sum(split.copies[label] for split in splits) * scale,
            unicode,
        )
        for label in order
    ]
    shown = "originals" + (f", {_COPY[unicode]} copies" if copied else "")
    head_bar = f"{_FULL[unicode]} {shown}"
    return [f"{line}  {bar_}".rstrip() for line, bar_ in zip(lines, [head_bar, *bars], strict=True)]


_FULL = {True: "█", False: "#"}
_COPY = {True: "░", False: "+"}


def bar(originals: float, copies: float, unicode: bool = True) -> str:
    """Returns a bar of `originals` + `copies` characters; never empty unless both are 0."""
    if not unicode:
        return "#" * _at_least_one(originals) + "+" * _at_least_one(copies)
    if copies:
        return "█" * _at_least_one(originals) + "░" * _at_least_one(copies)
    whole, eighths = divmod(max(round(originals * 8), 1 if originals else 0), 8)
    return "█" * whole + _EIGHTHS[eighths].strip()


def _at_least_one(length: float) -> int:
    return max(round(length), 1 if length else 0)


def record_lines(data_dir: str | Path, found: Manifest, split: SplitInfo, limit: int) -> list[str]:
    """Returns a table of the first `limit` records of a split.

    Raises:
      DamagedRecordError, ExampleError: a record that was read.
    """
    names = (shard.filename for shard in split.shards)
    records = (
        (name, position, payload)
        for name in names
        for position, payload in enumerate(framing.read_records(str(Path(data_dir) / name)))
    )
    rows = [("record", "class", "rank", "copy", "bytes", "id")]
    for name, position, payload in itertools.islice(records, limit):
        record = example.decode(payload)
        place = f"{name.partition('.tfrecord-')[2][:5]}/{position}"
        known = record.label < len(found.classes)
        class_ = found.classes[record.label] if known else f"label {record.label}?"
        rows.append(
            (place, shorten(class_), f"{record.rank}", f"{record.copy}",
             f"{len(record.image):,}", shorten(record.id, _MAX_ID))
        )  # fmt: skip
    first, *others = _table([row[:5] for row in rows])
    lines = [f"{line}  {id_}" for line, (*_, id_) in zip((first, *others), rows, strict=True)]
    return [f"records of {split.name} (shard/position):", *lines]


def sample_png(data_dir: str | Path, found: Manifest, split: str) -> bytes:
    """Returns the grid of samples of a split as a PNG file."""
    # These import Arrow and matplotlib, a second that the tables do not need.
    import pyarrow.compute as pc

    from tfrecords import ledger, reader
    from tfrecords.reporting import sample_grid

    first = pc.field("rank") < _GRID_COLUMNS
    chosen = reader.read_samples(
        found,
        ledger.select(data_dir, reader.COLUMNS, first),
        reader.opener(data_dir),
        split,
        _GRID_COLUMNS,
        _GRID_COLUMNS,
    )
    info = found.split(split)
    rows = [
        sample_grid.GridClass(name, _class_note(info, label), chosen[label])
        for label, name in enumerate(found.classes)
    ]
    title = f"{found.name}, {split}: {describe_image(found.image)}"
    return sample_grid.grid_png(title, rows, found.image, _GRID_COLUMNS)


def _class_note(split: SplitInfo, label: int) -> str:
    copies = f" + {split.copies[label]:,}" if split.copies[label] else ""
    return f"{split.originals[label]:,}{copies}"


def histogram_png(found: Manifest) -> bytes:
    """Returns the figure of class balance as a PNG file."""
    from tfrecords.reporting import balance, figures

    return figures.to_png(balance.balance_figure(found))


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Returns rows as lines, the first column left-aligned and the others right-aligned."""
    widths = [max(map(_columns, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(_padded(row, widths)) for row in rows]


def _padded(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
        space = " " * (width - _columns(cell))
        yield cell + space if column == 0 else space + cell


def _columns(text: str) -> int:
    """Returns the columns that `text` takes on a terminal, where CJK characters take two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _facts(pairs: dict[str, str]) -> Iterable[str]:
    width = max(map(len, pairs), default=0)
    return (f"{name.ljust(width)}  {value}" for name, value in pairs.items())


def show_value(value: object) -> str:
    """Returns a value of a manifest's configuration as text: "a=1, b=2", "x:0.8, y:0.2", "none"."""
    if isinstance(value, dict):
        return ", ".join(f"{name}={show_value(item)}" for name, item in value.items())
    if isinstance(value, list):
        pairs = value and all(isinstance(item, list) for item in value)
        shown = (
            [":".join(map(show_value, item)) for item in value] if pairs else map(show_value, value)
        )
        return ", ".join(shown) or "none"
    return "none" if value in (None, "") else str(value)


def _unicode() -> bool:
    try:
        "█░▏".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _write(path: str, data: bytes) -> None:
    atomic.write_bytes(path, data)
    print(f"wrote {path}", file=sys.stderr)


COMMAND = Command(
    module="tfrecords.inspect",
    summary=(
        "Shows what is in a data set: its splits, classes, image format, digests and the "
        "configuration it was baked with; or pictures and records alone, where they are asked for. "
        "To check every byte use `evenshard verify`."
    ),
    arguments="DIR",
    config=InspectConfig,
    main=main,
    examples="""\
evenshard inspect out
evenshard inspect out --samples=grid.png --histogram=balance.png
evenshard inspect out --split=validation --records=20""",
)


if __name__ == "__main__":
    sys.exit(COMMAND.run())
