"""Networks of keras.applications."""

from __future__ import annotations

import urllib.error
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.support.runs.train_configs import config
from tfrecords.errors import TrainerError
from trainer.models.applications import _preprocess, application_names, plain_name
from trainer.models.build import build

PIXELS = np.random.default_rng(3).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)


def test_every_application_is_known_by_its_usual_spellings() -> None:
    names = application_names()
    for name in ("resnet50", "efficientnetv2b0", "convnexttiny", "mobilenetv3small"):
        assert name in names
    assert plain_name("EfficientNetV2-B0") == plain_name("efficientnet_v2_b0")


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("resnet50", "resnet50"),
        ("vgg16", "vgg16"),
        ("densenet121", "densenet"),
        ("mobilenetv2", "mobilenet_v2"),
        ("resnet50v2", "resnet_v2"),
        ("efficientnet-b0", "efficientnet"),
        ("convnext_tiny", "convnext"),
        ("nasnetmobile", "nasnet"),
        ("inceptionv3", "inception_v3"),
        ("xception", "xception"),
        ("mobilenet_v3_small", "mobilenet_v3"),
        ("mobilenet", "mobilenet"),
    ],
)
def test_preprocessing_is_that_of_keras(name: str, module: str) -> None:
    expected = getattr(keras.applications, module).preprocess_input(PIXELS.astype(np.float32))
    pixels = keras.Input((32, 32, 3))
    # Where there is nothing to do, Keras 3.12 (Python 3.10) wants a layer in between all the same.
    done = keras.layers.Identity()(_preprocess(pixels, plain_name(name)))
    own = keras.Model(pixels, done)
    np.testing.assert_allclose(own(PIXELS.astype(np.float32)), expected, atol=2e-4)


def test_an_application_survives_saving(tmp_path: Path) -> None:
    model = build(config(model="resnet50"), (32, 32), 5)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(loaded(PIXELS), model(PIXELS), rtol=1e-4, atol=1e-5)


def test_imagenet_offline_says_where_to_put_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def offline(*arguments: object) -> None:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", offline)
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(TrainerError) as failed:
        build(config(model="resnet50", weights="imagenet"), (32, 32), 5)
    assert "Offline, put that file into" in str(failed.value)
    assert ".h5" in str(failed.value) and str(tmp_path) in str(failed.value)
