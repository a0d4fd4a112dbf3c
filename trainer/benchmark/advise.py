"""Finds the bottleneck of training on a machine, and what to change, from measured rates.

The rate of training is modelled from the cost of each stage alone. The stages of the input share
the host's cores. On a GPU the input runs beside the step, and the slower one sets the rate; on a
CPU both use the same cores, and their times add up. The gain of a change is the model's rate
with it over the model's rate without it, so that the model's own errors largely cancel.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass

from tfrecords.sizes import readable
from trainer.train.progress import INPUT_BOUND

# Two runs of a benchmark differ by as much as this.
WORTH = 0.05

# The part of the free memory that a cache may take; training needs the rest.
CACHE_SHARE = 0.5

# Bytes a second that one core reads, checks and parses: the cost of larger records. 151 kB (raw,
# 224 px) took 181 µs more than 20 kB (JPEG), with TensorFlow 2.21.
READ_BYTES = 0.7e9


@dataclass(frozen=True)
class Load:
    """The records that training reads, and how it reads them.

    Attributes:
      records: selected.
      record_bytes: mean, as stored.
      stored, size: (height, width) as stored and as trained on.
      encoding: of the records: "jpeg", "png" or "raw".
      cache: "none", "encoded" or "decoded".
      batch: pictures a step.
    """

    records: int
    record_bytes: float
    stored: tuple[int, int]
    size: tuple[int, int]
    encoding: str
    cache: str
    batch: int

    @property
    def encoded_bytes(self) -> float:
        """Memory of --cache=encoded."""
        return self.records * self.record_bytes

    @property
    def decoded_bytes(self) -> float:
        """Memory of --cache=decoded."""
        return self.records * math.prod(self.size) * 3.0


@dataclass(frozen=True)
class Host:
    """The machine.

    Attributes:
      cores: that this process may use.
      free_bytes: memory available.
      device: name of the device that computes the step.
      on_gpu: whether that is a GPU.
    """

    cores: int
    free_bytes: float
    device: str
    on_gpu: bool


@dataclass(frozen=True)
class Stage:
    """A stage of the input, run alone.

    Attributes:
      rate: pictures a second.
      cpu: seconds of one core a picture.
    """

    rate: float
    cpu: float


@dataclass(frozen=True)
class Rates:
    """The measured rates.

    Attributes:
      disk: bytes a second of a shard that is not in memory.
      decode, decode_raw: of the stored records, and of the same pictures stored raw.
      augment: as configured; None for nothing.
      whole: the input as configured, from shards to batches.
      steps: batch → pictures a second of the step alone.
      together: pictures a second of training as it is now.
      waited: fraction of that time spent waiting for the input.
    """

    disk: float
    decode: Stage
    decode_raw: Stage
    augment: Stage | None
    whole: Stage
    steps: dict[int, float]
    together: float
    waited: float


@dataclass(frozen=True)
class Checkup:
    """A measured machine.

    Attributes:
      load: the records that training reads.
      host: the machine.
      rates: measured on it.
    """

    load: Load
    host: Host
    rates: Rates


@dataclass(frozen=True)
class Advice:
    """A change, its expected gain and its cost.

    Attributes:
      change: flag or action.
      gain: additional pictures a second, as a fraction of the rate now.
      cost: what it takes, as text.
      possible: False where this machine lacks the memory.
    """

    change: str
    gain: float
    cost: str = ""
    possible: bool = True


@dataclass(frozen=True)
class _Input:
    """The cost of the input: seconds of one core and bytes from disk a picture, and cores."""

    cpu: float
    disk_bytes: float
    cores: float


def advise(checkup: Checkup) -> list[Advice]:
    """Returns the changes worth making, best first; those that need more memory last."""
    worth = [advice for advice in _changes(checkup) if advice.gain >= WORTH]
    return sorted(worth, key=lambda advice: (not advice.possible, -advice.gain))


def expected_rate(checkup: Checkup) -> float:
    """Returns the model's pictures a second for training as it is now."""
    return _trained(checkup, _now(checkup), checkup.rates.steps[checkup.load.batch])


def verdict(checkup: Checkup) -> str:
    """Returns the bottleneck of training, in a sentence or two."""
    rates, step = checkup.rates, checkup.rates.steps[checkup.load.batch]
    if rates.waited > INPUT_BOUND:
        limit = _limit(checkup)
        return (
            f"The step waits for input {rates.waited:.0%} of the time: {limit} The step alone "
            f"would train {step:,.0f} pictures a second."
        )
    spare = rates.whole.rate / step
    if checkup.host.on_gpu:
        return f"The GPU is the bottleneck; the input could feed {spare:.1f} of them."
    beside = rates.whole.cpu / checkup.host.cores
    return (
        "The step is the bottleneck; the input, on the same cores, takes "
        f"{beside / (beside + 1 / step):.0%} of the time."
    )


def cores_needed(checkup: Checkup) -> int:
    """Returns how many such cores the input needs to keep up with the step."""
    step = checkup.rates.steps[checkup.load.batch]
    return max(1, math.ceil(step * checkup.rates.whole.cpu / _efficiency(checkup)))


def _changes(checkup: Checkup) -> Iterator[Advice]:
    yield from _caches(checkup)
    yield from _bakes(checkup)
    yield from _batches(checkup)
    yield from _cores(checkup)


