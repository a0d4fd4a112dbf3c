from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import dataset_options_pb2
from tensorflow.python.eager import context

from tests.support.datasets import fakes
from tfrecords import example, framing
from tfrecords import manifest as manifests
from tfrecords.images import canonicalise
from tfrecords.schema import Encoding, ImageSpec
from trainer.data import augment, epochs
from trainer.data import selection as selections
from trainer.data import stream as data
from trainer.data.selection import Source
from trainer.devices import seed_everything
from trainer.features import extract

COPIES = 3
SPEC = ImageSpec(16, 16, encoding=Encoding.PNG)
CACHES = ("none", "encoded", "decoded")


def open_fake(
    data_dir: Path, spec: ImageSpec = SPEC, size: tuple[int, int] | None = None, **chosen: object
) -> Source:
    if (data_dir / "manifest.json").exists():
        manifest = manifests.load(data_dir)
    else:
        manifest = fakes.write_dataset(data_dir, spec=spec, copies=COPIES, shards=3)
    selection = selections.select(manifest, **chosen)  # type: ignore[arg-type]  # Values of a table.
    return selections.open_split(manifest, data_dir, "train", selection, size)


def stored(source: Source) -> dict[str, tuple[int, np.ndarray]]:
    """Returns id → (label in the manifest, pixels), read without TensorFlow."""
    records = (example.decode(r) for file in source.files for r in framing.read_records(file))
    return {r.id: (r.label, canonicalise.decode_record(r.image, source.spec)) for r in records}


def collect(stream: tf.data.Dataset) -> list[data.Batch]:
    return [data.Batch(*(np.asarray(part) for part in batch)) for batch in stream]


def assert_same(a: list[data.Batch], b: list[data.Batch]) -> None:
    assert len(a) == len(b)
    for one, other in zip(a, b, strict=True):
        for part, other_part in zip(one, other, strict=True):
            np.testing.assert_array_equal(part, other_part)


def assert_each_once(batches: list[data.Batch], source: Source) -> None:
    """Every selected record exactly once, told apart by its pixels, with the right label."""
    by_pixels = {
        image.tobytes(): source.selection.labels.index(label)
        for label, image in stored(source).values()
        if label in source.selection.labels
    }
    seen = [
        (image.tobytes(), label)
        for batch in batches
        for image, label, weight in zip(batch.images, batch.labels, batch.weight, strict=True)
        if weight
    ]
    assert len(seen) == source.records == len({image for image, _ in seen})
    for image, label in seen:
        assert by_pixels[image] == label


@pytest.mark.parametrize("cache", CACHES)
def test_every_epoch_sees_every_record_once_in_another_order(tmp_path: Path, cache: str) -> None:
    source = open_fake(tmp_path)
    batches = collect(data.training_stream(source, 10, 3, seed=1, cache=cache))
    per_epoch = data.steps_per_epoch(source, 10)
    assert len(batches) == 3 * per_epoch
    epochs = [batches[i * per_epoch : (i + 1) * per_epoch] for i in range(3)]
    for epoch in epochs:
        assert_each_once(epoch, source)
        assert {batch.images.shape for batch in epoch} == {(10, 16, 16, 3)}
    assert len({epoch[0].images.tobytes() for epoch in epochs}) == 3


@pytest.mark.parametrize("cache", CACHES)
def test_a_stream_restarts_anywhere(tmp_path: Path, cache: str) -> None:
    source = open_fake(tmp_path)
    augmenter = augment.Augmenter(("flip", "mixup"))

    def batches(start: tuple[int, int]) -> list[data.Batch]:
        return collect(data.training_stream(source, 9, 2, 5, augmenter, start, cache))

    unbroken = batches((0, 0))
    for epoch, step in ((0, 1), (0, 3), (1, 2)):
        skipped = epoch * data.steps_per_epoch(source, 9) + step
        assert_same(unbroken[skipped:], batches((epoch, step)))


def test_the_seed_changes_the_order(tmp_path: Path) -> None:
    source = open_fake(tmp_path)
    first = [collect(data.training_stream(source, 9, 1, seed))[0] for seed in (0, 0, 1)]
    assert_same(first[:1], first[1:2])
    assert first[0].images.tobytes() != first[2].images.tobytes()


