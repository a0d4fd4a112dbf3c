"""MODEL_CARD.md of runs that were never trained."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.runs import fake_run, run_configs
from tfrecords import manifest
from trainer.metrics import metrics, predictions
from trainer.report import model_card, page
from trainer.report.settings import settings_of
from trainer.runs.config_file import RunConfig


def _run(root: Path, validation: tuple[int, ...] = (12, 3, 0), **selection: object) -> Path:
    """Writes what a finished run leaves and returns its directory."""
    files = fake_run.files(root, validation)
    flags = dataclasses.replace(files.flags, augment=("flip", "crop"))
    described = run_configs.describe(flags, manifest.load(root / "data"))
    chosen = dataclasses.replace(described.selection, **selection)  # type: ignore[arg-type]  # Values of a table.
    run_configs.write(files.run_dir, dataclasses.replace(described, selection=chosen))
    predictions.write(
        files.run_dir / predictions.FILENAME, files.predictions, files.classes, {"split": "dev"}
    )
    return files.run_dir


def test_says_what_was_measured_and_on_what(tmp_path: Path) -> None:
    run_dir = _run(tmp_path)
    text = model_card.write(run_dir).read_text(encoding="utf-8")
    card = model_card.load(run_dir)
    evaluation = metrics.evaluate(card.predictions, card.train_counts)
    assert f"macro-F1 {100 * evaluation.macro_f1:.1f}%" in text
    assert manifest.load(tmp_path / "data").digest in text
    assert "on 15 pictures of its dev split" in text
    assert "| `--augment` | flip, crop |" in text
    assert "| `--learning_rate` | by default |" in text
    assert "| Best epoch | 2 of 3, by `val_macro_f1` |" in text
    assert "adds those of an unused split" in text


def test_says_where_not_to_trust_it(tmp_path: Path) -> None:
    text = model_card.write(_run(tmp_path)).read_text(encoding="utf-8")
    assert "1 class has no dev picture, so the results are unknown: lisa." in text
    assert "1 class has fewer than 10 dev pictures, too few to judge: bart." in text
    assert "3 classes have fewer than 20 training pictures" in text


def test_a_run_of_an_earlier_version_kept_the_first_of_equals(tmp_path: Path) -> None:
    run_dir = _run(tmp_path)
    rows = "epoch,val_macro_f1,val_loss\n1,0.5,0.3\n2,0.5,0.2\n3,0.4,0.1\n"
    (run_dir / "metrics.csv").write_text(rows)
    assert "| Best epoch | 1 of 3, by" in model_card.write(run_dir).read_text(encoding="utf-8")
    path = run_dir / predictions.FILENAME
    found, classes, about = predictions.read(path)
    predictions.write(path, found, classes, {**about, "best_epoch": 2})
    assert "| Best epoch | 2 of 3, by" in model_card.write(run_dir).read_text(encoding="utf-8")


def test_says_which_classes_a_mean_is_over(tmp_path: Path) -> None:
    run_dir = _run(tmp_path)
    folder = run_dir / "evaluation" / "test"
    folder.mkdir(parents=True)
    summary = metrics.evaluate(fake_run.predictions([3, 0, 0]), (3, 3, 3)).summary()
    per_class = {"apu": {"support": 3}, "bart": {"support": 0}, "lisa": {"support": 0}}
    document = {"metrics": summary, "per_class": per_class}
    (folder / "evaluation.json").write_text(json.dumps(document))
    text = model_card.write(run_dir).read_text(encoding="utf-8")
    assert re.search(r"macro-F1 \d+\.\d% over 2 of 3 classes, top-1", text)
    assert "means over the classes that have pictures, of 3: dev 2, test 1." in text
    whole = model_card.write(_run(tmp_path / "whole", (3, 3, 3))).read_text(encoding="utf-8")
    assert " of 3 classes, top-1" not in whole and "that have pictures, of" not in whole


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_the_weakest_are_those_of_its_own_table(data: st.DataObject) -> None:
    """Few scores make ties; classes may have no picture, and some of those a mistaken one."""
    classes = data.draw(st.integers(2, 9))
    labels = data.draw(st.lists(st.integers(0, classes - 2), min_size=1, max_size=30))
    answers = data.draw(st.lists(st.integers(0, classes - 1), min_size=30, max_size=30))
    logits = np.eye(classes, dtype=np.float32)[answers[: len(labels)]]
    predicted = metrics.Predictions(("",) * len(labels), np.array(labels), logits)
    evaluation = metrics.evaluate(predicted, [50] * classes)
    weak = model_card.weakest(evaluation)
    table = {
        i: r.f1
        for i, r in enumerate(evaluation.per_class)
        if r.support and r.f1 is not None and r.f1 < 1
    }
    assert len(weak) == min(5, len(table)) == len(set(weak))
    assert [table[i] for i in weak] == sorted(table.values())[: len(weak)]
    assert weak == model_card.weakest(evaluation)


def test_a_class_of_a_perfect_score_is_not_weak(tmp_path: Path) -> None:
    card = model_card.load(_run(tmp_path))
    labels = np.array([0] * 9 + [1] * 9 + [2] * 9)
    answers = labels.copy()
    logits = np.eye(3, dtype=np.float32)[answers]
    perfect = metrics.Predictions(("",) * 27, labels, logits)
    assert "weakest" not in model_card.render(dataclasses.replace(card, predictions=perfect))
    answers[0] = 1
    logits = np.eye(3, dtype=np.float32)[answers]
    mistaken = dataclasses.replace(perfect, logits=logits)
    text = model_card.render(dataclasses.replace(card, predictions=mistaken))
    assert "The weakest classes by F1: apu (94.1%), bart (94.7%)." in text


def test_a_weak_class_of_few_pictures_is_named(tmp_path: Path) -> None:
    card = model_card.load(_run(tmp_path))
    logits = card.predictions.logits.copy()
    logits[-1, 0] = 9.0  # One of the three pictures of bart is mistaken.
    card = dataclasses.replace(
        card, predictions=dataclasses.replace(card.predictions, logits=logits)
    )
    rows = model_card.render(card)
    evaluation = metrics.evaluate(card.predictions, card.train_counts, card.temperature)
    weak = model_card.weakest(evaluation)
    names = ", ".join(
        f"{card.classes[i]} ({100 * (evaluation.per_class[i].f1 or 0):.1f}%)" for i in weak
    )
    assert f"The weakest classes by F1: {names}." in rows
    assert {card.classes[i] for i in weak} == {"apu", "bart"}


def test_says_which_weights_were_loaded(tmp_path: Path) -> None:
    card = model_card.load(_run(tmp_path))
    assert "| Weights | all new |" in model_card.render(card)
    text = "loaded 245 of 247 weights from lite0.h5; new: head"
    config = RunConfig.from_json(dataclasses.replace(card.config, loaded=text).to_json())
    assert f"| Weights | {text} |" in model_card.render(dataclasses.replace(card, config=config))
    assert dict(settings_of(config))["run"]["weights"] == text


def test_counts_what_was_selected(tmp_path: Path) -> None:
    card = model_card.load(_run(tmp_path, max_rank=1))
    assert card.train_counts == (1, 1, 1)
    assert "records of rank below 1" in model_card.render(card)


def test_names_break_no_table(tmp_path: Path) -> None:
    card = dataclasses.replace(
        model_card.load(_run(tmp_path)), classes=("a|b", "_x_ <script>", "new\nline`*")
    )
    text = model_card.render(card)
    section = text.split("## Results by class")[1].split("##")[0].strip()
    header, _, *rows = section.splitlines()
    assert len(rows) == 3
    for row in rows:
        assert len(re.findall(r"(?<!\\)\|", row)) == len(re.findall(r"\|", header))
    assert "\\_x\\_ \\<script\\>" in text


def test_lists_evaluations_and_their_leaks(tmp_path: Path) -> None:
    run_dir = _run(tmp_path)
    summary = metrics.evaluate(fake_run.predictions([3, 2, 2]), (3, 3, 3)).summary()
    for name, leaks in (("test", 0), ("train", 7)):
        folder = run_dir / "evaluation" / name
        folder.mkdir(parents=True)
        (folder / "evaluation.json").write_text(json.dumps({"metrics": summary, "leaks": leaks}))
    text = model_card.write(run_dir).read_text(encoding="utf-8")
    assert f"| test | {100 * summary['macro_f1']:.1f}%" in text  # type: ignore[operator]  # A number, as the test wrote it.
    assert "**train: holds pictures that the run trained on.**" in text


def test_the_report_writes_it_for_a_run(tmp_path: Path) -> None:
    run_dir = _run(tmp_path)
    files = fake_run.predictions([12, 3, 0])
    page.write(
        page.RunFiles(
            run_dir=run_dir,
            data_dir=tmp_path / "data",
            classes=("apu", "bart", "lisa"),
            train_counts=(2, 2, 2),
            history=run_dir / "metrics.csv",
            predictions=files,
            flags=RunConfig.read(run_dir).flags,
            settings={},
        )
    )
    assert (run_dir / model_card.CARD).exists()


@pytest.mark.parametrize("missing", ["config.json", "predictions.parquet", "metrics.csv"])
def test_names_what_an_unfinished_run_lacks(
    tmp_path: Path, missing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = _run(tmp_path)
    (run_dir / missing).unlink()
    assert model_card.COMMAND.run([f"--run_dir={run_dir}"]) == 1
    error = capsys.readouterr().err
    assert missing in error
    assert error.count("\n") == 1
