"""Freezing everything but the head."""

from __future__ import annotations

from tests.support.train_configs import config
from trainer.models.build import build
from trainer.models.head import freeze_backbone


def test_freezing_spares_the_head() -> None:
    model = build(config(), (32, 32), 5)
    every = len(model.trainable_variables)
    freeze_backbone(model, frozen=True)
    assert [v.path.split("/")[0] for v in model.trainable_variables] == ["head", "head"]
    freeze_backbone(model, frozen=False)
    assert len(model.trainable_variables) == every
