from __future__ import annotations

import urllib.error
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.support.train_configs import config
from tfrecords.errors import TrainerError, UsageError
from trainer.models import build

PIXELS = np.random.default_rng(3).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)


@pytest.fixture
def half_precision() -> Iterator[None]:
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    yield
    keras.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize("size", [(16, 16), (32, 32), (64, 48), (224, 224)])
def test_springfield_takes_any_size(size: tuple[int, int]) -> None:
    model = build.build(config(), size, 42)
    assert model.output_shape == (None, 42)
    assert model.count_params() < 1_000_000
    narrowest = min(layer.output.shape[1] for layer in model.layers if len(layer.output.shape) == 4)
    assert narrowest <= 7, "the costly layers work on small maps"


def test_the_wide_stage_has_512_filters() -> None:
    model = build.build(config(wide=True), (32, 32), 121)
    assert 512 in {v.shape[-1] for v in model.trainable_variables}
    assert model.count_params() < 2_000_000


def test_logits_are_float32_whatever_the_precision(half_precision: None) -> None:
    for flags in (config(), config(model="mobilenetv2")):
        model = build.build(flags, (32, 32), 5)
        assert model.layers[2].compute_dtype == "bfloat16"
        assert model(PIXELS).dtype == "float32"


def test_rescaling_is_inside() -> None:
    model = build.build(config(dropout=0.0), (32, 32), 5)
    assert float(np.std(model(PIXELS))) > 0
    scaled = keras.Model(model.input, model.layers[1].output)(PIXELS.astype(np.float32))
    assert -1 <= float(np.min(scaled)) < -0.9 and 0.9 < float(np.max(scaled)) <= 1


def test_every_application_is_known_by_its_usual_spellings() -> None:
    names = build.application_names()
    for name in ("resnet50", "efficientnetv2b0", "convnexttiny", "mobilenetv3small"):
        assert name in names
    assert build._plain("EfficientNetV2-B0") == build._plain("efficientnet_v2_b0")


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
    done = keras.layers.Identity()(build._preprocess(pixels, build._plain(name)))
    own = keras.Model(pixels, done)
    np.testing.assert_allclose(own(PIXELS.astype(np.float32)), expected, atol=2e-4)


def test_an_application_survives_saving(tmp_path: Path) -> None:
    model = build.build(config(model="resnet50"), (32, 32), 5)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(loaded(PIXELS), model(PIXELS), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnet51", "did you mean 'resnet50'"),
        ("springfeld_cnn", "did you mean 'springfield_cnn'"),
        ("no.such.module:network", "No module named"),
        ("tests.support.tiny:nothing", "no attribute 'nothing'"),
        ("tests.support.fakes:picture", "expected a keras.Model"),
        ("inceptionv3", "inceptionv3 at 32x32"),
    ],
)
def test_impossible_models(name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        build.build(config(model=name), (32, 32), 5)


def test_own_models() -> None:
    model = build.build(config(model="tests.support.tiny:network"), (32, 32), 5)
    assert model.output_shape == (None, 5)


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_weights_of_another_head_fit_but_for_the_head(tmp_path: Path, suffix: str) -> None:
    source = build.build(config(), (32, 32), 7)
    path = tmp_path / f"w{suffix}"
    (source.save if suffix == ".keras" else source.save_weights)(path)
    target = build.build(config(weights=str(path)), (32, 32), 5)
    np.testing.assert_array_equal(target.weights[0], source.weights[0])
    np.testing.assert_array_equal(target.weights[-3], source.weights[-3])
    assert target.weights[-1].shape == (5,)


def test_weights_that_do_not_exist_or_fit(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match="no file"):
        build.build(config(weights=str(tmp_path / "absent.keras")), (32, 32), 5)
    junk = tmp_path / "junk.weights.h5"
    junk.write_bytes(b"junk")
    with pytest.raises(TrainerError, match="cannot load"):
        build.build(config(weights=str(junk)), (32, 32), 5)


def test_imagenet_offline_says_where_to_put_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def offline(*arguments: object) -> None:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", offline)
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(TrainerError) as failed:
        build.build(config(model="resnet50", weights="imagenet"), (32, 32), 5)
    assert "Offline, put that file into" in str(failed.value)
    assert ".h5" in str(failed.value) and str(tmp_path) in str(failed.value)


def test_freezing_spares_the_head() -> None:
    model = build.build(config(), (32, 32), 5)
    every = len(model.trainable_variables)
    build.freeze_backbone(model, frozen=True)
    assert [v.path.split("/")[0] for v in model.trainable_variables] == ["head", "head"]
    build.freeze_backbone(model, frozen=False)
    assert len(model.trainable_variables) == every
