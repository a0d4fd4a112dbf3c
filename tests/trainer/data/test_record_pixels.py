"""A record's image by TensorFlow, against Pillow's."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.support.datasets import fakes
from tfrecords.images import canonicalise
from tfrecords.schema import Encoding, ImageSpec, Resize
from trainer.data.record_pixels import decoder


@pytest.mark.parametrize("encoding", list(Encoding))
@pytest.mark.parametrize("size", [(8, 8), (12, 10), (3, 3)])
def test_a_smaller_size_is_the_bakes_own_resize(encoding: Encoding, size: tuple[int, int]) -> None:
    spec = ImageSpec(32, 32, encoding=encoding)
    image = fakes.picture("resize", 32, 32)
    found = decoder(spec, size)(tf.constant(canonicalise.encode(image, spec))).numpy()
    expected = canonicalise.resize(image, ImageSpec(*size))
    difference = np.abs(found.astype(int) - np.asarray(expected).astype(int))
    assert difference.mean() < 4 and difference.max() < 16


@pytest.mark.parametrize("encoding", [Encoding.JPEG, Encoding.PNG])
def test_unequal_shapes_are_cropped_to_their_centre(encoding: Encoding) -> None:
    spec = ImageSpec(16, 16, Resize.SHORT_SIDE, encoding)
    wide = fakes.picture("wide", 16, 40)
    found = decoder(spec, (16, 16))(tf.constant(canonicalise.encode(wide, spec))).numpy()
    expected = np.asarray(wide)[:, 12:28].astype(int)
    assert np.abs(found.astype(int) - expected).max() < (30 if encoding is Encoding.JPEG else 1)
    small = decoder(spec, (8, 12))(tf.constant(canonicalise.encode(wide, spec))).numpy()
    assert small.shape == (8, 12, 3)
