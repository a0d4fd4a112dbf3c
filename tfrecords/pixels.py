"""From a source's bytes to the image of the data set: decode, normalise, resize, encode.

Baking, predicting and exporting go through `canonicalise`, so a network sees at prediction
exactly what it saw in training. docs/pixels.md is the table of rules.
"""

from __future__ import annotations

import enum
import functools
import io
import warnings
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError

from tfrecords.schema import Encoding, ImageSpec, Resize

# Read by content, never by extension. Anything else that Pillow knows is "unsupported":
# its remaining plugins are rare as photographs and common as attack surface (EPS runs
# Ghostscript, for one).
FORMATS = ("JPEG", "MPO", "PNG", "GIF", "WEBP", "BMP", "DIB", "TIFF", "AVIF", "PPM")

# 178,956,970 pixels is Pillow's own error threshold: 0.5 GiB as RGB.
DEFAULT_MAX_PIXELS = 178_956_970

# The scaled JPEG decode stops at twice the target, and the box pre-reduction likewise:
# below that the result would differ visibly from a resize of the full picture.
# Source: Pillow's `Image.resize(reducing_gap)` documentation.
REDUCING_GAP = 2.0

_WHITE = (255, 255, 255)
_PAD = (0, 0, 0)
_SIXTEEN_BIT_MODES = ("I;16", "I;16B", "I;16L", "I;16N")


class RejectReason(str, enum.Enum):
    """Why a source gave no image. The list is closed: reports and tests rely on it."""

    EMPTY = "empty"
    NOT_AN_IMAGE = "not_an_image"
    UNSUPPORTED_FORMAT = "unsupported_format"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    TOO_SMALL = "too_small"
    TOO_LARGE = "too_large"
    BOMB = "bomb"
    UNREADABLE = "unreadable"
    NAME_NOT_UTF8 = "name_not_utf8"
    DECODER_CRASHED = "decoder_crashed"
    DECODER_HUNG = "decoder_hung"


class ImageError(ValueError):
    """A source that cannot become an image.

    Attributes:
      reason: the code for `sources.parquet`.
      detail: one line for people.
      header: what was known of the source when it failed, if anything.
    """

    def __init__(
        self, reason: RejectReason, detail: str, header: ImageHeader | None = None
    ) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = " ".join(detail.split())[:200]
        self.header = header

    def __str__(self) -> str:
        return f"{self.reason.value}: {self.detail}"


