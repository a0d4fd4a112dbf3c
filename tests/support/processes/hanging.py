"""Reads that never end, as of a share that went away: for tests of what guards against them.

Worker processes import these functions by their names.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from beam_pipelines.inputs import sources
from beam_pipelines.steps import canonicalise
from beam_pipelines.tasks import BundleResult, BundleTask
from tfrecords.images.decode_pool import Watch
from tfrecords.inputs.read import read_source
from tfrecords.inputs.rows import SourceFile
from tfrecords.schema import ImageSpec
from trainer.data import decoding
from trainer.data.decoding import Decoded, DecodeTask

# The stem of a file whose read does not end.
HANGS = "hangs"

_decode, _decode_all = decoding.decode, decoding.decode_all


def read(source: SourceFile) -> bytes:
    """Reads a source of a bake, unless it hangs."""
    if Path(source.path).stem == HANGS:
        time.sleep(600)
    return read_source(source)


def canonicalise_bundle(task: BundleTask, watch: Watch) -> BundleResult:
    """Canonicalises a bundle of which some reads hang."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "read", read)
        return canonicalise.canonicalise_bundle(task, watch)


def decode(source: SourceFile, spec: ImageSpec) -> Decoded:
    """Decodes a source of a prediction, unless it hangs."""
    if Path(source.path).stem == HANGS:
        time.sleep(600)
    return _decode(source, spec)


def decode_all(task: DecodeTask, watch: Watch) -> tuple[Decoded, ...]:
    """Decodes sources of which some hang."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "decode", decode)
        return _decode_all(task, watch)
