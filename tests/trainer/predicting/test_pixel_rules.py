"""A run that was trained on pixels of other rules says so, once a version."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import pytest

from tfrecords.images.canonicalise import PIXELS_VERSION
from trainer.predicting import pixel_rules


@pytest.mark.parametrize(
    ("versions", "told"),
    [
        ([], []),
        ([None, PIXELS_VERSION], []),
        ([PIXELS_VERSION - 1], [PIXELS_VERSION - 1]),
        ([9, PIXELS_VERSION, 8, 9], [8, 9]),
    ],
)
def test_each_other_version_is_told_once(versions: list[int | None], told: list[int]) -> None:
    manifests: list[Any] = [
        SimpleNamespace(config={} if version is None else {"pixels_version": version})
        for version in versions
    ]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pixel_rules.check(manifests)
    assert [w.category for w in caught] == [pixel_rules.OtherPixelsWarning] * len(told)
    for warning, version in zip(caught, told, strict=True):
        assert f"made by version {version} of the rules" in str(warning.message)
