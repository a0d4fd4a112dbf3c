from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image

from beam_pipelines.report import again, page, samples, tables, thumbnails
from beam_pipelines.report.bake_facts import BakeFacts
from beam_pipelines.report.page import ReportInputs
from beam_pipelines.report.tables import EqualSet
from beam_pipelines.similarity.leak_meter import EDGES, LeakMeter, LeakPair
from beam_pipelines.similarity.optimism import Optimism
from tests.support.datasets import fakes
from tfrecords import ledger, manifest
from tfrecords.images.decode_pool import WorkerPool
from tfrecords.images.rejects import RejectReason
from tfrecords.reporting import links

MEGABYTE = 10**6


def extended(table: pa.Table, rows: Sequence[Mapping[str, object]]) -> pa.Table:
    """Returns a ledger with more rows, in key order."""
    return pa.concat_tables([table, pa.Table.from_pylist(list(rows), ledger.SCHEMA)]).sort_by("key")


def left_out(key: str, status: str, **columns: object) -> dict[str, object]:
    return {"key": key, "class": key.partition("/")[0], "status": status, "bytes": 10} | columns


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "data"
    counts = {"train": (8, 5, 1), "validation": (2, 1, 0), "test": (2, 2, 0)}
    fakes.write_dataset(path, counts, copies=24)
    return path


@pytest.fixture(scope="module")
def inputs(data_dir: Path) -> ReportInputs:
    """A bake with a bit of everything."""
    table = ledger.read(data_dir)
    first, second = (table.slice(i, 1).to_pylist()[0] for i in (0, 14))
    size = {"width": 24, "height": 24, "format": "JPEG", "mode": "RGB"}
    rows = [
        left_out("apu/a<b>&.jpg", "rejected", reason="truncated", detail="ends early", **size),
        left_out("apu/empty.jpg", "rejected", reason="empty", bytes=0),
        left_out("bart/boom.png", "rejected", reason="decoder_crashed"),
        left_out(
            "bart/twice.jpg", "duplicate", reason=first["key"], sha256=first["sha256"], **size
        ),
        left_out(
            "bart/same.jpg", "duplicate", reason=second["key"], sha256=second["sha256"], **size
        ),
        left_out("lisa/more.jpg", "capped", split="train", rank=99, group=7, phash=1, **size),
        left_out("apu/like.jpg", "capped", split="train", rank=98, group=7, phash=3, **size),
    ]
    return ReportInputs(
        str(data_dir),
        manifest.load(data_dir),
        extended(table, rows),
        read_source=lambda key: fakes.picture_bytes(key),
        timings={"decode": 2.0, "write": 0.5},
        notes=("two files are odd",),
    )


@pytest.fixture(scope="module")
def text(inputs: ReportInputs) -> str:
    return Path(page.write(inputs)).read_text()


class Page(HTMLParser):
    """Collects what a page loads and whether its elements are closed."""

    VOID = frozenset(("meta", "link", "img", "br", "path", "use", "input", "rect", "line"))

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.images: list[str] = []
        self.sections: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.loads += [v for k, v in attrs if k in ("src", "srcset", "data") and v]
        if tag == "link":
            self.loads.append(values.get("href") or "")
        if tag == "img":
            self.images.append(values.get("alt") or "")
        if tag == "section":
            self.sections.append(values.get("id") or "")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_page_is_well_formed_and_loads_nothing(text: str) -> None:
    parsed = Page(text)
    assert parsed.open == []
    assert parsed.loads and all(source.startswith("data:") for source in parsed.loads)
    urls = re.findall(r"url\((?!data:|#)[^)]*\)", text)
    assert urls == []
    assert parsed.sections == [
        "overview", "balance", "samples", "sizes", "rejects", "duplicates", "timing", "runs",
        "recipe",
    ]  # fmt: skip


def test_every_class_and_its_counts_are_in_the_table(text: str, inputs: ReportInputs) -> None:
    for row in tables.class_rows(inputs.manifest, inputs.sources):
        line = next(t for t in text.split("<tr>") if f'<td class="name" title="{row.name}">' in t)
        numbers = [int(n) for n in re.findall(r'<td class="number[^"]*" data-value="(\d+)"', line)]
        left = [row.copies, row.capped, row.duplicates, row.rejected, row.train]
        assert numbers == [row.files, *row.originals, *left]


def test_names_are_escaped(text: str) -> None:
    assert "a<b>" not in text
    assert "a&lt;b&gt;&amp;.jpg" in text


