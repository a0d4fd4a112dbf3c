"""A network with its preprocessing, in TensorFlow ops alone: file bytes in, named classes out.

It repeats `tfrecords.images.canonicalise`, which turns a file into a record, and
`data.record_pixels.decoder`, which turns a record into pixels, as closely as TensorFlow's own
ops can. docs/export.md says how close that is and where they differ.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf

from tfrecords.images.canonicalise import FULL_CHROMA_SIDE
from tfrecords.images.resize import REDUCING_GAP
from tfrecords.schema import Encoding, ImageSpec, Resize
from trainer.data import record_pixels
from trainer.export import image_headers, resizing
from trainer.metrics.probabilities import Probabilities
from trainer.runs.load import LoadedRun

TOP = 5

# The reductions that a JPEG decoder offers.
_RATIOS = (1, 2, 4, 8)

_JPEG, _BMP = b"\xff\xd8\xff", b"BM"

# Image bytes, string[] → pixels, uint8[height, width, 3].
Reader = Callable[[tf.Tensor], tf.Tensor]


class Servable(tf.Module):
    """A run's network in the form that is served.

    Attributes:
      model: pixels → logits.
      classes: string[classes], names in label order.
      height, width: of the pixels.
      probabilities: function, uint8[n, height, width, 3] → {"probabilities": float32[n, classes]}.
    """

    def __init__(self, run: LoadedRun, rule: Probabilities, labels: Path) -> None:
        """Wraps a run.

        Args:
          run: the network.
          rule: makes probabilities of its logits.
          labels: file of class names, one a line, which becomes an asset.
        """
        super().__init__(name="servable")
        self.model = run.model
        self.classes = tf.constant(run.selection.classes)
        self.labels = tf.saved_model.Asset(str(labels))
        self.height, self.width = run.size
        self._rule = rule
        self._read = reader(run.manifest.image, run.size)
        self.probabilities = tf.function(self._probabilities, input_signature=[self._pixels_spec])

    def signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """Returns the SavedModel's functions by name."""
        encoded = tf.TensorSpec([None], tf.string, name="image_bytes")
        functions = {
            "serving_default": (self._serve, [encoded]),
            "pixels": (self._serve_pixels, [self._pixels_spec]),
            "read": (self._serve_read, [encoded]),
            "labels": (lambda: {"classes": tf.identity(self.classes)}, []),
        }
        return {
            name: tf.function(function, input_signature=specs).get_concrete_function()
            for name, (function, specs) in functions.items()
        }

    @property
    def _pixels_spec(self) -> tf.TensorSpec:
        return tf.TensorSpec([None, self.height, self.width, 3], tf.uint8, name="pixels")

    def _probabilities(self, pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = self.model(pixels, training=False)
        return {"probabilities": tf.nn.softmax(self._rule.scaled(logits))}

    def _serve_read(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        shape = tf.TensorSpec([self.height, self.width, 3], tf.uint8)
        return {"pixels": tf.map_fn(self._read, image_bytes, fn_output_signature=shape)}

    def _serve_pixels(self, pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        probabilities = self.probabilities(pixels)["probabilities"]
        best = tf.math.top_k(probabilities, min(TOP, len(self.classes)))
        return {
            "probabilities": probabilities,
            "top_classes": tf.gather(self.classes, best.indices),
            "top_probabilities": best.values,
        }

    def _serve(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._serve_pixels(self._serve_read(image_bytes)["pixels"])


def reader(spec: ImageSpec, size: tuple[int, int]) -> Reader:
    """Returns a function from a file's bytes to the pixels that the network was trained on.

    Args:
      spec: of the data set's images.
      size: (height, width) of the network's pixels.
    """
    # PNG stands in for raw, which TensorFlow has no op to encode.
    lossless = spec.encoding is not Encoding.JPEG
    stored = dataclasses.replace(spec, encoding=Encoding.PNG) if lossless else spec
    decode_record = record_pixels.decoder(stored, size)
    return lambda image: decode_record(_store(fit(decode(image, spec), spec), stored))


class Source(NamedTuple):
    """A decoded file.

    Attributes:
      pixels: uint8[h, w, 3], upright.
      start: float64[2], (top, left) of the picture in them; fractions allowed.
      box: float64[2], its (height, width).
    """

    pixels: tf.Tensor
    start: tf.Tensor
    box: tf.Tensor


def whole(pixels: tf.Tensor) -> Source:
    """Returns uint8[h, w, 3] as a source that the picture fills."""
    size = tf.cast(tf.shape(pixels)[:2], tf.float64)
    return Source(pixels, tf.zeros_like(size), size)


def decode(image: tf.Tensor, spec: ImageSpec) -> Source:
    """Returns the picture in the bytes of a JPEG, PNG, WebP, GIF or BMP, laid over white.

    A JPEG that is much larger than `spec` is decoded at a scale, as `canonicalise.decode` does.

    Raises:
      tf.errors.InvalidArgumentError: another format, a BMP with a palette, or damage.
    """

    def transparent() -> tf.Tensor:
        return _over_white(tf.io.decode_image(image, channels=4, expand_animations=False))

    def opaque() -> tf.Tensor:
        palette = (tf.strings.substr(image, 0, len(_BMP)) == _BMP) & image_headers.has_palette(
            image
        )
        checked = tf.debugging.Assert(~palette, ["a BMP with a palette cannot be read"])
        with tf.control_dependencies([checked] if checked is not None else []):
            return tf.io.decode_image(image, channels=3, expand_animations=False)

    def other() -> tf.Tensor:
        return tf.cond(image_headers.has_transparency(image), transparent, opaque)

    is_jpeg = tf.strings.substr(image, 0, len(_JPEG)) == _JPEG
    source = tf.cond(is_jpeg, lambda: _decode_jpeg(image, spec), lambda: whole(other()))
    return source._replace(pixels=tf.ensure_shape(source.pixels, [None, None, 3]))


def fit(source: Source, spec: ImageSpec) -> tf.Tensor:
    """Returns uint8[h, w, 3] fitted to `spec` by the filter of `tfrecords.images.resize.resize`."""
    image, start, size = source
    target = tf.constant((spec.height, spec.width), tf.float64)
    if spec.resize is Resize.SQUASH:
        return resizing.resample(image, target, start, size)
    if spec.resize is Resize.CROP:
        scaled = target * tf.reduce_min(size / target)
        first = start + (size - scaled) / 2
        # As `resize._centre_box`, to the last bit.
        end = tf.minimum(first + scaled, start + size)
        first = tf.maximum(first, 0.0)
        return resizing.resample(image, target, first, end - first)
    choose = tf.reduce_max if spec.resize is Resize.SHORT_SIDE else tf.reduce_min
    inner = tf.maximum(tf.round(size * choose(target / size)), 1)
    resized = resizing.resample(image, inner, start, size)
    if spec.resize is Resize.SHORT_SIDE:
        return resized
    top, left = tf.unstack(tf.cast((target - inner) // 2, tf.int32))
    return tf.image.pad_to_bounding_box(resized, top, left, spec.height, spec.width)


def _decode_jpeg(image: tf.Tensor, spec: ImageSpec) -> Source:
    height, width, _ = tf.unstack(tf.image.extract_jpeg_shape(image))
    enough = math.ceil(max(spec.height, spec.width) * REDUCING_GAP)
    scale = tf.minimum(height // enough, width // enough)
    index = tf.add_n([tf.cast(scale >= ratio, tf.int32) for ratio in _RATIOS[1:]])
    pixels = tf.switch_case(index, [partial(_at_ratio, image, ratio) for ratio in _RATIOS])
    turn = image_headers.orientation(image)
    upright = image_headers.upright(pixels, turn)
    # Reduced, the last row and column may lie partly outside the picture: see
    # `canonicalise._covered`.
    box = tf.cast(tf.stack([height, width]), tf.float64) / tf.gather(
        tf.constant(_RATIOS, tf.float64), index
    )
    box = tf.where(turn >= 5, tf.reverse(box, [0]), box)
    turned = [tf.reduce_any(turn == those) for those in ((3, 4, 7, 8), (2, 3, 6, 7))]
    beyond = tf.cast(tf.shape(upright)[:2], tf.float64) - box
    return Source(upright, beyond * tf.cast(tf.stack(turned), tf.float64), box)


def _at_ratio(image: tf.Tensor, ratio: int) -> tf.Tensor:
    # Pillow decodes with the accurate DCT.
    return tf.io.decode_jpeg(image, channels=3, ratio=ratio, dct_method="INTEGER_ACCURATE")


def _store(image: tf.Tensor, spec: ImageSpec) -> tf.Tensor:
    """Returns an image encoded as in a data set of `spec`; repeats `canonicalise.encode`."""
    if spec.encoding is Encoding.PNG:
        return tf.io.encode_png(image, compression=0)
    halved = min(spec.height, spec.width) > FULL_CHROMA_SIDE
    return tf.io.encode_jpeg(
        image, format="rgb", quality=spec.jpeg_quality, chroma_downsampling=halved
    )


def _over_white(rgba: tf.Tensor) -> tf.Tensor:
    """Returns uint8[h, w, 3] of uint8[h, w, 4]."""
    colour, alpha = tf.cast(rgba[..., :3], tf.float32), tf.cast(rgba[..., 3:], tf.float32) / 255
    return tf.cast(tf.round(colour * alpha + 255 * (1 - alpha)), tf.uint8)
