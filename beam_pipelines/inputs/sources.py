"""The sources of a bake: listed and read through the bake's storage by `tfrecords.inputs`."""

from __future__ import annotations

from beam_pipelines.cache import storage
from tfrecords.inputs import listing
from tfrecords.inputs.listing import Listing
from tfrecords.inputs.read import read_source
from tfrecords.inputs.rows import InputPath, SourceFile
from tfrecords.inputs.rules import InputRules


def list_sources(
    input_dir: str, input_csv: str | None = None, rules: InputRules | None = None
) -> Listing:
    """Returns every input file in key order; raises as `listing.list_labelled`."""
    table = None if input_csv is None else InputPath("--input_csv", input_csv)
    return listing.list_labelled(InputPath("--input_dir", input_dir), table, storage.FILES, rules)


def read(source: SourceFile) -> bytes:
    """Returns the bytes of a source.

    Raises:
      OSError: it cannot be read.
    """
    return read_source(source, storage.FILES)
