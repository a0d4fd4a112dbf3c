"""Weights loaded from a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.train_configs import config
from tfrecords.errors import TrainerError
from trainer.models.build import build


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_weights_of_another_head_fit_but_for_the_head(tmp_path: Path, suffix: str) -> None:
    source = build(config(), (32, 32), 7)
    path = tmp_path / f"w{suffix}"
    (source.save if suffix == ".keras" else source.save_weights)(path)
    target = build(config(weights=str(path)), (32, 32), 5)
    np.testing.assert_array_equal(target.weights[0], source.weights[0])
    np.testing.assert_array_equal(target.weights[-3], source.weights[-3])
    assert target.weights[-1].shape == (5,)


def test_weights_that_do_not_exist_or_fit(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match="no file"):
        build(config(weights=str(tmp_path / "absent.keras")), (32, 32), 5)
    junk = tmp_path / "junk.weights.h5"
    junk.write_bytes(b"junk")
    with pytest.raises(TrainerError, match="cannot load"):
        build(config(weights=str(junk)), (32, 32), 5)