@pytest.mark.parametrize("cache", CACHES)
@pytest.mark.parametrize("globally", [None, 0, 7])
def test_the_global_seed_does_not_change_the_order(
    tmp_path: Path, cache: str, globally: int | None
) -> None:
    """A program, and the network that it trains, may set TensorFlow's seed to what they like."""
    source = open_fake(tmp_path)
    before = context.global_seed()
    try:
        seed_everything(5)  # As in a run of --seed=5.
        in_run = collect(data.training_stream(source, 9, 2, seed=5, cache=cache))
        tf.random.set_seed(globally)
        assert_same(in_run, collect(data.training_stream(source, 9, 2, seed=5, cache=cache)))
        stream_of = epochs.epoch_streams(source, 9, seed=5, cache=cache)
        assert_same(in_run, [batch for epoch in (0, 1) for batch in collect(stream_of(epoch, 0))])
    finally:
        tf.random.set_seed(before)


def test_the_order_is_that_of_earlier_versions(tmp_path: Path) -> None:
    """A run that was begun with one goes on in the middle of an epoch."""
    source = open_fake(tmp_path)
    labels = [b.labels.tolist() for b in collect(data.training_stream(source, 9, 1, seed=5))]
    assert labels == [
        [2, 0, 0, 0, 1, 2, 1, 1, 2],
        [0, 1, 0, 2, 1, 1, 0, 2, 0],
        [0, 1, 0, 0, 2, 1, 0, 0, 1],
    ]


def test_a_small_buffer_still_sees_every_record_once(tmp_path: Path) -> None:
    source = open_fake(tmp_path)
    # The fakes are smaller than a megabyte: a buffer of one record is the hardest case.
    records = data._streamed_records(source, batch_size=5, buffer=1, seed=0)
    order, key = tf.constant([2, 0, 1]), tf.constant([3, 4])
    batches = records(order, key, tf.constant(0, tf.int64))
    ids = [id_ for batch in batches for id_ in batch.id.numpy()]
    assert len(ids) == len(set(ids)) == source.records


@pytest.mark.parametrize("cache", CACHES)
def test_selection(tmp_path: Path, cache: str) -> None:
    source = open_fake(tmp_path, classes=("bart", "lisa"), per_class=4)
    assert source.records == 8
    batches = collect(data.training_stream(source, 4, 1, 0, cache=cache))
    assert_each_once(batches, source)
    assert sorted(np.concatenate([batch.labels for batch in batches])) == [0] * 4 + [1] * 4


def test_originals_only(tmp_path: Path) -> None:
    source = open_fake(tmp_path, originals_only=True)
    stored = data._stored_records(source, batch_size=5)
    ids = [id_.decode() for batch in stored for id_ in batch.id.numpy()]
    assert len(ids) == 16 and not any("#" in id_ for id_ in ids)


def test_what_is_dropped_is_not_decoded(tmp_path: Path) -> None:
    """Records outside the selection hold no picture at all, and nobody notices."""
    manifest = fakes.write_dataset(tmp_path, copies=COPIES)
    for shard in manifest.split("train").shards:
        path = tmp_path / shard.filename
        records = [example.decode(record) for record in framing.read_records(str(path))]
        spoilt = [
            r if r.rank < 2 else type(r)(b"x" * len(r.image), r.label, r.id, r.rank, r.copy)
            for r in records
        ]
        path.write_bytes(b"".join(framing.frame(example.encode(r)) for r in spoilt))
    kept = selections.open_split(
        manifest, tmp_path, "train", selections.select(manifest, per_class=2)
    )
    assert len(collect(data.training_stream(kept, 3, 1, 0))) == 2
    every = selections.open_split(manifest, tmp_path, "train", selections.select(manifest))
    with pytest.raises(tf.errors.InvalidArgumentError):
        collect(data.training_stream(every, 3, 1, 0))