def test_rejects_show_a_picture_where_it_is_safe(text: str) -> None:
    images = Page(text).images
    assert "apu/a<b>&.jpg" in images
    assert "apu/empty.jpg" not in images and "bart/boom.png" not in images
    for reason in ("truncated", "empty", "decoder_crashed"):
        assert f"<code>{reason}</code>" in text


def test_a_source_that_may_kill_a_decoder_is_not_opened_again(inputs: ReportInputs) -> None:
    asked: list[str] = []

    def read(key: str) -> bytes:
        asked.append(key)
        raise OSError("gone")

    page.write(dataclasses.replace(inputs, read_source=read))
    assert "bart/boom.png" not in asked and "apu/empty.jpg" not in asked
    assert "apu/a<b>&.jpg" in asked


def test_conflicts_and_groups_are_shown(text: str) -> None:
    assert "The same file under different classes" in text
    assert "2 in train" in text
    assert "1 group spans" in " ".join(text.split())
    images = Page(text).images
    assert "lisa/more.jpg" in images and "apu/like.jpg" in images


def test_pictures_under_several_classes_are_listed(text: str, data_dir: Path) -> None:
    assert 'href="label_issues.csv"' in text
    listed = (data_dir / "report" / "label_issues.csv").read_text(encoding="utf-8").splitlines()
    assert listed[0] == "kind,set,key,label,others"
    assert [line for line in listed if line.startswith("near_duplicate")] == [
        "near_duplicate,2,apu/like.jpg,apu,lisa",
        "near_duplicate,2,lisa/more.jpg,lisa,apu",
    ]
    assert "equal_file,1,bart/twice.jpg,bart,apu" in listed
    assert "bart/same.jpg" not in "\n".join(listed)


def test_warnings_name_the_classes(text: str) -> None:
    assert "No validation picture, so how well they are recognised" in text
    assert "More than 20 copies of each original" in text
    assert "Two files are odd" in text


def test_the_balance_png_is_a_picture(text: str, data_dir: Path) -> None:
    with Image.open(data_dir / "report" / "class_balance.png") as image:
        assert image.format == "PNG" and image.width > 1000


def test_equal_inputs_give_an_equal_page(text: str, inputs: ReportInputs) -> None:
    assert Path(page.write(inputs)).read_text() == text
    # Drawn by other processes as well.
    assert Path(page.write(inputs, WorkerPool(2))).read_text() == text


def test_without_sources_kept_pictures_are_still_shown(inputs: ReportInputs) -> None:
    parsed = Page(Path(page.write(dataclasses.replace(inputs, read_source=None))).read_text())
    assert {"apu/test000.png", "bart/train000.png"} <= set(parsed.images)
    assert "lisa/more.jpg" not in parsed.images


def test_a_plan_has_its_own_page_and_reads_no_shard(tmp_path: Path, inputs: ReportInputs) -> None:
    plan = dataclasses.replace(inputs, output_dir=str(tmp_path), plan_only=True, timings=None)
    path = page.write(plan)
    assert path == f"{tmp_path}/report/plan.html"
    parsed = Page(Path(path).read_text())
    # What only decoding can tell has no section: "none" would be a claim.
    assert not set(parsed.sections) & {"samples", "timing", "rejects", "duplicates"}
    assert "balance" in parsed.sections


def meter(**changes: object) -> LeakMeter:
    pair = LeakPair("apu/validation000.png", "apu/train000.png", 0.25)
    bins = len(EDGES) - 1
    found = LeakMeter("validation", 3, 1, 2.0, 4, 2, (0, 1, 2) + (0,) * 27, (1,) * bins, (pair,))
    return dataclasses.replace(found, **changes)


def test_the_leak_meter(inputs: ReportInputs) -> None:
    text = Path(page.write(dataclasses.replace(inputs, leaks=(meter(),)))).read_text()
    assert "leaks" in Page(text).sections
    assert "33.3%" in text and "66.7%" in text and "distance 0.25" in text
    assert {"apu/validation000.png", "apu/train000.png"} <= set(Page(text).images)
    assert "leak-distances" in text and "by construction" not in text
    empty = meter(pictures=0, near=0, random_near=0, pairs=(), histogram=(0,) * 30)
    text = Path(page.write(dataclasses.replace(inputs, leaks=(empty,)))).read_text()
    assert "random split" not in text and "leak-distances" not in text


