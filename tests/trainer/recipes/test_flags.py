"""What --recipe sets, and what it refuses; which flags leave --recipe=auto nothing to choose."""

from __future__ import annotations

import dataclasses
import json
import pickle

import pytest

from tfrecords.cli import flags, parsing
from tfrecords.errors import UsageError
from trainer.config import TrainConfig
from trainer.recipes.flags import AUTO_MODEL, DECIDING, RECIPES

WHERE = {"data_dir": "data", "run_dir": "run"}

# Of the groups Model, Learning and Augmentation: these are a head's too.
OF_EVERY_RECIPE = {"recipe", "label_smoothing", "monitor", "augment_on"}


def config(**changes: object) -> TrainConfig:
    return TrainConfig(**WHERE | changes)  # type: ignore[arg-type]  # Values of a table.


def four(of: TrainConfig) -> tuple[object, ...]:
    return of.model, of.weights, of.freeze, of.epochs


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"recipe": "scratch"}, ("springfield_cnn", "none", "none", 30)),
        ({"recipe": "scratch", "model": "resnet50"}, ("resnet50", "none", "none", 30)),
        ({"recipe": "head"}, ("efficientnet-lite0", "imagenet", "backbone", 1)),
        ({"recipe": "head", "model": "resnet50"}, ("resnet50", "imagenet", "backbone", 1)),
        ({"recipe": "head", "weights": "w.keras"}, ("springfield_cnn", "w.keras", "backbone", 1)),
        ({"recipe": "finetune"}, ("efficientnet-lite0", "imagenet", "backbone", 9)),
        (
            {"recipe": "finetune", "unfreeze_epochs": 9, "learning_rate": 0.1},
            ("efficientnet-lite0", "imagenet", "backbone", 10),
        ),
        (
            {"recipe": "finetune", "freeze_epochs": 2, "epochs": 7},
            ("efficientnet-lite0", "imagenet", "none", 7),
        ),
        ({"freeze": "backbone"}, ("efficientnet-lite0", "imagenet", "backbone", 1)),
        ({"epochs": 5}, ("springfield_cnn", "none", "none", 5)),
        ({"weights": "w.keras"}, ("springfield_cnn", "w.keras", "none", 30)),
        ({}, (AUTO_MODEL, "none", "none", 30)),
    ],
)
def test_a_recipe_is_a_name_for_flags(
    given: dict[str, object], expected: tuple[object, ...]
) -> None:
    settled = config(**given)
    assert four(settled) == expected
    assert settled.is_open == (expected[0] == AUTO_MODEL)
    # Neither a changed batch, nor a file, nor a command line, settles it again.
    assert four(settled.with_batch_size(8)) == expected or settled.is_open
    assert TrainConfig.from_dict(settled.to_dict()) == settled
    assert parsing.parse(TrainConfig, flags.command_line(settled)) == settled


@pytest.mark.parametrize(
    ("given", "changes", "expected"),
    [
        ({"recipe": "finetune"}, {"unfreeze_epochs": 5}, None),
        ({"recipe": "finetune", "unfreeze_epochs": 9}, {"unfreeze_epochs": 5}, None),
        ({"recipe": "finetune", "learning_rate": 0.1}, {"model": "resnet50"}, None),
        ({"recipe": "finetune"}, {"weights": "w.keras"}, None),
        ({"recipe": "finetune"}, {"freeze_epochs": 2}, None),
        ({"recipe": "finetune"}, {"recipe": "scratch"}, None),
        ({"recipe": "finetune"}, {"recipe": "head"}, None),
        ({"recipe": "finetune"}, {"recipe": "scratch", "epochs": 7}, None),
        ({"recipe": "head"}, {"recipe": "finetune"}, None),
        ({"recipe": "scratch"}, {"recipe": "head"}, None),
        ({"recipe": "head"}, {"head_features": "last", "seed": 3}, None),
        ({"recipe": "head"}, {"model": "auto"}, {}),
        ({"freeze": "backbone"}, {"unfreeze_epochs": 5}, {"head_features": "multilevel"}),
        ({"epochs": 5}, {"epochs": 30}, {"model": "springfield_cnn"}),
        # With the recipe's name, a flag at its default would be set again.
        (
            {"recipe": "finetune"},
            {"unfreeze_epochs": 0},
            {"recipe": "auto", "freeze": "backbone", "head_features": "multilevel"},
        ),
    ],
)
def test_a_settled_configuration_is_replaced_as_if_typed_anew(
    given: dict[str, object], changes: dict[str, object], expected: dict[str, object] | None
) -> None:
    settled = config(**given)
    found = dataclasses.replace(settled, **changes)  # type: ignore[arg-type]  # Values of a table.
    if expected is None:
        assert found == config(**{**given, **changes})
    for name, value in {**changes, **(expected or {})}.items():
        if value != "auto" or name == "recipe":
            assert getattr(found, name) == value, name
    if found.fits_head:
        assert found.epochs == 1 + found.unfreeze_epochs
    again = dataclasses.replace(found, batch_size=8)
    for each in (dataclasses.replace(again, batch_size=found.batch_size), pickled(found)):
        assert each == found
    assert four(again) == four(found)
    assert TrainConfig.from_dict(found.to_dict()) == found
    assert "settled" not in found.to_dict() and "settled" not in repr(found)


