"""Measured defaults: every choice has one, and each is a choice itself."""

from __future__ import annotations

from trainer import choices


def test_every_optimizer_has_defaults() -> None:
    assert set(choices.DEFAULT_LEARNING_RATES) == set(choices.OPTIMIZERS)
    assert set(choices.DEFAULT_WEIGHT_DECAYS) == set(choices.OPTIMIZERS)


def test_what_auto_comes_to_can_be_named() -> None:
    for names in (choices.LIGHT, choices.STRONG, choices.WITHOUT_FLIPS):
        assert set(names) <= set(choices.AUGMENTATIONS)


def test_long_runs_augment_more() -> None:
    last, first = choices.STRONG_FROM - 1, choices.STRONG_FROM
    assert set(choices.auto_augmentations(last)) < set(choices.auto_augmentations(first))
    assert choices.auto_crop(last) > choices.auto_crop(first)
