"""Which recipe for which pictures: every recipe of `trainer.train` and its rivals on each set.

    python -m benchmarks.accuracy.recipes --data=FOLDER
    python -m benchmarks.accuracy.recipes --data=FOLDER --sets caltech60 --recipes head torch_head

FOLDER holds the folders of the sets. Test pictures are of other visits (grocery81) or tracks
(fish_tracks) where the set's own test split says so; validation never is, so what a recipe claims
is its score there. Costs are CPU seconds, user and system, of the whole command, start and report
included; the rivals' are those of their training alone, which favours them.

* scratch, head, finetune: `trainer.train --recipe=…`, defaults otherwise.
* story: the recipe that the project began with, on as many CPU seconds as scratch took.
* torch: timm's habits around our network, on as many pictures as scratch saw.
* torch_finetune: EfficientNet-Lite0 with the same weights as ours, all of it trained with timm's
  habits.

Finished rows stand in WORK/recipes.json and are not run again.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.accuracy import table
from benchmarks.accuracy.commands import call, torch_environment
from benchmarks.harness.machine import describe_machine
from benchmarks.harness.paths import BENCH

FINETUNE_EPOCHS = 5


@dataclass(frozen=True)
class Photographs:
    """A data set, and how it is baked.

    Attributes:
      name: of the set, and of its folder.
      side: of the pictures, pixels.
      flags: of the bake, beside the size.
      unlike: what of the test pictures training has not seen, for people.
    """

    name: str
    side: int
    flags: tuple[str, ...] = ()
    unlike: str = "pictures"


SETS = {
    one.name: one
    for one in (
        Photographs("caltech60", 160),
        Photographs("grocery81", 160, unlike="visits"),
        Photographs("fish_tracks", 160, unlike="tracks"),
        Photographs("plankton", 64),
    )
}


@dataclass(frozen=True)
class Result:
    """One training, judged.

    Attributes:
      set, recipe, seed: what was run.
      cpu_seconds: user and system.
      pictures: that the training saw, augmented ones too.
      claimed: top-1 on validation.
      top1, macro_f1: on the test split.
    """

    set: str
    recipe: str
    seed: int
    cpu_seconds: float
    pictures: int
    claimed: float
    top1: float
    macro_f1: float


@dataclass(frozen=True)
class Workplace:
    """Where everything is.

    Attributes:
      data: folder of the sets.
      work: bakes, runs and results go here.
      torch_python: interpreter of the torch rivals.
    """

    data: Path
    work: Path
    torch_python: Path

    def bake(self, one: Photographs) -> Path:
        """Returns a bake, made where it is not there yet."""
        output = self.work / "bakes" / f"{one.name}-{one.side}"
        if not (output / "manifest.json").exists():
            call(
                "-m", "beam_pipelines.prepare", f"--input_dir={self.data / one.name}",
                f"--output_dir={output}", f"--image_size={one.side}", *one.flags,
            )  # fmt: skip
        return output

    def arrays(self, one: Photographs) -> Path:
        """Returns a bake as plain arrays, for the rivals."""
        path = self.work / "arrays" / f"{one.name}-{one.side}.npz"
        if not path.exists():
            call("-m", "benchmarks.accuracy.arrays", str(self.bake(one)), str(path))
        return path

    def run_dir(self, one: Photographs, recipe: str, seed: int) -> Path:
        """Returns where a training writes."""
        return self.work / "runs" / f"{one.name}-{recipe}-{seed}"


def ours(place: Workplace, one: Photographs, recipe: str, seed: int) -> Result:
    """Trains through `trainer.train`, and judges by `trainer.evaluate`."""
    run_dir = place.run_dir(one, recipe, seed)
    data_dir = place.bake(one)
    seconds = call(
        "-m", "trainer.train", f"--data_dir={data_dir}", f"--run_dir={run_dir}",
        f"--recipe={recipe}", f"--seed={seed}", "--progress=lines",
    )  # fmt: skip
    judged = {
        split: _evaluation(run_dir, split, run_dir.with_name(f"{run_dir.name}-{split}"))
        for split in ("validation", "test")
    }
    seen = table.train_records(data_dir) * len(table.epoch_seconds(run_dir))
    return Result(
        one.name, recipe, seed, round(seconds, 1), seen, judged["validation"]["top1"],
        judged["test"]["top1"], judged["test"]["macro_f1"],
    )  # fmt: skip


def _evaluation(run_dir: Path, split: str, output: Path) -> dict[str, float]:
    """Returns the metrics of a split; near-duplicates of training pictures would be refused."""
    call(
        "-m", "trainer.evaluate", f"--run_dir={run_dir}", f"--split={split}",
        f"--output_dir={output}",
    )  # fmt: skip
    return json.loads((output / "evaluation.json").read_text())["metrics"]


def story(place: Workplace, one: Photographs, seed: int, scratch: Result) -> Result:
    module = "benchmarks.accuracy.story_recipe"
    return _rival(place, one, "story", seed, module, f"--cpu_seconds={scratch.cpu_seconds:.0f}")


def torch(place: Workplace, one: Photographs, seed: int, scratch: Result) -> Result:
    epochs = max(1, round(scratch.pictures / table.train_records(place.bake(one))))
    module = "benchmarks.accuracy.torch_recipe"
    return _rival(place, one, "torch", seed, module, f"--epochs={epochs}", torch=True)


def torch_finetune(place: Workplace, one: Photographs, seed: int) -> Result:
    module = "benchmarks.accuracy.torch_finetune"
    return _rival(
        place, one, "torch_finetune", seed, module, f"--epochs={FINETUNE_EPOCHS}", torch=True
    )


def _rival(
    place: Workplace, one: Photographs, recipe: str, seed: int, module: str, budget: str,
    *, torch: bool = False,
) -> Result:  # fmt: skip
    """Runs a rival that leaves logits.npy and result.json."""
    output = place.run_dir(one, recipe, seed)
    interpreter = {"python": place.torch_python} if torch else {}
    seconds = call(
        "-m", module, str(place.arrays(one)), str(output), budget, f"--seed={seed}", **interpreter
    )
    row = table.judge_logits(output, place.arrays(one), one.name, recipe, seed)
    claimed = json.loads((output / "result.json").read_text()).get("validation_top1", np.nan)
    return Result(
        one.name, recipe, seed, round(seconds, 1), row.pictures, claimed, row.top1, row.macro_f1
    )


OURS = ("scratch", "head", "finetune")
# Rivals on a budget that scratch sets come after it.
LIKE_SCRATCH: dict[str, Callable[[Workplace, Photographs, int, Result], Result]] = {
    "story": story,
    "torch": torch,
}
RECIPES = (*OURS, *LIKE_SCRATCH, "torch_finetune")


def run(
    place: Workplace, one: Photographs, recipe: str, seed: int, results: Sequence[Result]
) -> Result:
    """Returns the result of one training.

    Raises:
      SystemExit: a command failed, or a rival's budget is not known yet.
    """
    if recipe in OURS:
        return ours(place, one, recipe, seed)
    if recipe == "torch_finetune":
        return torch_finetune(place, one, seed)
    scratch = [r for r in results if (r.set, r.recipe, r.seed) == (one.name, "scratch", seed)]
    if not scratch:
        raise SystemExit(f"{recipe} on {one.name} has the budget of scratch: run that too")
    return LIKE_SCRATCH[recipe](place, one, seed, scratch[0])


def matrix(
    place: Workplace, sets: Sequence[Photographs], recipes: Sequence[str], seeds: int
) -> list[Result]:
    """Runs what has no result yet; returns those that were asked for."""
    stored = place.work / "recipes.json"
    results = read(stored)
    asked = [(one, name, seed) for one in sets for seed in range(seeds) for name in recipes]
    for one, name, seed in asked:
        if not any((r.set, r.recipe, r.seed) == (one.name, name, seed) for r in results):
            print(f"{one.name}: {name}, seed {seed}", flush=True)
            results.append(run(place, one, name, seed, results))
            text = {"machine": describe_machine(), "results": [asdict(r) for r in results]}
            stored.write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")
    wanted = {(one.name, name, seed) for one, name, seed in asked}
    return [r for r in results if (r.set, r.recipe, r.seed) in wanted]


def read(path: Path) -> list[Result]:
    """Returns the results of an earlier, perhaps interrupted, matrix."""
    if not path.exists():
        return []
    return [Result(**one) for one in json.loads(path.read_text(encoding="utf-8"))["results"]]


def markdown(results: Sequence[Result]) -> str:
    """Returns the table: means over seeds, and how far seeds lie apart where there are more."""
    lines = [
        "| set, test pictures of other | recipe | CPU seconds | claimed top-1 | top-1 | macro-F1 |",
        "|---|---|---|---|---|---|",
    ]
    for name, recipe in dict.fromkeys((r.set, r.recipe) for r in results):
        same = [r for r in results if (r.set, r.recipe) == (name, recipe)]
        claimed = np.mean([r.claimed for r in same])
        cells = [
            f"{name}, {SETS[name].unlike}" if name in SETS else name,
            recipe.replace("_", ", "),
            f"{np.mean([r.cpu_seconds for r in same]):.0f}",
            "–" if np.isnan(claimed) else f"{claimed:.3f}",
            _spread([r.top1 for r in same]),
            _spread([r.macro_f1 for r in same]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _spread(values: Sequence[float]) -> str:
    text = f"{np.mean(values):.3f}"
    return text if len(values) < 2 else f"{text} ({min(values):.3f} to {max(values):.3f})"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = os.environ.get("EVENSHARD_TEST_DATA")
    parser.add_argument("--data", type=Path, default=default, required=default is None)
    parser.add_argument("--work", type=Path, default=BENCH / "recipes")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--torch_python", type=Path, help="an interpreter with the torch packages")
    return parser.parse_args()


def main() -> None:
    options = parse()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    python = options.torch_python or Path("torch-not-asked-for")
    if options.torch_python is None and any(name.startswith("torch") for name in options.recipes):
        python = torch_environment(work)
    place = Workplace(options.data.resolve(), work, python)
    sets = [SETS[name] for name in options.sets]
    print(markdown(matrix(place, sets, options.recipes, options.seeds)))


if __name__ == "__main__":
    main()