STORED: list[tuple[dict[str, object], dict[str, object]]] = [
    ({"recipe": "head"}, {"recipe": "finetune"}),
    ({"recipe": "head"}, {"recipe": "scratch"}),
    ({"recipe": "finetune"}, {"recipe": "head"}),
    ({"recipe": "finetune"}, {"recipe": "scratch", "epochs": 7}),
    ({"recipe": "finetune", "unfreeze_epochs": 9}, {"unfreeze_epochs": 5}),
    ({"recipe": "finetune", "learning_rate": 0.1, "seed": 3}, {"model": "resnet50"}),
    ({"recipe": "finetune", "freeze_epochs": 2, "epochs": 6}, {"freeze_epochs": 3}),
    ({"recipe": "head", "model": "resnet50"}, {"recipe": "finetune"}),
    ({"recipe": "head", "weights": "w.keras"}, {"recipe": "finetune"}),
    ({"recipe": "head", "feature_views": 3, "augment": ("flip",)}, {"seed": 1}),
    ({"recipe": "scratch", "epochs": 9}, {"recipe": "finetune", "epochs": 30}),
    ({"recipe": "scratch"}, {"recipe": "head"}),
    ({"epochs": 5}, {"epochs": 30, "model": "springfield_cnn"}),
]


@pytest.mark.parametrize(("given", "changes"), STORED)
def test_a_stored_configuration_is_replaced_as_if_typed_anew(
    given: dict[str, object], changes: dict[str, object]
) -> None:
    settled = config(**given)
    stored = TrainConfig.from_dict(json.loads(json.dumps(settled.to_dict())))
    assert stored == settled
    assert dataclasses.replace(stored, **changes) == config(**{**given, **changes})  # type: ignore[arg-type]  # Values of a table.


@pytest.mark.parametrize("chosen", ["scratch", "head", "finetune"])
@pytest.mark.parametrize("other", ["scratch", "head", "finetune"])
def test_a_recipe_that_was_chosen_is_replaced_by_another(chosen: str, other: str) -> None:
    settled = config(seed=3).with_recipe(chosen).with_batch_size(32)
    stored = TrainConfig.from_dict(json.loads(json.dumps(settled.to_dict())))
    assert stored == settled
    expected = config(seed=3, recipe=other, batch_size=32)
    assert dataclasses.replace(stored, recipe=other) == expected


def test_what_a_recipe_would_not_have_set_is_kept_by_another() -> None:
    stored = TrainConfig.from_dict(config(recipe="head", model="resnet50").to_dict())
    assert dataclasses.replace(stored, recipe="scratch").model == "resnet50"


def pickled(found: TrainConfig) -> TrainConfig:
    back: TrainConfig = pickle.loads(pickle.dumps(found))
    return dataclasses.replace(back, seed=back.seed)


def test_a_stored_configuration_takes_other_epochs_of_the_whole_network() -> None:
    stored = TrainConfig.from_dict(config(recipe="finetune").to_dict())
    assert dataclasses.replace(stored, unfreeze_epochs=5).epochs == 6
    with pytest.raises(UsageError, match="leave out --epochs"):
        dataclasses.replace(stored, epochs=12)


@pytest.mark.parametrize(
    ("recipe", "typed", "said"),
    [
        ("finetune", "--weights=none", "give --weights too"),
        ("head", "--weights=none", "give --weights too"),
        ("finetune", "--freeze=none", "go with --freeze=backbone"),
    ],
)
def test_a_default_that_is_typed_against_the_recipe_is_not_passed_over(
    recipe: str, typed: str, said: str
) -> None:
    argv = ["--data_dir=data", "--run_dir=run", f"--recipe={recipe}"]
    with pytest.raises(UsageError, match=said):
        parsing.parse(TrainConfig, [*argv, typed])
    none = parsing.parse(
        TrainConfig, ["--data_dir=d", "--run_dir=r", "--recipe=finetune", "--unfreeze_epochs=0"]
    )
    assert (none.unfreeze_epochs, none.epochs, none.freeze) == (0, 1, "backbone")