def test_the_expected_optimism(inputs: ReportInputs) -> None:
    plain = Path(page.write(dataclasses.replace(inputs, leaks=(meter(),)))).read_text()
    assert "Expected optimism" not in plain
    found = Optimism("validation", 500, 0.93, 0.76)
    measured = dataclasses.replace(inputs, leaks=(meter(),), optimism=found)
    text = Path(page.write(measured)).read_text()
    assert "Expected optimism in validation" in text and "0.17" in text
    assert "93.0% with all of train, 76.0% without related pictures" in text


def test_a_low_reading_after_a_split_by_appearance_is_explained(inputs: ReportInputs) -> None:
    config = {**inputs.manifest.config, "split_by": "appearance"}
    by_appearance = dataclasses.replace(
        inputs, leaks=(meter(),), manifest=dataclasses.replace(inputs.manifest, config=config)
    )
    assert "low by construction" in Path(page.write(by_appearance)).read_text()


def test_a_sound_bake_says_so(tmp_path: Path) -> None:
    found = fakes.write_dataset(tmp_path)
    text = Path(page.write(ReportInputs(str(tmp_path), found, ledger.read(tmp_path)))).read_text()
    assert "None: every file that was read is a picture." in text
    assert "Before you train" not in text
    assert 'id="timing"' not in text


@pytest.mark.parametrize("encoding, resize", [("raw", "squash"), ("jpeg", "short_side")])
def test_other_images(tmp_path: Path, encoding: str, resize: str) -> None:
    spec = fakes.ImageSpec(12, 12, encoding=encoding, resize=resize)  # type: ignore[arg-type]  # A name is converted.
    found = fakes.write_dataset(tmp_path, spec=spec, copies=3)
    text = Path(page.write(ReportInputs(str(tmp_path), found, ledger.read(tmp_path)))).read_text()
    assert text.count('class="tiles"') == 3


def test_many_classes_stay_small(tmp_path: Path) -> None:
    counts = {"train": (1,) * 500, "validation": (0,) * 500}
    spec = fakes.ImageSpec(64, 64)
    found = fakes.write_dataset(tmp_path, counts, spec, copies=1, shards=1)
    path = Path(page.write(ReportInputs(str(tmp_path), found, ledger.read(tmp_path))))
    assert path.stat().st_size < 3 * MEGABYTE
    assert path.read_text().count('class="tiles"') == samples.MAX_CLASSES


def test_a_page_written_again_keeps_the_links_to_runs_that_are_there(tmp_path: Path) -> None:
    found = fakes.write_dataset(tmp_path)
    inputs = ReportInputs(str(tmp_path), found, ledger.read(tmp_path))
    path = Path(page.write(inputs))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.html").write_text("a run")
        assert links.add(
            path, inputs.manifest.digest, tmp_path / name / "index.html", name, "macro-F1 0.5"
        )
    (tmp_path / "b" / "index.html").unlink()
    text = Path(page.write(inputs)).read_text()
    assert ">a</a> macro-F1 0.5</li>" in text and ">b</a>" not in text


def test_planned_samples_are_the_first_of_the_largest_and_the_smallest_classes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = fakes.write_dataset(tmp_path, {"train": (9, 5, 3), "validation": (0, 0, 0)})
    every = tables.planned_samples(found, ledger.read(tmp_path))
    assert {label: len(keys) for label, keys in every.items()} == {0: 4, 1: 4, 2: 3}
    monkeypatch.setattr(tables, "PLANNED_CLASSES", 2)
    assert list(tables.planned_samples(found, ledger.read(tmp_path))) == [0, 2]


def test_a_ledger_of_other_columns_is_refused(inputs: ReportInputs) -> None:
    with pytest.raises(ValueError, match=r"sources lack the columns \['detail', 'group'\]"):
        dataclasses.replace(inputs, sources=inputs.sources.drop_columns(["group", "detail"]))


def test_write_for_a_finished_bake(tmp_path: Path, data_dir: Path) -> None:
    facts = BakeFacts(5, {"decode": 1.0}, ("a thing to know", "train/ is a split"))
    text = Path(page.write_for(str(data_dir), facts)).read_text()
    assert "Files per second" in text and "A thing to know" in text
    assert "train/ is a split" in text


