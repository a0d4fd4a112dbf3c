"""A set made of tracks, as of video: what each way to split it gives away."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from beam_pipelines.planning import telling_names
from tests.support.datasets import fakes
from tests.support.processes import commands
from tfrecords.sharding import stable_hash

CLASSES, TRACKS, FRAMES = 2, 12, 10


@pytest.fixture(scope="module")
def tracks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders of frames tNN-fNN.png; the camera shakes by a hundredth of the picture."""
    root = tmp_path_factory.mktemp("tracks")
    for label in range(CLASSES):
        (root / f"class{label}").mkdir()
        for number in range(TRACKS):
            rng = np.random.default_rng(stable_hash("track", label, number))
            scene, place = fakes.picture(f"{label}/{number}", 96, 96), np.array([0.15, 0.15])
            for frame in range(FRAMES):
                place = np.clip(place + rng.normal(0, 0.01, 2), 0, 0.3)
                box = (*(place * 96), *((place + 0.7) * 96))
                image = scene.resize((32, 32), Image.Resampling.BILINEAR, box=box)
                image.save(root / f"class{label}" / f"t{number:02d}-f{frame:02d}.png")
    return root


def bake(tracks: Path, out: Path, *flags: str) -> tuple[float, float, str]:
    """Bakes; returns the share of validation frames with a track-mate in train, the meter's, and
    what the command said."""
    said = prepare(tracks, out, *flags)
    near = re.search(r"leak meter: ([0-9.]+)% of \d+ validation", said)
    rows = pq.read_table(out / "sources.parquet").to_pylist()
    of_split = {
        split: [row["key"].rpartition("-")[0] for row in rows if row["split"] == split]
        for split in ("train", "validation")
    }
    mates = float(np.isin(of_split["validation"], of_split["train"]).mean())
    return mates, float(near.group(1)) / 100, said


def prepare(tracks: Path, out: Path, *flags: str) -> str:
    """Bakes and returns what the command said."""
    done = commands.call(
        "beam_pipelines.prepare",
        f"--input_dir={tracks}",
        f"--output_dir={out}",
        "--image_size=32",
        "--workers=0",
        "--splits=train:0.7,validation:0.3",
        *flags,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_a_random_split_of_tracks_leaks_and_the_bake_says_so(tracks: Path, tmp_path: Path) -> None:
    mates, near, said = bake(tracks, tmp_path, "--near_duplicates=off", "--split_by=random")
    assert mates > 0.95 and near > 0.9
    assert "expected optimism: a score on validation may be about" in said
    assert "to split by appearance instead: evenshard bake" in said
    page = (tmp_path / "report" / "index.html").read_text()
    assert 'id="leaks"' in page and "The nearest pairs" in page
    assert "Expected optimism in validation" in page


def test_by_default_kin_are_split_by_their_names(tracks: Path, tmp_path: Path) -> None:
    mates, near, said = bake(tracks, tmp_path, "--near_duplicates=off")
    assert mates == 0 and near < 0.2
    assert "--split_by=auto chose names" in said and "instead: evenshard" not in said
    config = json.loads((tmp_path / "manifest.json").read_text())["config"]
    assert config["split_by"] == "random" and config["group_by"] in telling_names.PATTERNS
    assert "complete" in prepare(tracks, tmp_path, "--near_duplicates=off")


def test_by_default_kin_whose_names_tell_nothing_are_split_by_appearance(
    tracks: Path, tmp_path: Path
) -> None:
    track_of = {}
    for number, frame in enumerate(sorted(tracks.rglob("*.png"))):
        name = tmp_path / "unnamed" / frame.parent.name / f"{stable_hash('frame', number):x}.png"
        name.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(frame, name)
        track_of[name.stem] = f"{frame.parent.name}/{frame.stem.rpartition('-')[0]}"
    _, near, said = bake(tmp_path / "unnamed", tmp_path / "out", "--near_duplicates=off")
    assert near < 0.2
    assert "--split_by=auto chose appearance" in said and "instead: evenshard" not in said
    rows = pq.read_table(tmp_path / "out" / "sources.parquet").to_pylist()
    of_split = {
        split: [track_of[Path(row["key"]).stem] for row in rows if row["split"] == split]
        for split in ("train", "validation")
    }
    assert np.isin(of_split["validation"], of_split["train"]).mean() <= 0.2
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["config"]["split_by"] == "appearance"


@pytest.mark.parametrize("flag", ["--split_by=appearance", "--group_by=/(t[0-9]+)-"])
def test_whole_looks_or_whole_tracks_do_not(tracks: Path, tmp_path: Path, flag: str) -> None:
    mates, near, _ = bake(tracks, tmp_path, flag)
    assert mates <= (0.2 if "appearance" in flag else 0) and near < 0.2
