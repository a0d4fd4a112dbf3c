"""Bytes of each kind of file, read back by what the bake reads with."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageOps

from evenshard.springfield_like import encode, files
from evenshard.springfield_like.citizens.cast import CITIZENS
from evenshard.springfield_like.dice import Dice
from evenshard.springfield_like.files import Kind, PlannedFile, Recipe
from evenshard.springfield_like.scene import draw_picture
from tfrecords.images import canonicalise
from tfrecords.schema import ImageSpec

SPEC = ImageSpec(64, 64)
RECIPE = Recipe(180, 150, quality=85)
PLAIN = PlannedFile("baker_bruno/pic_0002.jpg", CITIZENS[0], 1, Kind.PICTURE, RECIPE)


def _open(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_a_picture_is_a_function_of_seed_class_and_index():
    data = encode.file_bytes(0, PLAIN)
    assert encode.file_bytes(0, PLAIN) == data
    others = {
        encode.file_bytes(1, PLAIN),
        encode.file_bytes(0, replace(PLAIN, index=2)),
        encode.file_bytes(0, replace(PLAIN, citizen=CITIZENS[1])),
        encode.file_bytes(0, replace(PLAIN, split="unlabelled")),
    }
    assert len(others | {data}) == 5


@pytest.mark.parametrize("kind", [Kind.TRUNCATED, Kind.EMPTY, Kind.NOT_AN_IMAGE])
@pytest.mark.parametrize("index", range(3))
def test_broken_files_are_rejected_for_their_kind(kind, index):
    file = replace(PLAIN, kind=kind, index=index, key=f"baker_bruno/pic_{index:04d}.jpg")
    with pytest.raises(canonicalise.ImageError) as caught:
        canonicalise.canonicalise(encode.file_bytes(0, file), SPEC, canonicalise.PixelLimits())
    assert caught.value.reason.value == kind.value


@pytest.mark.parametrize("shrink", [1.0, 0.6, 0.83])
def test_a_near_duplicate_is_near_and_not_equal(shrink):
    copy = replace(RECIPE, quality=62, shrink=shrink)
    data = [encode.file_bytes(0, PLAIN), encode.file_bytes(0, replace(PLAIN, recipe=copy))]
    assert data[0] != data[1]
    assert _open(data[1]).size == copy.stored_size
    one, other = (
        canonicalise.canonicalise(d, SPEC, canonicalise.PixelLimits()).phash for d in data
    )
    assert (one ^ other).bit_count() <= 4


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_exif_turns_a_rotated_picture_upright(orientation):
    upright = draw_picture(CITIZENS[3], 120, 90, Dice("rotated"))
    recipe = Recipe(120, 90, quality=95, subsampling=0, orientation=orientation)
    stored = _open(encode.encode(upright, recipe))
    assert stored.size == recipe.stored_size
    turned = ImageOps.exif_transpose(stored)
    difference = np.abs(np.asarray(turned, np.int16) - np.asarray(upright, np.int16))
    assert difference.mean() < 4


@pytest.mark.parametrize(
    ("format", "mode"), [("PNG", "RGB"), ("PNG", "RGBA"), ("PNG", "P"), ("JPEG", "L")]
)
def test_formats_and_modes(format, mode):
    recipe = replace(RECIPE, format=format, mode=mode)
    image = _open(encode.file_bytes(0, replace(PLAIN, recipe=recipe)))
    assert (image.format, image.mode, image.size) == (format, mode, recipe.stored_size)


def test_a_sticker_is_clear_at_the_corners_and_solid_in_the_middle():
    recipe = replace(RECIPE, format="PNG", mode="RGBA")
    alpha = np.asarray(_open(encode.file_bytes(0, replace(PLAIN, recipe=recipe))).getchannel("A"))
    assert (alpha[0, 0], alpha[75, 90]) == (0, 255)
    assert ((alpha > 0) & (alpha < 255)).any()


def test_progressive_and_chroma_are_written():
    recipe = replace(RECIPE, progressive=True, subsampling=0)
    image = _open(encode.file_bytes(0, replace(PLAIN, recipe=recipe)))
    assert image.info.get("progressive") == 1
    assert [layer[1:3] for layer in image.layer] == [(1, 1)] * 3


def test_every_citizen_can_be_drawn_at_every_shape():
    for citizen in CITIZENS:
        for width, height in ((40, 160), (160, 40)):
            drawn = draw_picture(citizen, width, height, Dice(citizen.name, width))
            assert drawn.size == (width, height)
            assert np.asarray(drawn).std() > 3


def test_the_kinds_of_broken_files_are_reject_reasons():
    reasons = {reason.value for reason in canonicalise.RejectReason}
    assert {Kind.TRUNCATED.value, Kind.EMPTY.value, Kind.NOT_AN_IMAGE.value} <= reasons
    assert set(files.KINDS) == set(Kind) - {Kind.PICTURE}
