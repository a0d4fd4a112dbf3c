"""Measures how much the held-out splits give away, some classes at a time. Runs in workers."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np

from beam_pipelines.similarity import leakage, optimism
from beam_pipelines.similarity.leak_meter import LeakMeter
from beam_pipelines.similarity.optimism import Optimism
from beam_pipelines.tasks import ExpectTask, LeakTask, OptimismTask
from tfrecords.images.decode_pool import Watch
from tfrecords.system import allocator

# What is measured once pictures are split, and what is found. Beam reads these types.
Measurement: TypeAlias = LeakTask | OptimismTask
Measured: TypeAlias = LeakMeter | Optimism


def measure(task: Measurement, watch: Watch) -> tuple[Measured, ...]:
    """Returns a meter of the task's classes for each held-out split, or what the first claims."""
    with _memory_back():
        if isinstance(task, LeakTask):
            return measure_leaks(task, watch)
        return (measure_optimism(task, watch),)


def measure_leaks(task: LeakTask, watch: Watch) -> tuple[LeakMeter, ...]:
    """Returns a meter of the task's classes for each held-out split."""
    del watch  # Nothing is decoded here.
    meters = leakage.measure(
        task.pictures.load, task.keys, task.label, task.split, task.splits, task.totals
    )
    return tuple(dataclasses.replace(meter, sampled=task.sampled) for meter in meters)


def measure_optimism(task: OptimismTask, watch: Watch) -> Optimism:
    """Returns what the first held-out split claims."""
    del watch  # Nothing is decoded here.
    # Pack by pack, so that few thumbnails are held and each file is read once.
    order = np.argsort(task.pictures.pack[: task.train], kind="stable")
    return optimism.compare(task.pictures.load, task.label, order, task.split)


def expect_readings(task: ExpectTask, watch: Watch) -> np.ndarray:
    """Returns `leakage.expected_readings` of the task's classes."""
    del watch  # Nothing is decoded here.
    with _memory_back():
        return leakage.expected_readings(
            task.pictures.load, task.label, task.group, task.train_share, task.total
        )


@contextlib.contextmanager
def _memory_back() -> Iterator[None]:
    """Gives memory back before and after: a worker decodes and writes with little."""
    allocator.trim()
    try:
        yield
    finally:
        allocator.trim()
