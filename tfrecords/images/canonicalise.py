"""From a source's bytes to the image of the data set: decode, normalise, resize, encode.

Baking, predicting and exporting go through `canonicalise`, so a network sees at prediction
exactly what it saw in training. docs/pixels.md is the table of rules.
"""

from __future__ import annotations

import enum
import io
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image

from tfrecords.images import colour, fingerprints, opening
from tfrecords.images.decoder_setup import QuietWarnings, prepare_worker
from tfrecords.images.formats import directories, jpeg
from tfrecords.images.pictures import Decoded, Picture
from tfrecords.images.plain_jpeg import OddJpegError, PlainJpeg
from tfrecords.images.rejects import ImageError, ImageHeader, RejectReason, from_decoder
from tfrecords.images.resample import Box, size_of
from tfrecords.images.resample import Picture as Pixels
from tfrecords.images.resize import REDUCING_GAP, fitted, resize
from tfrecords.schema import Encoding, ImageSpec, Resize

__all__ = [
    "CanonicalImage",
    "ImageError",
    "ImageHeader",
    "PIXELS_VERSION",
    "PixelLimits",
    "REDUCING_GAP",
    "RejectReason",
    "Truncated",
    "canonicalise",
    "decode",
    "decode_record",
    "encode",
    "fitted",
    "normalise",
    "prepare_worker",
    "resize",
    "three_channels",
]

# Raise it when the pixels of canonical images of equal sources change: a bake does not reuse those
# of its cache then, and a run that was trained on the others says so when it predicts.
PIXELS_VERSION = 3

# 178,956,970 pixels is Pillow's own error threshold: 0.7 GB as RGB, which it keeps in 4 bytes.
DEFAULT_MAX_PIXELS = 178_956_970

# With resize=short_side a source of 1x60000 would become 224x13440000. 32 times is far
# beyond any panorama (a full turn at 8 degrees of height) and bounds 224 to 224x7168.
MAX_ASPECT = 32

# Halving the chroma costs a picture of 64 pixels 3.7 dB (41.5 to 37.8 at quality 95) for 17% of
# its bytes, one of 224 pixels 1.4 dB for 14% of its bytes and 23% of its decoding time.
FULL_CHROMA_SIDE = 128

# Huffman tables of its own save a picture of 32 pixels 27% of its bytes, one of 64 13%;
# at 224 they save 5% and triple the encoding time.
_OPTIMISED_SIDE = 64

# 12 bits in 16 reach a sixteenth of the range.
DARK = 16

_QUIET = QuietWarnings()

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Truncated(str, enum.Enum):
    """What becomes of a JPEG that ends before its last marker.

    `KEEP` takes one that lacks at most 5% of its rows, and says so in a note; `REJECT` none; `SHOW`
    takes whatever there is, for people to look at and not for a data set.
    """

    KEEP = "keep"
    REJECT = "reject"
    SHOW = "show"


@dataclass(frozen=True, slots=True)
class PixelLimits:
    """Which sources are taken; bounds on width × height hold before pixels are allocated.

    Attributes:
      min_pixels: fewer are rejected as too_small.
      max_pixels: more are rejected as too_large.
      bomb_pixels: more are rejected as bomb, whatever `max_pixels` says.
      truncated: what becomes of a JPEG that ends before its last marker.
    """

    min_pixels: int = 1
    max_pixels: int = DEFAULT_MAX_PIXELS
    bomb_pixels: int = DEFAULT_MAX_PIXELS
    truncated: Truncated = Truncated.KEEP

    def __post_init__(self) -> None:
        if not 1 <= self.min_pixels <= self.max_pixels:
            raise ValueError(
                "source pixels need 1 <= minimum <= maximum, "
                f"not {self.min_pixels} and {self.max_pixels}"
            )


@dataclass(frozen=True, slots=True)
class CanonicalImage:
    """A source in the form of the data set.

    Attributes:
      data: encoded bytes.
      header: of the source.
      phash: 64-bit perceptual hash, `fingerprints.difference_hash`.
      fingerprint: 32 bytes, `fingerprints.fingerprint`.
      thumbnail: 768 bytes, uint8[16, 16, 3], `fingerprints.thumbnail`.
      note: what is odd about the source and kept it none the less, for the ledger; "" for most.
    """

    data: bytes
    header: ImageHeader
    phash: int
    fingerprint: bytes
    thumbnail: bytes
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Source:
    """A decoded source: upright sRGB (RGB or grey), the part that it covers, header and note.

    `deep` is that of `Decoded`.

    A JPEG of 750 pixels decoded at a quarter gives 188, the last of them half outside the
    picture: resizing all 188 would stretch it (39 dB instead of 53).
    """

    picture: Pixels
    header: ImageHeader
    box: Box
    note: str
    deep: bool


