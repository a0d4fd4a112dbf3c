"""Names what is on a picture, by an exported network. Needs nothing of evenshard.

usage: python predict.py MODEL PICTURE...

MODEL is what `evenshard export` wrote: a folder saved_model (needs tensorflow), a
model.onnx (onnxruntime, numpy, pillow) or a model.tflite (ai-edge-litert, numpy, pillow).
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# (name of a class, probability), likeliest first.
Top = list[tuple[str, float]]

TOP = 5

# The export's own description of itself, inside of every format.
METADATA = "evenshard.json"


def main(argv: list[str]) -> int:
    """Prints the likeliest classes of each picture."""
    if len(argv) < 2 or argv[0].startswith("-"):
        print(__doc__)
        return 0 if argv[:1] in (["-h"], ["--help"]) else 2
    model, *pictures = argv
    top = {".onnx": top_onnx, ".tflite": top_litert}.get(Path(model).suffix, top_saved_model)
    for picture, found in zip(pictures, top(model, pictures), strict=True):
        print(picture)
        for name, probability in found:
            print(f"  {probability:6.1%}  {name}")
    return 0


def top_saved_model(model: str, pictures: list[str]) -> Iterator[Top]:
    """Yields names and probabilities; the SavedModel reads the files and knows the names."""
    import tensorflow as tf

    serve = tf.saved_model.load(model).signatures["serving_default"]
    for picture in pictures:
        found = serve(image_bytes=tf.constant([Path(picture).read_bytes()]))
        names = [name.decode() for name in found["top_classes"][0].numpy()]
        yield list(zip(names, found["top_probabilities"][0].numpy().tolist(), strict=True))


def top_onnx(model: str, pictures: list[str]) -> Iterator[Top]:
    """Yields names and probabilities; the model takes pixels, its metadata say which."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    about = json.loads(session.get_modelmeta().custom_metadata_map[METADATA])
    for picture in pictures:
        yield best(session.run(None, {"pixels": read(picture, about)})[0][0], about)


def top_litert(model: str, pictures: list[str]) -> Iterator[Top]:
    """Yields names and probabilities; the file ends in a zip that describes it."""
    from ai_edge_litert.interpreter import Interpreter

    with zipfile.ZipFile(model) as archive:
        about = json.loads(archive.read(METADATA))
    run = Interpreter(model).get_signature_runner("serving_default")
    for picture in pictures:
        yield best(run(pixels=read(picture, about))["probabilities"][0], about)


def best(probabilities: Any, about: dict[str, Any]) -> Top:
    """Returns the likeliest classes, likeliest first."""
    rows = zip(about["classes"], map(float, probabilities), strict=True)
    return sorted(rows, key=lambda row: -row[1])[:TOP]


def read(picture: str, about: dict[str, Any]) -> Any:
    """Returns uint8[1, height, width, 3]: a file as the network's training pictures were made."""
    import numpy as np
    from PIL import Image

    # Not by its path: Pillow then maps a plain TIFF into memory, and does not turn it.
    with Image.open(io.BytesIO(Path(picture).read_bytes())) as opened:
        image = over_white(upright(opened, picture))
    stored = about["stored"]
    _, height, width, _ = about["input"]["shape"]
    varies = stored["resize"] == "short_side"
    image = resize(image, (stored["width"], stored["height"]), stored["resize"])
    if stored["encoding"] == "jpeg":  # What it was trained on had been a JPEG of this quality.
        buffer = io.BytesIO()
        chroma = "4:4:4" if min(image.size) <= 128 else "4:2:0"
        image.save(buffer, "JPEG", quality=stored["jpeg_quality"], subsampling=chroma)
        image = Image.open(buffer)
        if not varies:  # One far larger than the input is decoded at a part of its size.
            least = min(image.width / width, image.height / height)
            part = next((n for n in (8, 4, 2) if least >= 2 * n), 1)
            image.draft("RGB", (image.width // part, image.height // part))
        image = image.convert("RGB")
    if varies:
        image = image.crop(centre(image.size, (width, height)))
    return np.asarray(resize(image, (width, height), "squash"))[None]


def upright(opened: Any, picture: str) -> Any:
    """Returns a picture the right way up, with samples of 8 bits: Pillow takes deeper for white."""
    import numpy as np
    from PIL import Image, ImageOps

    image, mode = ImageOps.exif_transpose(opened), opened.mode
    if mode == "F" or (mode == "I" and opened.format not in ("PPM", "PNG")):
        raise SystemExit(f"{picture}: samples of 32 bits are not read here: use evenshard predict")
    if mode != "I" and not mode.startswith("I;16"):
        return image
    tags = opened.tag_v2 if opened.format == "TIFF" else {}
    full = (1 << tags.get(258, (16,))[0]) - 1  # BitsPerSample
    samples = np.asarray(image).astype(np.uint32).clip(max=full)
    levels = (samples * 255 + full // 2) // full
    if tags.get(262) == 0:  # PhotometricInterpretation: 0 is white.
        levels = 255 - levels
    key = opened.info.get("transparency")
    if isinstance(key, int):
        levels[samples == key] = 255
    return Image.fromarray(levels.astype(np.uint8))


def centre(size: tuple[int, int], target: tuple[int, int]) -> tuple[int, int, int, int]:
    """Returns the middle of a picture that has the target's shape, in whole pixels.

    Args:
      size: (width, height) of the picture.
      target: (width, height).

    Returns:
      (left, top, right, bottom), as training cuts it, in float32.
    """
    import numpy as np

    scale = min(np.float32(side) / np.float32(to) for side, to in zip(size, target, strict=True))
    width, height = (round(float(np.float32(to) * scale)) for to in target)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return left, top, left + width, top + height


def over_white(image: Any) -> Any:
    """Returns a picture as RGB, what is transparent in it white."""
    from PIL import Image

    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def resize(image: Any, target: tuple[int, int], how: str) -> Any:
    """Returns a picture fitted to (width, height): squash, pad, crop or short_side."""
    from PIL import Image, ImageOps

    triangle = Image.Resampling.BILINEAR
    if how == "crop":
        return ImageOps.fit(image, target, triangle)
    ratios = [wanted / side for wanted, side in zip(target, image.size, strict=True)]
    scale = max(ratios) if how == "short_side" else min(ratios)
    inner = target
    if how != "squash":
        inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    resized = image.resize(inner, triangle)
    if how != "pad":
        return resized
    padded = Image.new("RGB", target)
    padded.paste(resized, ((target[0] - inner[0]) // 2, (target[1] - inner[1]) // 2))
    return padded


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