@dataclass(frozen=True, slots=True)
class PixelLimits:
    """Bounds on a source's width × height, checked before its pixels are allocated.

    Attributes:
      min_pixels: fewer are rejected as too_small.
      max_pixels: more are rejected as too_large.
      bomb_pixels: more are rejected as bomb, whatever `max_pixels` says.
    """

    min_pixels: int = 1
    max_pixels: int = DEFAULT_MAX_PIXELS
    bomb_pixels: int = DEFAULT_MAX_PIXELS

    def __post_init__(self) -> None:
        if not 1 <= self.min_pixels <= self.max_pixels:
            raise ValueError(
                "source pixels need 1 <= minimum <= maximum, "
                f"not {self.min_pixels} and {self.max_pixels}"
            )


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What a source's header says.

    Attributes:
      format: Pillow's name, e.g. "JPEG".
      width, height: pixels as stored, before EXIF orientation.
      mode: Pillow's mode as stored, e.g. "CMYK".
    """

    format: str
    width: int
    height: int
    mode: str


@dataclass(frozen=True, slots=True)
class CanonicalImage:
    """A source in the form of the data set.

    Attributes:
      data: encoded bytes.
      header: of the source.
      phash: 64-bit perceptual hash, `difference_hash`.
    """

    data: bytes
    header: ImageHeader
    phash: int


def canonicalise(data: bytes, spec: ImageSpec, limits: PixelLimits) -> CanonicalImage:
    """Returns the image of the data set for the bytes of a source file.

    Raises:
      ImageError: with the reason, for any bytes whatever.
    """
    image, header = decode(data, spec, limits)
    resized = resize(image, spec)
    return CanonicalImage(encode(resized, spec), header, difference_hash(resized))


def decode(
    data: bytes, spec: ImageSpec, limits: PixelLimits
) -> tuple[Image.Image, ImageHeader]:
    """Returns the first frame of a source, upright and in 8-bit sRGB, and its header.

    A JPEG much larger than `spec` comes out scaled down by 2, 4 or 8: the codec does that
    for less than it costs to decode in full.

    Raises:
      ImageError: with the reason, for any bytes whatever.
    """
    image = _open(data)
    header = ImageHeader(image.format or "", image.width, image.height, image.mode)
    _check_limits(header, limits)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _draft(image, spec)
            image.load()
            return normalise(image), header
    except ImageError as error:
        raise ImageError(error.reason, error.detail, header) from error
    except Exception as error:
        # Decoders on hostile bytes raise anything: OSError, SyntaxError, struct.error,
        # IndexError, zlib.error … all seen. At this one boundary each is bad data.
        raise ImageError(_reason_of(error), f"{type(error).__name__}: {error}", header) from error


def normalise(image: Image.Image) -> Image.Image:
    """Returns a loaded image as 8-bit sRGB, upright; alpha is laid over white.

    Raises:
      ImageError: unsupported_format, for floating-point samples of unknown range.
    """
    profile = image.info.get("icc_profile")
    upright = _upright(image)
    eight_bit = _to_eight_bit(upright)
    opaque = _over_white(eight_bit)
    return _to_srgb(opaque, profile)


def resize(image: Image.Image, spec: ImageSpec) -> Image.Image:
    """Returns an RGB image fitted to `spec` by an antialiased triangle filter."""
    target = (spec.width, spec.height)
    if spec.resize is Resize.SQUASH:
        return _resample(image, target)
    if spec.resize is Resize.SHORT_SIDE:
        return _resample(image, _fit(image.size, target, cover=True))
    if spec.resize is Resize.CROP:
        return _resample(image, target, _centre_box(image.size, target))
    inner = _resample(image, _fit(image.size, target, cover=False))
    padded = Image.new("RGB", target, _PAD)
    padded.paste(inner, ((target[0] - inner.width) // 2, (target[1] - inner.height) // 2))
    return padded


def encode(image: Image.Image, spec: ImageSpec) -> bytes:
    """Returns an RGB image as the bytes of `spec.encoding`; raw is row-major RGB."""
    if spec.encoding is Encoding.RAW:
        return image.tobytes()
    buffer = io.BytesIO()
    if spec.encoding is Encoding.PNG:
        image.save(buffer, "PNG", compress_level=6)
    else:
        image.save(buffer, "JPEG", quality=spec.jpeg_quality)
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
        with Image.open(io.BytesIO(data), formats=[spec.encoding.value.upper()]) as image:
            pixels = np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError) as error:
        raise ValueError(f"not a {spec.encoding.value} image: {error}") from error
    if spec.fixed_size and pixels.shape[:2] != (spec.height, spec.width):
        raise ValueError(
            f"image is {pixels.shape[0]}x{pixels.shape[1]}, {spec.height}x{spec.width} expected"
        )
    return pixels


def difference_hash(image: Image.Image) -> int:
    """Returns 64 bits: whether each of 8×8 cells is darker than its right neighbour.

    Source: Krawetz, "Kind of like that" (2013), with box filtering. Equal pictures at other
    sizes or qualities differ in few bits.
    """
    cells = np.asarray(image.resize((9, 8), Image.Resampling.BOX).convert("L"))
    bits = cells[:, :-1] < cells[:, 1:]
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _open(data: bytes) -> Image.Image:
    if not data:
        raise ImageError(RejectReason.EMPTY, "the file has no bytes")
    try:
        with warnings.catch_warnings():
            # Pillow warns of a large header; `_check_limits` decides on it.
            warnings.simplefilter("ignore")
            return Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise _unidentified(data) from error
    except Image.DecompressionBombError as error:
        raise ImageError(RejectReason.BOMB, str(error)) from error
    except Exception as error:
        raise ImageError(_reason_of(error), f"{type(error).__name__}: {error}") from error


def _unidentified(data: bytes) -> ImageError:
    """Tells a broken picture and a foreign format from a file that is no picture."""
    for magic, name in _MAGIC:
        if data[: len(magic)] == magic:
            return ImageError(RejectReason.CORRUPT, f"begins like a {name} but has no valid header")
    for magic, name in _FOREIGN_MAGIC:
        if data[: len(magic)] == magic:
            return ImageError(RejectReason.UNSUPPORTED_FORMAT, f"{name} is not supported")
    if data[4:8] == b"ftyp":
        return ImageError(
            RejectReason.UNSUPPORTED_FORMAT, f"ISO media of brand {data[8:12]!r} is not supported"
        )
    return ImageError(
        RejectReason.NOT_AN_IMAGE, f"no known picture format begins with {data[:8].hex(' ')}"
    )


_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"RIFF", "WebP"),
)

_FOREIGN_MAGIC = (
    (b"%!PS", "PostScript"),
    (b"%PDF", "PDF"),
    (b"8BPS", "Photoshop"),
    (b"\0\0\1\0", "ICO"),
    (b"icns", "ICNS"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"DDS ", "DirectDraw"),
    (b"\x76\x2f\x31\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"qoif", "QOI"),
    (b"farbfeld", "farbfeld"),
    (b"<svg", "SVG"),
    (b"<?xml", "XML or SVG"),
)


def _check_limits(header: ImageHeader, limits: PixelLimits) -> None:
    pixels = header.width * header.height
    shape = f"{header.width}x{header.height} pixels"
    if pixels > limits.bomb_pixels:
        raise ImageError(
            RejectReason.BOMB, f"{shape}: more than {limits.bomb_pixels:,} in all", header
        )
    if pixels > limits.max_pixels:
        raise ImageError(
            RejectReason.TOO_LARGE, f"{shape}: more than {limits.max_pixels:,} in all", header
        )
    if pixels < limits.min_pixels:
        raise ImageError(
            RejectReason.TOO_SMALL, f"{shape}: fewer than {limits.min_pixels:,} in all", header
        )


def _reason_of(error: Exception) -> RejectReason:
    if isinstance(error, (Image.DecompressionBombError, MemoryError)):
        return RejectReason.BOMB
    if isinstance(error, NotImplementedError):
        return RejectReason.UNSUPPORTED_FORMAT
    text = str(error).lower()
    if isinstance(error, EOFError) or "truncated" in text or "unexpected end" in text:
        return RejectReason.TRUNCATED
    return RejectReason.CORRUPT


def _draft(image: Image.Image, spec: ImageSpec) -> None:
    """Asks a JPEG decoder for the smallest scale that keeps `REDUCING_GAP` of the target."""
    if image.format not in ("JPEG", "MPO"):
        return
    # Orientation may swap the sides, so both sides ask for the longer one.
    side = int(max(spec.height, spec.width) * REDUCING_GAP)
    image.draft(None, (side, side))


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:
        # Damaged metadata on a good picture: shown as stored, as every viewer does.
        return image
    if orientation not in range(2, 9):
        return image
    transposed = ImageOps.exif_transpose(image)
    return image if transposed is None else transposed


def _to_eight_bit(image: Image.Image) -> Image.Image:
    """Scales samples deeper than 8 bits; `convert` would clip them instead."""
    if image.mode in _SIXTEEN_BIT_MODES or image.mode == "I":
        samples = np.clip(np.asarray(image), 0, 65_535).astype(np.uint32)
        return Image.fromarray(((samples * 255 + 32_767) // 65_535).astype(np.uint8))
    if image.mode == "F":
        samples = np.asarray(image)
        if not (np.isfinite(samples).all() and samples.min() >= 0 and samples.max() <= 1):
            raise ImageError(
                RejectReason.UNSUPPORTED_FORMAT, "floating-point samples outside 0 to 1"
            )
        return Image.fromarray(np.rint(samples * 255).astype(np.uint8))
    return image


def _over_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image
    rgba = image.convert("RGBA")
    background = Image.new("RGBA", rgba.size, (*_WHITE, 255))
    return Image.alpha_composite(background, rgba).convert("RGB")


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    transform = _srgb_transform(profile, image.mode) if profile else None
    if transform is not None:
        converted = ImageCms.applyTransform(image, transform)
        if converted is not None:
            return converted
    # A no-op convert copies the picture: 0.4 of about 3 ms.
    return image if image.mode == "RGB" else image.convert("RGB")


@functools.lru_cache(maxsize=32)
def _srgb_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Returns the transform to sRGB, or None where it changes nothing or cannot be built."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in (source.profile.profile_description or "").lower():
            return None
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        # A damaged profile, or one for other channels than the picture has.
        return None


def _resample(
    image: Image.Image,
    size: tuple[int, int],
    box: tuple[float, float, float, float] | None = None,
) -> Image.Image:
    if image.size == size and box is None:
        return image
    return image.resize(size, Image.Resampling.BILINEAR, box=box, reducing_gap=REDUCING_GAP)


def _fit(size: tuple[int, int], target: tuple[int, int], *, cover: bool) -> tuple[int, int]:
    """Returns `size` scaled to cover `target`, or to fit inside it; sides at least 1."""
    choose = max if cover else min
    scale = choose(target[0] / size[0], target[1] / size[1])
    width, height = (max(1, round(side * scale)) for side in size)
    return width, height


def _centre_box(
    size: tuple[int, int], target: tuple[int, int]
) -> tuple[float, float, float, float]:
    """Returns the largest centred box of `size` that has the target's aspect ratio."""
    scale = min(size[0] / target[0], size[1] / target[1])
    width, height = target[0] * scale, target[1] * scale
    left, top = (size[0] - width) / 2, (size[1] - height) / 2
    return left, top, left + width, top + height
