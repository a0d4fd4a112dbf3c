"""A run that was trained on pixels of other rules says so, once a version."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import pytest

from tfrecords.images.canonicalise import PIXELS_VERSION
from trainer.predicting import pixel_rules


def _manifest(version: int | None) -> Any:
    return SimpleNamespace(config={} if version is None else {"pixels_version": version})


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
    manifests = [_manifest(version) for version in versions]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pixel_rules.check(manifests)
    assert [w.category for w in caught] == [pixel_rules.OtherPixelsWarning] * len(told)
    for warning, version in zip(caught, told, strict=True):
        assert f"made by version {version} of the rules" in str(warning.message)


def test_a_data_set_is_compared_with_another_and_not_with_now() -> None:
    old, new = (_manifest(version) for version in (2, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pixel_rules.check([old], old)
    with pytest.warns(pixel_rules.OtherPixelsWarning, match="by version 2 .* by version 3"):
        pixel_rules.check([old], new)
    with pytest.warns(pixel_rules.OtherPixelsWarning, match="by version 3 .* by version 2"):
        pixel_rules.check([new], old)
