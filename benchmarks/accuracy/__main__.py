"""Accuracy at an equal budget: the story's recipe, our defaults, and torch with timm's habits.

    python -m benchmarks.accuracy --data=FOLDER                 the whole matrix
    python -m benchmarks.accuracy --data=FOLDER --ablation      balanced shards, tail losses, both
    python -m benchmarks.accuracy --data=FOLDER --seconds=30 --seeds=1 --datasets=caltech60

FOLDER holds plankton/ and caltech60/, folders of class folders. Everything is baked by
`beam_pipelines.prepare`; all recipes are judged on the same test split, which shares no group
of near duplicates with training. The budget is wall-clock time of training steps, compilation
included; start-up and validation are not counted, for none of them. Our epochs are set from
the measured rate of a first epoch, so that the schedule ends with the budget; the torch recipe
sees as many pictures as ours, however long that takes.

Finished rows stand in WORK/…json and are not run again: an interrupted matrix goes on.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.accuracy import table
from benchmarks.accuracy.commands import call, torch_environment
from benchmarks.accuracy.table import Row
from benchmarks.harness.machine import describe_machine
from benchmarks.harness.paths import BENCH

SPLITS = "train:0.7,validation:0.1,test:0.2"  # A fifth to judge on: less noise than a tenth.
OVERSAMPLE_TO = 300
BALANCE_TO = 100
RECIPES = ("story", "default", "torch")


@dataclass(frozen=True)
class Problem:
    """A data set at a size.

    Attributes:
      name: of the data set, and of its folder.
      side: of the baked pictures, pixels.
    """

    name: str
    side: int


PROBLEMS = {
    problem.name: problem for problem in (Problem("plankton", 32), Problem("caltech60", 64))
}

# How the shards are baked. "filled" leaves the large classes larger, "balanced" does not.
BAKES = {
    "natural": (),
    "filled": (f"--min_per_class={BALANCE_TO}",),
    "balanced": (f"--per_class={BALANCE_TO}",),
    "story": (f"--min_per_class={OVERSAMPLE_TO}", "--augment=flip"),
}

# Flags of trainer.train beside the defaults.
TAIL_LOSSES = {
    "cross-entropy": ("--loss=cross_entropy",),
    "logit adjustment 0.5": ("--loss=logit_adjusted", "--logit_adjustment=0.5"),
    "balanced softmax": ("--loss=balanced_softmax",),
    "focal": ("--loss=focal",),
    "effective number": ("--loss=cross_entropy", "--class_weights=effective"),
    "effective number, deferred": (
        "--loss=cross_entropy", "--class_weights=effective", "--defer_weights=0.8",
    ),
}  # fmt: skip
_OF_BOTH = ("cross-entropy", "logit adjustment 0.5", "balanced softmax")


def ablation() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Returns name → (bake, flags): tail losses, balanced shards, and both together."""
    losses = {
        "natural": tuple(TAIL_LOSSES),
        "filled": _OF_BOTH,
        "balanced": ("cross-entropy",),  # Among equally large classes the losses are one.
    }
    return {
        f"{kind}, {loss}": (kind, TAIL_LOSSES[loss])
        for kind, names in losses.items()
        for loss in names
    }


ABLATION = ablation()


@dataclass(frozen=True)
class Bench:
    """Where a matrix is run.

    Attributes:
      data: folder of the data sets.
      work: bakes, runs and results go here.
      seconds: budget of a training.
      pictures: that each training sees instead, on a machine too busy for a clock; 0: seconds.
      torch_python: interpreter of the torch peer.
    """

    data: Path
    work: Path
    seconds: float
    pictures: int
    torch_python: Path

    @property
    def budget(self) -> str:
        """A name for the budget: "300s" or "60000p"."""
        return f"{self.pictures}p" if self.pictures else f"{self.seconds:g}s"

    def source(self, problem: Problem) -> Path:
        """Returns the class folders, which may lie a folder of the same name deeper."""
        folder = self.data / problem.name
        return folder / problem.name if (folder / problem.name).is_dir() else folder

    def bake(self, problem: Problem, kind: str) -> Path:
        """Returns a bake, made where it is not there yet."""
        output = self.work / "bakes" / f"{problem.name}-{problem.side}-{kind}"
        if not (output / "manifest.json").exists():
            call(
                "-m", "beam_pipelines.prepare", f"--input_dir={self.source(problem)}",
                f"--output_dir={output}", f"--image_size={problem.side}", "--resize=squash",
                f"--splits={SPLITS}", *BAKES[kind],
            )  # fmt: skip
        return output

    def arrays(self, problem: Problem, kind: str) -> Path:
        """Returns a bake as plain arrays, for the peers that know nothing of TFRecords."""
        path = self.work / "arrays" / f"{problem.name}-{problem.side}-{kind}.npz"
        if not path.exists():
            call("-m", "benchmarks.accuracy.arrays", str(self.bake(problem, kind)), str(path))
        return path

    def run_dir(self, problem: Problem, name: str, seed: int) -> Path:
        plain = "".join(c if c.isalnum() or c == "." else "_" for c in name)
        return self.work / f"runs-{self.budget}" / f"{problem.name}-{plain}-{seed}"


def story(bench: Bench, problem: Problem, seed: int) -> Row:
    output = bench.run_dir(problem, "story", seed)
    call(
        "-m", "benchmarks.accuracy.story_recipe", str(bench.arrays(problem, "story")), str(output),
        f"--seconds={bench.seconds}", f"--pictures={bench.pictures}", f"--seed={seed}",
    )  # fmt: skip
    return table.judge_logits(output, bench.arrays(problem, "natural"), problem.name, "story", seed)


