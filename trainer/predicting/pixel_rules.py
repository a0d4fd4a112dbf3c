"""Whether a run was trained on pictures that were made by the rules that files are read by now."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

from tfrecords.errors import EvenshardWarning
from tfrecords.images.canonicalise import PIXELS_VERSION
from tfrecords.manifest import Manifest


class OtherPixelsWarning(EvenshardWarning):
    """The run was trained on pictures made by other rules than those that are applied now."""


def check(manifests: Iterable[Manifest]) -> None:
    """Warns once for each other version of the rules; see docs/pixels.md.

    Args:
      manifests: of the data sets that runs were trained on.
    """
    baked = {manifest.config.get("pixels_version", PIXELS_VERSION) for manifest in manifests}
    for version in sorted(baked - {PIXELS_VERSION}):
        warnings.warn(
            OtherPixelsWarning(
                f"the run was trained on pictures made by version {version} of the rules in "
                f"docs/pixels.md, and these are made by version {PIXELS_VERSION}: a few pixels may "
                "differ; bake the data set again and train on it for the same ones"
            ),
            stacklevel=2,
        )
