"""`trainer.train` against a bare `keras.Model.fit` on tensors in memory, the same network.

    python -m benchmarks.train.step [--input=DIR] [--limit=5000] [--side=64] [--epochs=3]

"ms/step" is wall time from the end of the first epoch to the end of the last, over the steps:
ours reads shards, or with --cache=decoded memory as `fit` does, and writes metrics, logs and
checkpoints; both validate after each epoch.
"in the step" is what ours says of its steps alone. Ours runs deterministic ops, `fit` does
not. Then the start: from nothing to the end of the first step (ours: to its checkpoint on
disk), and to the end of the imports.
"""

from __future__ import annotations

import csv
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks import datasets
from benchmarks.harness import compare
from benchmarks.harness.compare import METRICS, Claim, Column, Competitor
from benchmarks.harness.paths import BENCH
from benchmarks.harness.processes import Milestone, Usage
from tfrecords import example, framing, manifest
from tfrecords.images import canonicalise

OUT = BENCH / "out" / "step"
FIRST = "first step"
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3"}
OURS, OURS_CACHED = "trainer.train", "trainer.train --cache=decoded"
FIT, FIT_AUTO = "Model.fit", "Model.fit, XLA as Keras chooses"
OURS_FIRST, FIT_FIRST = "trainer.train, first step", "Model.fit, first step"
OURS_IMPORT, KERAS_IMPORT = "import trainer.train.run", "import keras"

# So few that the steps do not matter to the time of the first.
FEW = 4


def arrays(data_dir: Path, per_class: int | None = None) -> Path:
    """Returns the data set's train and validation pixels as a .npz; made once."""
    target = BENCH / "data" / f"{data_dir.name}-{per_class or 'all'}.npz"
    if not target.exists():
        found = manifest.load(data_dir)
        parts: dict[str, np.ndarray] = {}
        for name in ("train", "validation"):
            records = [
                example.decode(data)
                for shard in found.split(name).shards
                for data in framing.read_records(str(data_dir / shard.filename))
            ]
            chosen = [one for one in records if per_class is None or one.rank < per_class]
            parts[f"{name}_images"] = np.stack(
                [canonicalise.decode_record(one.image, found.image) for one in chosen]
            )
            parts[f"{name}_labels"] = np.array([one.label for one in chosen], np.int32)
        np.savez(target, **parts)
    return target


def train(name: str, data_dir: Path, epochs: int, batch: int, *flags: str) -> Competitor:
    """Returns a run of ours, without augmentation, as `fit` does none."""
    run_dir = OUT / compare.slug(name)
    argv = compare.python(
        "trainer.train", f"--data_dir={data_dir}", f"--run_dir={run_dir}", "--recipe=scratch",
        "--augment=",
        f"--epochs={epochs}", f"--batch_size={batch}", *flags,
    )  # fmt: skip
    rows = tuple(
        Milestone(f"epoch {n}", run_dir, METRICS, lines=n + 1) for n in range(1, epochs + 1)
    )

    def collect() -> Mapping[str, float]:
        with (run_dir / METRICS).open(encoding="utf-8", newline="") as file:
            later = list(csv.DictReader(file))[1:]
        if not later:
            return {}
        rate = statistics.median(float(row["images_per_second"]) for row in later)
        wait = statistics.median(float(row["input_wait"]) for row in later)
        return {"inner_ms": 1e3 * batch / rate, "input_wait": wait}

    first = Milestone(FIRST, run_dir / "checkpoints", "**/*")
    milestones = (*rows, first) if "--checkpoint_steps=1" in flags else rows
    return Competitor(
        name, argv, clears=(run_dir,), environment=_QUIET, milestones=milestones, collect=collect
    )


def fit(name: str, path: Path, epochs: int, batch: int, jit: str = "off") -> Competitor:
    """Returns a run of `fit`."""
    argv = compare.python(
        "benchmarks.baselines.fit",
        str(path),
        f"--epochs={epochs}",
        f"--batch={batch}",
        f"--jit={jit}",
    )
    return Competitor(name, argv, environment=_QUIET)


def imports(name: str, statement: str) -> Competitor:
    """Returns an interpreter that imports and ends."""
    return Competitor(name, (sys.executable, "-c", statement), environment=_QUIET)


def step_ms(epochs: int, steps: int) -> compare.Metric:
    """Milliseconds a step, from the end of the first epoch to that of the last."""

    def metric(usage: Usage) -> float | None:
        ends = [usage.milestones.get(f"epoch {n}") for n in (1, epochs)]
        if ends[0] is None or ends[1] is None:
            return usage.report.get("step_ms")
        return 1e3 * (ends[1] - ends[0]) / (steps * (epochs - 1))

    return metric