LITE = {"model": "EfficientNet_Lite1", "weights": "imagenet"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "auto"),
        ({"recipe": "scratch"}, "last"),
        ({"epochs": 5}, "last"),
        ({"recipe": "head"}, "multilevel"),
        ({"recipe": "finetune"}, "last"),
        ({"recipe": "finetune", "head_features": "multilevel"}, "multilevel"),
        ({"freeze": "backbone"}, "multilevel"),
        ({"freeze": "backbone", "unfreeze_epochs": 3}, "last"),
        (LITE, "last"),
        (LITE | {"freeze": "backbone"}, "multilevel"),
        (LITE | {"freeze": "backbone", "head_features": "last"}, "last"),
        ({"model": "efficientnet-lite0"}, "last"),
        ({"model": "efficientnet-lite0", "head_features": "multilevel"}, "multilevel"),
        ({"recipe": "head", "model": "resnet50"}, "last"),
        ({"recipe": "head", "weights": "w.keras"}, "last"),
    ],
)
def test_what_the_head_sees_is_settled_once(given: dict[str, object], expected: str) -> None:
    settled = config(**given)
    assert settled.head_features == expected
    assert TrainConfig.from_dict(settled.to_dict()) == settled
    if expected != "auto":
        assert settled.with_batch_size(8).head_features == expected


def test_runs_of_versions_without_the_flag_see_the_last_maps() -> None:
    before = config(recipe="head").to_dict()
    del before["head_features"]
    assert TrainConfig.from_dict(before).head_features == "last"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"recipe": "head", "model": "resnet50", "head_features": "multilevel"},
            "there for efficientnet-lite, not for resnet50",
        ),
        ({"recipe": "scratch", "weights": "imagenet"}, "does not use --weights"),
        ({"recipe": "scratch", "freeze": "backbone"}, "does not use --freeze"),
        ({"recipe": "head", "learning_rate": 0.1}, "does not use --learning_rate"),
        ({"recipe": "head", "unfreeze_epochs": 2}, "does not use --unfreeze_epochs"),
        ({"recipe": "head", "augment": ("flip",)}, "does not use --augment"),
        ({"recipe": "head", "epochs": 5}, "^--recipe=head fits .*: leave out --epochs; --recipe=f"),
        ({"recipe": "head", "model": "springfield_cnn"}, "springfield_cnn has none"),
        ({"recipe": "finetune", "epochs": 5}, "^--recipe=finetune fits .* give --unfreeze_epochs"),
        ({"freeze": "backbone", "epochs": 5}, "^--freeze=backbone fits the head at once"),
        (
            {"recipe": "finetune", "freeze": "backbone", "freeze_epochs": 2},
            "leave out --epochs and --freeze_epochs",
        ),
        ({"recipe": "finetun"}, "did you mean finetune"),
        ({"freeze": "backbone", "model": "resnet50"}, "give --weights too"),
    ],
)
def test_a_flag_against_the_recipe_is_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        config(**given)
    assert "\n" not in str(caught.value)


def test_every_flag_of_network_and_training_leaves_auto_nothing_to_choose() -> None:
    groups = ("Model", "Learning", "Augmentation")
    names = {f.name for f in dataclasses.fields(TrainConfig) if f.metadata["group"] in groups}
    assert names - OF_EVERY_RECIPE <= set(DECIDING)
    assert set(DECIDING) <= set(flags.flags_of(TrainConfig))


@pytest.mark.parametrize(
    "given", [{"per_class": 5}, {"seed": 3}, {"loss": "focal"}, {"image_size": 64}]
)
def test_what_concerns_every_recipe_leaves_the_choice_open(given: dict[str, object]) -> None:
    assert config(**given).is_open
    for recipe in RECIPES[1:]:
        chosen = config(**given).with_recipe(recipe)
        assert (chosen.recipe, chosen.is_open) == (recipe, False)
        for name, value in given.items():
            assert flags.to_text(chosen, name) == str(value)


@pytest.mark.parametrize("name", sorted(set(DECIDING)))
def test_a_flag_that_is_typed_at_its_default_decides(name: str) -> None:
    default = flags.default_of(TrainConfig, name)
    if default is None or default == "":
        pytest.skip("its default cannot be typed")
    if isinstance(default, bool):
        typed = f"--{name}" if default else f"--no{name}"
    else:
        typed = f"--{name}={','.join(default) if isinstance(default, tuple) else default}"
    found = parsing.parse(TrainConfig, ["--data_dir=data", "--run_dir=run", typed])
    left_open = name in ("model", "augment", "head_features")  # They are typed as auto.
    assert found.is_open is left_open
    assert found.model == ("auto" if left_open else "springfield_cnn")


@pytest.mark.parametrize("recipe", ["head", "finetune"])
def test_epochs_typed_at_their_default_contradict_a_head(recipe: str) -> None:
    typed = ["--data_dir=data", "--run_dir=run", f"--recipe={recipe}"]
    for epochs in (29, 30):
        with pytest.raises(UsageError, match=f"^--recipe={recipe} .*leave out --epochs"):
            parsing.parse(TrainConfig, [*typed, f"--epochs={epochs}"])
    ends = parsing.parse(TrainConfig, typed).epochs
    assert parsing.parse(TrainConfig, [*typed, f"--epochs={ends}"]).epochs == ends
