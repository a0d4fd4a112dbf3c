"""The trainer on a GPU: one command, one page of tables, most of it in a quarter of an hour.

    python -m benchmarks.train.gpu [--budget=840] [--out=FILE] [--torch=PYTHON]
    python -m benchmarks.train.gpu --dry            the same at toy size, on any machine

It needs no network, no pictures and no Beam: it writes its own data sets. Everything runs in
processes of their own, the most valuable first; what no time is left for is named. After each
case FILE has a line of JSON more, and FILE with the ending .md the whole page anew, so that a run
that is cut leaves what it has measured. The same command goes on from there; --anew begins again.

A step is measured on one batch in the GPU's memory:

  ours      as the trainer runs it: tallies are read two steps late; with XLA and without
  fit       `Model.fit` on the same batch, as it comes: it chooses XLA by itself
  torch     PyTorch: channels last, AMP, fused AdamW; with torch.compile and without
  unfused   ours without XLA, with Keras' own normalisation in place of the fused kernel
  nolayout  ours without XLA, convolutions left in NHWC; the table says what Grappler did else
  augment   ours with flip, crop and colour applied to the batch in the step
  sync      ours, the host waits for each step
  speN      ours with --steps_per_execution=N

On a GPU float32 means TF32, in all of them. Then whole runs: at the default flags, ResNet-50 with
pictures augmented on the GPU and on the host, by all cores and by four; memory that grows and that
does not, a limit of 4 GB, --batch_size=auto within it, a run that is killed and resumed; the input
alone; and the tests that need a GPU.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness.machine import describe_machine
from benchmarks.harness.paths import BENCH
from benchmarks.train.gpu import children, data, plan, table
from benchmarks.train.gpu.cases import CLASSES

# Seconds that are left at the end to write what was found.
_RESERVE = 5.0


class Results:
    """What was found so far, on disk after each case.

    Args:
      out: file of JSON lines; a page of Markdown is beside it.
      machine: what the numbers were measured on.
      dry: the numbers mean nothing.
      anew: forget what the file holds; what another commit found is forgotten anyway.
    """

    def __init__(
        self, out: Path, machine: dict[str, object], dry: bool, anew: bool = False
    ) -> None:
        self._out, self._machine, self._dry = out, machine, dry
        self.found = {} if anew else _found_before(out, machine, dry)
        self.left_out: list[str] = []
        out.parent.mkdir(parents=True, exist_ok=True)
        lines = [{"machine": machine, "dry": dry}]
        lines += [{"case": name, **each} for name, each in self.found.items()]
        out.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")

    def add(self, name: str, found: dict[str, object]) -> None:
        """Adds a case."""
        self.found[name] = found
        with self._out.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"case": name, **found}) + "\n")
        self._write()
        print(name, found, file=sys.stderr, flush=True)

    def leave_out(self, names: Sequence[str]) -> None:
        """Notes cases for which no time is left."""
        self.left_out += names
        self._write()

    @property
    def failed(self) -> bool:
        """Whether a case ended with an error."""
        return any("error" in each for each in self.found.values())

    def page(self) -> str:
        """Returns the page of Markdown."""
        card = self.found.get(plan.PROBE, {})
        if self._dry:
            first = "At toy size, on a CPU: these numbers mean nothing."
        else:
            first = (
                f"{card.get('card', 'no card')}, driver {card.get('driver', '–')}; TensorFlow "
                f"{card.get('tensorflow', '–')}, CUDA {card.get('cuda', '–')}; "
                f"{self._machine['cores']} cores, Python {self._machine['python']}, "
                f"commit {self._machine['commit']}."
            )
        return table.page([first], self.found, self.left_out)

    def _write(self) -> None:
        self._out.with_suffix(".md").write_text(self.page(), encoding="utf-8")


def _found_before(out: Path, machine: dict[str, object], dry: bool) -> dict[str, dict[str, object]]:
    """Returns what a run that was cut has measured, but its errors."""
    if not out.exists():
        return {}
    head, *lines = map(json.loads, out.read_text(encoding="utf-8").splitlines())
    if dry or head["dry"] or head["machine"]["commit"] != machine["commit"]:
        return {}
    return {line.pop("case"): line for line in lines if "error" not in line}


def measure(parts: Sequence[plan.Part], results: Results, end: float) -> None:
    """Measures each part for which time is left; nothing more where the card cannot be used."""
    for position, part in enumerate(parts):
        if all(name in results.found for name in part.cases):
            continue
        left = end - time.monotonic() - _RESERVE
        if left < part.need or left <= 0:
            results.leave_out(part.cases)
            continue
        for name, found in children.results(part.argv, part.cases, min(left, part.limit)):
            results.add(name, found)
        if "error" in results.found.get(plan.PROBE, {}):
            results.leave_out([name for rest in parts[position + 1 :] for name in rest.cases])
            return


def settings_of(flags: argparse.Namespace) -> plan.Settings:
    """Returns what the plan depends on; writes the data sets."""
    folder = flags.out.parent / ("gpu-data-dry" if flags.dry else "gpu-data")
    sizes = ((32, 3 * CLASSES), (32, 3 * CLASSES)) if flags.dry else ((128, 24000), (224, 9000))
    small, large = (
        data.write(folder / f"{name}-{side}", side, records, min(records, 5 * CLASSES))
        for name, (side, records) in zip(("small", "large"), sizes, strict=True)
    )
    seconds = min(flags.seconds, 0.1) if flags.dry else flags.seconds
    return plan.Settings(small, large, seconds, flags.torch, flags.dry)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    own = sys.executable if importlib.util.find_spec("torch") else None
    parser.add_argument("--seconds", type=float, default=2.0, help="of steps in each case")
    parser.add_argument("--budget", type=float, default=840.0, help="seconds for all")
    parser.add_argument("--out", type=Path, default=BENCH / "gpu.jsonl", metavar="FILE")
    parser.add_argument(
        "--torch", default=own, metavar="PYTHON",
        help="an interpreter that has PyTorch; by default this one, if it has it",
    )  # fmt: skip
    parser.add_argument("--anew", action="store_true", help="measure again what FILE holds")
    parser.add_argument("--dry", action="store_true", help="toy size, to show that it runs")
    flags = parser.parse_args(argv)
    flags.out = flags.out.absolute()
    end = time.monotonic() + flags.budget
    if not flags.dry and shutil.which("nvidia-smi") is None:
        print(
            "no GPU here: toy size, to show that it runs; its times mean nothing", file=sys.stderr
        )
        flags.dry = True
    results = Results(flags.out, describe_machine(), flags.dry, flags.anew)
    measure(list(plan.parts(settings_of(flags))), results, end)
    print(results.page())
    return int(results.failed)


if __name__ == "__main__":
    sys.exit(main())
