"""What is measured on a GPU, the most valuable first, and how long each part may take."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.train.gpu import suite
from benchmarks.train.gpu.carry.start import BEFORE
from benchmarks.train.gpu.cases import Case

LARGE, SMALL = ("resnet50", 224, 128), ("springfield_cnn", 128, 64)
PRECISIONS = ("mixed_bfloat16", "mixed_float16", "float32")

# Limit of --gpu_memory_limit_mb, and what a CUDA context takes on top of it, MiB.
LIMIT_MB, CONTEXT_MB = 4096, 600

PROBE = "the card"
DEFAULT = "run, default flags"
GROWTH_OFF = "run, default flags, --nomemory_growth"
LIMITED = f"run, ResNet-50, --gpu_memory_limit_mb={LIMIT_MB}"
AUTO = f"run, ResNet-50, --batch_size=auto, --gpu_memory_limit_mb={LIMIT_MB}"
KILLED = "run, killed and resumed"

# Cores of a free notebook beside its GPU.
FEW_CORES = 4


@dataclass(frozen=True)
class Part:
    """A program that measures one case or more.

    Attributes:
      cases: that it reports.
      argv: the program.
      limit: seconds after which it hangs.
      need: seconds that it takes on an H100, about: it is not begun with less left.
    """

    cases: tuple[str, ...]
    argv: tuple[str, ...]
    limit: float
    need: float


@dataclass(frozen=True)
class Settings:
    """What the plan depends on.

    Attributes:
      small: data set for springfield_cnn.
      large: data set for ResNet-50.
      seconds: of steps in each case.
      torch: the interpreter that has PyTorch; None without it.
      dry: toy size.
    """

    small: Path
    large: Path
    seconds: float
    torch: str | None
    dry: bool = False


def parts(settings: Settings) -> Iterator[Part]:
    """Yields what is to be measured."""
    if settings.dry:
        yield from _dry_parts(settings)
        return
    yield _program("runs", (PROBE,), (PROBE, "-", "--probe"), 90, 10)
    yield _run(DEFAULT, settings.small, "--epochs=3", need=35)
    yield from _compared(LARGE, PRECISIONS[0], settings)
    yield from _torch_compiled(LARGE, PRECISIONS[0], settings)
    yield _program("suite", (suite.NAME,), ("8",), 240, 75)
    yield from _compared(SMALL, PRECISIONS[0], settings)
    yield from _torch_compiled(SMALL, PRECISIONS[0], settings)
    yield from _input_parts(settings)
    yield from _memory_runs(settings)
    for precision in PRECISIONS[1:]:
        yield from _compared(LARGE, precision, settings)
    for precision in PRECISIONS[1:]:
        yield from _compared(SMALL, precision, settings)
    for network in (LARGE, SMALL):
        for precision in PRECISIONS[1:]:
            yield from _torch_compiled(network, precision, settings)
    for where in ("device", "host"):
        yield _augmented_run(where, settings, FEW_CORES)
    for network in (LARGE, SMALL):
        yield from _ways(network, settings)
    yield _steps([Case(*SMALL[:2], 512, PRECISIONS[0], jit, way)
                  for jit, way in (("on", "ours"), ("off", "ours"), ("auto", "fit"))],
                 settings, 15)  # fmt: skip
    for network in (LARGE, SMALL):
        for precision in PRECISIONS:
            yield from _torch([Case(*network, precision, "off", "torch")], settings, 15)


def _compared(network: tuple[str, int, int], precision: str, settings: Settings) -> Iterator[Part]:
    """Yields ours with XLA, fit as it comes, ours without XLA."""
    ours = Case(*network, precision, "on", "ours")
    fit = dataclasses.replace(ours, jit="auto", way="fit")
    cases = [ours, fit, dataclasses.replace(ours, jit="off")]
    yield _steps(cases, settings, 25 if network is LARGE else 12)


def _torch_compiled(
    network: tuple[str, int, int], precision: str, settings: Settings
) -> Iterator[Part]:
    yield from _torch([Case(*network, precision, "on", "torch")], settings, 30)


def _ways(network: tuple[str, int, int], settings: Settings) -> Iterator[Part]:
    """Yields what each part of the step's design is worth."""
    first = Case(*network, PRECISIONS[0], "off", "unfused")
    without = [first, dataclasses.replace(first, way="nolayout"),
               dataclasses.replace(first, way="nolayout", precision=PRECISIONS[2])]  # fmt: skip
    with_xla = [Case(*network, PRECISIONS[0], "on", way) for way in ("augment", "sync", "spe8")]
    yield _steps(without, settings, 20 if network is LARGE else 12)
    yield _steps(with_xla, settings, 35 if network is LARGE else 12)


