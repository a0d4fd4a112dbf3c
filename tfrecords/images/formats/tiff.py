"""TIFF: what a directory asks a decoder for, and the reader of samples that Pillow lacks.

Pillow reads samples of 8 bits in every arrangement and deeper ones in some: not grey with alpha,
not floats in more than one channel or of 64 bits, and it reads planes of 16 bits and big-endian
floats wrongly. Its decoders are used all the same: the directory is written anew so that
each row is a row of bytes, which any of libtiff's compressions gives back as they are.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, TiffImagePlugin

from tfrecords.images.formats.directories import Directory
from tfrecords.images.rejects import ImageError, ImageHeader, RejectReason

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
STRIP_OFFSETS, ORIENTATION, SAMPLES, ROWS_PER_STRIP, STRIP_COUNTS, PLANAR = (
    273,
    274,
    277,
    278,
    279,
    284,
)
PREDICTOR, TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_COUNTS = 317, 322, 323, 324, 325
EXTRA_SAMPLES, SAMPLE_FORMAT, XMP, ICC_PROFILE = 338, 339, 700, 34_675
NEW_SUBFILE_TYPE, SUBFILE_TYPE, SUB_DIRECTORIES = 254, 255, 330

# Bits of the new type and a value of the old one: a smaller form of another picture in the file,
# or a mask of its transparent parts.
_REDUCED_BIT, _MASK_BIT, _REDUCED = 1, 4, 2

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _CMYK = 0, 1, 2, 5
_COLOURS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _CMYK: 4}
_UNSIGNED, _FLOAT = 1, 3
_SEPARATE_PLANES = 2
_PREMULTIPLIED, _ALPHA = 1, 2
_DIFFERENCES, _FLOAT_DIFFERENCES = 2, 3

# None, LZW, deflate (two numbers), PackBits, LZMA and Zstandard give the bytes that went in.
_OF_BYTES = frozenset((1, 5, 8, 32_946, 32_773, 34_925, 50_000))
_JPEG = frozenset((6, 7))
_FAX = frozenset((2, 3, 4))
_COMPRESSIONS = {
    9: "JBIG", 10: "JBIG", 34_661: "JBIG", 34_712: "JPEG 2000", 33_003: "JPEG 2000",
    33_005: "JPEG 2000", 34_887: "LERC", 34_892: "lossy JPEG of DNG", 50_001: "WebP",
    50_002: "JPEG XL", 52_546: "JPEG XL", 34_676: "SGI LogLuv", 34_677: "SGI LogLuv",
    32_809: "ThunderScan", 32_766: "NeXT", 32_908: "PixarFilm", 32_909: "PixarLog",
}  # fmt: skip
_KINDS = {
    1: "unsigned integers",
    2: "signed integers",
    3: "floating-point numbers",
    5: "complex",
    6: "complex",
}

# Rows converted at a time, so that a picture needs no second one in float64.
_ROWS = 64


def begins_with_thumbnail(tags: Directory) -> bool:
    """Returns whether the first picture of a file says to be a smaller form of another one in it.

    Raw files of many cameras (DNG, NEF, ARW …) are such TIFFs.
    """
    is_reduced = (
        tags.number(NEW_SUBFILE_TYPE) & _REDUCED_BIT or tags.number(SUBFILE_TYPE) == _REDUCED
    )
    return bool(is_reduced) and (tags.next > 0 or SUB_DIRECTORIES in tags.entries)


def has_more_pages(tags: Directory) -> bool:
    """Returns whether another picture follows the first that is neither smaller nor its mask."""
    following = tags.following()
    return following is not None and not (
        following.number(NEW_SUBFILE_TYPE) & (_REDUCED_BIT | _MASK_BIT)
        or following.number(SUBFILE_TYPE) == _REDUCED
    )


@dataclass(frozen=True, slots=True)
class Layout:
    """The arrangement of a TIFF's samples.

    Attributes:
      width, height: as stored.
      bits: of each sample; 1 by default, as the format says.
      sample_format: 1 unsigned, 2 signed, 3 floating point.
      photometric: 0 white is zero, 1 black is zero, 2 RGB, 5 CMYK …
      compression: 1 none, 5 LZW …
      planar: 1 samples of a pixel together, 2 in separate planes.
      extra: what each sample beyond the colours is: 0 anything, 1 premultiplied alpha, 2 alpha.
      part_width, part_height: of a strip or tile.
      parts: how many strips or tiles the file lists.
    """

    width: int
    height: int
    bits: tuple[int, ...]
    sample_format: tuple[int, ...]
    photometric: int
    compression: int
    planar: int
    extra: tuple[int, ...]
    part_width: int
    part_height: int
    parts: int

    @classmethod
    def of(cls, tags: Directory) -> Layout:
        """Reads the arrangement from a directory."""
        width, height = tags.number(WIDTH), tags.number(HEIGHT)
        samples = min(max(tags.number(SAMPLES, 1), 1), 64)
        bits = tags.numbers(BITS, (1,))[:64]
        tiled = TILE_OFFSETS in tags.entries and STRIP_OFFSETS not in tags.entries
        return cls(
            width,
            height,
            (bits * samples if len(bits) == 1 else bits)[:samples],
            tags.numbers(SAMPLE_FORMAT, (1,))[:64],
            tags.number(PHOTOMETRIC),
            tags.number(COMPRESSION, 1),
            tags.number(PLANAR, 1),
            tags.numbers(EXTRA_SAMPLES)[:64],
            # libtiff goes by the size of a tile where there is one, whatever offsets there are.
            tags.number(TILE_WIDTH) or width,
            tags.number(TILE_LENGTH) or min(tags.number(ROWS_PER_STRIP, height) or height, height),
            tags.count(TILE_OFFSETS if tiled else STRIP_OFFSETS),
        )

    @property
    def part_bytes(self) -> int:
        """Bytes of one decoded strip or tile, of one plane if planes are separate."""
        bits = max(self.bits, default=1) if self.planar == _SEPARATE_PLANES else sum(self.bits)
        size = -(-self.part_width * bits // 8) * self.part_height
        if self.compression in _JPEG or self.photometric == 6:
            # Decoded as RGBA; and a progressive JPEG keeps two bytes of every coefficient.
            size = max(size, 4 * self.part_width * self.part_height)
            size += 2 * len(self.bits) * self.part_width * self.part_height
        return size

    @property
    def working_bytes(self) -> int:
        """What Pillow and libtiff take for decoding besides the picture itself."""
        # Tables of runs of the fax codecs: two rows of changes of 32 bits.
        runs = 16 * self.part_width if self.compression in _FAX else 0
        # Offsets and byte counts become Python integers, the parts of raw files tuples.
        return self.part_bytes + runs + self.parts * (600 if self.compression == 1 else 150)

    @property
    def described(self) -> str:
        """Says in words what the samples are, for a reason."""
        bits = "+".join(map(str, self.bits))
        kind = _KINDS.get(self.sample_format[0], "unknown numbers")
        return f"{bits} bits a pixel ({kind}, photometric interpretation {self.photometric})"


def unsupported_compression(tags: Directory) -> str | None:
    """Returns the name of a compression that nothing here reads, or None."""
    number = tags.number(COMPRESSION, 1)
    if number in _COMPRESSIONS:
        return _COMPRESSIONS[number]
    return None if number in TiffImagePlugin.COMPRESSION_INFO else f"compression {number}"


@dataclass(frozen=True, slots=True)
class DeepTiff:
    """A TIFF whose samples Pillow does not read, or reads wrongly.

    Attributes:
      tags: its directory.
      layout: the arrangement of its samples.
    """

    tags: Directory
    layout: Layout

    @classmethod
    def of(cls, tags: Directory) -> DeepTiff | None:
        """Returns the reader of a directory, or None where Pillow is right or nothing helps."""
        layout = Layout.of(tags)
        colours = _COLOURS.get(layout.photometric)
        if colours is None or not layout.bits or not layout.width or not layout.height:
            return None
        depth, kind = layout.bits[0], layout.sample_format[0]
        if (
            len({*layout.bits}) > 1
            or len({*layout.sample_format}) > 1
            or depth not in {_UNSIGNED: (8, 16), _FLOAT: (16, 32, 64)}.get(kind, ())
            or len(layout.bits) < colours
            or layout.compression not in _OF_BYTES
            or (TILE_WIDTH in tags.entries) == (STRIP_OFFSETS in tags.entries)
            or tags.number(FILL_ORDER, 1) != 1
            or tags.number(PREDICTOR, 1) not in (1, _DIFFERENCES, _FLOAT_DIFFERENCES)
        ):
            return None
        return None if _pillow_is_right(tags, layout) else cls(tags, layout)

    @property
    def header(self) -> ImageHeader:
        """The header, with the mode that the picture has here, at 8 bits."""
        mode = {1: "L", 3: "RGB", 4: "CMYK"}[self._colours]
        alpha = {"L": "LA", "RGB": "RGBA"}.get(mode, mode)
        return ImageHeader(
            "TIFF", self.layout.width, self.layout.height, mode if self._alpha is None else alpha
        )

    @property
    def memory(self) -> int:
        """Bytes that `load` takes at most."""
        layout = self.layout
        row = -(-layout.width * sum(layout.bits) // 8)
        # A plane as a picture and as an array, the result in channels and merged.
        planes = len(layout.bits) if layout.planar == _SEPARATE_PLANES else 1
        pixels = layout.width * layout.height
        return (
            2 * (row + 8 * len(layout.bits) * layout.part_width) * layout.height // planes
            + (len(layout.bits) + 8) * pixels
            + layout.working_bytes
            + len(self.tags.data)
        )

    @property
    def has_16_bits(self) -> bool:
        """Whether samples are whole numbers of 16 bits."""
        return (self.layout.bits[0], self.layout.sample_format[0]) == (16, _UNSIGNED)

    def load(self) -> Image.Image:
        """Returns the picture at 8 bits, stored upright or not, with its profile.

        Raises:
          ImageError: unsupported_format, for floats outside 0 to 1.
        """
        layout = self.layout
        wanted = [*range(self._colours), *(() if self._alpha is None else (self._alpha,))]
        levels = np.empty((len(wanted), layout.height, layout.width), np.uint8)
        if layout.planar == _SEPARATE_PLANES:
            for channel, plane in enumerate(wanted):
                self._convert(self._rows(plane), (0,), levels[channel : channel + 1])
        else:
            self._convert(self._rows(None), wanted, levels)
        if layout.photometric == _WHITE_IS_ZERO:
            np.subtract(255, levels[0], out=levels[0])
        mode = self.header.mode
        if self._alpha is not None and layout.extra[self._alpha - self._colours] == _PREMULTIPLIED:
            mode = {"LA": "La", "RGBA": "RGBa"}[mode]
        image = Image.merge(mode, [Image.fromarray(channel) for channel in levels])
        image = image.convert({"La": "LA", "RGBa": "RGBA"}.get(mode, mode))
        image.info["icc_profile"] = self.tags.value_bytes(ICC_PROFILE)
        # Where the file has no orientation, Pillow takes that of its XMP, as it does of others.
        image.info["xmp"] = self.tags.value_bytes(XMP)
        if ORIENTATION in self.tags.entries:
            image.getexif()[ORIENTATION] = self.tags.number(ORIENTATION, 1)
        return image

    @property
    def _colours(self) -> int:
        return _COLOURS[self.layout.photometric]

    @property
    def _alpha(self) -> int | None:
        """Returns the sample that is alpha, or None."""
        if self.layout.photometric == _CMYK:
            return None
        for index, meaning in enumerate(self.layout.extra):
            place = self._colours + index
            if meaning in (_PREMULTIPLIED, _ALPHA) and place < len(self.layout.bits):
                return place
        return None

    def _convert(self, rows: np.ndarray, wanted: Sequence[int], out: np.ndarray) -> None:
        """Writes the wanted samples of rows[height, width, samples] as 8 bits into `out`."""
        for top in range(0, len(rows), _ROWS):
            for channel, sample in enumerate(wanted):
                block = rows[top : top + _ROWS, :, sample]
                out[channel, top : top + _ROWS] = self._levels(block)

    def _levels(self, block: np.ndarray) -> np.ndarray:
        if block.dtype.kind == "f":
            # Comparisons with NaN are false, so a NaN is outside as well.
            if not (block.min() >= 0 and block.max() <= 1):
                raise ImageError(
                    RejectReason.UNSUPPORTED_FORMAT, "floating-point samples outside 0 to 1"
                )
            return np.rint(block.astype(np.result_type(block, np.float32)) * 255)
        if block.dtype.itemsize == 1:
            return block
        if self._colours == 1 and self._alpha is None:
            return (block.astype(np.uint32) * 255 + 32_767) // 65_535
        # As of every deep picture in colour or with alpha: the high byte.
        return block >> 8

    def _rows(self, plane: int | None) -> np.ndarray:
        """Returns samples[height, width, samples of a pixel], predictions undone."""
        layout, order = self.layout, self.tags.order
        samples = 1 if plane is not None else len(layout.bits)
        size = layout.bits[0] // 8
        with Image.open(
            io.BytesIO(_as_bytes(self.tags, layout, plane, samples * size)), formats=["TIFF"]
        ) as image:
            data = np.array(image)
        predictor = self.tags.number(PREDICTOR, 1) if layout.compression != 1 else 1
        # Predictions start anew in each tile.
        step = layout.part_width * samples * size
        for left in range(0, data.shape[1], step) if predictor != 1 else ():
            part = data[:, left : left + step]
            part[:] = _without_prediction(part, predictor, samples, size, order)
        kind = {_UNSIGNED: "u", _FLOAT: "f"}[layout.sample_format[0]]
        pixels = data.view(np.dtype(f"{order}{kind}{size}")).reshape(layout.height, -1, samples)
        return pixels[:, : layout.width]


def _without_prediction(
    data: np.ndarray, predictor: int, samples: int, size: int, order: str
) -> np.ndarray:
    """Undoes what an encoder did to uint8[height, bytes] before it compressed them."""
    height = len(data)
    if predictor == _DIFFERENCES:
        integers = np.dtype(f"{order}u{size}")
        pixels = np.ascontiguousarray(data).view(integers).reshape(height, -1, samples)
        summed = np.cumsum(pixels, axis=1, dtype=integers)
        return summed.astype(integers, copy=False).view(np.uint8).reshape(height, -1)
    # Bytes of each row were sorted by significance, highest first, and then predicted.
    summed = np.cumsum(data.reshape(height, -1, samples), axis=1, dtype=np.uint8)
    planes = summed.reshape(height, size, -1)
    ordered = planes if order == ">" else planes[:, ::-1]
    return ordered.transpose(0, 2, 1).reshape(height, -1)


def _pillow_is_right(tags: Directory, layout: Layout) -> bool:
    # Pillow 12.3 takes the low bytes of raw planes for pixels, has no mode for planes of grey,
    # and leaves compressed big-endian floats in the order of the file.
    if layout.planar == _SEPARATE_PLANES or layout.sample_format[0] == _FLOAT:
        return False
    key = (
        b"II" if tags.order == "<" else b"MM",
        layout.photometric,
        layout.sample_format[:1],
        1,
        layout.bits,
        layout.extra,
    )
    return key in TiffImagePlugin.OPEN_INFO


def _as_bytes(tags: Directory, layout: Layout, plane: int | None, pixel_bytes: int) -> bytes:
    """Returns the file with a directory that declares its rows, or one plane's, to be bytes."""
    tiled = TILE_OFFSETS in tags.entries and STRIP_OFFSETS not in tags.entries
    names = (TILE_OFFSETS, TILE_COUNTS) if tiled else (STRIP_OFFSETS, STRIP_COUNTS)
    offsets, counts = (tags.numbers(tag) for tag in names)
    # Tiles reach beyond the right edge, and predictions within them do too.
    across = -(-layout.width // layout.part_width)
    if plane is not None:
        each = across * -(-layout.height // layout.part_height)
        offsets, counts = (v[plane * each : (plane + 1) * each] for v in (offsets, counts))
    values = {
        WIDTH: (across * layout.part_width * pixel_bytes,), HEIGHT: (layout.height,), BITS: (8,),
        COMPRESSION: (layout.compression,), PHOTOMETRIC: (_BLACK_IS_ZERO,), SAMPLES: (1,),
        PLANAR: (1,), names[0]: offsets, names[1]: counts,
    }  # fmt: skip
    if tiled:
        values[TILE_WIDTH] = (layout.part_width * pixel_bytes,)
        values[TILE_LENGTH] = (layout.part_height,)
    else:
        values[ROWS_PER_STRIP] = (layout.part_height,)
    return _with_directory(tags, values)


def _with_directory(tags: Directory, values: Mapping[int, Sequence[int]]) -> bytes:
    """Returns a file that ends with a directory of these values and begins by pointing at it."""
    order, big = tags.order, tags.big
    word, kind, head, pointer = ("Q", 16, "Q", 8) if big else ("I", 4, "H", 4)
    size = struct.calcsize(word)
    data = tags.data + bytes(-len(tags.data) % 8)
    start = len(data)
    overflow = start + struct.calcsize(head) + len(values) * (4 + 2 * size) + size
    rows, tail = b"", b""
    for tag in sorted(values):
        packed = struct.pack(f"{order}{len(values[tag])}{word}", *values[tag])
        rows += struct.pack(f"{order}HH{word}", tag, kind, len(values[tag]))
        if len(packed) > size:
            rows += struct.pack(f"{order}{word}", overflow + len(tail))
            tail += packed
        else:
            rows += packed.ljust(size, b"\0")
    directory = struct.pack(f"{order}{head}", len(values)) + rows + bytes(size) + tail
    first = struct.pack(f"{order}{word}", start)
    return data[:pointer] + first + data[pointer + size :] + directory
