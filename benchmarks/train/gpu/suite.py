"""The tests that need a GPU, side by side: `python -m benchmarks.train.gpu.suite PROCESSES`."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys

from benchmarks.harness.paths import ROOT
from benchmarks.train.gpu.cases import report

NAME = "pytest -m gpu"

_COUNTED = re.compile(r"(\d+) (passed|failed|skipped|error)")


def found_in(output: str) -> dict[str, object]:
    """Returns the counts of pytest's last line, and the names of the tests that failed."""
    lines = output.strip().splitlines() or [""]
    counts = {word: int(number) for number, word in _COUNTED.findall(lines[-1])}
    failed = [line.split(" - ")[0].split("::")[-1] for line in lines if line.startswith("FAILED")]
    bad = counts.get("failed", 0) + counts.get("error", 0)
    if bad or not counts:
        what = "; ".join(failed) or lines[-1]
        return {**counts, "error": f"{bad} failed: {what}"[:600]}
    return dict(counts)


def main() -> int:
    several = ["-n", sys.argv[1]] if importlib.util.find_spec("xdist") else []
    argv = [
        sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", *several,
        "tests/trainer/test_gpu.py",
    ]  # fmt: skip
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=ROOT)
    report(NAME, found_in(done.stdout))
    return 0


if __name__ == "__main__":
    sys.exit(main())