def step_cpu_ms(epochs: int, steps: int) -> compare.Metric:
    """Milliseconds of CPU time a step, of the same steps: other programs do not change it much."""

    def metric(usage: Usage) -> float | None:
        ends = [usage.cpu_at.get(f"epoch {n}") for n in (1, epochs)]
        if ends[0] is None or ends[1] is None:
            return usage.report.get("step_cpu_ms")
        return 1e3 * (ends[1] - ends[0]) / (steps * (epochs - 1))

    return metric


def first_step(usage: Usage) -> float | None:
    """Seconds to the end of the first step."""
    return usage.milestones.get(FIRST, usage.report.get("first_step"))


def main() -> int:
    parser = compare.parser(__doc__, rounds=3)
    datasets.add_flags(parser, limit=5000)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=3, help="2 or more; the first is not timed")
    parser.add_argument("--steps_only", action="store_true", help="no starts and no imports")
    flags = parser.parse_args()
    compare.warn_if_busy()
    root = datasets.pictures(flags)
    data_dir = datasets.baked(root, flags.side, "jpeg")
    path, few = arrays(data_dir), arrays(data_dir, FEW)
    steps = -(-manifest.load(data_dir).split("train").records // flags.batch)
    epochs = max(2, flags.epochs)
    competitors = _steps(data_dir, path, epochs, flags.batch)
    if not flags.steps_only:
        competitors += _starts(data_dir, few, flags.batch)
    title = f"training step, {datasets.title(root)}"
    runs = compare.compete(competitors, flags.rounds, compare.slug(title))
    metric, cpu_metric = step_ms(epochs, steps), step_cpu_ms(epochs, steps)
    columns = [
        Column("ms/step", metric, 1, spread=True),
        Column("CPU ms/step", cpu_metric, 1, spread=True),
        Column("in the step", compare.reported("inner_ms"), 1),
        Column("first step s", first_step),
        Column("wall s", compare.wall),
        Column("CPU s", compare.cpu),
        Column("peak MiB", compare.peak_mib, 0),
    ]
    claims = _claims_of_steps(metric, cpu_metric)
    if not flags.steps_only:
        claims += [
            Claim("start to first step / Model.fit's", OURS_FIRST, FIT_FIRST, first_step,
                  first_step),
            Claim("imports / TensorFlow's and Keras'", OURS_IMPORT, KERAS_IMPORT),
        ]  # fmt: skip
    about = {"side": flags.side, "batch": flags.batch, "epochs": epochs, "steps": steps}
    kept = compare.show(title, runs, columns, claims, metric, about)
    compare.remove(OUT)
    return int(flags.strict and not kept)


def _steps(data_dir: Path, path: Path, epochs: int, batch: int) -> list[Competitor]:
    return [
        train(OURS, data_dir, epochs, batch),
        train(OURS_CACHED, data_dir, epochs, batch, "--cache=decoded"),
        fit(FIT, path, epochs, batch),
        fit(FIT_AUTO, path, epochs, batch, "auto"),
    ]


def _starts(data_dir: Path, few: Path, batch: int) -> list[Competitor]:
    return [
        train(OURS_FIRST, data_dir, 1, batch, f"--per_class={FEW}", "--checkpoint_steps=1"),
        fit(FIT_FIRST, few, 1, batch),
        imports(OURS_IMPORT, "import trainer.train.run"),
        imports(KERAS_IMPORT, "import keras, tensorflow"),
    ]


def _claims_of_steps(metric: compare.Metric, cpu_metric: compare.Metric) -> list[Claim]:
    inner = compare.reported("inner_ms")
    return [
        Claim("step: trainer.train / Model.fit as it comes", OURS, FIT_AUTO, metric, metric,
              at_most=1.0),
        Claim("step, CPU time: trainer.train / Model.fit as it comes", OURS, FIT_AUTO, cpu_metric,
              cpu_metric, at_most=1.0),
        Claim("step, CPU time: the same from memory", OURS_CACHED, FIT_AUTO, cpu_metric,
              cpu_metric, at_most=1.0),
        Claim("step: trainer.train / Model.fit without XLA", OURS, FIT, metric, metric,
              at_most=1.05),
        Claim("the same, our steps alone / Model.fit", OURS, FIT, inner, metric),
        Claim("memory / Model.fit's", OURS, FIT, compare.peak_mib, compare.peak_mib),
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
