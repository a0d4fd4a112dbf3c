"""A person's own network: what is accepted, and what is refused in one line."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.support.runs.train_configs import config
from tfrecords.errors import UsageError
from trainer.features.backbone import backbone_of
from trainer.models.build import build, build_network
from trainer.models.head import HEAD, Trainability, every_layer, frozen_parameters, head_of

MODULE = "tests.support.networks.own_networks"
TESTS = Path(__file__).parents[2]
PIXELS = np.random.default_rng(3).integers(0, 256, (2, 8, 8, 3)).astype(np.uint8)


def own(name: str, **flags: object) -> keras.Model:
    return build(config(model=f"{MODULE}:{name}", **flags), (8, 8), 5)


@pytest.fixture(params=["mixed_bfloat16", "mixed_float16"])
def half_precision(request: pytest.FixtureRequest) -> Iterator[None]:
    keras.mixed_precision.set_global_policy(request.param)
    yield
    keras.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("softmax", "gives probabilities, by softmax, and the loss expects logits: leave out"),
        ("softmax_layer", "gives probabilities, by softmax"),
        ("softmax_function", "gives probabilities, by softmax .*sum to 1"),
        ("nested_softmax", "gives probabilities, by softmax"),
        ("sigmoid", "gives probabilities, by sigmoid"),
        ("not_finite", "not finite for pixels 0 to 255: scale them first"),
        ("two_outputs", r"giving \[n, 5\] logits, got \[n, 5\] and \[n, 5\]"),
        ("too_many", r"giving \[n, 5\] logits, got \[n, 6\]"),
        ("other_size", r"one input of pixels \[n, 8, 8, 3\], got \[n, 9, 8, 3\]"),
        ("grey", r"got \[n, 8, 8, 1\]"),
        ("two_parameters", r"called with \(height, width, classes\) and takes \(size"),
        ("all_frozen", "every layer is frozen"),
        ("misnamed_head", "its 'head' is 'absent', and no layer"),
        ("forgetful", "Keras cannot save it in a .keras file and read it back"),
        ("careless", "Keras cannot save it in a .keras file and read it back: .*expected"),
        ("failing", r"own_networks.py, line \d+: ValueError: a mistake in call"),
        ("failing_in_training", r"own_networks.py, line \d+: "),
        ("mistaken", r"own_networks.py, line \d+: NameError: name 'undefined' is not defined"),
    ],
)
def test_what_is_refused(name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        own(name)
    text = str(refused.value)
    assert text.startswith(f"--model={MODULE}:{name}: ")
    assert "\n" not in text and "in user code" not in text


@pytest.mark.parametrize("name", ["subclassed", "sequential", "named_head", "partly_frozen"])
def test_what_is_accepted(name: str) -> None:
    model = own(name)
    assert model.input_shape == (None, 8, 8, 3) and model.output_shape == (None, 5)
    assert model(PIXELS).dtype == "float32"


def test_logits_are_float32_whatever_the_precision(half_precision: None) -> None:
    for name in ("subclassed", "sequential", "penalised"):
        model = own(name)
        assert model(PIXELS).dtype == "float32", name
        assert "float16" in every_layer(model)[1].compute_dtype


def test_the_head_that_a_function_names_is_the_head() -> None:
    model = own("named_head")
    assert [layer.name for layer in model.layers if layer.weights] == [HEAD]
    with pytest.raises(UsageError, match="--freeze_epochs: .*no layer named 'head', .*'head': its"):
        own("sequential", weights="w.keras", freeze_epochs=1)


def test_trying_a_network_leaves_no_trace() -> None:
    """The weights are those of the function alone, and so is what is drawn afterwards."""
    from tests.support.networks import own_networks

    keras.utils.set_random_seed(5)
    expected, after = own_networks.subclassed(8, 8, 5), None
    expected(PIXELS)
    after = random.random()
    keras.utils.set_random_seed(5)
    found = own("subclassed")
    assert random.random() == after
    for ours, theirs in zip(found.weights, expected.weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_frozen_layers_stay_frozen_and_are_counted() -> None:
    model = own("partly_frozen")
    assert frozen_parameters(model) == 3 * 2 + 2 + 2 * 4 + 4
    frozen = {id(v) for v in model.weights if not v.trainable}
    assert len(frozen) == 4
    trainability = Trainability(model)
    trainability.head_only()
    assert {v.path.split("/")[0] for v in model.trainable_variables} == {"head"}
    for thaw in (trainability.everything, lambda: trainability.all_but_norms(frozenset())):
        thaw()
        assert {id(v) for v in model.weights if not v.trainable} == frozen


def test_a_weight_frozen_by_itself_stays_so() -> None:
    model = own("sequential")
    model.layers[-1].bias.trainable = False
    trainability = Trainability(model)
    trainability.head_only()
    trainability.everything()
    assert [v.name for v in model.trainable_variables] == ["kernel"]


def test_the_head_of_a_subclassed_network_is_found() -> None:
    model = own("subclassed", weights="none")
    assert head_of(model, "--freeze_epochs").name == HEAD
    Trainability(model).head_only()
    assert len(model.trainable_variables) == 2
    with pytest.raises(UsageError, match="--freeze=backbone: the head of .* inside another layer"):
        backbone_of(model)


def test_a_module_of_the_working_directory_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command `evenshard` does not have it in its path, as `python -m` does."""
    (tmp_path / "own_here.py").write_text(
        "from tests.support.networks.own_networks import sequential\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(TESTS.parent), *filter(None, sys.path)])
    assert build(config(model="own_here:sequential"), (8, 8), 5).output_shape == (None, 5)


def test_a_missing_module_and_a_broken_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_broken.py").write_text("import keras\n\ndef network(:\n")
    (tmp_path / "own_raising.py").write_text("import keras\n\nkeras.nothing\n")
    (tmp_path / "own_importing.py").write_text("import own_nowhere\n")
    for module, said in (
        ("own_broken", r"own_broken.py, line 3: SyntaxError: "),
        ("own_raising", r"own_raising.py, line 3: AttributeError: .*nothing"),
        ("own_importing", r"own_importing.py, line 1: ModuleNotFoundError: .*'own_nowhere'"),
        ("own_absent", "No module named 'own_absent'; the module is looked for"),
    ):
        with pytest.raises(UsageError, match=said):
            build_network(config(model=f"{module}:network"), (8, 8), 5)
