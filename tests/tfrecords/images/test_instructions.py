"""Canonical images are the same bytes whatever instructions a processor has."""

from __future__ import annotations

import os
import subprocess
import sys

from tfrecords.images import kernels

# Canonicalises JPEGs at sizes that are decoded whole and at each scale, stored with full chroma and
# with half of it. libjpeg-turbo, of Pillow and of simplejpeg, looks at its variables once, at its
# first use; the other variable is ours.
_CHILD = """
import hashlib, io
from tests.support.datasets.fakes import picture
from tfrecords.images.canonicalise import PixelLimits, canonicalise
from tfrecords.schema import ImageSpec, Resize

digest = hashlib.sha256()
progressive = {"subsampling": 2, "progressive": True}
for mode in ("RGB", "L"):
    for options in ({"subsampling": 0}, {"subsampling": 1}, progressive):
        buffer = io.BytesIO()
        picture("instructions", 331, 467).convert(mode).save(buffer, "JPEG", **options)
        digest.update(buffer.getvalue())
        for side in (20, 41, 82, 160):
            image = canonicalise(buffer.getvalue(), ImageSpec(side, side), PixelLimits())
            digest.update(image.data + image.fingerprint + image.thumbnail)
alpha = picture("instructions", 331, 467).convert("RGBA")
alpha.putalpha(picture("alpha", 331, 467).convert("L"))
buffer = io.BytesIO()
alpha.save(buffer, "PNG")
for resize in ("squash", "pad", "crop", "short_side"):
    image = canonicalise(buffer.getvalue(), ImageSpec(40, 40, Resize(resize)), PixelLimits())
    digest.update(image.data + image.fingerprint + image.thumbnail)
print(digest.hexdigest())
"""

_DECODERS = ("JSIMD_FORCENONE", "JSIMD_FORCESSE2", "JSIMD_FORCEAVX2", "JSIMD_FORCENEON")
_CHOICES: tuple[dict[str, str], ...] = (
    {},
    *({name: "1"} for name in _DECODERS),
    *({kernels.VARIABLE: name} for name in kernels.available()),
)


_OURS = ("JSIMD_", kernels.VARIABLE)


def test_bytes_do_not_depend_on_the_instructions_of_a_processor() -> None:
    digests = {}
    for choice in _CHOICES:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(_OURS)}
        done = subprocess.run(
            [sys.executable, "-c", _CHILD],
            env=environment | choice,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        digests[str(choice)] = done.stdout
    assert len(set(digests.values())) == 1, digests
