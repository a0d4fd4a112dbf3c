"""What the device makes of a batch against what the host makes of it, from the same seed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests.support.runs.train_configs import config
from tests.trainer.data.test_augment import IMAGES, LABELS, SEED
from tfrecords.errors import UsageError
from trainer.data import on_device
from trainer.data.augment import Augmenter
from trainer.data.on_device import ON_DEVICE, Choices, Chooser
from trainer.devices import Devices

MIXES = [(), ("mixup",), ("cutmix",), ("mixup", "cutmix")]
CHANGES = [
    names
    for count in range(5)
    for names in itertools.combinations(("flip", "crop", "color", "cutout"), count)
]


def devices(kind: str = "gpu") -> Devices:
    return Devices(kind, ("one",), "float32", tf.distribute.get_strategy(), deterministic=False)


@pytest.mark.parametrize("compiled", [False, True], ids=["kernels", "xla"])
@pytest.mark.parametrize("mixes", MIXES, ids=str)
def test_the_device_makes_the_hosts_pictures(mixes: tuple[str, ...], compiled: bool) -> None:
    """The same labels and shares; pixels to one level, and few of them that."""
    for names in [CHANGES[-1]] if compiled else CHANGES:
        augmenter = Augmenter((*names, *mixes), crop_scale=0.2)
        given = tf.constant(IMAGES), tf.constant(LABELS), tf.constant(SEED)
        images, partners, share = augmenter(*given)
        same, later_partners, later_share, choices = Chooser(augmenter)(*given)
        np.testing.assert_array_equal(same, IMAGES)
        np.testing.assert_array_equal(later_partners, partners)
        np.testing.assert_array_equal(later_share, share)
        apply = tf.function(on_device.augmented, jit_compile=compiled)
        found = apply(same, choices)
        assert found.dtype == tf.uint8
        difference = np.abs(found.numpy().astype(int) - images.numpy())
        assert difference.max(initial=0) <= (2 if mixes else 1), names
        assert (difference > 0).mean() < 0.002, names


def test_crops_of_every_size_are_the_hosts() -> None:
    for seed in range(20):
        augmenter = Augmenter(("crop", "flip"), crop_scale=0.01)
        given = tf.constant(IMAGES), tf.constant(LABELS), tf.constant((seed, 3))
        images, _, _ = augmenter(*given)
        *_, choices = Chooser(augmenter)(*given)
        found = on_device.augmented(given[0], choices).numpy().astype(int)
        assert np.abs(found - images.numpy()).max() <= 1


def test_a_blank_batch_is_what_the_stream_gives() -> None:
    asked = config(batch_size="4", augment=("flip", "mixup"))
    batch = on_device.blank_batch(asked, (8, 8), devices())
    assert batch.images.shape == (4, 8, 8, 3) and isinstance(batch.choices, Choices)
    assert not on_device.blank_batch(asked, (8, 8), devices("cpu")).choices


def test_nothing_chosen_changes_nothing() -> None:
    for choices in ((), Choices()):
        found = on_device.augmented(tf.constant(IMAGES), choices)
        np.testing.assert_array_equal(found, IMAGES)


@pytest.mark.parametrize(
    ("where", "augment", "kind", "used"),
    [
        ("auto", ("flip", "crop"), "gpu", True),
        ("auto", ("flip", "crop"), "cpu", False),
        ("auto", ("flip", "rotate"), "gpu", False),
        ("auto", (), "gpu", False),
        ("host", ("flip",), "gpu", False),
        ("device", ON_DEVICE, "cpu", True),
    ],
)
def test_where_pictures_are_augmented(
    where: str, augment: tuple[str, ...], kind: str, used: bool
) -> None:
    asked = config(augment=augment, augment_on=where)
    assert (on_device.chooser(asked, devices(kind)) is not None) == used


def test_what_the_device_cannot_do_is_refused() -> None:
    asked = config(augment=("flip", "randaugment"), augment_on="device")
    with pytest.raises(UsageError, match="not go with --augment=randaugment"):
        on_device.chooser(asked, devices())
