from __future__ import annotations

import numpy as np
import pytest

from beam_pipelines.similarity import optimism
from beam_pipelines.similarity.optimism import Optimism
from tests.support.pictures.thumbnails import random_thumbnails, variants


def measure(thumbnails: np.ndarray, class_ids: np.ndarray, dealt: np.ndarray) -> Optimism:
    train, query = optimism.sample(dealt)
    both = np.concatenate([train, query])
    return optimism.compare(
        lambda rows: thumbnails[both[rows]], class_ids[both], np.arange(len(train)), "validation"
    )


def test_what_frames_of_one_track_give_away() -> None:
    # 40 unrelated objects of 4 classes in 10 frames each: nothing but a track tells the class.
    thumbnails = variants(random_thumbnails(40), 10)
    class_ids = (np.arange(400) // 10 % 4).astype(np.int32)
    dealt = (np.arange(400) % 10 == 0).astype(np.int8)
    found = measure(thumbnails, class_ids, dealt)
    assert found.pictures == 40 and found.claimed == 1
    assert found.without_kin < 0.6
    assert found.is_high and "too high" in found.note() and "little" not in found.note()
    by_track = (np.arange(400) // 10 >= 32).astype(np.int8)
    honest = measure(thumbnails, class_ids, by_track)
    assert not honest.is_high and "little or none" in honest.note()


def test_unrelated_pictures_give_nothing_away() -> None:
    class_ids = np.repeat([0, 1], 100).astype(np.int32)
    dealt = (np.arange(200) % 5 == 0).astype(np.int8)
    found = measure(random_thumbnails(200), class_ids, dealt)
    assert found.gain == 0


@pytest.mark.parametrize("only", [0, 1])
def test_there_may_be_nothing_to_compare(only: int) -> None:
    train, query = optimism.sample(np.full(20, only, np.int8))
    assert (len(train), len(query)) == ((20, 0) if only == 0 else (0, 20))


def test_a_class_may_be_missing_in_train() -> None:
    class_ids, dealt = np.array([0, 0, 3], np.int32), np.array([0, 0, 1], np.int8)
    found = measure(random_thumbnails(3), class_ids, dealt)
    assert found == Optimism("validation", 1, 0.0, 0.0)


def test_no_picture_may_be_left_to_answer() -> None:
    # All are equal, so all may be kin: then none answers, and none is right.
    thumbnails, class_ids = np.zeros((20, 16, 16, 3), np.uint8), np.zeros(20, np.int32)
    dealt = (np.arange(20) % 2).astype(np.int8)
    found = measure(thumbnails, class_ids, dealt)
    assert found == Optimism("validation", 10, 1.0, 0.0)


def test_the_order_of_loading_changes_nothing() -> None:
    """With many equal pictures, so that the nearest one is decided by its place."""
    thumbnails = random_thumbnails(20)[np.arange(2_400) % 20]
    class_ids = (np.arange(2_400) // 7 % 5).astype(np.int32)
    found = [
        optimism.compare(thumbnails.__getitem__, class_ids, order, "validation")
        for order in (np.arange(2_000), np.arange(2_000)[::-1], np.argsort(np.arange(2_000) % 13))
    ]
    assert found[0] == found[1] == found[2]
    assert 0 < found[0].claimed < 1
