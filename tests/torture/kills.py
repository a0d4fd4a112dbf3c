"""SIGKILL at random moments, then the same command to its end: the result is the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.torture import bench, case
from tests.torture.case import Case, Kind, Lost

_MOST_KILLS = 3


def _kills(attempt: Case, rng: np.random.Generator, name: str, module: str, *flags: str) -> int:
    """Kills a command some times; returns how often it was hit before its end."""
    usual = bench.seconds(attempt.bench, name)
    hits = 0
    for _ in range(int(rng.integers(1, _MOST_KILLS + 1))):
        # The first fifth is imports: hit less often.
        moment = float(rng.uniform(0.1, 1.0)) if rng.random() < 0.8 else float(rng.random())
        whole = bool(rng.random() < 0.5)
        process = case.start(module, *flags)
        if not case.kill_after(process, moment * usual, whole=whole):
            break
        hits += 1
    return hits


def kill_bake(attempt: Case) -> str:
    """Kills a bake, and compares its bytes."""
    rng, output = attempt.rng("kill-bake"), attempt.folder / "o"
    flags = bench.bake_flags(attempt.bench / "in", output)
    hits = _kills(attempt, rng, "o", bench.BAKE, *flags)
    _finish_bake(flags, output)
    bench.require_same_data_set(output, attempt.bench / "o")
    return f"{hits} kills"


def _finish_bake(flags: tuple[str, ...], output: Path) -> None:
    ended = case.run(bench.BAKE, *flags)
    ended.require_told("the bake after kills")
    if ended.code == 0 and "is complete, with the same input" in ended.err:
        # It was hit after its last file, before or while it wrote the report.
        _finish_overwrite(flags, output)
    elif ended.code != 0:
        raise Lost(f"the bake after kills ended with {ended.code}: {ended.err[-500:]}")


def _finish_overwrite(flags: tuple[str, ...], output: Path) -> None:
    """Removes what a bake that was hit at its very end left in its cache."""
    if (output / ".cache").exists():
        case.run(bench.BAKE, *flags, "--overwrite").require_done("the bake with --overwrite")


def kill_train(attempt: Case) -> str:
    """Kills a training, and compares weights, metrics and predictions."""
    rng, run_dir = attempt.rng("kill-train"), attempt.folder / "r"
    flags = bench.train_flags(attempt.bench / "o", run_dir)
    hits = _kills(attempt, rng, "r", bench.TRAIN, *flags)
    case.run(bench.TRAIN, *flags).require_done("the training after kills")
    bench.require_same_run(run_dir, attempt.bench / "r")
    return f"{hits} kills"


def kill_sweep(attempt: Case) -> str:
    """Kills a sweep, and compares the weights of each trial."""
    rng, runs_dir = attempt.rng("kill-sweep"), attempt.folder / "s"
    flags = bench.sweep_flags(attempt.bench, runs_dir)
    hits = _kills(attempt, rng, "s", bench.SWEEP, *flags)
    case.run(bench.SWEEP, *flags).require_done("the sweep after kills")
    for config in sorted((attempt.bench / "s").glob("*/config.json")):
        bench.require_same_run(runs_dir / config.parent.name, config.parent)
    return f"{hits} kills"


KINDS = (
    Kind("kill-bake", "SIGKILL of a bake, its first process or all, then it again", 3, kill_bake),
    Kind("kill-train", "SIGKILL of a training, then it again", 4, kill_train),
    Kind("kill-sweep", "SIGKILL of a sweep or of all its trials, then it again", 3, kill_sweep),
)
