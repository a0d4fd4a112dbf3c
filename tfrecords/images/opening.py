"""From the bytes of a source to a picture that can say what decoding takes, and then decodes.

Formats are told apart by content, never by name. What a decoder would allocate on opening a file
is checked here, before it does; what it allocates on decoding, by the caller.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from tfrecords.images import decoder_setup, memory, plain_jpeg, rejects
from tfrecords.images.formats import (
    bmp,
    boxes,
    claims,
    directories,
    gif,
    jpeg,
    pfm,
    png,
    tiff,
)
from tfrecords.images.pictures import Decoded, Extent, Picture, jpeg_scale, wanted_side
from tfrecords.images.rejects import ImageError, ImageHeader, RejectReason
from tfrecords.schema import ImageSpec

# Read by content, never by extension. Anything else that Pillow knows is "unsupported":
# its remaining plugins are rare as photographs and common as attack surface (EPS runs
# Ghostscript, for one). Named by their plugins, since `Image.open(formats=…)` knows only
# formats whose plugin somebody has imported. MPO comes with JPEG, which recognises it.
_PLUGINS = (
    JpegImagePlugin.JpegImageFile,
    PngImagePlugin.PngImageFile,
    GifImagePlugin.GifImageFile,
    WebPImagePlugin.WebPImageFile,
    BmpImagePlugin.BmpImageFile,
    TiffImagePlugin.TiffImageFile,
    AvifImagePlugin.AvifImageFile,
    PpmImagePlugin.PpmImageFile,
    Jpeg2KImagePlugin.Jpeg2KImageFile,
)
# Of Pillow's raw modes "RGB;16B", "LA;16B", "RGB;16L" …; "BGR;16" of a BMP has 5 bits a sample.
_RAW_16_BITS = (";16B", ";16L", ";16N")
_FULL_16_BITS = 65_535

FORMATS = tuple(plugin.format for plugin in _PLUGINS)


def open_picture(data: bytes) -> Picture:
    """Reads the header of a source.

    Raises:
      ImageError: with the reason, for any bytes whatever that are not a picture.
    """
    if not data:
        raise ImageError(RejectReason.EMPTY, "the file has no bytes")
    try:
        for begins, opener in _OPENERS:
            if data.startswith(begins):
                return opener(data)
        if data[4:8] == b"ftyp":
            return _open_iso_media(data)
        return _PillowPicture.open(data)
    except ImageError:
        raise
    except Exception as error:  # Decoders on hostile bytes raise anything.
        raise rejects.of_opening(data, error) from error


@dataclass(frozen=True)
class _PillowPicture:
    """A file that Pillow has opened and not loaded.

    Attributes:
      image: as opened.
      data: what Pillow was given.
      header: of the file.
      frame: of a JPEG.
      layout: of a TIFF.
      claimed: bytes that opening and decoding take, where the decoder has them all at once.
      note: what is odd about the file.
      deep: whether its samples have 16 bits.
    """

    image: ImageFile.ImageFile
    data: bytes
    header: ImageHeader
    frame: jpeg.Frame | None = None
    layout: tiff.Layout | None = None
    claimed: int = 0
    note: str = ""
    deep: bool = False

    @classmethod
    def open(
        cls,
        data: bytes,
        *,
        decoder: Callable[[io.BytesIO], ImageFile.ImageFile] | None = None,
        frame: jpeg.Frame | None = None,
        layout: tiff.Layout | None = None,
        claimed: int = 0,
        note: str = "",
        deep: bool = False,
    ) -> _PillowPicture:
        stream = io.BytesIO(data)
        image = Image.open(stream, formats=FORMATS) if decoder is None else decoder(stream)
        header = ImageHeader(image.format or "", image.width, image.height, image.mode)
        deep = deep or _has_16_bits(image)
        return cls(image, data, header, frame, layout, claimed, note, deep)

    def _scale(self, spec: ImageSpec) -> int:
        return jpeg_scale(self.data, *self.image.size, spec)

    def memory(self, spec: ImageSpec) -> int:
        size = self.image.size
        if self.frame is not None:
            scale = self._scale(spec)
            size = (-(-size[0] // scale), -(-size[1] // scale))
        needed = memory.of_pillow(self.image, size, self.frame, self.layout)
        return max(needed, self.claimed + memory.OVERHEAD)

    def load(self, spec: ImageSpec) -> Decoded:
        if self.frame is not None:
            return self._load_whole(self.frame, spec) or self._load_jpeg(spec)
        image: Image.Image = self.image
        png.scale_colour_key(self.image)
        image.load()
        if image.format == "BMP":
            image = bmp.with_alpha_set(image)
        if image.format == "JPEG2000":
            image.info["icc_profile"] = boxes.jpeg_2000_profile(self.data)
        return Decoded(image, image.size, note=self.note, deep=self.deep)

    def _load_whole(self, frame: jpeg.Frame, spec: ImageSpec) -> Decoded | None:
        if self.image.size != (frame.width, frame.height):
            return None
        return plain_jpeg.decoded(self.data, frame, self.image, spec)

    def _load_jpeg(self, spec: ImageSpec) -> Decoded:
        reduced = self._scale(spec) > 1
        extent = _draft(self.image, spec, reduced)
        if jpeg.is_cut(self.data):
            return self._load_cut(spec, extent, reduced)
        try:
            self.image.load()
            return Decoded(self.image, extent)
        except OSError as error:
            if rejects.from_decoder(error).reason is not RejectReason.TRUNCATED:
                raise
            try:
                return self._load_cut(spec, extent, reduced)
            except OSError:
                raise error from None

    def _load_cut(self, spec: ImageSpec, extent: Extent, reduced: bool) -> Decoded:
        def decode(whole: bytes) -> Image.Image:
            image = Image.open(io.BytesIO(whole), formats=FORMATS)
            _draft(image, spec, reduced)
            image.load()
            return image

        cut = jpeg.load_cut(self.data, decode)
        note = f"the file ends before the JPEG does: {cut.lacking}"
        return Decoded(cut.image, extent, True, cut.missing, note)


class _OwnReader(Protocol):
    """A reader of a kind that Pillow lacks."""

    @property
    def header(self) -> ImageHeader: ...

    @property
    def memory(self) -> int: ...

    def load(self) -> Image.Image: ...


@dataclass(frozen=True, slots=True)
class _OwnPicture:
    """A file that a reader of ours reads.

    Attributes:
      reader: of it.
      deep: whether its samples have 16 bits.
    """

    reader: _OwnReader
    deep: bool = False

    @property
    def header(self) -> ImageHeader:
        return self.reader.header

    def memory(self, spec: ImageSpec) -> int:
        header = self.header
        return memory.with_conversion(self.reader.memory, header.mode, header.width, header.height)

    def load(self, spec: ImageSpec) -> Decoded:
        image = self.reader.load()
        return Decoded(image, image.size, deep=self.deep)


def _open_jpeg(data: bytes) -> Picture:
    # Removing metadata leaves the segments of the frame and the scan.
    segments = tuple(jpeg.segments(data))
    data = jpeg.without_bulk(data, segments)
    frame = jpeg.frame(segments)
    if frame is not None and frame.bits != 8:
        raise _unsupported(f"a JPEG of {frame.bits} bits a sample", "save it with 8 bits")
    try:
        picture = _PillowPicture.open(data, frame=frame)
    except UnidentifiedImageError as error:
        raise rejects.unidentified(data) from error
    if frame is None:
        raise ImageError(RejectReason.CORRUPT, "the JPEG has no frame", picture.header)
    return picture


def _open_png(data: bytes) -> Picture:
    if png.is_apple(data):
        raise _unsupported(
            "a PNG in the form of iPhone applications (CgBI)",
            "convert it with `pngcrush -revert-iphone-optimizations`",
        )
    try:
        return _PillowPicture.open(data)
    except Exception as error:  # As in `open_picture`.
        found = rejects.of_opening(data, error)
        if found.reason is RejectReason.BOMB:
            raise found from error
    for repair in (png.without_damaged_metadata, png.without_metadata):
        repaired, kinds = repair(data)
        if not kinds:
            continue
        try:
            note = f"damaged metadata left out: {', '.join(kinds)}"
            return _PillowPicture.open(repaired, note=note)
        except Exception:  # The file as it is has told what is wrong with it.
            continue
    raise found


def _open_tiff(data: bytes) -> Picture:
    if data.startswith(b"MM\0+"):
        # Pillow reads it as a small TIFF, whose directory would be somewhere else.
        raise _unsupported("a BigTIFF of big-endian numbers", "save it as TIFF")
    tags = directories.first_directory(data)
    if tags is None:
        return _PillowPicture.open(data)
    if not directories.is_honest(tags):
        raise ImageError(
            RejectReason.CORRUPT, "the tags of the TIFF have more values than the file has bytes"
        )
    layout = tiff.Layout.of(tags)
    header = ImageHeader("TIFF", layout.width, layout.height, "")
    _refuse_unsupported_tiff(tags, header)
    deep = tiff.DeepTiff.of(tags)
    if deep is not None:
        return _OwnPicture(deep, deep.has_16_bits)
    # Opening makes Python integers and tuples of every offset.
    if layout.working_bytes > memory.MAX_DECODE_BYTES:
        raise _too_much(layout.working_bytes, header)
    try:
        note = "the first of several pages" if tiff.has_more_pages(tags) else ""
        return _PillowPicture.open(data, layout=layout, note=note)
    except UnidentifiedImageError as error:
        found = rejects.unidentified(data)
        if found.reason is RejectReason.UNSUPPORTED_FORMAT:
            raise _unsupported(f"a TIFF of {layout.described}") from error
        raise found from error


def _refuse_unsupported_tiff(tags: directories.Directory, header: ImageHeader) -> None:
    if tiff.begins_with_thumbnail(tags):
        raise _unsupported(
            "a TIFF that begins with a thumbnail (as raw files of cameras do)",
            "save the picture itself as TIFF or JPEG",
            header,
        )
    compression = tiff.unsupported_compression(tags)
    if compression is not None:
        raise _unsupported(f"a TIFF compressed with {compression}", "save it with LZW", header)


def _open_gif(data: bytes) -> Picture:
    return _PillowPicture.open(gif.without_bulk(data))


def _open_bmp(data: bytes) -> Picture:
    try:
        return _PillowPicture.open(data)
    except OSError:
        masked = bmp.MaskedBmp.of(data)
        if masked is None:
            raise
        return _OwnPicture(masked)


def _open_pfm(data: bytes) -> Picture:
    reader = pfm.ColourFloatMap.of(data)
    if reader is None:
        raise ImageError(RejectReason.CORRUPT, "begins like a PFM but has no valid header")
    return _OwnPicture(reader)


def _open_webp(data: bytes) -> Picture:
    claim = claims.webp(data)
    if claim is not None:
        _check_claim(claim, "WEBP")
    return _PillowPicture.open(data, claimed=claim.memory if claim else 0)


def _open_iso_media(data: bytes) -> Picture:
    if data[8:12] in rejects.HEIF_BRANDS or (
        data[8:12] in rejects.EITHER_BRANDS and b"hvc1" in data[:4096]
    ):
        return _open_heif(data)
    if data[8:12] in rejects.AVIF_BRANDS or data[8:12] in rejects.EITHER_BRANDS:
        _check_exif(data)
        claim = claims.avif(data)
        _check_claim(claim, "AVIF")
        return _PillowPicture.open(data, claimed=claim.memory)
    raise rejects.unidentified(data)


def _open_heif(data: bytes) -> Picture:
    decoder = decoder_setup.heif_decoder()
    if decoder is None:
        raise rejects.missing_extra("HEIF")
    _check_exif(data)
    claim = claims.heif(data)
    _check_claim(claim, "HEIF")
    return _PillowPicture.open(data, decoder=decoder, claimed=claim.memory)


def _open_jpeg_xl(data: bytes) -> Picture:
    decoder = decoder_setup.jpeg_xl_decoder()
    if decoder is None:
        raise rejects.missing_extra("JPEG XL")
    claim = claims.jpeg_xl(data)
    if claim is None:
        raise ImageError(RejectReason.CORRUPT, "begins like a JPEG XL but has no valid header")
    _check_exif(data)
    _check_claim(claim, "JXL")
    picture = _PillowPicture.open(data, decoder=decoder, claimed=claim.memory)
    if not getattr(picture.image, "jpeg", False):
        # The decoder turns pictures upright by the codestream; EXIF would turn them again.
        picture.image.info.pop("exif", None)
    return picture


def _open_jpeg_2000(data: bytes) -> Picture:
    if not decoder_setup.has_jpeg_2000():
        raise ImageError(
            RejectReason.DECODER_MISSING,
            "JPEG 2000: this Pillow was built without OpenJPEG, its wheels have it",
        )
    claim = claims.jpeg_2000(data)
    if claim is not None:
        _check_claim(claim, "JPEG2000")
    if claim is None:
        return _PillowPicture.open(data)
    return _PillowPicture.open(data, claimed=claim.memory, deep=claim.bits == 16)


_OPENERS: tuple[tuple[bytes | tuple[bytes, ...], Callable[[bytes], Picture]], ...] = (
    (b"\xff\xd8\xff", _open_jpeg),
    (png.SIGNATURE, _open_png),
    ((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"II\0*", b"MM*\0"), _open_tiff),
    (b"BM", _open_bmp),
    (b"GIF8", _open_gif),
    (b"RIFF", _open_webp),
    ((b"PF\n", b"PF\r", b"PF ", b"PF\t"), _open_pfm),
    ((b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"), _open_jpeg_xl),
    ((b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n"), _open_jpeg_2000),
)


def check_memory(needed: int, header: ImageHeader) -> None:
    """Refuses what would take more memory than one picture may.

    Raises:
      ImageError: bomb.
    """
    if needed > memory.MAX_DECODE_BYTES:
        raise _too_much(needed, header)


def _has_16_bits(image: ImageFile.ImageFile) -> bool:
    """Returns whether the samples of an opened picture have 16 bits in the file."""
    if image.mode.startswith("I"):
        return True
    samples = image.tile[0].args if image.tile else None
    found = samples if isinstance(samples, tuple) else (samples,)
    if image.format == "PPM":
        return found[-1] == _FULL_16_BITS
    return str(found[0]).endswith(_RAW_16_BITS)


def _check_claim(claim: claims.Claim, format: str) -> None:
    check_memory(claim.memory + memory.OVERHEAD, ImageHeader(format, claim.width, claim.height, ""))


def _check_exif(data: bytes) -> None:
    if not boxes.exif_is_honest(data):
        raise ImageError(
            RejectReason.CORRUPT, "the tags of its EXIF have more values than the file has bytes"
        )


def _too_much(needed: int, header: ImageHeader) -> ImageError:
    return ImageError(
        RejectReason.BOMB,
        f"{header.width}x{header.height} pixels: decoding takes up to {needed / 1e9:.1f} GB, more "
        f"than the {memory.MAX_DECODE_BYTES / 1e9:.1f} GB that a picture may",
        header,
    )


def _unsupported(what: str, remedy: str = "", header: ImageHeader | None = None) -> ImageError:
    tail = f": {remedy}" if remedy else ""
    return ImageError(RejectReason.UNSUPPORTED_FORMAT, f"{what} is not supported{tail}", header)


def _draft(image: Image.Image, spec: ImageSpec, reduced: bool) -> Extent:
    """Asks a JPEG decoder for the smallest scale that keeps `REDUCING_GAP` of the target.

    Args:
      image: opened, not loaded.
      spec: the target.
      reduced: whether it may be less than the whole.

    Returns:
      The exact width and height of the picture at that scale, as stored.
    """
    side = wanted_side(spec)
    drafted = image.draft(None, (side, side)) if reduced else None
    return (drafted[1][2], drafted[1][3]) if drafted else image.size
