"""Facts of pictures that do not exist, and the plain configuration that plans them."""

from __future__ import annotations

import hashlib

from beam_pipelines.cache.facts import ImageFacts
from beam_pipelines.choices import NearDuplicates
from beam_pipelines.config import PrepareConfig

CONFIG = PrepareConfig(input_dir="in", output_dir="out", near_duplicates=NearDuplicates.OFF)


def picture(key: str, content: str | None = None, looks: int | None = None) -> ImageFacts:
    content = key if content is None else content
    return ImageFacts(
        key=key,
        class_name=key.split("/")[0],
        bytes=100,
        version=0,
        split=None,
        sha256=hashlib.sha256(content.encode()).hexdigest(),
        phash=0,
        fingerprint=hashlib.sha256(content.encode()).hexdigest()
        if looks is None
        else f"{looks:064x}",
        width=10,
        height=10,
        format="JPEG",
        mode="RGB",
        encoded_bytes=1000,
        pack="00000-of-00001-aa",
        index=0,
    )
