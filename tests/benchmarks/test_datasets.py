"""What benchmarks measure on, and the benchmarks themselves at toy size."""

from __future__ import annotations

import collections
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import datasets
from benchmarks import run_all as everything
from benchmarks.bake import codecs, scaling
from benchmarks.baselines import floor
from benchmarks.harness import compare
from benchmarks.harness.paths import ROOT
from benchmarks.train import input as input_benchmark
from tests.support.datasets import fakes
from tfrecords import example, framing


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for module in (compare, datasets, input_benchmark):
        monkeypatch.setattr(module, "BENCH", tmp_path / "bench")
    return tmp_path / "bench"


def test_a_sample_links_a_fixed_choice(tmp_path: Path) -> None:
    root = fakes.write_folders(tmp_path / "in", {"a": 20, "b": 10})
    (root / "a" / "notes.txt").write_text("no picture")
    assert datasets.sample(root, 30) == root
    chosen = datasets.sample(root, 12)
    found = datasets.listed(chosen)
    assert len(found) == 12 and {path.parent.name for path in found} == {"a", "b"}
    assert all(path.read_bytes().startswith(b"\xff\xd8") for path in found)
    assert datasets.sample(root, 12) == chosen
    assert datasets.title(chosen) == "in-12"


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no pictures in it"):
        datasets.sample(tmp_path, 5)


def test_synthetic_pictures_are_distinct_and_unequal() -> None:
    root = datasets.synthetic(600, (40, 30))
    found = datasets.listed(root)
    assert len({path.read_bytes() for path in found}) == 600
    sizes = collections.Counter(path.parent.name for path in found)
    assert len(sizes) == datasets.CLASSES and min(sizes.values()) >= 3
    assert sizes["class00"] > 5 * sizes["class41"]
    assert Image.open(io.BytesIO(found[0].read_bytes())).size == (40, 30)
    assert datasets.picture(7, (40, 30)) == datasets.picture(7, (40, 30))


def test_tars_hold_the_very_bytes_of_the_shards(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    found = fakes.write_dataset(data_dir, copies=1)
    expected = collections.Counter(
        (example.decode(data).image, example.decode(data).label)
        for shard in found.split("train").shards
        for data in framing.read_records(str(data_dir / shard.filename))
    )
    held = collections.Counter[tuple[bytes, int]]()
    for path in input_benchmark.tars(data_dir).glob("*.tar"):
        with tarfile.open(path) as file:
            parts = [part.read() for member in file if (part := file.extractfile(member))]
        held.update(
            (image, int(label)) for image, label in zip(parts[::2], parts[1::2], strict=True)
        )
    assert held == expected


def test_the_floor_makes_the_bakes_images_and_skips_broken_ones(tmp_path: Path) -> None:
    root = fakes.write_folders(tmp_path / "in", {"a": 3}, side=40)
    (root / "a" / "broken.jpg").write_bytes(b"no picture")
    paths = datasets.listed(root)
    plain, hashed = (list(floor.records(paths, 16, hashes)) for hashes in (False, True))
    assert len(plain) == 3 and plain == hashed
    _, data = next(framing.read_frames(io.BytesIO(plain[0]), "floor"))
    assert np.asarray(Image.open(io.BytesIO(example.decode(data).image))).shape == (16, 16, 3)


@pytest.mark.parametrize(
    "made",
    [codecs.ours, codecs.ours_codec_only, codecs.plain_pillow],
    ids=lambda made: made.__name__,
)
def test_codecs_give_grey_pictures_three_channels(made: Callable[[int], codecs.Codec]) -> None:
    buffer = io.BytesIO()
    Image.linear_gradient("L").save(buffer, "JPEG")
    codec = made(16)
    assert codec.resized(buffer.getvalue()).shape == (16, 16, 3)
    assert Image.open(io.BytesIO(codec.run(buffer.getvalue()))).mode == "RGB"


def test_slow_storage_waits_for_each_file_below_its_folder(tmp_path: Path) -> None:
    slow, fast = tmp_path / "slow", tmp_path / "fast"
    for folder in (slow, fast):
        folder.mkdir()
        (folder / "file").write_bytes(b"abc")
    code = (
        "import pathlib, time\nwaits = []\ntime.sleep = waits.append\n"
        f"for folder in map(pathlib.Path, {[str(fast), str(slow)]!r}):\n"
        "    assert open(str(folder / 'file'), 'rb').read() == b'abc'\n"
        "    assert (folder / 'file').read_bytes() == b'abc'\n"
        "    print(folder.name, waits)\n"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": str(scaling.SLOW),
        "EVENSHARD_SLOW_STORAGE": f"{slow}|8|1",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["fast []", "slow [0.008, 0.008]"]


def test_every_command_of_make_bench_knows_its_flags(tmp_path: Path) -> None:
    few, full = (everything.commands(scale, tmp_path) for scale in (100, everything.FULL))
    for name, (module, *flags) in full.items():
        done = subprocess.run(
            [sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, (name, done.stderr)
        for flag in [one.partition("=")[0] for one in (*flags, *few[name][1:])]:
            assert not flag.startswith("--") or flag in done.stdout, (name, flag)


@pytest.mark.slow
def test_the_bake_benchmark_at_toy_size(tmp_path: Path) -> None:
    root = fakes.write_folders(tmp_path / "in", {"a": 60, "b": 40}, side=40)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.bake", f"--input={root}", "--rounds=1", "--side=32"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "ours / floor, 1" in done.stdout and "TFDS builder" in done.stdout
    assert "exit code" not in done.stdout
    stored = ROOT / ".bench" / "results" / "bake-against-the-floor-in.json"
    runs = json.loads(stored.read_text())["runs"]
    assert runs["floor, 1"][0]["report"] == {"pictures": 100}