def ours(
    bench: Bench, problem: Problem, seed: int, name: str, kind: str, flags: tuple[str, ...]
) -> Row:
    """Trains through `trainer.train`, as many epochs as fit the budget."""
    data_dir = bench.bake(problem, kind)
    output = bench.run_dir(problem, name, seed)
    common = (
        "-m", "trainer.train", f"--data_dir={data_dir}", "--recipe=scratch", "--cache=decoded",
        "--progress=lines", f"--seed={seed}", *flags,
    )  # fmt: skip
    epochs = fitting_epochs(bench, data_dir, common, output)
    call(*common, f"--run_dir={output}", f"--epochs={epochs}")
    return judge(bench, problem, seed, name, output)


def judge(
    bench: Bench, problem: Problem, seed: int, name: str, run_dir: Path, tau: float = 0.0
) -> Row:
    """Judges a run by `trainer.evaluate`, which refuses a test split that leaks."""
    output = run_dir.with_name(f"{run_dir.name}-judged-{tau:g}")
    call(
        "-m", "trainer.evaluate", f"--run_dir={run_dir}", f"--output_dir={output}",
        f"--logit_adjustment={tau}",
    )  # fmt: skip
    return table.judge_run(output / "evaluation.json", run_dir, problem.name, name, seed)


def fitting_epochs(bench: Bench, data_dir: Path, common: tuple[str, ...], output: Path) -> int:
    """Returns how many epochs fit the budget, from the rate of two; at least 2."""
    stored = output / "config.json"
    if stored.exists():  # Interrupted: it goes on with what it began with.
        return int(json.loads(stored.read_text())["flags"]["epochs"])
    if bench.pictures:
        return max(2, bench.pictures // table.train_records(data_dir))
    pilot = output.with_name(f"{output.name}-pilot")
    call(*common, f"--run_dir={pilot}", "--epochs=2", "--noresume")
    first, second = table.epoch_seconds(pilot)
    return max(2, int((bench.seconds - (first - second)) / second))


def torch(bench: Bench, problem: Problem, seed: int, epochs: int) -> Row:
    output = bench.run_dir(problem, "torch", seed)
    call(
        "-m", "benchmarks.accuracy.torch_recipe", str(bench.arrays(problem, "natural")),
        str(output), f"--epochs={epochs}", f"--seed={seed}", python=bench.torch_python,
    )  # fmt: skip
    return table.judge_logits(output, bench.arrays(problem, "natural"), problem.name, "torch", seed)


def run(bench: Bench, problem: Problem, name: str, seed: int, rows: list[Row]) -> list[Row]:
    """Returns the rows that one name of the matrix comes to."""
    if name == "story":
        return [story(bench, problem, seed)]
    if name == "torch":
        seen = next(
            r for r in rows if (r.problem, r.recipe, r.seed) == (problem.name, "default", seed)
        )
        return [torch(bench, problem, seed, seen.epochs)]
    if name == "default":
        return [ours(bench, problem, seed, "default", "natural", ())]
    kind, flags = ABLATION[name]
    row = ours(bench, problem, seed, name, kind, flags)
    if name != "natural, cross-entropy":
        return [row]
    trained = bench.run_dir(problem, name, seed)
    post_hoc = judge(bench, problem, seed, f"{name}, adjusted after", trained, tau=1.0)
    return [row, post_hoc]


def matrix(bench: Bench, problems: list[Problem], names: list[str], seeds: int) -> list[Row]:
    """Runs what has no row yet; returns all rows."""
    results = bench.work / f"results-{bench.budget}.json"
    rows = table.read(results)
    for seed in range(seeds):
        for problem in problems:
            for name in names:
                if any((r.problem, r.recipe, r.seed) == (problem.name, name, seed) for r in rows):
                    continue
                print(f"{problem.name}: {name}, seed {seed}", flush=True)
                rows += run(bench, problem, name, seed, rows)
                write(results, bench, rows)
    return [r for r in rows if r.problem in {p.name for p in problems} and r.seed < seeds]


def write(path: Path, bench: Bench, rows: list[Row]) -> None:
    text = {"machine": describe_machine(), "budget": bench.budget,
            "rows": [asdict(row) for row in rows]}  # fmt: skip
    path.write_text(json.dumps(text, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = os.environ.get("EVENSHARD_TEST_DATA")
    parser.add_argument("--data", type=Path, default=default, required=default is None)
    parser.add_argument("--work", type=Path, default=BENCH / "accuracy")
    parser.add_argument("--seconds", type=float, default=300, help="budget of a training")
    parser.add_argument("--pictures", type=int, default=0, help="a budget in pictures instead")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--datasets", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--ablation", action="store_true")
    parser.add_argument("--torch_python", type=Path, help="an interpreter that has torch and timm")
    return parser.parse_args()


def main() -> None:
    options = parse()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    names = list(ABLATION) if options.ablation else options.recipes
    python = options.torch_python or Path("torch-not-asked-for")
    if "torch" in names and options.torch_python is None:
        python = torch_environment(work)
    bench = Bench(options.data.resolve(), work, options.seconds, options.pictures, python)
    rows = matrix(bench, [PROBLEMS[n] for n in options.datasets], names, options.seeds)
    print(table.markdown(rows))
    if not options.ablation:
        print(table.verdict(rows))


if __name__ == "__main__":
    main()
