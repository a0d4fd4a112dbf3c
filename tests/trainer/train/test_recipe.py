"""Settling --recipe=auto: by what is there when a run begins, and by the run when it goes on."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support.datasets import fakes
from tfrecords.cli import flags, parsing
from tfrecords.manifest import Manifest
from tfrecords.schema import ImageSpec
from trainer.config import TrainConfig
from trainer.data.selection import Selection, Source, open_configured
from trainer.devices import Devices
from trainer.recipes import choice
from trainer.recipes.flags import DECIDING
from trainer.runs import opening
from trainer.runs.config_file import CONFIG, RunConfig
from trainer.sweep import recipes as sweep_recipes
from trainer.sweep.grid import expand
from trainer.sweep.grid_file import parse
from trainer.train import recipe


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> tuple[Manifest, Path]:
    folder = tmp_path_factory.mktemp("data")
    counts = {"train": (4, 3, 3), "validation": (2, 2, 2)}
    size = ImageSpec(112, 112, encoding="png")  # type: ignore[arg-type]  # A name is converted.
    return fakes.write_dataset(folder, counts, size), folder


@pytest.fixture
def weights(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Modules that are not installed; the weights' module may be put here."""
    missing: set[str] = set()
    monkeypatch.setattr(recipe, "_is_installed", lambda name: name not in missing)
    return missing


def sources(config: TrainConfig, manifest: Manifest) -> tuple[Source, Source]:
    selection = Selection.of(config, manifest)
    return (
        open_configured(config, manifest, "train", selection),
        open_configured(config, manifest, "validation", selection.natural()),
    )


def settle(
    dataset: tuple[Manifest, Path], run_dir: Path, *, gpu: bool = False, **flags: object
) -> recipe.Settled:
    manifest, data_dir = dataset
    config = TrainConfig(str(data_dir), str(run_dir), **flags)  # type: ignore[arg-type]  # Values of a table.
    return recipe.settle(config, *sources(config, manifest), gpu=gpu)


def begin(dataset: tuple[Manifest, Path], config: TrainConfig) -> RunConfig:
    """Writes a run's config.json, as if it had begun."""
    manifest, _ = dataset
    devices = Devices("cpu", ("cpu",), "float32", None, True)  # type: ignore[arg-type]  # Devices of a fake.
    described = opening.describe(config, manifest, sources(config, manifest)[0], devices)
    Path(config.run_dir).mkdir(parents=True)
    (Path(config.run_dir) / "config.json").write_text(described.to_json(), encoding="utf-8")
    return described


