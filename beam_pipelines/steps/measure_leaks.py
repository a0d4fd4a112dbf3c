"""Measures how much the held-out splits give away, some classes at a time. Runs in workers."""

from __future__ import annotations

import dataclasses

import numpy as np

from beam_pipelines.cache import thumbnails
from beam_pipelines.similarity import leakage
from beam_pipelines.similarity.leak_meter import LeakMeter
from beam_pipelines.tasks import LeakTask
from tfrecords.images.decode_pool import Watch


def measure_leaks(task: LeakTask, watch: Watch) -> tuple[LeakMeter, ...]:
    """Returns a meter of the task's classes for each held-out split."""
    del watch  # Nothing is decoded here.
    pack, index = np.array(task.pack, np.int32), np.array(task.index, np.int32)
    meters = leakage.measure(
        lambda rows: thumbnails.gather(task.packs, pack[rows], index[rows]),
        task.keys,
        np.array(task.label, np.int32),
        np.array(task.split, np.int8),
        task.splits,
        task.totals,
    )
    return tuple(dataclasses.replace(meter, sampled=task.sampled) for meter in meters)