def canonicalise(data: bytes, spec: ImageSpec, limits: PixelLimits) -> CanonicalImage:
    """Returns the image of the data set for the bytes of a source file.

    Raises:
      ImageError: with the reason, for any bytes whatever.
    """
    source = _decode(data, spec, limits)
    resized = three_channels(fitted(source.picture, spec, source.box))
    facts = fingerprints.Facts.of(resized)
    return CanonicalImage(
        encode(Image.fromarray(resized), spec),
        source.header,
        facts.difference_hash,
        facts.fingerprint,
        facts.thumbnail.tobytes(),
        "; ".join(filter(None, (source.note, _dark_note(source.deep, resized)))),
    )


def _dark_note(deep: bool, resized: np.ndarray) -> str:
    """Returns a note on a picture of 16 bits that used few of them; "" for any other.

    Cameras of 10 and 12 bits, depth and X-rays are stored so: scaled by the range that the file
    says, there is hardly anything to see.
    """
    if not deep or resized.max() > DARK:
        return ""
    return (
        "nearly black: all of its samples of 16 bits are in the lowest sixteenth of their range; "
        "stretch them, or save 8 bits"
    )


def decode(data: bytes, spec: ImageSpec, limits: PixelLimits) -> tuple[Image.Image, ImageHeader]:
    """Returns the first frame of a source, upright and in 8-bit sRGB, and its header.

    A JPEG much larger than `spec` comes out scaled down by 2, 4 or 8, both sides still at
    least twice the target's longer one: the codec does that for less than it costs to
    decode in full, and half of it may be cropped away.

    Raises:
      ImageError: with the reason, for any bytes whatever.
    """
    source = _decode(data, spec, limits)
    if isinstance(source.picture, Image.Image):
        return _rgb(source.picture), source.header
    return Image.fromarray(three_channels(source.picture)), source.header


def normalise(image: Image.Image) -> Image.Image:
    """Returns a loaded image as 8-bit sRGB, upright; alpha is laid over white.

    Raises:
      ImageError: unsupported_format, for samples of unknown range.
    """
    return _rgb(_turn(colour.to_srgb(image), _orientation(image)))


def encode(image: Image.Image, spec: ImageSpec) -> bytes:
    """Returns an RGB image as the bytes of `spec.encoding`; raw is row-major RGB."""
    if spec.encoding is Encoding.RAW:
        return image.tobytes()
    buffer = io.BytesIO()
    # Unasked, Pillow writes what `image.info` has: a comment of the source, or the profile that
    # LittleCMS made of sRGB and put the time into.
    if spec.encoding is Encoding.PNG:
        image.save(buffer, "PNG", compress_level=6, icc_profile=None, transparency=None)
    else:
        side = min(image.size)
        image.save(
            buffer,
            "JPEG",
            quality=spec.jpeg_quality,
            subsampling="4:4:4" if side <= FULL_CHROMA_SIDE else "4:2:0",
            optimize=side <= _OPTIMISED_SIDE,
            comment=None,
        )
    return buffer.getvalue()


def decode_record(data: bytes, spec: ImageSpec) -> np.ndarray:
    """Returns the pixels of a record's `image` bytes, uint8[height, width, 3].

    Raises:
      ValueError: not an image of `spec`.
    """
    if spec.encoding is Encoding.RAW:
        expected = spec.height * spec.width * 3
        if len(data) != expected:
            raise ValueError(f"raw image has {len(data)} bytes, {expected} expected")
        return np.frombuffer(data, np.uint8).reshape(spec.height, spec.width, 3)
    try:
        with _QUIET, Image.open(io.BytesIO(data), formats=[spec.encoding.value]) as image:
            _check_record_size(image.size, spec)
            return np.asarray(image.convert("RGB"))
    except ValueError:
        raise
    except Exception as error:  # As in `_decode`: decoders on damaged bytes raise anything.
        raise ValueError(f"not a {spec.encoding.value} image: {error}") from error


def _decode(data: bytes, spec: ImageSpec, limits: PixelLimits) -> _Source:
    with _QUIET:
        plain = PlainJpeg.of(data)
        if plain is not None:
            try:
                return _read(plain, spec, limits)
            except (ImageError, OddJpegError):
                pass  # What is wrong with it is said as of any other file.
        return _read(opening.open_picture(data), spec, limits)


