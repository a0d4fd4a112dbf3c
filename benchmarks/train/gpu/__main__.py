"""The training step on a GPU against `Model.fit` as it comes and PyTorch, and the input beside it.

    python -m benchmarks.train.gpu [--data=DIR] [--seconds=2] [--budget=600] [--out=FILE]
    python -m benchmarks.train.gpu --dry                the same at toy size, on any machine

Each case runs in a process of its own, the most valuable first, until --budget is spent, and adds
a line to a file of JSON lines. A step is measured on one batch in the GPU's memory:

  ours     as the trainer runs it: tallies are read two steps late, XLA as --jit_compile says
  sync     the same, the host waits for each step
  unfused  ours without XLA, with Keras' own normalisation in place of the fused kernel
  augment  ours with flip, crop and colour applied to the batch in the step
  speN     ours with --steps_per_execution=N
  fit      `Model.fit` on the same batch, as it comes: it chooses XLA by itself

PyTorch, if it is installed: channels last, AMP, fused AdamW, with torch.compile and without. On a
GPU float32 means TF32, in all of them. --data names a baked data set: its stream alone is measured,
augmented on the host and for the device, and how much of a run waits for it.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.harness.machine import describe_machine
from benchmarks.harness.paths import BENCH, ROOT
from benchmarks.train.gpu.cases import Case

SMALL, LARGE = ("springfield_cnn", 128), ("resnet50", 224)
PRECISIONS = ("mixed_bfloat16", "mixed_float16", "float32")

# A process that takes longer than this hangs: ResNet-50 compiles within a minute.
CASE_SECONDS = 240


def step_cases(dry: bool) -> Iterator[Case]:
    """Yields the cases of a step, the most valuable first."""
    if dry:
        for jit, way in (("off", "ours"), ("off", "sync"), ("off", "augment"), ("off", "spe2"),
                         ("auto", "fit")):  # fmt: skip
            yield Case("springfield_cnn", 32, 8, "float32", jit, way)
        return
    for (model, side), batch in ((LARGE, 128), (SMALL, 64)):
        first = Case(model, side, batch, PRECISIONS[0], "on", "ours")
        without = dataclasses.replace(first, jit="off")
        yield from (first, dataclasses.replace(first, jit="auto", way="fit"), without)
        yield dataclasses.replace(without, way="unfused")
    for (model, side), batch in ((LARGE, 128), (SMALL, 64)):
        for precision in PRECISIONS[1:]:
            for jit, way in (("on", "ours"), ("off", "ours"), ("auto", "fit")):
                yield Case(model, side, batch, precision, jit, way)
        for jit, way in (("on", "augment"), ("on", "sync"), ("on", "spe8"), ("off", "spe8")):
            yield Case(model, side, batch, PRECISIONS[0], jit, way)
    for jit, way in (("on", "ours"), ("off", "ours"), ("auto", "fit")):
        yield Case(*SMALL, 512, PRECISIONS[0], jit, way)


def torch_cases(dry: bool) -> Iterator[Case]:
    """Yields PyTorch's, of the same batches; --jit is torch.compile."""
    if dry:
        yield Case("springfield_cnn", 32, 8, "float32", "off", "torch")
        return
    for (model, side), batch in ((LARGE, 128), (SMALL, 64)):
        for precision in PRECISIONS:
            for jit in ("on", "off"):
                yield Case(model, side, batch, precision, jit, "torch")


def commands(flags: argparse.Namespace) -> Iterator[tuple[str, list[str]]]:
    """Yields the name of each case and the command that measures it."""
    python = [sys.executable, "-m"]
    torch = [] if importlib.util.find_spec("torch") is None else list(torch_cases(flags.dry))
    steps = list(step_cases(flags.dry))
    for position, case in enumerate([*steps[:4], *torch[:1], *steps[4:], *torch[1:]]):
        module = "torch_step" if case.way == "torch" else "step"
        yield str(case), [*python, f"benchmarks.train.gpu.{module}", str(case), str(flags.seconds)]
        if flags.data and position == 4:
            yield from input_commands(flags)


def input_commands(flags: argparse.Namespace) -> Iterator[tuple[str, list[str]]]:
    """Yields the measurements that need a data set."""
    start = [sys.executable, "-m", "benchmarks.train.gpu.input", str(flags.data)]
    for where in ("none", "host", "device"):
        yield f"input, augment {where}", [*start, where, str(flags.seconds)]
    for where in ("host", "device"):
        yield f"run, augment {where}", [*start, f"run-{where}", "32" if flags.dry else "224"]


def measure(argv: Sequence[str], limit: float) -> dict[str, object]:
    """Returns what a case prints as its last line, or why it prints none."""
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=limit, check=False, cwd=ROOT
        )
    except subprocess.TimeoutExpired:
        return {"error": f"took more than {limit:.0f} s"}
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return {"error": (done.stderr.strip().splitlines() or ["no output"])[-1][:300]}
    found: dict[str, object] = json.loads(lines[-1])
    return found


def table(results: dict[str, dict[str, object]]) -> Iterator[str]:
    """Yields the lines of the table of results, in Markdown."""
    yield "| case | pictures/s | ms/step | first step s | GPU MiB | |"
    yield "|---|---|---|---|---|---|"
    for name, found in results.items():
        cells = (found.get(key, "") for key in ("rate", "ms", "first_s", "peak_mib"))
        rest = {k: v for k, v in found.items() if k in ("error", "input_wait", "core_ms")}
        note = ", ".join(f"{key} {value}" for key, value in rest.items())
        yield f"| {name} | " + " | ".join(map(str, cells)) + f" | {note} |"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="a baked data set")
    parser.add_argument("--seconds", type=float, default=2.0, help="of steps in each case")
    parser.add_argument("--budget", type=float, default=600.0, help="seconds for all")
    parser.add_argument("--out", type=Path, default=BENCH / "gpu.jsonl", metavar="FILE")
    parser.add_argument("--dry", action="store_true", help="toy size, to show that it runs")
    flags = parser.parse_args(argv)
    if not flags.dry and shutil.which("nvidia-smi") is None:
        print(
            "no GPU here: toy size, to show that it runs; its times mean nothing", file=sys.stderr
        )
        flags.dry = True
    if flags.dry:
        flags.seconds = min(flags.seconds, 0.1)
    end = time.monotonic() + flags.budget
    flags.out.parent.mkdir(parents=True, exist_ok=True)
    results: dict[str, dict[str, object]] = {}
    with flags.out.open("a", encoding="utf-8") as file:
        print(json.dumps({"machine": describe_machine(), "dry": flags.dry}), file=file)
        for name, command in commands(flags):
            left = end - time.monotonic()
            if left <= 0:
                print(f"the budget of {flags.budget:.0f} s is spent: not run from {name!r} on")
                break
            results[name] = measure(command, min(left, CASE_SECONDS))
            print(json.dumps({"case": name, **results[name]}), file=file, flush=True)
            print(name, results[name], file=sys.stderr, flush=True)
    print("\n".join(table(results)))
    return int(any("error" in found for found in results.values()))


if __name__ == "__main__":
    sys.exit(main())
