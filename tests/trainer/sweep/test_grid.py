from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrecords.cli import flags, parsing
from tfrecords.errors import UsageError
from trainer.choices import AUGMENTATIONS, LOSSES
from trainer.config import TrainConfig
from trainer.sweep import grid, grid_file
from trainer.sweep.grid import ScaleRule, Trial

STORY = Path(__file__).parents[3] / "experiments" / "story.yaml"


def expand(text: str, scale: float = 1.0) -> dict[str, TrainConfig]:
    return {t.name: t.config for t in grid.expand(grid_file.parse(text), "data", "runs", scale)}


def test_lists_multiply_and_names_say_how() -> None:
    found = expand("grid: {per_class: [155, 300], wide: [false, true], epochs: 3}")
    assert list(found) == [
        "per_class=155,wide=false",
        "per_class=155,wide=true",
        "per_class=300,wide=false",
        "per_class=300,wide=true",
    ]
    config = found["per_class=300,wide=true"]
    assert (config.per_class, config.wide, config.epochs) == (300, True, 3)
    assert (config.data_dir, config.run_dir) == ("data", "runs/per_class=300,wide=true")


def test_named_trials_start_from_the_base_and_multiply_too() -> None:
    found = expand(
        """
        base: {epochs: 5, augment: "flip,crop"}
        trials:
          plain:
          rotated: {augment: "flip,rotate"}
          batch: {batch_size: [10, auto], augment: ""}
        """
    )
    assert list(found) == ["plain", "rotated", "batch,batch_size=10", "batch,batch_size=auto"]
    assert {config.epochs for config in found.values()} == {5}
    assert found["plain"].augment == ("flip", "crop")
    assert found["rotated"].augment == ("flip", "rotate")
    assert found["batch,batch_size=auto"].augment == ()


def test_a_list_of_lists_is_a_list_of_values() -> None:
    found = expand("grid: {augment: [[flip, crop], [flip], []]}")
    assert {name: config.augment for name, config in found.items()} == {
        "augment=flip+crop": ("flip", "crop"),
        "augment=flip": ("flip",),
        "augment=none": (),
    }


def test_overrides_have_the_last_word_in_order() -> None:
    found = expand(
        """
        grid: {per_class: [155, 300, 700], batch_size: 64}
        trials: {more: {per_class: 900}}
        overrides:
          - {when: {per_class: [155, 300]}, set: {epochs: 60, batch_size: 32}}
          - {when: {per_class: 300}, set: {epochs: 40}}
          - {when: {wide: false, per_class: 900}, set: {epochs: 1}}
          - {when: {epochs: 40}, set: {seed: 7}}
        """
    )
    assert [(c.epochs, c.batch_size, c.seed) for c in found.values()] == [
        (60, 32, 0),
        (40, 32, 7),
        (30, 64, 0),
        (1, 64, 0),
    ]


@pytest.mark.parametrize(
    ("written", "when"),
    [("1e-3", "0.001"), ("0.001", "1.0e-3"), ("1e-3", "1e-3"), ("3", "3.0")],
)
def test_an_override_knows_a_number_however_it_is_written(written: str, when: str) -> None:
    (found,) = expand(
        f"""
        grid: {{learning_rate: [{written}]}}
        overrides: [{{when: {{learning_rate: {when}}}, set: {{epochs: 7}}}}]
        """
    ).values()
    assert found.epochs == 7


