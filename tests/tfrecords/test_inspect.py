from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.support.datasets import fakes
from tfrecords import inspect, manifest
from tfrecords.inspect import COMMAND, bar, class_table
from tfrecords.manifest import Manifest


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("inspect") / "data"
    fakes.write_dataset(path, copies=9)
    return path


@pytest.fixture
def found(data_dir: Path) -> Manifest:
    return manifest.load(data_dir)


def run(data_dir: Path, *flags: str) -> int:
    return COMMAND.run([str(data_dir), *flags])


def test_the_tables_agree_with_the_manifest(
    data_dir: Path, found: Manifest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(data_dir) == 0
    out = capsys.readouterr().out
    cells = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line}
    for split in found.splits:
        counts = [sum(split.originals), sum(split.copies), split.records, len(split.shards)]
        assert cells[split.name][:4] == [str(count) for count in counts]
    assert cells["total"][:4] == ["26", "27", "53", "6"]
    assert cells["apu"][:5] == ["0", "8", "2", "2", "9"]
    for text in ("fake: 3 classes, 16x16 pixels (squash), png", found.digest, "config seed"):
        assert text in out


def test_classes_are_sorted_and_bars_in_proportion(found: Manifest) -> None:
    head, *lines = class_table(found, found.splits, width=200)
    assert [line.split()[0] for line in lines] == ["apu", "bart", "lisa"]
    assert head.endswith("█ originals, ░ copies")
    assert lines[0].count("█") + lines[0].count("░") == 48
    assert lines[0].count("█") == round(12 * 48 / 21)
    assert lines[0].count("░") == round(9 * 48 / 21)


def test_a_narrow_terminal_keeps_a_short_bar(found: Manifest) -> None:
    wide, narrow = (class_table(found, found.splits, width=width) for width in (200, 20))
    assert narrow[1].count("█") + narrow[1].count("░") == 12
    assert narrow[1].split()[:6] == wide[1].split()[:6]


@pytest.mark.parametrize(
    "originals, copies, unicode, expected",
    [
        (2, 0, True, "██"),
        (2.5, 0, True, "██▌"),
        (0.001, 0, True, "▏"),
        (0, 0, True, ""),
        (2, 1.4, True, "██░"),
        (2.2, 0.01, False, "##+"),
    ],
)
def test_bar(originals: float, copies: float, unicode: bool, expected: str) -> None:
    assert bar(originals, copies, unicode) == expected


def test_wide_characters_keep_columns_aligned(tmp_path: Path, found: Manifest) -> None:
    lines = inspect._table([("class", "n"), ("猫の写真", "1"), ("cat", "22")])
    assert lines == ["class      n", "猫の写真   1", "cat       22"]


def test_one_split_alone(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(data_dir, "--split=test") == 0
    out = capsys.readouterr().out
    assert "validation" not in out and "total" not in out and "config" not in out


def test_records_are_listed_in_file_order(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(data_dir, "--split=train", "--records=20") == 0
    out = capsys.readouterr().out.partition("records of train (shard/position):\n")[2]
    rows = [line.split() for line in out.splitlines()]
    assert rows[0] == ["record", "class", "rank", "copy", "bytes", "id"]
    assert len(rows) == 21
    assert [row[0] for row in rows[1:3]] == ["00000/0", "00000/1"]
    for _, class_, rank, copy, _, id_ in rows[1:]:
        assert id_.startswith(f"{class_}/train")
        assert int(rank) >= int(copy)
        assert id_.endswith(f"#{copy}") == (copy != "0")


def test_what_is_asked_for_comes_without_the_summary(
    tmp_path: Path, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(data_dir, f"--samples={tmp_path / 'a.png'}") == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("next: ") and printed.out.count("\n") == 1
    assert printed.err == f"wrote {tmp_path / 'a.png'}\n"
    assert run(data_dir, "--records=1") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line or line.startswith("records of")] == [
        "records of train (shard/position):",
        "",
        "records of validation (shard/position):",
        "",
        "records of test (shard/position):",
    ]


def test_sample_grid_is_a_picture_and_the_same_each_time(tmp_path: Path, data_dir: Path) -> None:
    first, second = tmp_path / "a.png", tmp_path / "b.png"
    assert run(data_dir, f"--samples={first}") == 0
    assert run(data_dir, f"--samples={second}") == 0
    assert first.read_bytes() == second.read_bytes()
    with Image.open(first) as image:
        colours = {colour for _, colour in image.getcolors(1 << 20) or []}
    assert (86, 180, 233) in colours, "copies should have a blue frame"


def test_sample_grid_holds_each_class_in_its_row(data_dir: Path, found: Manifest) -> None:
    with Image.open(io.BytesIO(inspect.sample_png(data_dir, found, "test"))) as image:
        rows = [image.convert("RGB").crop((0, y, image.width, y + 64)) for y in (50, 118, 186)]
    for channel, row in enumerate(rows):  # The fakes' classes are red, green and blue.
        pixels = [p for _, p in row.getcolors(1 << 20) or [] if max(p) - min(p) > 60]
        means = [sum(p[c] for p in pixels) for c in range(3)]
        assert means.index(max(means)) == channel


def test_short_side_images_fit_their_cells(tmp_path: Path) -> None:
    spec = fakes.ImageSpec(12, 12, "short_side", "png")  # type: ignore[arg-type]  # A name is converted.
    found = fakes.write_dataset(tmp_path, spec=spec)
    with Image.open(io.BytesIO(inspect.sample_png(tmp_path, found, "train"))) as image:
        assert image.width > 8 * 64


@pytest.mark.parametrize("classes", [1, 3, 60, 140])
def test_histogram_for_any_number_of_classes(tmp_path: Path, classes: int) -> None:
    counts = {"train": tuple(1 + i % 4 for i in range(classes)), "validation": (1,) * classes}
    spec = fakes.ImageSpec(2, 2, encoding="raw")  # type: ignore[arg-type]  # A name is converted.
    found = fakes.write_dataset(tmp_path, {k: v for k, v in counts.items()}, spec)
    with Image.open(io.BytesIO(inspect.histogram_png(found))) as image:
        assert image.width > 1000 and image.height > 200


def test_pictures_must_be_named_png(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(data_dir, "--samples=grid.jpg") == 2
    assert "name it grid.jpg.png" in capsys.readouterr().err


def test_a_picture_without_its_folder_is_one_line(
    tmp_path: Path, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "none" / "h.png"
    assert run(data_dir, f"--histogram={path}") == 1
    assert capsys.readouterr().err == f"error: {path}: No such file or directory\n"


def test_a_plain_terminal_gets_plain_characters(data_dir: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tfrecords.inspect", str(data_dir)],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
    )
    assert b"# originals, + copies" in done.stdout
    assert done.stdout.isascii()
