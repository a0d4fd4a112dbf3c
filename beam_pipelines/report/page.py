"""The report of a bake: one self-contained page and a figure of the class balance.

The process that started the bake writes it at the end; workers import none of this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from markupsafe import Markup

from beam_pipelines.cache import storage
from beam_pipelines.choices import SplitBy
from beam_pipelines.config import PrepareConfig
from beam_pipelines.report import label_issues, samples, tables
from beam_pipelines.report.bake_facts import REPORT_DIRECTORY, REPORT_PAGE, BakeFacts
from beam_pipelines.report.draw_figures import Drawing, FigureTask
from beam_pipelines.report.label_issues import LabelIssue
from beam_pipelines.report.samples import Gallery
from beam_pipelines.report.source_reader import ReadSource
from beam_pipelines.report.tables import ClassRow, EqualSet, Group
from beam_pipelines.report.thumbnails import Thumbnails, alternate_reasons
from beam_pipelines.similarity.leak_meter import NEAR, LeakMeter
from beam_pipelines.similarity.optimism import USUAL, Optimism
from tfrecords import inspect, ledger, manifest
from tfrecords.images.decode_pool import WorkerPool
from tfrecords.manifest import Manifest
from tfrecords.reader import OpenShard
from tfrecords.reporting import html, links
from tfrecords.schema import TRAIN

PAGE = REPORT_PAGE
PLAN_PAGE = "plan.html"
BALANCE_PNG = "class_balance.png"
PLAN_PNG = "plan.png"
DIRECTORY = REPORT_DIRECTORY

# Columns of the ledger that the figures are drawn from.
FIGURE_COLUMNS = ("key", "class", "status", "width", "height")

# Nobody looks at the hundredth rejected file.
MAX_REJECTS = 24
MAX_SETS = 12
MAX_GROUPS = 12
MAX_GROUP_MEMBERS = 6
MAX_PAIRS = 12
_MAX_NAMED_ROWS = 500

# Source: Pillow's handbook, "Concepts: modes".
_MODE_NAMES = {
    "1": "black and white",
    "CMYK": "print colours",
    "I;16": "16-bit grey",
    "L": "grey",
    "LA": "grey with alpha",
    "P": "palette",
    "RGBA": "with alpha",
}


@dataclass(frozen=True)
class ReportInputs:
    """What a report is made from.

    Attributes:
      output_dir: of the data set; a local path or a URL that Beam reads.
      manifest: of the data set, or the planned one.
      sources: the ledger, columns of `tfrecords.ledger.SCHEMA`, in key order.
      read_source: returns the bytes of a source by its key, or raises OSError or KeyError; None
        if sources cannot be read any more: then only kept pictures are shown.
      leaks: the leak meter of each held-out split.
      timings: stage → seconds, in order; never part of a digest.
      notes: of the bake, one line each.
      plan_only: nothing was baked; the page is the plan, `plan.html`, without samples.
      optimism: what the first held-out split claims, if it was measured.
      preview: label → keys of sources to show, of a plan.
    """

    output_dir: str
    manifest: Manifest
    sources: pa.Table
    read_source: ReadSource | None = None
    leaks: Sequence[LeakMeter] = ()
    timings: Mapping[str, float] | None = None
    notes: Sequence[str] = ()
    plan_only: bool = False
    optimism: Optimism | None = None
    preview: Mapping[int, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        missing = set(ledger.SCHEMA.names) - set(self.sources.column_names)
        if missing:
            raise ValueError(f"sources lack the columns {sorted(missing)}")


def begin_figures(
    dataset: Manifest,
    sources: pa.Table,
    leaks: Sequence[LeakMeter],
    pool: WorkerPool | None,
) -> Drawing:
    """Begins to draw the figures of a report, for `write`.

    Args:
      dataset: the manifest; its shards need not be known yet.
      sources: the ledger; `FIGURE_COLUMNS` are enough.
      leaks: the leak meter of each held-out split.
      pool: of workers; None to draw when the page is written.
    """
    known = sources.filter((pc.field("width") > 0) & (pc.field("height") > 0))
    widths, heights = (known[name].to_numpy() for name in ("width", "height"))
    left_out = _left_out(tables.class_rows(dataset, sources))
    return Drawing(FigureTask(dataset, left_out, widths, heights, leaks), pool)


def write(
    inputs: ReportInputs, pool: WorkerPool | None = None, drawing: Drawing | None = None
) -> str:
    """Writes a page, a figure and a list into `report/` and returns the page's path.

    They are `index.html`, `class_balance.png` and `label_issues.csv`, or `plan.html` and
    `plan.png` of a plan, so that a plan never replaces the report of a bake.

    Args:
      inputs: what the report is made from.
      pool: of workers that draw figures and samples; None to draw in this process.
      drawing: the figures, if they are begun already.

    Raises:
      DamagedRecordError: a shard with a picture to show is damaged.
      OSError: a shard cannot be read.
      BakeError: a file cannot be written.
    """
    if drawing is None:
        drawing = begin_figures(inputs.manifest, inputs.sources, inputs.leaks, pool)
    rows = tables.class_rows(inputs.manifest, inputs.sources)
    gallery = None
    if not inputs.plan_only:
        opener = _opener(inputs.output_dir)
        gallery = samples.begin(inputs.manifest, inputs.sources, opener, _by_size(rows), pool)
    directory = storage.join(inputs.output_dir, DIRECTORY)
    storage.make_directory(directory)
    page_name, png_name = (PLAN_PAGE, PLAN_PNG) if inputs.plan_only else (PAGE, BALANCE_PNG)
    path = storage.join(directory, page_name)
    doubles = _doubles(inputs)
    text = page(inputs, rows, drawing, gallery, doubles)
    storage.write_bytes(storage.join(directory, png_name), drawing.figures().balance_png)
    storage.write_bytes(path, text.encode())
    if not inputs.plan_only:
        listed = label_issues.to_csv(doubles.issues)
        storage.write_bytes(storage.join(directory, label_issues.FILENAME), listed.encode())
    return path


def write_plan(
    config: PrepareConfig, planned: Manifest, table: pa.Table, read_source: ReadSource | None = None
) -> str:
    """Writes the page of a plan that has not been baked and returns its path.

    Args:
      config: of the bake.
      planned: the planned manifest.
      table: the planned ledger.
      read_source: as for `ReportInputs`; without it no samples are shown.
    """
    shown = tables.planned_samples(planned, table) if read_source is not None else {}
    return write(
        ReportInputs(config.output_dir, planned, table, read_source, plan_only=True, preview=shown)
    )


def write_for(
    output_dir: str,
    facts: BakeFacts,
    read_source: ReadSource | None = None,
    pool: WorkerPool | None = None,
    drawing: Drawing | None = None,
) -> str:
    """Writes the report of a finished bake and returns the page's path.

    Args:
      output_dir: of the data set.
      facts: of the bake.
      read_source: as for `ReportInputs`.
      pool, drawing: as for `write`.
    """
    with storage.fetched(output_dir, manifest.MANIFEST, manifest.SOURCES) as local:
        dataset, table = manifest.load(local), ledger.read(local)
    inputs = ReportInputs(
        output_dir,
        dataset,
        table,
        read_source,
        facts.leaks,
        facts.seconds,
        facts.notes,
        optimism=facts.optimism,
    )
    return write(inputs, pool, drawing)


@dataclass(frozen=True)
class Doubles:
    """Pictures that were found more than once.

    Attributes:
      sets: of files with equal bytes.
      issues: what lies under several classes.
    """

    sets: Sequence[EqualSet]
    issues: Sequence[LabelIssue]


def _doubles(inputs: ReportInputs) -> Doubles:
    sets = tables.equal_sets(inputs.sources)
    config = inputs.manifest.config
    named = bool(config.get("group_by") or config.get("group_column"))
    return Doubles(sets, label_issues.find(inputs.sources, sets, named=named))


def page(
    inputs: ReportInputs,
    rows: Sequence[ClassRow],
    drawing: Drawing,
    gallery: Gallery | None,
    doubles: Doubles,
) -> str:
    """Returns the text of the page; a plan has no gallery."""
    dataset, table = inputs.manifest, inputs.sources
    open_shard = None if inputs.plan_only else _opener(inputs.output_dir)
    thumbnails = Thumbnails(dataset, table, open_shard, inputs.read_source)
    context = {
        "inputs": inputs,
        "manifest": dataset,
        "train": dataset.split(TRAIN),
        "image": inspect.describe_image(dataset.image),
        "order": [rows[label] for label in _by_size(rows)[:_MAX_NAMED_ROWS]],
        "rows_cut": len(rows) > _MAX_NAMED_ROWS,
        "mode_names": _MODE_NAMES,
        "grouped_by": _grouped_by(dataset),
        "by_appearance": dataset.config.get("split_by") == SplitBy.APPEARANCE.value,
        **_extremes(rows),
        "warnings": tables.warnings_of(dataset, rows),
        "formats": tables.format_rows(table),
        "timings": _timings(inputs),
        "facts": _facts(dataset),
    }
    context |= _reject_section(table, thumbnails)
    context |= _duplicate_section(table, doubles, thumbnails)
    context |= _leak_section(inputs.leaks, thumbnails)
    context["runs"] = _runs(inputs)
    context |= _plan_section(rows, inputs.preview, thumbnails)
    # Last, since workers may still be drawing.
    context |= _sample_section(rows, gallery)
    context |= _figure_section(drawing)
    return html.render("beam_pipelines.report", "report.html.j2", context)


def _opener(output_dir: str) -> OpenShard:
    return lambda name: storage.open_read(storage.join(output_dir, name))


def _grouped_by(dataset: Manifest) -> str:
    """Returns what the pictures of a group have in common, in words."""
    column = dataset.config.get("group_column")
    of_flags = [
        *(["share a name's match"] if dataset.config.get("group_by") else []),
        *([f"have one value of {column}"] if column else []),
    ]
    return " or ".join(of_flags) or "look the same"


def _left_out(rows: Sequence[ClassRow]) -> dict[str, list[int]]:
    return {
        "capped": [row.capped for row in rows],
        "duplicate": [row.duplicates for row in rows],
        "rejected": [row.rejected for row in rows],
    }


def _by_size(rows: Sequence[ClassRow]) -> list[int]:
    return sorted(range(len(rows)), key=lambda label: (-rows[label].files, label))


def _extremes(rows: Sequence[ClassRow]) -> dict[str, int]:
    """Returns the sizes of the largest class and of the smallest that is not empty."""
    files = [row.files for row in rows if row.files] or [1]
    train = [row.train for row in rows if row.train] or [1]
    return {
        "largest_files": max(files),
        "smallest_files": min(files),
        "largest_train": max(train),
        "smallest_train": min(train),
    }


def _figure_section(drawing: Drawing) -> dict[str, object]:
    drawn, task = drawing.figures(), drawing.task
    sizes: list[tuple[str, Markup, str]] = []  # (title, figure, caption)
    if drawn.sizes is not None:
        sizes.append(
            (
                "Width and height",
                drawn.sizes,
                f"The median width is {np.median(task.widths):,.0f} pixels, the median height "
                f"{np.median(task.heights):,.0f}.",
            )
        )
    if drawn.scales is not None:
        enlarged = float(np.mean(task.scales < 1))
        too_large = ": a smaller --image_size would lose them nothing" if enlarged > 0.5 else ""
        sizes.append(
            (
                "Larger or smaller than the records",
                drawn.scales,
                f"{html.percent(enlarged)} of the pictures were enlarged{too_large}."
                if enlarged
                else "No picture was enlarged.",
            )
        )
    return {"balance": drawn.balance, "sizes": sizes, "leak_figure": drawn.leaks}


def _timings(inputs: ReportInputs) -> list[tuple[str, float, float]]:
    """Returns (stage, seconds, share of the longest)."""
    seconds = inputs.timings or {}
    longest = max(seconds.values(), default=0) or 1
    return [(stage, value, value / longest) for stage, value in seconds.items()]


def _facts(dataset: Manifest) -> dict[str, list[tuple[str, str]]]:
    return {
        "config": [(name, inspect.show_value(value)) for name, value in dataset.config.items()],
        "digests": list(dataset.digests.items()),
    }


def _sample_section(rows: Sequence[ClassRow], gallery: Gallery | None) -> dict[str, object]:
    if gallery is None:
        return {"strips": [], "unshown": 0, "tile": 0}
    of_class = [rows[label] for label in gallery.labels]
    return {
        "strips": list(zip(of_class, gallery.strips(), strict=True)),
        "unshown": gallery.hidden,
        "tile": min(gallery.side, samples.SHOWN_TILE),
    }


def _plan_section(
    rows: Sequence[ClassRow], preview: Mapping[int, Sequence[str]], thumbnails: Thumbnails
) -> dict[str, object]:
    return {
        "plan_samples": [(rows[label], keys) for label, keys in preview.items()],
        "plan_thumbnails": thumbnails.of(key for keys in preview.values() for key in keys),
        "plan_unshown": len(rows) - len(preview),
    }


def _runs(inputs: ReportInputs) -> Markup:
    """Returns the links to runs that an earlier page of this data set has."""
    digest, lines = inputs.manifest.digest, ""
    if not (storage.is_remote(inputs.output_dir) or inputs.plan_only):
        lines = links.kept(Path(inputs.output_dir) / links.PAGE, digest)
    return Markup(links.block(digest, lines))


def _reject_section(table: pa.Table, thumbnails: Thumbnails) -> dict[str, object]:
    rejected = tables.rejects(table)
    keys, reasons = (rejected[name].to_pylist() for name in ("key", "reason"))
    indices = alternate_reasons(keys, [reason or "" for reason in reasons], MAX_REJECTS)
    shown = rejected.take(pa.array(indices, pa.int64())).to_pylist()
    uris = thumbnails.of(row["key"] for row in shown)
    return {
        "reasons": tables.reason_rows(rejected),
        "rejects": sorted(shown, key=lambda row: row["key"] not in uris),
        "reject_count": len(rejected),
        "ignored": tables.reason_rows(tables.ignored(table)),
        "reject_thumbnails": uris,
    }


def _duplicate_section(
    table: pa.Table, doubles: Doubles, thumbnails: Thumbnails
) -> dict[str, object]:
    conflicts = [equal for equal in doubles.sets if equal.conflict]
    same_class = [equal for equal in doubles.sets if not equal.conflict]
    groups = tables.groups(table, MAX_GROUPS)
    shown = [*conflicts[:MAX_SETS], *same_class[:MAX_SETS]]
    return {
        "conflicts": conflicts,
        "issues": doubles.issues,
        "issues_file": label_issues.FILENAME,
        "equal_sets": same_class,
        "max_sets": MAX_SETS,
        "groups": groups,
        "max_members": MAX_GROUP_MEMBERS,
        "thumbnails": thumbnails.of(_keys(shown, groups.shown)),
    }


def _leak_section(leaks: Sequence[LeakMeter], thumbnails: Thumbnails) -> dict[str, object]:
    pairs = sorted(
        ((pair, meter.split) for meter in leaks for pair in meter.pairs),
        key=lambda item: item[0].distance,
    )[:MAX_PAIRS]
    return {
        "leaks": leaks,
        "leak_near": NEAR,
        "usual_optimism": USUAL,
        "pairs": pairs,
        "pair_thumbnails": thumbnails.of(
            key for pair, _ in pairs for key in (pair.held_out, pair.train)
        ),
    }


def _keys(sets: Sequence[EqualSet], groups: Sequence[Group]) -> list[str]:
    keys = [equal.shown for equal in sets]
    return keys + [key for group in groups for key in group.keys[:MAX_GROUP_MEMBERS]]
