from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.support.datasets import fakes
from trainer.data import augment, transforms
from trainer.data.augment import Augmenter

NAMES = ("flip", "crop", "color", "rotate", "cutout", "randaugment", "mixup", "cutmix")
BATCH, HEIGHT, WIDTH = 32, 16, 20
IMAGES = np.stack([np.asarray(fakes.picture(i, HEIGHT, WIDTH)) for i in range(BATCH)])
LABELS = np.arange(BATCH, dtype=np.int32)
SEED = (11, 4)


def apply(
    *names: str, seed: tuple[int, int] = SEED, images: np.ndarray = IMAGES, **settings: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    augmenter = Augmenter(names, **settings)  # type: ignore[arg-type]  # Values of a table.
    found = augmenter(tf.constant(images), tf.constant(LABELS[: len(images)]), tf.constant(seed))
    images, partners, share = (part.numpy() for part in found)
    return images, partners, share


@pytest.mark.parametrize("name", NAMES)
def test_each_is_a_function_of_its_seed_and_changes_pictures(name: str) -> None:
    first, again, other = apply(name), apply(name), apply(name, seed=(11, 5))
    for part, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(part, same)
    assert first[0].shape == IMAGES.shape and first[0].dtype == np.uint8
    assert (first[0] != other[0]).any()
    changed = (first[0] != IMAGES).any(axis=(1, 2, 3)).mean()
    assert changed > (0.25 if name == "flip" else 0.6)


def test_all_together() -> None:
    images, partners, share = apply(*NAMES)
    assert images.dtype == np.uint8 and images.shape == IMAGES.shape
    assert ((share >= 0) & (share <= 1)).all() and partners.dtype == np.int32


def test_nothing_changes_nothing() -> None:
    images, partners, share = apply()
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(partners, LABELS)
    np.testing.assert_array_equal(share, 1)


def test_flip_mirrors_half_and_leaves_half() -> None:
    images, _, _ = apply("flip", images=np.repeat(IMAGES[:1], 2000, axis=0)[:BATCH])
    mirrored = (images == IMAGES[:1, :, ::-1]).all(axis=(1, 2, 3))
    kept = (images == IMAGES[:1]).all(axis=(1, 2, 3))
    assert (mirrored ^ kept).all() and 0.2 < mirrored.mean() < 0.8


def test_pictures_of_a_batch_are_treated_apart() -> None:
    same = np.repeat(IMAGES[:1], BATCH, axis=0)
    for name in ("crop", "color", "rotate", "cutout"):
        assert len({image.tobytes() for image in apply(name, images=same)[0]}) > BATCH * 0.7


def test_a_whole_crop_is_the_picture() -> None:
    box = tf.constant([[0.0, 0.0, 1.0, 1.0]] * BATCH)
    maps = transforms.crop_map(box, None, HEIGHT, WIDTH)
    np.testing.assert_array_equal(transforms.resample(tf.constant(IMAGES), maps), IMAGES)
    flipped = transforms.crop_map(box, tf.ones([BATCH], tf.bool), HEIGHT, WIDTH)
    found = transforms.resample(tf.constant(IMAGES), flipped)
    np.testing.assert_array_equal(found, IMAGES[:, :, ::-1])


def test_a_crop_is_what_the_general_map_would_show() -> None:
    draw = augment.Draw(tf.constant(SEED), BATCH)
    boxes = transforms.pixel_boxes(augment.crop_boxes(draw, 0.3), HEIGHT, WIDTH)
    flipped = draw.coin("flip")
    cropped = transforms.upright(tf.constant(IMAGES), boxes, flipped, None).numpy().astype(int)
    fractions = tf.cast(boxes, tf.float32) / [HEIGHT, WIDTH, HEIGHT, WIDTH]
    maps = transforms.crop_map(fractions, flipped, HEIGHT, WIDTH)
    general = transforms.resample(tf.constant(IMAGES), maps).numpy().astype(int)
    # At its edge a crop repeats its last pixel, where the map looks beyond it.
    assert np.abs(cropped - general)[:, 2:-2, 2:-2].max() <= 1
    assert 0 < flipped.numpy().sum() < BATCH


def test_boxes_of_pixels_lie_inside() -> None:
    boxes = transforms.pixel_boxes(
        tf.constant([[0.0, 0.0, 1.0, 1.0], [0.99, 0.99, 0.01, 0.01], [0.5, 0.25, 0.5, 0.75]]),
        HEIGHT,
        WIDTH,
    )
    np.testing.assert_array_equal(
        boxes, [[0, 0, HEIGHT, WIDTH], [HEIGHT - 1, WIDTH - 1, 1, 1], [8, 5, 8, 15]]
    )


def test_crops_cover_what_they_should() -> None:
    boxes = augment.crop_boxes(augment.Draw(tf.constant(SEED), 5000), 0.3).numpy()
    top, left, height, width = boxes.T
    assert (boxes >= 0).all() and (top + height).max() <= 1 + 1e-6
    assert (left + width).max() <= 1 + 1e-6
    area = height * width
    assert 0.24 < area.min() < 0.4 and area.max() > 0.9


def test_a_quarter_turn_is_exact() -> None:
    square = IMAGES[:, :, :16]
    turn = transforms.centred(transforms.rotation(tf.fill([BATCH], np.float32(np.pi / 2))), 16, 16)
    found = transforms.resample(tf.constant(square), turn).numpy().astype(int)
    expected = np.rot90(square, k=1, axes=(1, 2)).astype(int)
    assert np.abs(found - expected).max() <= 1


# Pixels are recoloured by eights, by fours or one by one, whatever divides a picture.
@pytest.mark.parametrize(("height", "width"), [(16, 20), (15, 20), (15, 19)])
def test_color_keeps_greys_grey_and_matches_its_formula(height: int, width: int) -> None:
    images = IMAGES[:, :height, :width]
    brightness, contrast, saturation = 1.2, 0.8, 0.5
    factors = [tf.fill([BATCH], np.float32(x)) for x in (brightness, contrast, saturation)]
    colors = transforms.color_matrix(*factors)
    found = transforms.upright(tf.constant(images), None, None, colors).numpy()
    x = images.astype(np.float64)
    luma = (x * [0.299, 0.587, 0.114]).sum(axis=-1, keepdims=True)
    expected = (saturation * x + (1 - saturation) * luma) * brightness
    expected = np.clip((expected - 128) * contrast + 128, 0, 255)
    assert np.abs(found - expected).max() <= 0.51
    grey = np.full((BATCH, height, width, 3), 90, np.uint8)
    colored = transforms.upright(tf.constant(grey), None, None, colors).numpy()
    assert (colored == colored[..., :1]).all()


def test_cutout_hides_at_most_a_quarter() -> None:
    hidden = (apply("cutout")[0] != IMAGES).any(axis=-1).mean(axis=(1, 2))
    limit = augment.CUTOUT_SIDE**2 * HEIGHT / WIDTH
    assert 0 < hidden.max() <= limit + 0.05


def test_mixup_is_the_stated_mean() -> None:
    images, partners, share = apply("mixup", mixup_alpha=1.0)
    np.testing.assert_array_equal(partners, np.roll(LABELS, 1))
    weight = share[:, None, None, None].astype(np.float64)
    expected = weight * IMAGES + (1 - weight) * np.roll(IMAGES, 1, axis=0)
    assert np.abs(images - expected).max() <= 0.51
    assert 0.3 < share.mean() < 0.7 and share.min() < 0.2 and share.max() > 0.8


def test_cutmix_shares_are_areas() -> None:
    images, partners, share = apply("cutmix")
    np.testing.assert_array_equal(partners, np.roll(LABELS, 1))
    own = (images == IMAGES).all(axis=-1)
    other = (images == np.roll(IMAGES, 1, axis=0)).all(axis=-1)
    assert (own | other).all()
    np.testing.assert_allclose(own.mean(axis=(1, 2)), share, atol=0.05)


def test_both_mixes_share_the_batch() -> None:
    images, _, share = apply("mixup", "cutmix", mixup_alpha=5.0)
    pasted = ((images == IMAGES) | (images == np.roll(IMAGES, 1, axis=0))).all(axis=(1, 2, 3))
    assert 0.2 < pasted.mean() < 0.8 and len(set(share.tolist())) > BATCH / 2


def test_beta_has_its_mean_and_spread() -> None:
    draw = augment.Draw(tf.constant(SEED), 20_000)
    for alpha in (0.2, 1.0, 4.0):
        values = draw.beta("mixup", alpha).numpy()
        assert np.isfinite(values).all() and 0 <= values.min() <= values.max() <= 1
        assert values.mean() == pytest.approx(0.5, abs=0.02)
        assert values.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)


