"""Recipes on road signs: what validation claims, and what is true of other signs.

    python -m benchmarks.accuracy.signs
    python -m benchmarks.accuracy.signs --flags="--recipe=scratch --epochs=10" --flags=--recipe=head
    python -m benchmarks.accuracy.signs --pictures=FOLDER --bake=--per_class=300

42 classes at 32 pixels, among them mirror images, as tracks of one sign each
(`benchmarks.accuracy.sign_drawing`), or recorded signs: FOLDER/train and FOLDER/test with class
folders, as made of the German Traffic Sign Recognition Benchmark. Test signs are others than those
of training; validation is whole tracks of the train folder if they are drawn, and what the bake
takes if they are recorded. Each recipe is a line of flags of `evenshard train`. CPU seconds are
user and system time of the training, start and report included. Rows that are in WORK are not run
again. Numbers of docs/learning.md.
"""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.accuracy import sign_drawing
from benchmarks.accuracy.commands import call
from benchmarks.harness.paths import BENCH
from tfrecords.sharding import stable_hash

RECIPES = (
    "--recipe=scratch",
    "--recipe=scratch --augment=crop,color",
    "--recipe=scratch --augment=flip,crop",
)


@dataclass(frozen=True)
class Result:
    """A training, judged.

    Attributes:
      flags: of the training.
      cpu_seconds: user and system.
      claimed: top-1 on validation.
      true: top-1 on signs of test.
      macro_f1: on test.
    """

    flags: str
    cpu_seconds: float
    claimed: float
    true: float
    macro_f1: float


def draw(root: Path, tracks: dict[str, int], frames: int) -> None:
    """Draws `root`/split/class/TT_FF.png, unless that is done.

    Args:
      root: folder; complete where it exists.
      tracks: of a class, by split.
      frames: of a track, evenly from the farthest to the nearest.
    """
    if root.exists():
        return
    building = root.with_name(root.name + ".building")
    numbers = np.linspace(0, sign_drawing.FRAMES - 1, frames).round().astype(int).tolist()
    for split, count in tracks.items():
        for name in sign_drawing.SIGNS:
            folder = building / split / name
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                track = sign_drawing.track(name, split, number)
                for at in numbers:
                    picture = Image.fromarray(sign_drawing.frame(track, at))
                    picture.save(folder / f"{number:03d}_{at:02d}.png")
    building.rename(root)


# Keeps the tracks of drawn signs whole.
WHOLE_TRACKS = (r"--group_by=^(.+)_\d+\.png$",)


def bake(root: Path, output: Path, flags: Sequence[str]) -> Path:
    """Returns a bake with flags, made where it is not there yet."""
    if not (output / "manifest.json").exists():
        call(
            "-m", "beam_pipelines.prepare", f"--input_dir={root}", f"--output_dir={output}", *flags
        )
    return output


def judge(data_dir: Path, run_dir: Path, flags: str) -> Result:
    """Trains with flags, and evaluates on both splits."""
    seconds = call(
        "-m", "trainer.train", f"--data_dir={data_dir}", f"--run_dir={run_dir}",
        "--progress=lines", *shlex.split(flags),
    )  # fmt: skip
    scores = {}
    for split in ("validation", "test"):
        output = run_dir / "evaluation" / split
        call(
            "-m", "trainer.evaluate", f"--run_dir={run_dir}", f"--split={split}",
            f"--output_dir={output}", "--allow_leaks",  # Signs of a class resemble each other.
        )  # fmt: skip
        scores[split] = json.loads((output / "evaluation.json").read_text())["metrics"]
    return Result(
        flags, round(seconds, 1), scores["validation"]["top1"], scores["test"]["top1"],
        scores["test"]["macro_f1"],
    )  # fmt: skip


def run(data_dir: Path, work: Path, recipes: Sequence[str]) -> list[Result]:
    """Returns the results of recipes; runs those that have none yet."""
    stored = work / f"{data_dir.name}.json"
    done = [Result(**row) for row in json.loads(stored.read_text())] if stored.exists() else []
    for flags in recipes:
        if not any(row.flags == flags for row in done):
            run_dir = work / "runs" / f"{data_dir.name}-{stable_hash(flags):016x}"
            done.append(judge(data_dir, run_dir, flags))
            stored.write_text(json.dumps([asdict(row) for row in done], indent=1) + "\n")
    return [row for flags in recipes for row in done if row.flags == flags]


def markdown(results: Sequence[Result]) -> str:
    """Returns the table."""
    lines = [
        "| recipe | CPU seconds | claimed top-1 | true top-1 | macro-F1 |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| `{row.flags}` | {row.cpu_seconds:.0f} | {row.claimed:.3f} | {row.true:.3f} "
        f"| {row.macro_f1:.3f} |"
        for row in results
    ]  # fmt: skip
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, default=BENCH / "signs")
    parser.add_argument("--side", type=int, default=32, help="of the baked pictures, pixels")
    parser.add_argument("--tracks", type=int, default=10, help="of a class, to train on")
    parser.add_argument("--test_tracks", type=int, default=8, help="of a class, to judge by")
    parser.add_argument("--frames", type=int, default=10, help="of a track, at most 30")
    parser.add_argument(
        "--flags", action="append", help="of `evenshard train`, a row; may be given several times"
    )
    parser.add_argument("--pictures", type=Path, help="recorded signs, in place of drawn ones")
    parser.add_argument("--bake", action="append", default=[], help="flags of their bake")
    options = parser.parse_args()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    size = f"--image_size={options.side}"
    if options.pictures is not None:
        pictures = options.pictures.resolve()
        flags = (size, *options.bake)
        data_dir = bake(pictures, work / f"{pictures.name}-{stable_hash(*flags):016x}", flags)
    else:
        name = f"{options.tracks}x{options.frames}-{options.test_tracks}"
        (work / "drawn").mkdir(exist_ok=True)
        tracks = {"train": options.tracks, "test": options.test_tracks}
        draw(work / "drawn" / name, tracks, options.frames)
        flags = (size, *WHOLE_TRACKS)
        data_dir = bake(work / "drawn" / name, work / f"{name}-{options.side}px", flags)
    print(markdown(run(data_dir, work, options.flags or RECIPES)))


if __name__ == "__main__":
    main()