def _caches(checkup: Checkup) -> Iterator[Advice]:
    load, rates, now = checkup.load, checkup.rates, _now(checkup)
    room = CACHE_SHARE * checkup.host.free_bytes
    if load.cache == "none":
        cached = dataclasses.replace(now, cpu=now.cpu - _read_cpu(checkup), disk_bytes=0.0)
        yield Advice(
            "--cache=encoded", _gain(checkup, cached), _memory(load.encoded_bytes, checkup),
            load.encoded_bytes <= room,
        )  # fmt: skip
    if load.cache != "decoded":
        rest = rates.augment.cpu if rates.augment else 0.0
        cached = dataclasses.replace(now, cpu=rest, disk_bytes=0.0)
        yield Advice(
            "--cache=decoded", _gain(checkup, cached), _memory(load.decoded_bytes, checkup),
            load.decoded_bytes <= room,
        )  # fmt: skip


def _bakes(checkup: Checkup) -> Iterator[Advice]:
    load, rates, now = checkup.load, checkup.rates, _now(checkup)
    if load.cache == "decoded":
        return
    side = "x".join(map(str, load.size)) if load.size[0] != load.size[1] else str(load.size[0])
    smaller = math.prod(load.size) / math.prod(load.stored)
    if smaller < 1:
        baked = dataclasses.replace(
            now, cpu=now.cpu - rates.decode.cpu * (1 - smaller), disk_bytes=now.disk_bytes * smaller
        )
        yield Advice(
            f"bake with --image_size={side}", _gain(checkup, baked),
            "the trained size, so that nothing is resized while training",
        )  # fmt: skip
    if load.encoding != "raw":
        size = math.prod(load.stored) * 3.0
        total = load.records * size
        more = (size - load.record_bytes) / READ_BYTES if load.cache == "none" else 0.0
        baked = dataclasses.replace(
            now,
            cpu=now.cpu - rates.decode.cpu + rates.decode_raw.cpu + more,
            disk_bytes=size if load.cache == "none" and not _in_memory(checkup, size) else 0.0,
        )
        yield Advice(
            "bake with --encoding=raw", _gain(checkup, baked),
            f"{readable(total)} on disk instead of {readable(load.encoded_bytes)}",
        )  # fmt: skip


def _batches(checkup: Checkup) -> Iterator[Advice]:
    load, now = checkup.load, _now(checkup)
    rates = checkup.rates.steps
    other = max(rates, key=lambda batch: rates[batch])
    if other != load.batch:
        yield Advice(
            f"--batch_size={other}", _gain(checkup, now, rates[other]),
            f"{load.records / other:,.0f} steps an epoch instead of "
            f"{load.records / load.batch:,.0f}; the default learning rate is scaled with it",
        )  # fmt: skip


def _cores(checkup: Checkup) -> Iterator[Advice]:
    needed = cores_needed(checkup)
    if checkup.host.on_gpu and needed > checkup.host.cores:
        now = _now(checkup)
        more = dataclasses.replace(now, cores=now.cores * needed / checkup.host.cores)
        yield Advice(
            f"{needed} cores for the input",
            _gain(checkup, more),
            f"this machine has {checkup.host.cores}, all in use; no flag adds any",
        )


def _now(checkup: Checkup) -> _Input:
    from_disk = checkup.load.cache == "none" and not _in_memory(checkup)
    return _Input(
        checkup.rates.whole.cpu,
        checkup.load.record_bytes if from_disk else 0.0,
        checkup.host.cores * _efficiency(checkup),
    )


def _in_memory(checkup: Checkup, record_bytes: float | None = None) -> bool:
    """Returns whether the kernel keeps all records in memory after the first epoch."""
    size = checkup.load.record_bytes if record_bytes is None else record_bytes
    return checkup.load.records * size <= CACHE_SHARE * checkup.host.free_bytes


def _efficiency(checkup: Checkup) -> float:
    """Returns the fraction of the cores that the input uses: 1 if it scales to all of them."""
    whole = checkup.rates.whole
    return min(1.0, max(0.05, whole.rate * whole.cpu / checkup.host.cores))


def _read_cpu(checkup: Checkup) -> float:
    """Returns the seconds of one core that reading, checking and parsing a picture takes."""
    rates = checkup.rates
    after = rates.decode.cpu + (rates.augment.cpu if rates.augment else 0.0)
    return max(0.0, rates.whole.cpu - after)


def _trained(checkup: Checkup, plan: _Input, step: float) -> float:
    cpu = max(plan.cpu, 1e-9)
    feed = plan.cores / cpu
    if plan.disk_bytes:
        feed = min(feed, checkup.rates.disk / plan.disk_bytes)
    if checkup.host.on_gpu:
        return min(step, feed)
    shared = 1 / (1 / step + cpu / checkup.host.cores)
    return min(shared, feed)


def _gain(checkup: Checkup, plan: _Input, step: float | None = None) -> float:
    step = checkup.rates.steps[checkup.load.batch] if step is None else step
    return _trained(checkup, plan, step) / expected_rate(checkup) - 1


def _limit(checkup: Checkup) -> str:
    now = _now(checkup)
    if now.disk_bytes and checkup.rates.disk / now.disk_bytes < now.cores / max(now.cpu, 1e-9):
        return f"the disk gives {readable(checkup.rates.disk)}/s."
    prepared = (
        f"{checkup.host.cores} cores prepare {checkup.rates.whole.rate:,.0f} pictures a second"
    )
    needed = f", and {cores_needed(checkup)} would be needed" if checkup.host.on_gpu else ""
    return f"{prepared}{needed}."


def _memory(size: float, checkup: Checkup) -> str:
    return f"{readable(size)} of memory; {readable(checkup.host.free_bytes)} are free"
