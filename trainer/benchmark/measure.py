"""Measures each stage of training on this machine, alone and together."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import numpy as np
import tensorflow as tf

from tfrecords import example, framing
from tfrecords.errors import TrainerError
from tfrecords.locations import Folder
from tfrecords.schema import Encoding, ImageSpec
from tfrecords.system import cores, memory
from trainer import remote
from trainer.benchmark.advise import Checkup, Host, Load, Rates, Stage
from trainer.choices import AUTO_BATCH
from trainer.config import TrainConfig
from trainer.data import augment, on_device
from trainer.data.folds import of_run
from trainer.data.on_device import blank_batch
from trainer.data.record_pixels import decoder
from trainer.data.selection import Selection, Source, open_configured
from trainer.data.stream import (
    Batch,
    steps_per_epoch,
    stream_options,
    training_stream,
)
from trainer.devices import Devices, set_up_devices
from trainer.models.build import build_network
from trainer.train import batch_size, failures, losses, optim
from trainer.train.step import Stepper, Tally, to_host

_T = TypeVar("_T")

# Pictures to decode and augment again and again, and their encoded bytes at most.
SAMPLE = 256
SAMPLE_BYTES = 1 << 28

# Bytes read from shards to measure the disk's rate.
DISK_BYTES = 1 << 30

_BLOCK = 1 << 20

# Warm-up of a stage, as a fraction of its time: buffers fill and threads settle.
_WARM = 0.3


def measure(config: TrainConfig, seconds: float, say: Callable[[str], None]) -> Checkup:
    """Returns the rates of training with a configuration on this machine.

    Args:
      config: of the training; nothing is written to its run_dir.
      seconds: for each of about ten stages; compiling for each batch size comes on top.
      say: called with the name of each stage before it starts.

    Raises:
      As `selection.open_split`; TrainerError: the step does not fit into memory.
    """
    manifest = of_run(config, remote.load(config.data_dir))
    selection = Selection.of(config, manifest)
    source = open_configured(config, manifest, config.train_split, selection)
    if not source.records:
        raise TrainerError(f"split {source.split.name!r} has no record of the selected classes")
    devices = set_up_devices(config)
    if config.batch_size == AUTO_BATCH:
        say("batch size")
        classes = len(selection.classes)
        on_gpu = devices.kind == "gpu"
        batch = batch_size.find(config, source.size, classes, source.records, on_gpu)
        config = config.with_batch_size(batch)
    return Checkup(
        _load(source, config), _host(devices), _rates(source, config, devices, seconds, say)
    )


def disk_rate(paths: Sequence[Folder], seconds: float) -> float:
    """Returns bytes a second of reading files one by one, from the disk where possible.

    The kernel is asked to drop the files from its cache first; on Linux it does, unless they are
    mapped into memory.
    """
    done, began = 0, time.perf_counter()
    for path in paths:
        with path.open("rb") as file:
            if hasattr(os, "posix_fadvise") and not remote.is_far(path):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            while block := file.read(_BLOCK):
                done += len(block)
                if time.perf_counter() - began > seconds or done >= DISK_BYTES:
                    return done / (time.perf_counter() - began)
    return done / max(1e-9, time.perf_counter() - began)


def stage(batches: Callable[[], Iterator[object]], batch: int, seconds: float) -> Stage:
    """Returns the rate and cost of a stream.

    Args:
      batches: gives the stream; called again when one ends.
      batch: pictures of each item.
      seconds: to measure; the warm-up comes on top.
    """
    stream = _endless(batches)
    _spin(stream, _WARM * seconds)
    cpu, began = time.process_time(), time.perf_counter()
    pictures = batch * _spin(stream, seconds)
    wall = time.perf_counter() - began
    return Stage(pictures / wall, (time.process_time() - cpu) / pictures)


def _rates(
    source: Source,
    config: TrainConfig,
    devices: Devices,
    seconds: float,
    say: Callable[[str], None],
) -> Rates:
    batch = config.fixed_batch_size
    say("disk")
    disk = disk_rate(source.shard_paths, seconds)
    say("decoding")
    images = sample(source)
    decode = _decode_stage(source.spec, source.size, images, batch, seconds)
    decode_raw = _raw_stage(source, images, batch, seconds)
    say("augmentation")
    pixels = _decoded(images, source.spec, source.size)
    on_host = on_device.chooser(config, devices) is None
    augmenting = _augment_stage(config, pixels, batch, seconds) if on_host else None
    say("the input as a whole")
    whole = stage(lambda: iter(_stream(source, config, devices)), batch, seconds)
    say(f"the step, batch of {batch}")
    stepper = _stepper(source, config, devices)
    rate = _step_rate(stepper, blank_batch(config, source.size, devices), seconds)
    if rate is None:
        raise TrainerError(
            f"out of memory at --batch_size={batch}: use a smaller one, or --batch_size=auto"
        )
    say("all together")
    stream = _on_device(_stream(source, config, devices), devices)
    together, waited = _together(stepper, stream, batch, 2 * seconds)
    # The step alone cannot be slower than with its input: if it is, other work disturbed it.
    rates = {batch: max(rate, together)}
    for size in _other_batches(batch, source.records, config.grad_accum):
        say(f"the step, batch of {size}")
        sized = config.with_batch_size(size)
        stepper = _stepper(source, sized, devices)
        other = _step_rate(stepper, blank_batch(sized, source.size, devices), seconds)
        if other is not None:
            rates[size] = other
    return Rates(disk, decode, decode_raw, augmenting, whole, rates, together, waited)


def sample(source: Source) -> list[bytes]:
    """Returns the encoded images of the first records of a split, whatever their class."""
    images: list[bytes] = []
    size = 0
    for path in source.shard_paths:
        for record in framing.read_records(path):
            images.append(example.decode(record).image)
            size += len(images[-1])
            if len(images) == SAMPLE or size > SAMPLE_BYTES:
                return images
    return images


def _decode_stage(
    spec: ImageSpec, size: tuple[int, int], images: Sequence[bytes], batch: int, seconds: float
) -> Stage:
    stream = (
        tf.data.Dataset.from_tensor_slices(list(images))
        .repeat()
        .map(decoder(spec, size), num_parallel_calls=tf.data.AUTOTUNE)
        .batch(batch)
        .with_options(stream_options())
        .prefetch(tf.data.AUTOTUNE)
    )
    return stage(lambda: iter(stream), batch, seconds)


def _raw_stage(source: Source, images: Sequence[bytes], batch: int, seconds: float) -> Stage:
    """Returns the rate of decoding the same pictures if they were stored raw."""
    spec = source.spec
    stored = (spec.height, spec.width) if spec.fixed_size else source.size
    raw = ImageSpec(*stored, encoding=Encoding.RAW)
    pixels = _decoded(images, spec, stored)
    return _decode_stage(raw, source.size, [one.tobytes() for one in pixels], batch, seconds)


def _decoded(images: Sequence[bytes], spec: ImageSpec, size: tuple[int, int]) -> np.ndarray:
    decode = decoder(spec, size)
    return np.stack([decode(tf.constant(image)).numpy() for image in images])


def _augment_stage(
    config: TrainConfig, pixels: np.ndarray, batch: int, seconds: float
) -> Stage | None:
    augmenter = augment.build(config)
    if augmenter is None:
        return None
    images = tf.constant(np.resize(pixels, (batch, *pixels.shape[1:])))
    labels = tf.zeros([batch], tf.int32)

    def change(number: tf.Tensor) -> tf.Tensor:
        return augmenter(images, labels, tf.stack([number, 1]))[0]

    stream = tf.data.Dataset.range(1 << 30).map(lambda number: tf.cast(number, tf.int32))
    changed = stream.map(change, num_parallel_calls=tf.data.AUTOTUNE).with_options(stream_options())
    stream = changed.prefetch(tf.data.AUTOTUNE)
    return stage(lambda: iter(stream), batch, seconds)


def _stream(source: Source, config: TrainConfig, devices: Devices) -> tf.data.Dataset:
    # 64 epochs in one stream, so that its start-up is not measured.
    return training_stream(
        source,
        config.fixed_batch_size,
        64,
        config.seed,
        augment=on_device.chooser(config, devices) or augment.build(config),
        cache=config.cache,
        shuffle_buffer_mb=config.shuffle_buffer_mb,
    )


def _on_device(stream: tf.data.Dataset, devices: Devices) -> tf.data.Dataset:
    if devices.memory_device is None:
        return stream
    return stream.apply(tf.data.experimental.prefetch_to_device(devices.memory_device))


def _stepper(source: Source, config: TrainConfig, devices: Devices) -> Stepper:
    classes = len(source.selection.classes)
    plan = optim.build(config, steps_per_epoch(source, config.fixed_batch_size))
    with devices.strategy.scope():
        network = build_network(config, source.size, classes, synchronized=devices.replicas > 1)
        optimizer = optim.build_optimizer(config, plan, optim.rate_factors(network, config))
        # Counts of one: a loss costs the same whatever the class sizes.
        loss = losses.build(config, [1] * classes, plan.total_steps)
        return Stepper(network, optimizer, loss, config, devices)


def _step_rate(stepper: Stepper, batch: Batch, seconds: float) -> float | None:
    """Returns pictures a second of the step on one batch; None where it does not fit."""

    def run() -> Iterator[list[Tally]]:
        while True:
            yield to_host(stepper.run(batch))

    try:
        next(run())  # Compiles.
        return stage(run, int(batch.labels.shape[0]), seconds).rate
    except tf.errors.OpError as error:
        if not failures.is_out_of_memory(error):
            raise
        return None


def _together(
    stepper: Stepper, stream: tf.data.Dataset, batch: int, seconds: float
) -> tuple[float, float]:
    """Returns pictures a second of training, and the fraction of time spent waiting for input."""
    batches = _endless(lambda: iter(stream))
    _spin((to_host(stepper.run(each)) for each in batches), _WARM * seconds)
    done, waited, began = 0, 0.0, time.perf_counter()
    while True:
        asked = time.perf_counter()
        following = next(batches)
        waited += time.perf_counter() - asked
        to_host(stepper.run(following))
        done += batch
        wall = time.perf_counter() - began
        if wall > seconds:
            return done / wall, waited / wall


def _other_batches(batch: int, records: int, parts: int) -> list[int]:
    """Returns half and twice a batch size, where they divide and leave enough steps.

    The larger comes last: some drivers leave a process unusable after running out of memory.
    """
    most = records // batch_size.MIN_STEPS
    half = [batch // 2] if batch % (2 * parts) == 0 else []
    return half + ([2 * batch] if 2 * batch <= most else [])


def _endless(batches: Callable[[], Iterator[_T]]) -> Iterator[_T]:
    while True:
        yield from batches()


def _spin(stream: Iterator[object], seconds: float) -> int:
    """Takes items for some time, at least three; returns how many."""
    end = time.perf_counter() + seconds
    count = sum(1 for _ in islice(stream, 3))
    while time.perf_counter() < end:
        next(stream)
        count += 1
    return count


def _load(source: Source, config: TrainConfig) -> Load:
    return Load(
        records=source.records,
        record_bytes=source.split.bytes / max(1, source.split.records),
        stored=(source.spec.height, source.spec.width),
        size=source.size,
        encoding=source.spec.encoding.value,
        cache=config.cache,
        batch=config.fixed_batch_size,
    )


def _host(devices: Devices) -> Host:
    free = memory.available_bytes()
    if free is None:
        free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    return Host(cores.usable(), free, ", ".join(devices.names), devices.kind == "gpu")
