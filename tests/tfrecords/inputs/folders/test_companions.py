"""Masks and thumbnails among the pictures of a class are told by their names."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tfrecords.inputs.folders import companions
from tfrecords.inputs.rows import SourceFile


def notes(keys: Sequence[str], class_level: int = 0) -> list[str]:
    rows = [SourceFile(key, key, key.split("/")[class_level], 1, 0) for key in keys]
    return list(companions.notes(rows))


FOUND = {
    "BUSI": (["a/a (1).png", "a/a (1)_mask.png", "a/a (1)_mask_1.png"], 2, "*_mask*.*"),
    "numbered": (["a/1.png", "a/1_mask1.png", "a/1_mask2.png"], 2, "*_mask*.*"),
    "before": (["a/1.jpg", "a/mask_1.png"], 1, "mask_*"),
    "WebDataset": (["1.jpg", "1.seg.png"], 1, "*.seg*.*"),
    "capitals": (["a/1.JPG", "a/1-Mask.PNG"], 1, "*-Mask*.*"),
    "two words": (["a/1.jpg", "a/1_ground_truth.png"], 1, "*_ground_truth*.*"),
    "folder": (["a/images/1.jpg", "a/masks/1.png"], 1, "masks"),
    "folder in the class": (["a/1.jpg", "a/masks/1.png"], 1, "masks"),
    "both": (["a/images/1.jpg", "a/masks/1_mask.png"], 1, "masks"),
    "large scale fish": (
        ["S/S/1.png", "S/S GT/1.png", "T/T/1.png", "T/T GT/1.png"],
        2,
        "* GT",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FOUND)
def test_companions_are_counted_and_a_pattern_leaves_them_out(case: str) -> None:
    keys, count, glob = FOUND[case]
    (note,) = notes(keys)
    assert note.startswith(f"{count} of the pictures look")
    assert f"--exclude='{glob}'" in note or f"--exclude='{glob}'," in note


@pytest.mark.parametrize(
    "keys",
    [
        ["mask/1.jpg", "no_mask/1.jpg"],
        ["a/1.jpg", "a/2_mask.jpg"],
        ["a/edge_1.jpg", "a/edge_2.jpg"],
        ["a/1.jpg", "a/1_left.jpg", "a/1 (2).jpg"],
        ["a/masks/1.jpg", "a/photos/2.jpg"],
        ["depth/x/1.jpg", "depth/y/1.jpg"],
    ],
)
def test_names_that_only_look_so_are_no_news(keys: Sequence[str]) -> None:
    assert not notes(keys)


def test_a_class_in_a_split_may_be_called_mask() -> None:
    assert not notes(["train/mask/1.jpg", "train/no_mask/1.jpg"], class_level=1)