def test_a_report_is_written_again_from_what_the_bake_left(
    data_dir: Path, inputs: ReportInputs
) -> None:
    facts = BakeFacts(
        5,
        {"decode": 1.0},
        ("a thing to know",),
        tuple(inputs.leaks),
        False,
        Optimism("validation", 40, 0.9, 0.7),
    )
    (data_dir / ".cache").mkdir()
    facts.save(str(data_dir))
    assert BakeFacts.load(str(data_dir)) == facts
    first = Path(page.write_for(str(data_dir), facts)).read_text()
    Path(data_dir, "report", "index.html").unlink()
    path, note = again.write_again(str(data_dir))
    assert Path(path).read_text() == first and note == ""
    assert "0.20" in first  # The expected optimism.
    assert not (data_dir / ".cache").exists()
    for text in ("", "{}", "[]", '{"files": 1, "seconds": 3, "notes": [], "leaks": []}'):
        Path(data_dir, "report", "bake.json").write_text(text)
        path, note = again.write_again(str(data_dir))
        assert "A thing to know" not in Path(path).read_text()
        assert "without its leaks, notes and timings" in note


def test_workers_never_pay_for_the_report() -> None:
    program = (
        "import sys; import beam_pipelines.planning.make_tasks, beam_pipelines.report.page\n"
        "sys.exit('matplotlib' in sys.modules or 'apache_beam' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# The numbers.


def test_counts_add_up_to_the_files(inputs: ReportInputs) -> None:
    rows = tables.class_rows(inputs.manifest, inputs.sources)
    assert sum(row.files for row in rows) == len(inputs.sources)
    for row in rows:
        parts = sum(row.originals) + row.capped + row.duplicates + row.rejected
        assert row.files == parts


def test_every_reason_has_a_meaning(inputs: ReportInputs) -> None:
    rows = [left_out(f"apu/{r.value}", "rejected", reason=r.value) for r in RejectReason]
    rows.append(left_out("apu/z", "changed", reason="changed"))
    rejected = tables.rejects(pa.Table.from_pylist(rows, ledger.SCHEMA))
    assert all(row.meaning for row in tables.reason_rows(rejected))


def test_reasons_are_counted_most_first() -> None:
    rows = [left_out(f"a/{i}", "rejected", reason="empty" if i else "bomb") for i in range(3)]
    found = tables.reason_rows(pa.Table.from_pylist(rows, ledger.SCHEMA))
    assert [(row.reason, row.files) for row in found] == [("empty", 2), ("bomb", 1)]


def test_equal_sets_put_conflicts_first(inputs: ReportInputs) -> None:
    conflict, *others = tables.equal_sets(inputs.sources)
    assert conflict.conflict and len(conflict.keys) == 2
    assert not any(equal.conflict for equal in others)
    # Rejected files without a picture may share a hash, of no bytes say: they are no set.
    assert all("empty" not in key for equal in [conflict, *others] for key in equal.keys)


def test_the_picture_of_a_set_is_the_one_in_a_shard() -> None:
    assert EqualSet(("a", "b"), ("x", "x"), ("duplicate", "kept")).shown == "b"
    assert EqualSet(("a", "b"), ("x", "y"), ("rejected", "rejected")).shown == "a"


@pytest.mark.parametrize("limit", [0, 1, 10])
def test_groups_across_classes_come_first(limit: int) -> None:
    sizes = {1: ("apu",) * 4, 2: ("apu", "bart"), 3: ("lisa",) * 2, 4: ("lisa",)}
    rows = [
        left_out(f"{name}/{group}_{i}", "capped", group=group, split="train")
        for group, names in sizes.items()
        for i, name in enumerate(names)
    ]
    table = pa.Table.from_pylist(rows, ledger.SCHEMA).sort_by("key")
    found = tables.groups(table, limit)
    assert (found.groups, found.pictures, found.largest, found.across_classes) == (3, 8, 4, 1)
    assert [len(group.keys) for group in found.shown] == [2, 4, 2][:limit]


def test_reasons_alternate() -> None:
    reasons = ["empty"] * 5 + ["bomb"]
    keys = [f"k{i}" for i in range(6)]
    assert thumbnails.alternate_reasons(keys, reasons, 3) == [5, 0, 1]
    assert len(thumbnails.alternate_reasons(keys, reasons, 99)) == 6


@pytest.mark.parametrize("classes, side", [(1, 112), (42, 109), (121, 64), (500, 56)])
def test_tiles_shrink_with_the_number_of_classes(classes: int, side: int) -> None:
    assert samples.tile_side(classes) == side


@pytest.mark.parametrize("cut", [lambda d: d, lambda d: d[: len(d) // 2]])
def test_lenient_decode_shows_what_there_is(cut: Callable[[bytes], bytes]) -> None:
    data = fakes.picture_bytes("big", height=200, width=200)
    image = thumbnails.lenient_decode(cut(data))
    assert image.mode == "RGB" and min(image.size) >= thumbnails.THUMBNAIL_SIDE