def test_randaugment_without_strength_is_nothing() -> None:
    images, _, _ = apply("randaugment", magnitude=0.0)
    assert np.abs(images.astype(int) - IMAGES).max() <= 1


def test_tones_are_posterised_and_solarised() -> None:
    images = np.arange(BATCH * HEIGHT * WIDTH * 3).astype(np.uint8).reshape(IMAGES.shape)
    amount = np.zeros((BATCH, len(augment._OPERATIONS)), np.float32)
    posterized, solarized = (augment._OPERATIONS.index(n) for n in ("posterize", "solarize"))
    amount[0, posterized], amount[1, solarized], amount[2, solarized] = -1.0, 0.5, 0.001
    found = augment.Policy(tf.constant(amount)).tones(tf.constant(images)).numpy()
    np.testing.assert_array_equal(found[0], images[0] & 0xF0)
    np.testing.assert_array_equal(found[1], np.where(images[1] >= 192, 255 - images[1], images[1]))
    # A threshold of 255.87 is above every level.
    np.testing.assert_array_equal(found[2:], images[2:])


def test_streams_of_names_are_independent() -> None:
    draw = augment.Draw(tf.constant(SEED), 4000)
    columns = [draw.uniform(name, 0, 1).numpy() for name in ("flip", "area", "top", "left")]
    correlation = np.corrcoef(columns) - np.eye(4)
    assert np.abs(correlation).max() < 0.06