def _read(picture: Picture, spec: ImageSpec, limits: PixelLimits) -> _Source:
    header = picture.header
    _check_limits(header, limits, spec)
    opening.check_memory(picture.memory(spec), header)
    try:
        decoded = picture.load(spec)
        _check_whole(decoded, limits)
        orientation = _orientation(decoded.image)
        upright = _upright(decoded, orientation)
        box = _covered(size_of(upright), decoded.extent, orientation)
        return _Source(upright, header, box, decoded.note, decoded.deep)
    except ImageError as error:
        raise ImageError(error.reason, error.detail, header) from error
    except OddJpegError:
        raise
    except Exception as error:
        # Decoders on hostile bytes raise anything: OSError, SyntaxError, struct.error,
        # IndexError, zlib.error … all seen. At this one boundary each is bad data.
        raise from_decoder(error, header) from error


def _check_whole(decoded: Decoded, limits: PixelLimits) -> None:
    if not decoded.cut or limits.truncated is Truncated.SHOW:
        return
    if limits.truncated is Truncated.REJECT or decoded.missing > jpeg.MAX_MISSING:
        raise ImageError(RejectReason.TRUNCATED, decoded.note)


def _upright(decoded: Decoded, orientation: int) -> Pixels:
    """Returns a decoded picture in sRGB and upright; lets go of what it no longer needs."""
    image, pixels = decoded.image, decoded.pixels
    if pixels is not None:
        profile = image.info.get("icc_profile")
        if colour.is_srgb(image.mode, profile):
            return _turned(pixels, orientation)
        image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        image.info["icc_profile"] = profile
    srgb = colour.to_srgb(image)
    if orientation not in _TURNS:
        return srgb
    if srgb is not image:
        image.close()  # Turning has two pictures in memory, not three.
    return _turn(srgb, orientation)


def _turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Returns a view of pixels, upright: what `_turn` does to an image."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    across, down = orientation in (2, 3, 6, 7), orientation in (3, 4, 7, 8)
    return pixels[:: -1 if down else 1, :: -1 if across else 1]


def _check_limits(header: ImageHeader, limits: PixelLimits, spec: ImageSpec) -> None:
    pixels = header.width * header.height
    shape = f"{header.width}x{header.height} pixels"
    for reason, broken, what in (
        (RejectReason.BOMB, pixels > limits.bomb_pixels, f"more than {limits.bomb_pixels:,}"),
        (RejectReason.TOO_LARGE, pixels > limits.max_pixels, f"more than {limits.max_pixels:,}"),
        (RejectReason.TOO_SMALL, pixels < limits.min_pixels, f"fewer than {limits.min_pixels:,}"),
    ):
        if broken:
            raise ImageError(reason, f"{shape}: {what} in all", header)
    long, short = max(header.width, header.height), min(header.width, header.height)
    if spec.resize is Resize.SHORT_SIDE and long > MAX_ASPECT * short:
        raise ImageError(
            RejectReason.TOO_LARGE,
            f"{shape}: one side is more than {MAX_ASPECT} times the other, too long an image "
            "with resize=short_side; use squash, pad or crop",
            header,
        )


def _orientation(image: Image.Image) -> int:
    """Returns the EXIF orientation, 1 to 8; of damaged metadata 1, as every viewer does."""
    if not _exif_is_honest(image):
        return 1
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # Metadata parsers on hostile bytes raise anything too.
        return 1
    return orientation if orientation in _TURNS else 1


def _exif_is_honest(image: Image.Image) -> bool:
    """Returns whether EXIF is safe to parse, in either of the two forms that Pillow reads."""
    blocks = [image.info.get("exif")]
    text = image.info.get("Raw profile type exif")
    if isinstance(text, str):
        try:
            blocks.append(bytes.fromhex("".join(text.split("\n")[3:])))
        except ValueError:
            return False
    return all(directories.exif_is_honest(b) for b in blocks if isinstance(b, bytes))


def _turn(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def _covered(size: tuple[int, int], extent: tuple[float, float], orientation: int) -> Box:
    """Returns where an extent from the stored top left corner lies after the turn."""
    width, height = extent if orientation < 5 else extent[::-1]
    left = size[0] - width if orientation in (2, 3, 6, 7) else 0.0
    top = size[1] - height if orientation in (3, 4, 7, 8) else 0.0
    return left, top, left + width, top + height


def _rgb(image: Image.Image) -> Image.Image:
    return image if image.mode == "RGB" else image.convert("RGB")


def three_channels(pixels: np.ndarray) -> np.ndarray:
    """Returns uint8[h, w, 3] of uint8[h, w, 1 or 3]."""
    return pixels if pixels.shape[2] == 3 else np.repeat(pixels, 3, axis=2)


def _check_record_size(size: tuple[int, int], spec: ImageSpec) -> None:
    if spec.fixed_size and size != (spec.width, spec.height):
        raise ValueError(f"image is {size[1]}x{size[0]}, {spec.height}x{spec.width} expected")
