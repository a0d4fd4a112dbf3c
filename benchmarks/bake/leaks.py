"""Shows what a split of kin claims and what is true, by the bake itself.

    python -m benchmarks.bake.leaks FOLDER

Makes tracks of 25 frames, as a shaking camera would film them, from single pictures of FOLDER
(class folders); bakes them split at random, by appearance and by the track's name; and asks
the nearest neighbour in train for the class of each validation frame (what the split claims)
and of frames of tracks that were never in the bake (the truth). Numbers of docs/duplicates.md.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from beam_pipelines.similarity import appearance
from tfrecords import ledger
from tfrecords.images import fingerprints

CLASSES, OBJECTS, FRESH, FRAMES = 12, 24, 8, 25
SHAKES = (0.01, 0.03)
SPLITS = {
    "random": ("--split_by=random", "--near_duplicates=off"),
    "near duplicates": ("--split_by=random",),
    "appearance": ("--split_by=appearance",),
    "track's name": ("--group_by=/(t[0-9]+)-",),
}
_METER = re.compile(r"leak meter: ([0-9.]+%) of [0-9,]+ validation")


@dataclass(frozen=True, eq=False)
class Frames:
    """Features and class name of some frames."""

    features: np.ndarray
    names: np.ndarray

    @classmethod
    def read(cls, root: Path, keys: list[str]) -> Frames:
        small = np.stack([fingerprints.thumbnail(Image.open(root / key)) for key in keys])
        return cls(appearance.features(small), np.array([key.partition("/")[0] for key in keys]))

    def take(self, chosen: np.ndarray) -> Frames:
        """Returns some of the frames, bool[n]."""
        return Frames(self.features[chosen], self.names[chosen])

    def accuracy_of(self, train: Frames) -> float:
        """Returns the share of these frames whose nearest train frame has their class."""
        nearest = np.concatenate(
            [
                appearance.squared_distances(part, train.features).argmin(axis=1)
                for part in np.array_split(self.features, max(1, len(self.features) // 500))
            ]
        )
        return float((train.names[nearest] == self.names).mean())


def write_tracks(folder: Path, root: Path, shake: float) -> None:
    """Writes root/bake and root/fresh, class folders of frames named tNN-fNN.jpg."""
    rng = np.random.default_rng(1)
    for class_dir in sorted(path for path in folder.iterdir() if path.is_dir())[:CLASSES]:
        pictures = sorted(path for path in class_dir.iterdir() if path.is_file())
        for number, place in enumerate(rng.permutation(len(pictures))[: OBJECTS + FRESH]):
            half = "bake" if number < OBJECTS else "fresh"
            target = root / half / class_dir.name
            target.mkdir(parents=True, exist_ok=True)
            scene = Image.open(pictures[place]).convert("RGB").resize((96, 96))
            for frame, image in enumerate(track(scene, shake, rng)):
                image.save(target / f"t{number:02d}-f{frame:02d}.jpg", quality=90)


def track(scene: Image.Image, shake: float, rng: np.random.Generator) -> list[Image.Image]:
    """Returns frames of 64×64: place, zoom and light drift by `shake` from one to the next."""
    frames, place, zoom, light = [], np.array([0.15, 0.15]), 0.7, 1.0
    for _ in range(FRAMES):
        place = np.clip(place + rng.normal(0, shake, 2), 0, 0.3)
        zoom = float(np.clip(zoom + rng.normal(0, shake), 0.6, 0.7))
        light = float(np.clip(light + rng.normal(0, 0.05), 0.7, 1.3))
        box = (*(place * 96), *((place + zoom) * 96))
        small = scene.resize((64, 64), Image.Resampling.BILINEAR, box=box)
        lit = 255 * (np.asarray(small, float) / 255) ** light
        frames.append(Image.fromarray(lit.astype(np.uint8)))
    return frames


def bake(root: Path, flags: tuple[str, ...]) -> str:
    """Bakes root/bake to root/shards and returns what the command said."""
    done = subprocess.run(
        [
            sys.executable, "-m", "beam_pipelines.prepare", f"--input_dir={root / 'bake'}",
            f"--output_dir={root / 'shards'}", "--image_size=64", "--keep_cache", "--overwrite",
            *flags,
        ],
        check=True, text=True, stderr=subprocess.PIPE,
    )  # fmt: skip
    return done.stderr


def judge(root: Path, name: str, flags: tuple[str, ...], fresh: Frames) -> str:
    """Bakes one way and returns a row of the table."""
    reading = _METER.search(bake(root, flags))
    rows = ledger.read(str(root / "shards")).select(["key", "split"]).to_pylist()
    keys = {
        split: [r["key"] for r in rows if r["split"] == split] for split in ("train", "validation")
    }
    tracks = {
        split: [key.rpartition("-")[0] for key in of_split] for split, of_split in keys.items()
    }
    mates = np.isin(tracks["validation"], tracks["train"]).mean()
    train, held_out = (Frames.read(root / "bake", keys[split]) for split in ("train", "validation"))
    claim, truth = held_out.accuracy_of(train), fresh.accuracy_of(train)
    near = reading.group(1) if reading else "?"
    return f"{name:16} {mates:15.0%} {near:>9} {claim:9.2f} {truth:9.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="class folders of pictures")
    folder = parser.parse_args().folder
    print("shake  split by         mates in train     meter    claims     truth")
    for shake in SHAKES:
        with tempfile.TemporaryDirectory() as temporary:
            root = Path(temporary)
            write_tracks(folder, root, shake)
            fresh = Frames.read(root / "fresh", _keys(root / "fresh"))
            for name, flags in SPLITS.items():
                print(f"{shake:5}  {judge(root, name, flags, fresh)}", flush=True)


def _keys(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*.jpg"))


if __name__ == "__main__":
    main()
