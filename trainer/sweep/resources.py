"""Shares a machine among trials that run at the same time: GPUs and CPU cores."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_NVIDIA_SMI = ("nvidia-smi", "--query-gpu=index", "--format=csv,noheader")
_NVIDIA_SMI_SECONDS = 30


@dataclass(frozen=True)
class Resources:
    """The part of the machine that one trial at a time may use.

    Attributes:
      cores: to run on; empty for all.
      environment: variables added to the trial's.
      label: shown to people.
    """

    cores: tuple[int, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    label: str = "whole machine"


def assign(parallel: int, gpus: Sequence[str], cores: Sequence[int]) -> tuple[Resources, ...]:
    """Returns `parallel` parts; GPUs and cores are divided evenly, or shared if there are too few.

    Args:
      parallel: trials at once.
      gpus: as CUDA_VISIBLE_DEVICES names them.
      cores: numbers of the usable ones.
    """
    if parallel == 1:
        return (Resources(),)
    return tuple(_part(number, parallel, gpus, cores) for number in range(parallel))


def visible_gpus() -> tuple[str, ...]:
    """Returns the GPUs as CUDA_VISIBLE_DEVICES names them, without initialising any."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        named = [name.strip() for name in given.split(",")]
        # CUDA itself ends the list at the first -1.
        return tuple(named[: named.index("-1")] if "-1" in named else filter(None, named))
    if shutil.which(_NVIDIA_SMI[0]) is None:
        return ()
    try:
        listed = subprocess.run(
            _NVIDIA_SMI, capture_output=True, text=True, timeout=_NVIDIA_SMI_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return tuple(listed.stdout.split()) if listed.returncode == 0 else ()


def usable_cores() -> tuple[int, ...]:
    """Returns the numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def _part(number: int, parallel: int, gpus: Sequence[str], cores: Sequence[int]) -> Resources:
    own = _cores_of(number, parallel, cores)
    environment = {
        # TensorFlow makes a thread for each core of the machine, whatever the affinity.
        "TF_NUM_INTRAOP_THREADS": str(len(own)),
        "TF_NUM_INTEROP_THREADS": str(len(own)),
        "OMP_NUM_THREADS": str(len(own)),
    }
    label = f"core{'s' if len(own) > 1 else ''} {','.join(map(str, own))}"
    if gpus:
        gpu = gpus[number % len(gpus)]
        environment["CUDA_VISIBLE_DEVICES"] = gpu
        label = f"GPU {gpu}, {label}"
    return Resources(own, environment, label)


def _cores_of(number: int, parallel: int, cores: Sequence[int]) -> tuple[int, ...]:
    if parallel >= len(cores):
        return (cores[number % len(cores)],)
    first, last = (len(cores) * n // parallel for n in (number, number + 1))
    return tuple(cores[first:last])
