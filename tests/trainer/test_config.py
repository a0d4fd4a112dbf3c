from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from tests.support.runs.train_configs import config
from tfrecords.cli import parsing
from tfrecords.errors import UsageError
from trainer.choices import STRONG_FROM
from trainer.config import TrainConfig


def test_json_round_trip() -> None:
    there = config(augment=("flip", "mixup"), per_class=3, classes=("a", "b"))
    assert TrainConfig.from_dict(there.to_dict()) == there


def test_every_flag_has_group_and_help() -> None:
    for field in dataclasses.fields(TrainConfig):
        assert field.metadata["group"] and field.metadata["help"].endswith((".", "off"))


def test_augmentation_follows_the_length_of_the_run() -> None:
    short, long = config(epochs=STRONG_FROM - 1), config(epochs=STRONG_FROM)
    assert (short.augmentations, short.smallest_crop) == (("flip", "crop"), 0.5)
    assert (long.augmentations, long.smallest_crop) == (("flip", "crop", "color"), 0.35)
    named = config(epochs=STRONG_FROM, augment=("crop",))
    assert (named.augmentations, named.smallest_crop) == (("crop",), 0.5)
    assert config(epochs=STRONG_FROM, crop_scale=0.2).smallest_crop == 0.2
    assert config(augment=()).augmentations == ()


def test_sizes_and_batches_are_text_or_numbers() -> None:
    assert config(image_size="").size is None
    assert config(image_size="128") == config(image_size=128) == config(image_size=(128, 128))
    assert config(image_size="96x128").size == (96, 128)
    assert config(batch_size="10") == config(batch_size=10)
    assert config(image_size=(96, 128), batch_size=10).to_dict() | {
        "image_size": "96x128", "batch_size": "10",
    } == config(image_size=(96, 128), batch_size=10).to_dict()  # fmt: skip


@pytest.mark.parametrize(
    ("optimizer", "batch", "rate"),
    [("sgd", "512", 0.2), ("adamw", "512", 6e-3), ("adamw", "128", 3e-3), ("lion", "32", 1e-4)],
)
def test_default_rate_follows_the_batch(optimizer: str, batch: str, rate: float) -> None:
    assert config(optimizer=optimizer, batch_size=batch).peak_learning_rate == pytest.approx(rate)
    assert config(optimizer=optimizer, learning_rate=0.7).peak_learning_rate == 0.7


def test_new_layers_have_the_whole_rate_with_loaded_weights_too() -> None:
    tuned = config(batch_size="128", weights="imagenet", model="resnet50")
    assert tuned.peak_learning_rate == pytest.approx(3e-3) and tuned.backbone_rate == 0.1


def test_an_unresolved_batch_is_an_error() -> None:
    with pytest.raises(ValueError, match="auto"):
        _ = config(batch_size="auto").fixed_batch_size


def test_parsing_imports_no_tensorflow() -> None:
    program = (
        "import sys; from tfrecords.cli import parsing; from trainer.config import TrainConfig;"
        "parsing.parse(TrainConfig, ['--data_dir=d', '--run_dir=r']);"
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


@pytest.mark.parametrize(
    ("argv", "found"),
    [
        ([], "auto"), (["--jit_compile"], "on"), (["--nojit_compile"], "off"),
        (["--no-jit-compile"], "off"), (["--jit-compile=off"], "off"),
        (["--jit_compile", "off"], "off"), (["--jit_compile", "--epochs=3"], "on"),
        (["--jit_compile=auto"], "auto"),
    ],
)  # fmt: skip
def test_xla_is_a_switch_with_a_third_place(argv: list[str], found: str) -> None:
    asked = parsing.parse(TrainConfig, ["--data_dir=d", "--run_dir=r", *argv])
    assert asked.jit_compile == found


def test_xla_was_true_or_false_in_what_an_earlier_version_wrote() -> None:
    before = config().to_dict()
    for stored, found in ((True, "on"), (False, "off")):
        assert TrainConfig.from_dict(before | {"jit_compile": stored}).jit_compile == found


def test_a_value_beside_a_switch_is_not_swallowed() -> None:
    with pytest.raises(UsageError, match="unexpected argument 'of'"):
        parsing.parse(TrainConfig, ["--data_dir=d", "--run_dir=r", "--jit_compile", "of"])


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("learning_rte", "learning_rate"), ("lr", "learning_rate"), ("wd", "weight_decay"),
        ("batch-sise", "batch_size"), ("patience", "early_stopping"), ("xla", "jit_compile"),
        ("dataset", "data_dir"), ("num-epochs", "epochs"),
    ],
)  # fmt: skip
def test_the_flag_that_was_meant_is_named(typed: str, meant: str) -> None:
    with pytest.raises(UsageError, match=f"did you mean --{meant}?"):
        parsing.parse(TrainConfig, ["--data_dir=d", "--run_dir=r", f"--{typed}=1"])
