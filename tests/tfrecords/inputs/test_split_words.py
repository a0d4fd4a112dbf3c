"""Which words are taken for splits, and which are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfrecords.inputs.split_words import split_of


@pytest.mark.parametrize(
    ("split", "words"),
    [
        ("train", "train Train TRAIN training training_set train-images trainset train2017"
         " seg_train X_train TrainingSet trainSet  train_data train_224 train-64x64 train_128px"),
        ("validation", "val valid Validation VAL dev valid_set val2017 validate val_256"),
        ("test", "test TEST Testing test_set testset seg_test eval holdout hold-out held_out"),
    ],
)  # fmt: skip
def test_synonyms(split: str, words: str) -> None:
    for word in words.split():
        assert split_of(word) == split, word
        assert split_of(f" {word}  ") == split, word


@pytest.mark.parametrize(
    "word",
    [
        "",
        " ",
        "cat",
        "set",
        "images",
        "train_station",
        "trainer",
        "testudo",
        "train_val",
        "0",
        "train_1",
        "test_02",
        "val_7x",
        "256",
        "64x64",
    ],
)
def test_other_words(word: str) -> None:
    assert split_of(word) is None


@given(st.text())
def test_every_answer_is_a_split(word: str) -> None:
    assert split_of(word) in (None, "train", "validation", "test")
