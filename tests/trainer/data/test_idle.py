"""Flags that are given and change nothing: found, and really without effect."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from trainer.config import TrainConfig
from trainer.data import augment, idle
from trainer.train import losses

HEAD = {"freeze": "backbone", "weights": "imagenet"}
PRETRAINED = {"weights": "imagenet", "model": "efficientnet-lite0"}


def config_of(given: dict[str, Any]) -> TrainConfig:
    return TrainConfig(data_dir="o", run_dir="r", **{"batch_size": 8, **given})


@pytest.mark.parametrize(
    ("given", "needs"),
    [
        ({"focal_gamma": 3}, "--loss=focal"),
        ({"focal_gamma": 3, "loss": "focal"}, None),
        ({"logit_adjustment": 1, "loss": "cross_entropy"}, "--loss=logit_adjusted"),
        ({"logit_adjustment": 1, "loss": "balanced_softmax"}, "--loss=logit_adjusted"),
        ({"logit_adjustment": 1}, None),
        ({"effective_beta": 0.9, "class_weights": "inverse"}, "--class_weights=effective"),
        ({"effective_beta": 0.9, "class_weights": "effective"}, None),
        ({"defer_weights": 0.5, "loss": "cross_entropy"}, "--class_weights, or a --loss that"),
        ({"defer_weights": 0.5, "loss": "focal", "class_weights": "inverse"}, None),
        ({"crop_scale": 0.3, "augment": "flip"}, "--augment=crop"),
        ({"crop_scale": 0.3}, None),
        ({"rotate_degrees": 30}, "--augment=rotate"),
        ({"randaugment_magnitude": 5}, "--augment=randaugment"),
        ({"mixup_alpha": 1, "augment": "cutmix"}, "--augment=mixup"),
        ({"mixup_alpha": 1, "augment": "mixup"}, None),
        ({"cutmix_alpha": 2}, "--augment=cutmix"),
        ({"momentum": 0.5}, "--optimizer=sgd"),
        ({"momentum": 0.5, "optimizer": "sgd"}, None),
        ({"wide": True, "model": "resnet50"}, "--model=springfield_cnn"),
        ({"wide": True}, None),
        ({"backbone_rate": 0.5}, "--weights"),
        ({"layer_decay": 0.7}, "--weights"),
        ({"train_batch_norm": True}, "--weights"),
        ({"layer_decay": 0.7, **PRETRAINED}, None),
        ({"layer_decay": 0.7, **HEAD}, "epochs in which the backbone is not frozen"),
        ({"layer_decay": 0.7, **HEAD, "unfreeze_epochs": 2}, None),
        ({"partial_weights": True, **PRETRAINED}, "--weights=FILE"),
        ({"partial_weights": True, "weights": "a.keras"}, None),
        ({"ema": 0.9, **HEAD}, "--unfreeze_epochs=N, since"),
        ({"optimizer": "sgd", **HEAD}, "--unfreeze_epochs=N, since"),
        ({"early_stopping": 3, **HEAD}, "--unfreeze_epochs=N, since"),
        ({"ema": 0.9, **HEAD, "unfreeze_epochs": 2}, None),
        ({"augment": "flip", **HEAD}, "--feature_views=K or"),
        ({"crop_scale": 0.3, **HEAD}, "--feature_views=K or"),
        ({"augment": "flip", **HEAD, "feature_views": 2}, None),
        ({"epochs": 3}, None),
    ],
)
def test_a_flag_without_effect_is_named_with_what_it_goes_with(
    given: dict[str, Any], needs: str | None
) -> None:
    config = config_of(given)
    name = next(iter(given))
    assert set(idle.idle(config)) == ({name} if needs else set())
    lines = idle.notes(config)
    assert len(lines) == bool(needs)
    for line in lines:
        assert line.startswith(f"--{name}=") and f"it goes with {needs}" in line


@pytest.mark.parametrize("given", [{}, {"recipe": "scratch"}, {"recipe": "head"},
                                   {"recipe": "finetune"}])  # fmt: skip
def test_what_a_recipe_sets_is_never_idle(given: dict[str, Any]) -> None:
    assert idle.notes(TrainConfig(data_dir="o", run_dir="r", **given)) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("focal_gamma", 3.0), ("effective_beta", 0.9), ("rotate_degrees", 30.0),
     ("randaugment_magnitude", 3.0), ("mixup_alpha", 1.0), ("cutmix_alpha", 2.0)],
)  # fmt: skip
def test_what_is_called_idle_builds_the_same(name: str, value: float) -> None:
    plain, given = config_of({}), config_of({name: value})
    assert name in idle.idle(given)
    assert idle.effective(plain) == idle.effective(given)
    one, other = (losses.build(config, (3, 2), 10) for config in (plain, given))
    assert (one.gamma, one.start_step) == (other.gamma, other.start_step)
    assert one.adjustment.tolist() == other.adjustment.tolist()
    assert one.class_weights.tolist() == other.class_weights.tolist()
    built = augment.build(plain), augment.build(given)
    used = [getattr(each, "names", None) for each in built]
    assert used[0] == used[1]


def test_configurations_are_told_apart_by_what_counts() -> None:
    config = config_of({"focal_gamma": 3})
    assert idle.effective(config) == idle.effective(dataclasses.replace(config, run_dir="other"))
    assert idle.effective(config) != idle.effective(dataclasses.replace(config, seed=1))
    focal = dataclasses.replace(config, loss="focal")
    assert idle.effective(focal) != idle.effective(dataclasses.replace(focal, focal_gamma=1.0))


def test_a_rate_of_zero_is_said_to_teach_nothing() -> None:
    (line,) = idle.notes(config_of({"learning_rate": 0}))
    assert "nothing is learnt" in line