def test_the_last_batch_repeats_with_weight_0(tmp_path: Path) -> None:
    source = open_fake(tmp_path)  # 25 records
    last = collect(data.training_stream(source, 20, 1, 0))[-1]
    np.testing.assert_array_equal(last.weight, [1] * 5 + [0] * 15)
    np.testing.assert_array_equal(last.images[5:10], last.images[:5])
    np.testing.assert_array_equal(last.labels[5:10], last.labels[:5])


def test_stacks_hold_the_same_batches(tmp_path: Path) -> None:
    source = open_fake(tmp_path)
    single = collect(data.training_stream(source, 5, 2, 0))
    stacked = collect(data.training_stream(source, 5, 2, 0, stack=3))
    assert [len(batch.labels) for batch in stacked] == [3, 2, 3, 2]
    unstacked = [data.Batch(*parts) for stack in stacked for parts in zip(*stack[:5], strict=True)]
    assert_same(single, unstacked)


@pytest.mark.parametrize("encoding", list(Encoding))
def test_evaluation_gives_the_stored_pixels(tmp_path: Path, encoding: Encoding) -> None:
    spec = ImageSpec(16, 24, encoding=encoding)
    source = open_fake(tmp_path, spec, classes=("apu", "lisa"))
    manifest = manifests.load(tmp_path)
    stream = data.evaluation_stream(manifest, tmp_path, "train", source.selection, None, 4)
    originals = stored(source)
    seen = []
    for images, labels, ids in stream:
        for image, label, id_ in zip(images.numpy(), labels.numpy(), ids.numpy(), strict=True):
            true_label, expected = originals[id_.decode()]
            np.testing.assert_array_equal(image, expected)
            assert source.selection.labels[label] == true_label
            seen.append(id_.decode())
    assert len(seen) == len(set(seen)) == 11 and not any("#" in id_ for id_ in seen)


def test_damage_is_named(tmp_path: Path) -> None:
    source = open_fake(tmp_path)
    path = Path(source.files[1])
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(tf.errors.OpError) as failed:
        collect(data.training_stream(source, 4, 1, 0))
    text = str(data.explain(failed.value, source))
    assert path.name in text and "damaged record at byte" in text


def test_a_shard_with_fewer_records_than_the_manifest_is_an_error(tmp_path: Path) -> None:
    source = open_fake(tmp_path)
    records = list(framing.read_records(source.files[0]))
    Path(source.files[0]).write_bytes(b"".join(map(framing.frame, records[1:])))
    with pytest.raises(tf.errors.OpError):
        collect(data.training_stream(source, 4, 1, 0))


def test_orders_are_functions_of_seed_and_epoch() -> None:
    orders = [tuple(data._file_order(50, seed, epoch)) for seed in (0, 1) for epoch in (0, 1)]
    assert len(set(orders)) == 4 and all(sorted(order) == list(range(50)) for order in orders)
    keys = [data._key(seed, epoch) for seed, epoch in itertools.product(range(5), range(50))]
    assert len(set(keys)) == 250 and all(0 < a < 2**31 and 0 <= b < 2**31 for a, b in keys)


def test_no_stream_is_autotuned(tmp_path: Path) -> None:
    # Its thread may sleep for a minute while the end of an epoch waits for it.
    source = open_fake(tmp_path)
    of_epoch = epochs.epoch_streams(source, 4, seed=0)
    views = extract.pictures(source, np.arange(3), None, ())
    streams = {
        "training": data.training_stream(source, 4, epochs=2, seed=0),
        "an epoch": of_epoch(0, 0),
        "evaluation": data.stream_source(source, 4),
        "features": views,
    }
    for name, stream in streams.items():
        assert not _autotuned(stream), name


def _autotuned(stream: tf.data.Dataset) -> bool:
    """Whether no options in a stream's graph switch autotuning off."""
    graph = tf.raw_ops.DatasetToGraphV2(input_dataset=tf.data.experimental.to_variant(stream))
    nodes = tf.compat.v1.GraphDef.FromString(graph.numpy()).node
    found = [
        dataset_options_pb2.Options.FromString(node.attr["serialized_options"].s)
        for node in nodes
        if node.op == "OptionsDataset"
    ]
    return not any(
        one.autotune_options.HasField("enabled") and not one.autotune_options.enabled
        for one in found
    )
