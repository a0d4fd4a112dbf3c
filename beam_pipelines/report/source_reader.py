"""Reads sources of a bake again, to show them in its report."""

from __future__ import annotations

import functools
from collections.abc import Callable

from beam_pipelines.cache import storage
from beam_pipelines.cache.layout import Layout
from beam_pipelines.inputs import sources
from beam_pipelines.planning.bundles import bundle_of, count_bundles
from tfrecords.inputs.rows import SourceFile

# The bytes of a source by its key.
ReadSource = Callable[[str], bytes]


def source_reader(layout: Layout, files: int) -> ReadSource:
    """Returns a function that reads a source by its key, from the listings on disk.

    It raises KeyError for an unknown key and OSError if the file cannot be read.

    Args:
      layout: of the bake.
      files: number of sources, which determines the number of bundles.
    """
    bundles = count_bundles(files)

    @functools.lru_cache(maxsize=4)
    def listed(bundle: int) -> dict[str, SourceFile]:
        lines = storage.read_bytes(layout.listing(bundle)).splitlines()
        return {row.key: row for row in map(SourceFile.from_json, lines)}

    return lambda key: sources.read(listed(bundle_of(key, bundles))[key])
