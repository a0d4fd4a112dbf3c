"""From a planned file to its bytes."""

from __future__ import annotations

import io

from PIL import ExifTags, Image

from evenshard.springfield_like.canvas import Canvas
from evenshard.springfield_like.dice import Dice
from evenshard.springfield_like.files import Kind, PlannedFile, Recipe
from evenshard.springfield_like.scene import draw_picture
from evenshard.springfield_like.shapes import superellipse

# What turns an upright picture into one that the EXIF value turns back.
_STORED = {
    3: Image.Transpose.ROTATE_180,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}

# Level 6 takes three times as long for files 5% smaller.
_PNG_LEVEL = 2
_PALETTE_COLOURS = 64


def file_bytes(seed: int, file: PlannedFile) -> bytes:
    """Returns the bytes of `file`: a function of the seed and the plan alone."""
    if file.kind is Kind.EMPTY:
        return b""
    if file.kind is Kind.NOT_AN_IMAGE:
        return _page(file).encode()
    recipe = file.recipe
    dice = Dice(seed, file.split, "picture", file.citizen.name, file.index)
    image = draw_picture(file.citizen, recipe.width, recipe.height, dice)
    data = encode(image, recipe)
    if file.kind is Kind.TRUNCATED:
        share = Dice(seed, "truncate", file.key).between(0.35, 0.75)
        return data[: round(share * len(data))]
    return data


def encode(image: Image.Image, recipe: Recipe) -> bytes:
    """Returns an upright RGB picture encoded as `recipe` says."""
    if recipe.shrink != 1.0:
        image = image.resize(recipe.stored_size, Image.Resampling.BICUBIC)
    image = _as_mode(image, recipe.mode)
    if recipe.orientation != 1:
        image = image.transpose(_STORED[recipe.orientation])
    buffer = io.BytesIO()
    if recipe.format == "PNG":
        image.save(buffer, "PNG", compress_level=_PNG_LEVEL)
    else:
        image.save(
            buffer,
            "JPEG",
            quality=recipe.quality,
            subsampling=recipe.subsampling,
            progressive=recipe.progressive,
            exif=_exif(recipe.orientation),
        )
    return buffer.getvalue()


def _as_mode(image: Image.Image, mode: str) -> Image.Image:
    if mode == "P":
        return image.quantize(_PALETTE_COLOURS, method=Image.Quantize.FASTOCTREE)
    if mode == "RGBA":
        return _sticker(image)
    return image.convert(mode)


def _sticker(image: Image.Image) -> Image.Image:
    """Returns `image` with transparent corners and a soft edge."""
    width, height = image.size
    mask = Image.new("RGB", (2 * width, 2 * height))
    spot = Canvas.over(mask, 0.0).placed(width, height)
    spot.fill(superellipse(1.0, 1.0, 3.6, 0.0), (255, 255, 255), size=(width, height), ink=0.0)
    image.putalpha(mask.reduce(2).getchannel(0))
    return image


def _exif(orientation: int) -> bytes:
    if orientation == 1:
        return b""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return exif.tobytes()


def _page(file: PlannedFile) -> str:
    """Returns what a failed download leaves behind under a picture's name."""
    return (
        "<!DOCTYPE html>\n<title>404 Not Found</title>\n"
        f"<p>The picture {file.key} has moved out of town.</p>\n"
    )
