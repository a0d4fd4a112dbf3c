"""Whether a run was trained on pictures made by the rules of those that it is given now."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

from tfrecords.errors import OtherPixelsWarning
from tfrecords.images.canonicalise import PIXELS_VERSION
from tfrecords.manifest import Manifest


def check(manifests: Iterable[Manifest], now: Manifest | None = None) -> None:
    """Warns once for each version of the rules, of docs/pixels.md, that is another than now's.

    Args:
      manifests: of the data sets that runs were trained on.
      now: of the data set whose pictures they are given; None where files are decoded now.
    """
    given = version_of(now) if now is not None else PIXELS_VERSION
    for version in sorted({version_of(manifest) for manifest in manifests} - {given}):
        warnings.warn(
            OtherPixelsWarning(
                f"the run was trained on pictures made by version {version} of the rules in "
                f"docs/pixels.md, and these are made by version {given}: pixels differ, in most "
                "pictures by one level of 255 in places; to have the same pixels, bake the data "
                "set again and train on it"
            ),
            stacklevel=2,
        )


def version_of(manifest: Manifest) -> int:
    """Returns the version of the rules that made a data set's pictures; now's if it tells none."""
    version: int = manifest.config.get("pixels_version", PIXELS_VERSION)
    return version
