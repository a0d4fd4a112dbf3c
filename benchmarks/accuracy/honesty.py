"""What validation claims and what is true, for each way to split pictures that are kin.

    python -m benchmarks.accuracy.honesty --data=FOLDER                 a head on features
    python -m benchmarks.accuracy.honesty --data=FOLDER --judge=nearest in a minute, no TensorFlow

FOLDER holds train/ and test/, class folders of frames whose tracks train and test do not share,
and truth.csv (key,track). Validation is taken from train in four ways; a linear head on the
features of a pretrained network, or the nearest train thumbnail, is judged on validation, which
is what the split claims, and on test, which is the truth. Both scores are top-1 at the mix of
classes of test: a class of half of the validation pictures and of a tenth of test would otherwise
look like optimism. Numbers of docs/duplicates.md. What is done already in --work is not done again.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from beam_pipelines.similarity import appearance
from benchmarks.accuracy.__main__ import call
from benchmarks.bake.leaks import Frames
from benchmarks.harness.paths import BENCH
from tfrecords import ledger
from tfrecords.images import fingerprints

SPLITS = {
    "random": ("--split_by=random", "--near_duplicates=off"),
    "appearance": ("--split_by=appearance",),
    "near duplicates": ("--split_by=random",),
    "track's name": ("--group_by=/([^/]+)__",),
}
_TRAIN = (
    "--freeze=backbone", "--model=efficientnet-lite0", "--weights=imagenet", "--progress=lines",
)  # fmt: skip

_NAMES = ("train", "validation", "test")

# Class → number of pictures and share of them that were recognised.
PerClass = dict[str, tuple[int, float]]


@dataclass(frozen=True)
class Scores:
    """Top-1 of a run at the mix of classes of test, and how many validation pictures have kin.

    Attributes:
      claimed: on validation.
      true: on test.
      mates: share of the validation pictures with a frame of their track in train.
    """

    claimed: float
    true: float
    mates: float


def name_by_track(data: Path, root: Path) -> None:
    """Copies the pictures to names that begin with their track: for the last way to split."""
    with open(data / "truth.csv", newline="") as file:
        for row in csv.DictReader(file):
            key = Path(row["key"])
            target = root / key.parent / f"{row['track']}__{key.name}"
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                shutil.copyfile(data / key, target)


def scores_of(data_dir: Path, validation: PerClass, test: PerClass) -> Scores:
    """Returns what a split claims and what is true, from the scores on both."""
    both = [name for name in test if validation.get(name, (0, 0.0))[0] and test[name][0]]
    weights = np.array([test[name][0] for name in both], float)
    claimed, true = (
        float(np.average([found[name][1] for name in both], weights=weights))
        for found in (validation, test)
    )
    keys = keys_by_split(data_dir)
    tracks = {split: [key.rpartition("__")[0] for key in of] for split, of in keys.items()}
    return Scores(claimed, true, float(np.isin(tracks["validation"], tracks["train"]).mean()))


def keys_by_split(data_dir: Path) -> dict[str, list[str]]:
    """Returns the keys of the pictures of each split."""
    rows = ledger.read(str(data_dir)).select(["key", "split"]).to_pylist()
    return {name: [row["key"] for row in rows if row["split"] == name] for name in _NAMES}


def nearest(data: Path, work: Path, flags: tuple[str, ...], side: int) -> Scores:
    """Bakes, and asks the nearest train thumbnail; pictures are decoded once for all ways."""
    data_dir = work / f"nearest-{side}"
    call(
        "-m", "beam_pipelines.prepare", f"--input_dir={data}", f"--output_dir={data_dir}",
        f"--image_size={side}", "--keep_cache", "--overwrite", *flags,
    )  # fmt: skip
    frames = {}
    for split, keys in keys_by_split(data_dir).items():
        small = np.stack([fingerprints.thumbnail(Image.open(data / key)) for key in keys])
        frames[split] = Frames(
            appearance.features(small), np.array([key.split("/")[1] for key in keys])
        )
    found = {}
    for split in ("validation", "test"):
        names = frames[split].names
        found[split] = {
            name: (int(of.sum()), frames[split].take(of).accuracy_of(frames["train"]))
            for name in np.unique(names).tolist()
            for of in (names == name,)
        }
    return scores_of(data_dir, found["validation"], found["test"])


def per_class(folder: Path) -> PerClass:
    """Returns what an evaluation says of each class."""
    found = json.loads((folder / "evaluation.json").read_text())["per_class"]
    return {name: (row["support"], row["recall"]) for name, row in found.items()}


def head(data: Path, work: Path, name: str, flags: tuple[str, ...], side: int) -> Scores:
    """Bakes, trains a head and evaluates it, unless that is done."""
    plain = "".join(c if c.isalnum() else "_" for c in name)
    data_dir, run_dir = work / f"{plain}-{side}", work / f"run-{plain}-{side}"
    if not (data_dir / "manifest.json").exists():
        call(
            "-m", "beam_pipelines.prepare", f"--input_dir={data}", f"--output_dir={data_dir}",
            f"--image_size={side}", *flags,
        )  # fmt: skip
    call("-m", "trainer.train", f"--data_dir={data_dir}", f"--run_dir={run_dir}", *_TRAIN)
    for split in ("validation", "test"):
        output = run_dir / "evaluation" / split
        if not (output / "evaluation.json").exists():
            call(
                "-m", "trainer.evaluate", f"--run_dir={run_dir}", f"--split={split}",
                "--allow_leaks", f"--output_dir={output}",
            )  # fmt: skip
    validation, test = (per_class(run_dir / "evaluation" / name) for name in _NAMES[1:])
    return scores_of(data_dir, validation, test)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = os.environ.get("EVENSHARD_TEST_DATA")
    parser.add_argument(
        "--data", type=Path, default=Path(default, "fish_tracks") if default else None,
        required=default is None,
    )  # fmt: skip
    parser.add_argument("--work", type=Path, default=BENCH / "honesty")
    parser.add_argument("--side", type=int, default=64, help="of the baked pictures, pixels")
    parser.add_argument("--judge", choices=("head", "nearest"), default="head")
    options = parser.parse_args()
    work = options.work.resolve()
    named = work / "named"
    name_by_track(options.data.resolve(), named)
    rows = {}
    for name, flags in SPLITS.items():
        if options.judge == "nearest":
            rows[name] = nearest(named, work, flags, options.side)
        else:
            rows[name] = head(named, work, name, flags, options.side)
    print("| split by | validation frames with a track-mate in train | claimed | true | too much |")
    print("|---|---|---|---|---|")
    for name, row in rows.items():
        cells = f"{row.mates:.0%} | {row.claimed:.3f} | {row.true:.3f}"
        print(f"| {name} | {cells} | {row.claimed - row.true:+.3f} |")


if __name__ == "__main__":
    main()