def _input_parts(settings: Settings) -> Iterator[Part]:
    """Yields the input alone, and the part of a run that waits for it."""
    places = ("none", "host", "device")
    names = tuple(f"input, augment {where}" for where in places)
    amount = str(settings.seconds)
    yield _program("input", names, (amount, str(settings.large), *places), 90, 25)
    for where in ("device", "host"):
        yield _augmented_run(where, settings)


def _augmented_run(where: str, settings: Settings, cores: int = 0) -> Part:
    """Returns a run of ResNet-50 with flip and crop, on all cores or so many."""
    few = (f"--cores={cores}",) if cores else ()
    return _run(
        f"run, ResNet-50, augment on {where}" + (f", {cores} cores" if cores else ""),
        settings.large, "--model=resnet50", "--batch_size=128", "--augment=flip,crop",
        "--recipe=scratch", *_paused(2), f"--augment_on={where}", *few, need=45,
    )  # fmt: skip


def _memory_runs(settings: Settings) -> Iterator[Part]:
    """Yields runs that keep within a limit, and one that is killed."""
    large = ("--model=resnet50", "--recipe=scratch", *_paused(1),
             f"--gpu_memory_limit_mb={LIMIT_MB}")  # fmt: skip
    yield _run(LIMITED, settings.large, *large, "--batch_size=32", need=40)
    yield _run(KILLED, settings.small, "--kill", "--recipe=scratch", *_paused(1),
               "--deterministic=on", "--checkpoint_steps=20", need=45)  # fmt: skip
    yield _run(AUTO, settings.large, *large, "--batch_size=auto", need=70)
    yield _run(GROWTH_OFF, settings.small, *_paused(1), "--nomemory_growth", need=20)


def _paused(epochs: int) -> tuple[str, ...]:
    """Returns flags of a run that ends after so many epochs, without its report."""
    return (f"--epochs={epochs + 1}", f"--stop_after_epoch={epochs}")


def _dry_parts(settings: Settings) -> Iterator[Part]:
    """Yields one of each kind, at toy size, on a CPU."""
    base = Case("springfield_cnn", 32, 8, "float32", "off", "ours")
    half = dataclasses.replace(base, precision="mixed_float16")
    ways = [half, *(dataclasses.replace(base, way=way) for way in ("augment", "spe2"))]
    fit = dataclasses.replace(base, jit="auto", way="fit")
    small = ("--recipe=scratch", "--batch_size=32", "--image_size=32", "--device=cpu")
    yield _steps([*ways, fit], settings, 0)
    names = tuple(f"input, augment {where}" for where in ("none", "host", "device"))
    places = ("none", "host", "device")
    yield _program("input", names, ("0.1", str(settings.large), *places), _limit(0), 0)
    yield _run(DEFAULT, settings.small, *small, *_paused(1), "--cores=1", need=0)
    yield from _torch([dataclasses.replace(base, way="torch")], settings, 0)


def _steps(cases: list[Case], settings: Settings, seconds_each: float) -> Part:
    names = tuple(map(str, cases))
    need = 10 + seconds_each * len(cases) if seconds_each else 0
    return _program("step", names, (str(settings.seconds), *names), _limit(need), need)


def _torch(cases: list[Case], settings: Settings, seconds_each: float) -> Iterator[Part]:
    if settings.torch is not None:
        yield dataclasses.replace(
            _steps(cases, settings, seconds_each),
            argv=(*_without_bundle(), settings.torch, "-m", "benchmarks.train.gpu.torch_step",
                  str(settings.seconds), *map(str, cases)),
        )  # fmt: skip


def _without_bundle() -> tuple[str, ...]:
    """Returns what hides a bundle of TensorFlow and its CUDA, if there is one, from PyTorch."""
    before = os.environ.get(BEFORE)
    if before is None:
        return ()
    return ("env", "-u", "PYTHONPATH", f"LD_LIBRARY_PATH={before}")


def _run(name: str, data_dir: Path, *flags: str, need: float) -> Part:
    return _program("runs", (name,), (name, str(data_dir), *flags), _limit(need), need)


def _limit(need: float) -> float:
    """Returns the seconds after which a program hangs: one that does must leave time for others."""
    return 60 + 2 * need if need else 600


def _program(
    module: str, cases: tuple[str, ...], arguments: tuple[str, ...], limit: float, need: float
) -> Part:
    argv = (sys.executable, "-m", f"benchmarks.train.gpu.{module}", *arguments)
    return Part(cases, argv, limit, need)