def test_auto_looks_at_what_is_there(
    dataset: tuple[Manifest, Path],
    tmp_path: Path,
    weights: set[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert settle(dataset, tmp_path).config.recipe == "head"
    assert settle(dataset, tmp_path, gpu=True).config.recipe == "finetune"
    assert settle(dataset, tmp_path, image_size=32).config.recipe == "head"
    with monkeypatch.context() as patch:
        patch.setattr(choice, "SCRATCH_FROM", 10)  # As many as there are.
        assert settle(dataset, tmp_path, image_size=32).config.recipe == "scratch"
    weights.add(recipe.WEIGHTS_MODULE)
    without = settle(dataset, tmp_path)
    assert without.config.recipe == "scratch" and "pip install" in without.line


def test_flags_decide_and_the_line_says_what_else_there_is(
    dataset: tuple[Manifest, Path], tmp_path: Path, weights: set[str]
) -> None:
    trained = settle(dataset, tmp_path, epochs=5)
    assert (trained.config.model, trained.config.epochs) == ("springfield_cnn", 5)
    assert "since --epochs is given; for the pretrained network" in trained.line
    for decided in ({"recipe": "scratch"}, {"recipe": "head"}, {"model": "resnet50"}):
        assert settle(dataset, tmp_path, **decided).line == ""


@pytest.mark.parametrize("began", ["scratch", "head", "finetune"])
def test_a_run_that_goes_on_keeps_its_recipe(
    began: str, dataset: tuple[Manifest, Path], tmp_path: Path, weights: set[str]
) -> None:
    run_dir = tmp_path / "run"
    open_one = TrainConfig(str(dataset[1]), str(run_dir))
    stored = begin(dataset, open_one.with_recipe(began))
    for missing, gpu in ((set(), True), ({recipe.WEIGHTS_MODULE}, False)):
        weights.clear()
        weights.update(missing)
        again = settle(dataset, run_dir, gpu=gpu)
        assert again.config.recipe == began and str(run_dir) in again.line
        assert RunConfig.read(run_dir).flags == stored.flags == again.config
    weights.add(recipe.WEIGHTS_MODULE)
    assert settle(dataset, run_dir, resume=False).config.recipe == "scratch"


def test_a_run_that_was_fine_tuned_for_longer_keeps_its_epochs(
    dataset: tuple[Manifest, Path], tmp_path: Path, weights: set[str]
) -> None:
    run_dir = tmp_path / "run"
    flags = {"recipe": "finetune", "unfreeze_epochs": 5}
    stored = begin(dataset, TrainConfig(str(dataset[1]), str(run_dir), **flags))  # type: ignore[arg-type]  # Values of a table.
    again = settle(dataset, run_dir)
    assert again.config == stored.flags and again.config.epochs == 6


def test_a_run_that_an_earlier_version_began_keeps_what_its_head_sees(
    dataset: tuple[Manifest, Path], tmp_path: Path, weights: set[str]
) -> None:
    run_dir = tmp_path / "run"
    begin(dataset, TrainConfig(str(dataset[1]), str(run_dir), recipe="head"))
    path = run_dir / CONFIG
    document = json.loads(path.read_text())
    del document["flags"]["head_features"]
    path.write_text(json.dumps(document))
    again = settle(dataset, run_dir)
    assert (again.config.recipe, again.config.head_features) == ("head", "last")


def test_a_run_of_other_flags_is_not_taken_for_a_recipe(
    dataset: tuple[Manifest, Path], tmp_path: Path, weights: set[str]
) -> None:
    run_dir = tmp_path / "run"
    begin(dataset, TrainConfig(str(dataset[1]), str(run_dir), model="mobilenetv2"))
    assert "as when" not in settle(dataset, run_dir).line


@pytest.mark.parametrize(
    ("grid", "expected"),
    [
        ("grid: {per_class: [2, 3]}", ["head", "head"]),
        ("grid: {wide: [false, true]}", ["auto", "auto"]),
        ("trials: {a: {}, b: {model: mobilenetv2}}", ["head", "auto"]),
        ("trials: {a: {}, b: {recipe: finetune}}", ["head", "finetune"]),
        ("grid: {wide: [true]}", ["auto"]),
    ],
)
def test_trials_of_a_sweep_take_one_recipe(
    grid: str,
    expected: list[str],
    dataset: tuple[Manifest, Path],
    tmp_path: Path,
    weights: set[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sweep_recipes, "visible_gpus", tuple)
    trials = expand(parse(grid), str(dataset[1]), str(tmp_path))
    settled, line = sweep_recipes.settle(trials, dataset[0])
    assert [trial.config.recipe for trial in settled] == expected
    assert not any(trial.config.is_open for trial in settled)
    assert bool(line) == any(trial.config.is_open for trial in trials)
    assert [trial.name for trial in settled] == [trial.name for trial in trials]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--epochs=5"], "since --epochs is given"),
        (["--epochs=30"], "since its flags say so"),  # The default, and still it decides.
        (
            ["--learning_rate=0.1", "--epochs=5", "--batch_size=8"],
            "--epochs, --learning_rate and --batch_size are",
        ),
        (["--augment=flip"], "since --augment is given"),
        (["--wide"], "since --wide is given"),
    ],
)
def test_flags_that_lead_away_from_pretrained_weights_are_told_the_way_back(
    given: list[str], said: str, dataset: tuple[Manifest, Path], tmp_path: Path, weights: set[str]
) -> None:
    where = [f"--data_dir={dataset[1]}", f"--run_dir={tmp_path}"]
    config = parsing.parse(TrainConfig, [*where, *given])
    line = recipe.settle(config, *sources(config, dataset[0]), gpu=True).line
    assert said in line and line.startswith("recipe: scratch, since ")
    found = re.fullmatch(r".* network give (.*), or (.*)", line)
    assert found is not None
    head, tuned = found.groups()
    # What it says is then accepted.
    for way in (head, tuned):
        name, _, out = way.partition(" without ")
        name, _, replaced = name.partition(" with ")
        gone = re.findall(r"--(\w+)", out) + (["epochs"] if replaced else [])
        kept = {n: v for n, v in flags.given(config).items() if n in DECIDING and n not in gone}
        kept = {n: v for n, v in kept.items() if n not in ("model", "head_features")}
        more = {"unfreeze_epochs": 5} if replaced else {}
        taken = TrainConfig("d", "r", recipe=name.removeprefix("--recipe="), **kept | more)
        assert taken.weights == "imagenet"
    weights.add(recipe.WEIGHTS_MODULE)
    without = recipe.settle(config, *sources(config, dataset[0]), gpu=True).line
    assert said in without and "pip install" in without
