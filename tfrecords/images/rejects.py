"""Why a source gave no image: the closed list of reasons and how a failure finds its own."""

from __future__ import annotations

import enum
import io
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

from tfrecords.errors import EvenshardError
from tfrecords.images import decoder_setup


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
    NO_CLASS = "no_class"
    HIDDEN = "hidden"
    LABEL_CONFLICT = "label_conflict"
    DECODER_MISSING = "decoder_missing"
    DECODER_CRASHED = "decoder_crashed"
    DECODER_HUNG = "decoder_hung"
    SIDECAR = "sidecar"
    EXCLUDED = "excluded"
    UNLABELLED = "unlabelled"
    DROPPED_CLASS = "dropped_class"
    OWN_OUTPUT = "own_output"
    MISSING = "missing"
    NOT_A_FILE = "not_a_file"
    TOO_MANY_BYTES = "too_many_bytes"
    CHANGED = "changed"


# Reasons of files that are left out on purpose: no fault of the data, and no rejects.
IGNORED = frozenset(
    {
        RejectReason.HIDDEN,
        RejectReason.SIDECAR,
        RejectReason.EXCLUDED,
        RejectReason.UNLABELLED,
        RejectReason.DROPPED_CLASS,
        RejectReason.OWN_OUTPUT,
    }
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


class ImageError(EvenshardError, ValueError):
    """A source that cannot become an image.

    Attributes:
      reason: the code for `sources.parquet`.
      detail: one line for people, at most 200 characters.
      header: what was known of the source when it failed, if anything.
    """

    def __init__(
        self, reason: RejectReason, detail: str, header: ImageHeader | None = None
    ) -> None:
        # All three are arguments of the exception, so it survives pickling between processes.
        super().__init__(reason, detail, header)
        self.reason = reason
        self.detail = " ".join(detail.split())[:200]
        self.header = header

    def __str__(self) -> str:
        return f"{self.reason.value}: {self.detail}"


def from_decoder(error: Exception, header: ImageHeader | None = None) -> ImageError:
    """Returns the ImageError for whatever a decoder raised."""
    if error.args and isinstance(error.args[0], Exception):
        error = error.args[0]  # Pillow's plugins wrap what went wrong in a SyntaxError.
    text = str(error)
    # "SyntaxError" means nothing to the owner of a picture; a bare number or key needs it.
    detail = text if " " in text else f"{type(error).__name__}: {text}"
    return ImageError(_reason_of(error), detail, header)


def of_opening(data: bytes, error: Exception) -> ImageError:
    """Returns the ImageError for whatever opening a source raised."""
    if isinstance(error, UnidentifiedImageError):
        return unidentified(data)
    return from_decoder(error)


def unidentified(data: bytes) -> ImageError:
    """Tells a broken picture and a foreign format from a file that is no picture.

    Args:
      data: a source that no decoder recognised.
    """
    for magic, name in _MAGIC:
        if data.startswith(magic):
            return _broken_header(data, name)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _broken_header(data, "WEBP")
    for offset, magic, name in _FOREIGN_MAGIC:
        if data.startswith(magic, offset):
            return ImageError(RejectReason.UNSUPPORTED_FORMAT, f"{name} is not supported")
    if data[-18:] == b"TRUEVISION-XFILE.\0":
        return ImageError(RejectReason.UNSUPPORTED_FORMAT, "Targa is not supported")
    if data[4:8] == b"ftyp":
        return _iso_media(data)
    return ImageError(
        RejectReason.NOT_AN_IMAGE, f"no known picture format begins with {data[:8].hex(' ')}"
    )


def missing_extra(format: str) -> ImageError:
    """Returns the ImageError for a format that an extra of this package reads."""
    extra = decoder_setup.EXTRAS[format]
    return ImageError(
        RejectReason.DECODER_MISSING, f"{format}: install it with pip install 'evenshard[{extra}]'"
    )


# Short on purpose: "\x89PNG" without its line ends is a PNG that went through a text-mode
# transfer, a damaged picture rather than something else.
_MAGIC = (
    (b"\xff\xd8", "JPEG"),
    (b"\x89PNG", "PNG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\0\0\0\x0cjP  ", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
)

_FOREIGN_MAGIC = (
    (0, b"%!PS", "PostScript"),
    (0, b"\xc5\xd0\xd3\xc6", "PostScript"),
    (0, b"%PDF", "PDF"),
    (0, b"8BPS", "Photoshop"),
    (0, b"gimp xcf", "GIMP"),
    (0, b"\0\0\1\0", "ICO"),
    (0, b"\0\0\2\0\1\0", "CUR"),
    (0, b"icns", "ICNS"),
    (0, b"II\xbc", "JPEG XR"),
    (0, b"DDS ", "DirectDraw"),
    (0, b"BLP1", "BLP"),
    (0, b"BLP2", "BLP"),
    (0, b"\x76\x2f\x31\x01", "OpenEXR"),
    (0, b"#?RADIANCE", "Radiance HDR"),
    (0, b"P7\n", "PAM"),
    (0, b"\x01\xda\x00", "SGI"),
    (0, b"\x01\xda\x01", "SGI"),
    (0, b"\x0a\x05\x01", "PCX"),
    (4, b"\x11\xaf", "FLI"),
    (4, b"\x12\xaf", "FLI"),
    (0, b"qoif", "QOI"),
    (0, b"farbfeld", "farbfeld"),
    (0, b"<svg", "SVG"),
    (0, b"<?xml", "XML or SVG"),
)

# Brands of ISO base media that hold pictures; the rest (isom, mp42, qt …) are films.
HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs")
AVIF_BRANDS = (b"avif", b"avis")
# Pictures of whatever coding.
EITHER_BRANDS = (b"mif1", b"msf1")
_RAW_BRANDS = (b"crx ",)

_UNSUPPORTED = ("unsupported", "not supported", "cannot handle", "unknown pixel mode")
_TRUNCATED = (
    "truncated",
    "unexpected end",
    "reached eof",
    "not enough",
    "requires a buffer of",
    "index out of range",
    "incomplete checksum",
    "no marker found",
)
_BOMB = ("decompressed data too large", "too much memory")


def _reason_of(error: Exception) -> RejectReason:
    """Returns the reason behind a decoder's exception; Pillow tells most by text alone."""
    text = str(error).lower()
    if isinstance(error, (Image.DecompressionBombError, MemoryError)) or _any(_BOMB, text):
        return RejectReason.BOMB
    if isinstance(error, NotImplementedError) or _any(_UNSUPPORTED, text):
        return RejectReason.UNSUPPORTED_FORMAT
    if isinstance(error, EOFError) or _any(_TRUNCATED, text):
        return RejectReason.TRUNCATED
    return RejectReason.CORRUPT


def _any(phrases: tuple[str, ...], text: str) -> bool:
    return any(phrase in text for phrase in phrases)


def _broken_header(data: bytes, name: str) -> ImageError:
    """Asks the format's own decoder why it refused, which `Image.open` does not pass on."""
    try:
        Image.OPEN[name][0](io.BytesIO(data), "")
    except Exception as error:  # Whatever it is, it is the answer.
        found = from_decoder(error)
        if "not identified" not in found.detail:
            return ImageError(found.reason, f"begins like a {name}, but: {found.detail}")
    return ImageError(RejectReason.CORRUPT, f"begins like a {name} but has no valid header")


def _iso_media(data: bytes) -> ImageError:
    brand = data[8:12]
    if brand in AVIF_BRANDS or brand in EITHER_BRANDS:
        return ImageError(RejectReason.CORRUPT, "begins like an AVIF but has no valid header")
    name = f"ISO media of brand {brand.decode('latin-1')!r}"
    if brand in _RAW_BRANDS:
        return ImageError(RejectReason.UNSUPPORTED_FORMAT, f"{name}, a raw file, is not supported")
    return ImageError(RejectReason.NOT_AN_IMAGE, f"{name} is a film, not a picture")
