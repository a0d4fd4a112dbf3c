"""How much memory decoding a picture takes, by its header alone.

Every bound is of header fields and of what the decoders do with them: the picture in Pillow's
layout, what the codec keeps besides, and the sRGB picture that becomes of it. docs/pixels.md
states the limit; a test measures it in processes of their own.
"""

from __future__ import annotations

from PIL import ImageFile

from tfrecords.images.formats import jpeg
from tfrecords.images.formats.tiff import Layout

# One picture may take this much beyond what the process had with the bytes of the file in it.
# The largest picture allowed, 178,956,970 pixels of RGBA and as many of RGB, takes 1.33 GiB.
MAX_DECODE_BYTES = 3 << 29

# Tables, rows in flight, metadata (of a PNG up to 64 MB), LittleCMS.
OVERHEAD = 96 << 20

_PIXEL_BYTES = {"1": 1, "L": 1, "P": 1}
_DEEP_PIXEL_BYTES = {"I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}


def picture_bytes(mode: str, width: int, height: int) -> int:
    """Returns the bytes of an image in Pillow: rows of whole words, and a pointer to each."""
    pixel = _PIXEL_BYTES.get(mode) or _DEEP_PIXEL_BYTES.get(mode, 4)
    return height * (8 + -(-width * pixel // 4) * 4)


def with_conversion(working: int, mode: str, width: int, height: int) -> int:
    """Returns the peak of decoding and converting a picture.

    Args:
      working: what the codec needs besides the picture, gone when it is decoded.
      mode, width, height: of the decoded picture.
    """
    decoded = picture_bytes(mode, width, height)
    converted = picture_bytes("L" if mode in ("1", "L") else "RGB", width, height)
    # Decoding; conversion to sRGB; turning upright, after the decoded picture is let go.
    return OVERHEAD + max(decoded + working, decoded + converted, 2 * converted)


def of_pillow(
    image: ImageFile.ImageFile, size: tuple[int, int], frame: jpeg.Frame | None, tiff: Layout | None
) -> int:
    """Returns the peak of decoding what Pillow has opened.

    Args:
      image: opened, not loaded.
      size: in pixels at the scale of decoding.
      frame: of a JPEG.
      tiff: the arrangement of a TIFF.
    """
    width, height = size
    pixels = width * height
    if frame is not None:
        working = frame.coefficient_bytes
    elif tiff is not None:
        # Pillow turns a TIFF upright itself, with both pictures there.
        working = tiff.working_bytes + picture_bytes(image.mode, width, height)
    elif image.format == "PNG":
        # Two rows, filtered and not, of up to four samples of 16 bits.
        working = 2 * 8 * width
    elif image.format == "GIF":
        working = 2 * picture_bytes("P", width, height)
    elif image.format == "PPM":
        # Plain files, and maxima other than 255, become bytes of up to 4 a sample, twice.
        channels = len(image.getbands())
        sample = 4 if image.mode == "I" else 1
        working = 2 * channels * sample * pixels if image.tile[0][0] != "raw" else 8 * width
    elif image.format == "BMP":
        working = 2 * pixels if image.tile[0][0] == "bmp_rle" else 8 * width
    else:
        working = 8 * width
    return with_conversion(working, image.mode, width, height)
