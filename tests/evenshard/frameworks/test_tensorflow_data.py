from __future__ import annotations

import contextlib

import numpy as np
import pytest

import evenshard
from tfrecords.errors import EvenshardWarning
from trainer.choices import WITHOUT_FLIPS
from trainer.config import TrainConfig
from trainer.data import augment as augmentations
from trainer.data import mirror
from trainer.data.mirror import Exchange


def passes(stream: object) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(images.numpy(), labels.numpy()) for images, labels in stream]  # type: ignore[attr-defined]  # TensorFlow and PyTorch have no types.


def test_an_epoch_holds_each_record_once(dataset: evenshard.Dataset) -> None:
    stream = dataset.tf_dataset("train", batch_size=16)
    batches = passes(stream)
    assert len(stream) == len(batches) == 4
    assert [len(labels) for _, labels in batches] == [16, 16, 16, 12]
    assert batches[0][0].shape == (16, 16, 16, 3)
    assert batches[0][0].dtype == np.uint8
    pictures = sorted(image.tobytes() for images, _ in batches for image in images)
    expected = sorted(dataset.pixels(record).tobytes() for record in dataset.records("train"))
    assert pictures == expected


def test_its_order_is_a_function_of_seed_and_epoch(dataset: evenshard.Dataset) -> None:
    def labels(**options: object) -> list[int]:
        stream = dataset.tf_dataset("train", batch_size=16, **options)  # type: ignore[arg-type]  # Values of a table.
        return [int(label) for _, batch in passes(stream) for label in batch]

    assert labels() == labels()
    assert labels(seed=1) != labels()
    two = labels(epochs=2)
    assert two[:60] == labels()
    assert two[60:] != two[:60]
    assert sorted(two[60:]) == sorted(two[:60])


def test_without_shuffling_it_is_the_order_of_the_shards(dataset: evenshard.Dataset) -> None:
    stream = dataset.tf_dataset("validation", batch_size=3, shuffle=False, epochs=2)
    labels = [int(label) for _, batch in passes(stream) for label in batch]
    stored = [record.label for record in dataset.records("validation")]
    assert labels == stored * 2


def test_labels_count_within_the_selection(dataset: evenshard.Dataset) -> None:
    stream = dataset.tf_dataset(batch_size=4, classes=["lisa", "apu"], per_class=2, image_size=8)
    ((images, labels),) = passes(stream)
    assert images.shape == (4, 8, 8, 3)
    assert sorted(labels) == [0, 0, 1, 1]


def test_mixed_pictures_have_shares_for_labels(dataset: evenshard.Dataset) -> None:
    batches = passes(dataset.tf_dataset(batch_size=16, augment=("flip", "mixup")))
    shares = np.concatenate([labels for _, labels in batches])
    assert shares.shape == (60, 3)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    assert ((0 < shares) & (shares < 1)).any()


@pytest.mark.parametrize("augment", ["auto", "flip,crop"])
def test_auto_flips_by_the_trainers_rule(
    dataset: evenshard.Dataset, monkeypatch: pytest.MonkeyPatch, augment: str
) -> None:
    built: list[tuple[str, ...]] = []
    build = augmentations.build

    def remembering(config: TrainConfig) -> object:
        built.append(config.augmentations)
        return build(config)

    monkeypatch.setattr(augmentations, "build", remembering)
    monkeypatch.setattr(mirror, "exchanged", lambda source: Exchange(("left", "right"), 0.6))
    asked = pytest.warns(EvenshardWarning, match='pictures are not flipped.*augment="flip,crop"')
    with asked if augment == "auto" else contextlib.nullcontext():
        dataset.tf_dataset(batch_size=8, augment=augment)
    assert built == [WITHOUT_FLIPS if augment == "auto" else ("flip", "crop")]


def test_keras_takes_it(dataset: evenshard.Dataset) -> None:
    import keras

    from tests.support.networks import tiny

    model = tiny.network(16, 16, 3)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    history = model.fit(dataset.tf_dataset(batch_size=16, augment="auto"), shuffle=False, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"batch_size": 0}, "batch_size=0 must be at least 1"),
        ({"batch_size": "auto"}, "a whole number is expected"),
        ({"image_size": 17}, "larger than the stored 16x16"),
        ({"image_size": "big"}, "N or HxW in pixels"),
        ({"augment": "flop"}, 'augment="flop"'),
        ({"epochs": 0}, "epochs must be 1 to"),
        ({"shuffle": False, "augment": "flip"}, "need shuffle=True"),
        ({"classes": ["milhouse"]}, "no class 'milhouse'"),
    ],
)
def test_wrong_arguments_are_refused(
    dataset: evenshard.Dataset, arguments: dict[str, object], text: str
) -> None:
    with pytest.raises(evenshard.UsageError, match=text) as caught:
        dataset.tf_dataset(**({"batch_size": 4} | arguments))  # type: ignore[arg-type]  # Values of a table.
    assert "--" not in str(caught.value)
