"""Canonical images are the same bytes whatever instructions a processor has."""

from __future__ import annotations

import os
import subprocess
import sys

# Canonicalises JPEGs at sizes that are decoded whole and at each scale, stored with full chroma and
# with half of it. libjpeg-turbo, which decodes and encodes, looks at these variables once, at its
# first use. Pillow's resize has no instructions of its own.
_CHILD = """
import hashlib, io
from tests.support.fakes import picture
from tfrecords.images.canonicalise import PixelLimits, canonicalise
from tfrecords.schema import ImageSpec

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
print(digest.hexdigest())
"""

_CHOICES = (None, "JSIMD_FORCENONE", "JSIMD_FORCESSE2", "JSIMD_FORCEAVX2", "JSIMD_FORCENEON")


def test_bytes_do_not_depend_on_the_instructions_of_a_processor() -> None:
    digests = {}
    for choice in _CHOICES:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("JSIMD_")}
        done = subprocess.run(
            [sys.executable, "-c", _CHILD],
            env=environment | ({choice: "1"} if choice else {}),
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        digests[choice] = done.stdout
    assert len(set(digests.values())) == 1, digests