@pytest.mark.parametrize(
    ("text", "config"),
    [
        ("deterministic: on", {"deterministic": "on"}),  # A boolean in YAML 1.1.
        ("learning_rate: 2e-3", {"learning_rate": 0.002}),  # A string in YAML 1.1.
        ("wide: true", {"wide": True}),
        ("memory_growth: no", {"memory_growth": False}),
        ("per_class: null", {"per_class": None}),
        ("image_size: 96x128", {"image_size": (96, 128)}),
    ],
)
def test_values_as_yaml_reads_them(text: str, config: dict[str, object]) -> None:
    (found,) = expand(f"trials: {{a: {{{text}}}}}").values()
    assert {name: getattr(found, name) for name in config} == config


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "grid: {per_clas: [1]}",
            "grid: evenshard train has no flag --per_clas; did you mean --per_",
        ),
        ("trials: {a: {widee: 1}}", "trial a: .* did you mean --wide?"),
        ("base: {epoch: 1}", "base: .* did you mean --epochs?"),
        ("overrides: [{when: {wid: 1}, set: {}}]\ntrials: {a: }", "did you mean --wide?"),
        ("scale: {epoch: }\ntrials: {a: }", "did you mean --epochs?"),
        ("gird: {}", "no section 'gird'; did you mean 'grid'?"),
        ("trials: {a: {run_dir: x}}", "the sweep itself sets --run_dir"),
        ("base: {augment: [flip, crop]}\ntrials: {a: }", 'write "flip,crop"'),
        ("base: {epochs: 1}", "no trials"),
        ("grid: {epochs: []}", "epochs is an empty list"),
        ("grid: {epochs: [1, 0]}", "trial epochs=0: --epochs must be 1 to"),
        ("grid: {epochs: [many]}", "trial epochs=many"),
        ("grid: {augment: [flp]}", "did you mean flip"),
        ("trials: {'a/b': }", "a name is up to 100"),
        ("trials: {a: , a: }", "'a' is given twice in the mapping at line 1"),
        ("trials: {'epochs=1': }\ngrid: {epochs: [1]}", "two trials are called 'epochs=1'"),
        ("trials: [a]", "trials: a mapping expected"),
        ("trials: {a: [1]}", "trial a: a mapping expected"),
        ("grid: {epochs: {a: 1}}", "not a mapping"),
        ("scale: {wide: }\ntrials: {a: }", "scale: wide is not a whole number"),
        ("scale: {epochs: {pwer: 1}}\ntrials: {a: }", "scale: epochs takes"),
        ("scale: {epochs: {least: 0}}\ntrials: {a: }", "whole numbers from 1 up"),
        (
            "grid: {seed: [1]}\noverrides: [{when: {seed: [2, 3]}, set: {epochs: 1}}]",
            "override 1 matches no trial: none has seed: 2 or 3",
        ),
        (
            "grid: {seed: [1]}\noverrides: [{when: {seed: 1}, set: {wide: true}},"
            " {when: {wide: false}, set: {epochs: 1}}]",
            "override 2 matches no trial: none has wide: false",
        ),
        ("grid: [", "not YAML: .* line 1"),
    ],
)
def test_mistakes_are_named(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        expand(text)


def test_null_is_the_default_whatever_the_base_says() -> None:
    base = "base: {per_class: 5, epochs: 3, augment: rotate}\n"
    (found,) = expand(
        f"{base}trials: {{a: {{per_class: null, epochs: null, augment: ~}}}}"
    ).values()
    assert (found.per_class, found.epochs, found.augment) == (None, 30, ("auto",))
    listed = expand(f"{base}grid: {{per_class: [null, 7]}}")
    assert {name: config.per_class for name, config in listed.items()} == {
        "per_class=none": None,
        "per_class=7": 7,
    }


def test_scale_needs_a_rule_and_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no `scale` section"):
        expand("trials: {a: }", scale=0.5)
    with pytest.raises(UsageError, match=r"--grid=.*none.yaml: No such file"):
        grid_file.load(tmp_path / "none.yaml", "data", "runs")
    (tmp_path / "bad.yaml").write_text("gird: {}")
    with pytest.raises(UsageError, match=r"bad.yaml: no section 'gird'"):
        grid_file.load(tmp_path / "bad.yaml", "data", "runs")


def test_scale_changes_flags_and_the_names_made_of_them() -> None:
    text = """
        base: {image_size: 128x224}
        grid: {per_class: [155, 300]}
        scale:
          per_class: {least: 4}
          image_size: {power: 0.5, multiple: 8}
          epochs: {power: 0.5, least: 2}
        """
    found = expand(text, 0.1)
    assert list(found) == ["per_class=16", "per_class=30"]
    assert [(c.per_class, c.image_size, c.epochs) for c in found.values()] == [
        (16, (40, 72), 9),
        (30, (40, 72), 9),
    ]
    # Both come to the least: one trial.
    assert [c.per_class for c in expand(text, 0.001).values()] == [4]
    assert [c.per_class for c in expand(text).values()] == [155, 300]


@given(
    value=st.integers(1, 10**6),
    scale=st.floats(1e-3, 10),
    power=st.floats(0, 2),
    least=st.integers(1, 50),
)
def test_a_scaled_value_keeps_to_its_rule(
    value: int, scale: float, power: float, least: int
) -> None:
    rule = ScaleRule(power, least, 4)
    assert rule.apply(value, 1) == value
    found = rule.apply(value, scale)
    assert found >= least
    assert scale == 1 or found == least or abs(found - value * scale**power) <= 2.001


def test_more_trials_rename_none() -> None:
    few = expand("grid: {model: [resnet50], per_class: [155]}")
    many = expand("grid: {model: [resnet50, xception], per_class: [155, 300]}\ntrials: {a: }")
    assert set(few) < set(many)


def test_names_fit_for_files_stay_distinct() -> None:
    values = ["pkg.nets:small", "pkg.nets/small", "x" * 300, "x" * 301, "é"]
    names = [grid.trial_name("t", {"model": value}) for value in values]
    assert len(set(names)) == len(names)
    for name in names:
        assert len(name) <= grid.MAX_NAME and "/" not in name and name.isascii()
    assert grid.trial_name("t", {"model": values[0]}) == names[0]


@settings(deadline=None, max_examples=30)
@given(
    st.builds(
        TrainConfig,
        data_dir=st.just("d"),
        run_dir=st.just("r"),
        per_class=st.none() | st.integers(1, 1000),
        classes=st.lists(st.sampled_from("abc"), unique=True, max_size=3).map(tuple),
        wide=st.booleans(),
        memory_growth=st.booleans(),
        learning_rate=st.none() | st.floats(1e-6, 1),
        ema=st.floats(0, 0.999),
        augment=st.lists(st.sampled_from(AUGMENTATIONS), unique=True).map(tuple),
        loss=st.sampled_from(LOSSES),
        image_size=st.sampled_from(["", "64", "64x96"]),
        seed=st.integers(0, 2**31 - 1),
    )
)
def test_a_command_line_gives_its_configuration_again(config: TrainConfig) -> None:
    assert parsing.parse(TrainConfig, flags.command_line(config)) == config


def test_differing_flags_and_how_they_are_shown() -> None:
    found = [Trial(n, c) for n, c in expand("grid: {per_class: [1, 2], augment: ['']}").items()]
    assert grid.differing(found) == ("per_class",)
    config = found[0].config
    assert [grid.shown(config, n) for n in ("per_class", "wide", "augment", "num_classes")] == [
        "1", "no", "none", "–",
    ]  # fmt: skip


def test_the_story_is_all_there() -> None:
    found = grid_file.load(STORY, "data", "runs")
    configs = [trial.config for trial in found]
    base = {"num_classes": None, "image_size": (128, 128), "wide": False, "batch_size": 64}
    all42 = [c for c in configs if all(getattr(c, n) == v for n, v in base.items())]
    assert {c.per_class for c in all42} == {155, 300, 500, 700}
    assert any(c.num_classes == 20 and c.per_class == 300 for c in configs)
    assert {c.image_size for c in configs} == {(128, 128), (224, 224)}
    assert {int(c.batch_size) for c in configs} == {10, 32, 64}
    assert {c.wide for c in configs} == {False, True}
    assert {"rotate" in c.augment for c in configs} == {False, True}
    assert {c.device for c in configs} == {"auto", "cpu"}
    tenth = [trial.config for trial in grid_file.load(STORY, "data", "runs", 0.1)]
    assert len(tenth) == len(configs)
    assert max(c.per_class or 0 for c in tenth) == 70
    assert {c.image_size for c in tenth} == {(40, 40), (72, 72)}
    assert {c.epochs for c in tenth} == {9}
