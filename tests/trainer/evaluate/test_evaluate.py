"""Evaluation of a small trained run, as its user runs it."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.datasets import fakes, ledgers
from tests.support.runs import run_configs, tiny_run
from tfrecords import ledger
from tfrecords import manifest as manifests
from tfrecords.images.canonicalise import PIXELS_VERSION
from trainer.evaluate import __main__ as evaluate
from trainer.evaluate import result
from trainer.evaluate import run as evaluation
from trainer.evaluate.config import EvaluateConfig
from trainer.evaluate.result import Result
from trainer.metrics import metrics, predictions, probabilities
from trainer.metrics.probabilities import Temperature
from trainer.predicting.pixel_rules import OtherPixelsWarning
from trainer.report import model_card
from trainer.runs import locate, trained_on
from trainer.runs.config_file import RunConfig
from trainer.runs.load import open_run


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_run.write_data(tmp_path_factory.mktemp("data"), copies=2)


@pytest.fixture(scope="module")
def run_dir(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_run.train(data_dir, tmp_path_factory.mktemp("run") / "tiny")


@pytest.fixture(scope="module")
def judged(run_dir: Path) -> Result:
    return evaluation.run(EvaluateConfig(run_dir=str(run_dir)))


@pytest.fixture
def without_page(monkeypatch: pytest.MonkeyPatch, judged: Result) -> None:
    """One page is enough: drawing it takes longer than judging."""
    monkeypatch.setattr(evaluation.page, "write", lambda run: run.run_dir / "index.html")


def _config(run_dir: Path, tmp_path: Path, **changes: object) -> EvaluateConfig:
    start = EvaluateConfig(run_dir=str(run_dir), output_dir=str(tmp_path / "out"))
    return dataclasses.replace(start, **changes)  # type: ignore[arg-type]  # Values of a table.


def test_writes_numbers_tables_plots_and_a_page(run_dir: Path, judged: Result) -> None:
    folder = run_dir / "evaluation" / "test"
    assert judged.page == folder / "report" / "index.html"
    assert {path.name for path in folder.iterdir()} == {
        "evaluation.json",
        "label_issues.csv",
        "per_class.csv",
        "predictions.parquet",
        "confusion.png",
        "calibration.png",
        "f1_by_class_size.png",
        "report",
    }
    found = json.loads((folder / "evaluation.json").read_text())
    assert (found["pictures"], found["leaks"], found["left_out"]) == (9, 0, 0)
    assert found["metrics"] == judged.evaluation.summary()
    assert found["temperature_split"] == ""
    assert "needs 100 validation pictures, and there are 9" in found["temperature_note"]
    stored, classes, about = predictions.read(folder / "predictions.parquet")
    assert sorted(stored.ids) == sorted(judged.predictions.ids)
    assert (classes, about["split"]) == (tuple(fakes.CLASSES), "test")


def test_pictures_made_by_other_rules_are_told(
    run_dir: Path, data_dir: Path, tmp_path: Path
) -> None:
    shutil.copytree(data_dir, tmp_path / "later")
    path = tmp_path / "later" / "manifest.json"
    document = json.loads(path.read_text())
    document["config"]["pixels_version"] = PIXELS_VERSION + 1
    path.write_text(manifests.Manifest.from_json(json.dumps(document)).sealed().to_json())
    with pytest.warns(OtherPixelsWarning, match=f"are made by version {PIXELS_VERSION + 1}"):
        evaluation.prepare(_config(run_dir, tmp_path, data_dir=str(tmp_path / "later")))


def test_the_best_weights_repeat_the_validation_of_training(
    run_dir: Path, tmp_path: Path, without_page: None
) -> None:
    again = evaluation.run(_config(run_dir, tmp_path, split="validation"))
    stored, _, _ = predictions.read(run_dir / "predictions.parquet")
    assert again.predictions.ids == stored.ids
    np.testing.assert_allclose(
        again.predictions.probabilities(), stored.probabilities(), rtol=1e-4, atol=1e-6
    )
    for name in ("macro_f1", "top1", "loss"):
        own = again.validation[f"val_{name}"]
        assert getattr(again.evaluation, name) == pytest.approx(own, rel=1e-4)
    assert again.evaluation.loss_uncalibrated == again.evaluation.loss  # There is no temperature.


def test_last_and_average_are_other_weights(
    run_dir: Path, tmp_path: Path, without_page: None
) -> None:
    last, average = (
        evaluation.run(_config(run_dir, tmp_path, weights=weights)).predictions.logits
        for weights in ("last", "ema")
    )
    assert np.abs(last - average).max() > 1e-6


def test_logit_adjustment_is_menons(
    run_dir: Path, tmp_path: Path, judged: Result, without_page: None
) -> None:
    adjusted = evaluation.run(_config(run_dir, tmp_path, logit_adjustment=1.5))
    counts = np.array([14, 10, 7])  # Originals and copies.
    expected = judged.predictions.logits - 1.5 * np.log(counts / counts.sum())
    np.testing.assert_allclose(adjusted.predictions.logits, expected, rtol=1e-5, atol=1e-5)


def test_flip_averages_both_sides(
    run_dir: Path, tmp_path: Path, data_dir: Path, without_page: None
) -> None:
    both = evaluation.run(_config(run_dir, tmp_path, tta="flip")).predictions
    trained = open_run(run_dir)
    manifest = manifests.load(data_dir)
    expected = {}
    for split in ("test",):
        for id_, image in evaluation_pictures(data_dir, manifest, split).items():
            sides = np.stack([image, image[:, ::-1]])
            logits = np.asarray(trained.model(sides, training=False))
            one = metrics.Predictions(("a", "b"), np.zeros(2), logits)
            expected[id_] = one.probabilities().mean(axis=0)
    for id_, found in zip(both.ids, both.probabilities(), strict=True):
        np.testing.assert_allclose(found, expected[id_], rtol=1e-4, atol=1e-6)


def evaluation_pictures(
    data_dir: Path, manifest: manifests.Manifest, split: str
) -> dict[str, np.ndarray]:
    """Returns id → uint8[height, width, 3], read without TensorFlow."""
    from tfrecords import example, framing
    from tfrecords.images import canonicalise

    return {
        record.id: canonicalise.decode_record(record.image, manifest.image)
        for shard in manifest.split(split).shards
        for record in map(example.decode, framing.read_records(str(data_dir / shard.filename)))
    }


def test_the_runs_own_validation_is_said_beside_the_result(run_dir: Path, judged: Result) -> None:
    row = max(
        _epochs(run_dir), key=lambda row: (float(row["val_macro_f1"]), -float(row["val_loss"]))
    )
    first, second, *_ = result.describe(judged).splitlines()
    assert first.startswith("9 pictures: macro-F1 ")
    assert second == (
        f"its own validation, at epoch {row['epoch']}: macro-F1 {float(row['val_macro_f1']):.4f}, "
        f"top-1 {float(row['val_top1']):.4f}, balanced accuracy "
        f"{float(row['val_balanced_accuracy']):.4f}, loss {float(row['val_loss']):.4f}"
    )


def test_a_mean_over_some_classes_is_called_so(judged: Result) -> None:
    """The judged split has every class; of the first class's pictures alone, one is left."""
    kept = np.flatnonzero(judged.predictions.labels == 0)
    few = metrics.Predictions(
        tuple(judged.predictions.ids[row] for row in kept),
        judged.predictions.labels[kept],
        judged.predictions.logits[kept],
    )
    scores = metrics.evaluate(few, [50] * few.classes)
    text = result.describe(dataclasses.replace(judged, evaluation=scores, predictions=few))
    assert f"macro-F1 {scores.macro_f1:.4f} over 1 of {few.classes} classes, top-1 " in text


def test_weights_that_were_not_validated_have_no_numbers(
    run_dir: Path, tmp_path: Path, without_page: None
) -> None:
    """The run has --ema: it validated the average."""
    last = evaluation.run(_config(run_dir, tmp_path, weights="last"))
    assert "its own validation" not in result.describe(last)
    assert "the average of the weights is validated" in last.evaluation.temperature_note


def _epochs(run_dir: Path) -> list[dict[str, str]]:
    with open(run_dir / "metrics.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_adjusted_logits_get_a_temperature_of_their_own(
    run_dir: Path, tmp_path: Path, without_page: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not fitted where it is judged, but on validation, as adjusted."""
    given: list[np.ndarray] = []

    def fit(logits: np.ndarray, labels: np.ndarray) -> Temperature:
        given.extend((logits, labels))
        return Temperature(1.3)

    monkeypatch.setattr(probabilities, "fit", fit)
    result = evaluation.run(_config(run_dir, tmp_path, logit_adjustment=0.5))
    assert (result.temperature_split, result.evaluation.temperature) == ("validation", 1.3)
    stored, _, _ = predictions.read(run_dir / "predictions.parquet")
    np.testing.assert_array_equal(given[1], stored.labels)
    raw = given[0] + 0.5 * evaluation.log_priors(open_run(run_dir))
    np.testing.assert_allclose(
        probabilities.softmax(raw), stored.probabilities(), rtol=1e-4, atol=1e-6
    )


def test_refuses_what_the_run_has_trained_on(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], without_page: None
) -> None:
    argv = [f"--run_dir={run_dir}", "--split=train", f"--output_dir={tmp_path / 'out'}"]
    assert evaluate.COMMAND.run(argv) == 1
    error = capsys.readouterr().err
    assert "25 pictures of split 'train' are near-duplicates of pictures that the run" in error
    assert "--allow_leaks" in error
    assert not (tmp_path / "out").exists()
    assert evaluate.COMMAND.run([*argv, "--allow_leaks"]) == 0
    assert "warning: 25 of them" in capsys.readouterr().out


@pytest.fixture
def own(
    data_dir: Path, run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Path]:
    """A data set and a run on it, side by side, whose config.json has relative paths."""
    data, run = tmp_path / "w" / "data", tmp_path / "w" / "runs" / "tiny"
    shutil.copytree(data_dir, data)
    shutil.copytree(run_dir, run)
    stored = RunConfig.read(run)
    flags = dataclasses.replace(stored.flags, data_dir="data", run_dir="runs/tiny")
    monkeypatch.chdir(tmp_path / "w")
    place = locate.identity("fake", stored.dataset.digest, "data", "runs/tiny")
    run_configs.write(run, dataclasses.replace(stored, flags=flags, dataset=place))
    return data, run


def rebake(data: Path) -> None:
    """Writes a data set in place of another: what was trained on is now split otherwise."""
    before = manifests.load(data)
    rows = ledger.read(data).to_pylist()
    shutil.rmtree(data)
    after = fakes.write_dataset(data, {"train": (6, 5, 4), "test": (3, 3, 3)}, shards=1)
    assert after.digest != before.digest
    trained = [row for row in rows if row["split"] == "train"]
    tested = [row["key"] for row in ledger.read(data).to_pylist() if row["split"] == "test"]
    leaked = {
        key: {"sha256": row["sha256"], "phash": row["phash"]}
        for key, row in zip(tested[:8], trained[:8], strict=True)
    }
    fresh = {
        row["key"]: {"sha256": f"{i:064x}", "phash": i}
        for i, row in enumerate(ledger.read(data).to_pylist(), start=10**6)
    }
    ledgers.write(data, after, fresh | leaked)


def test_a_data_set_baked_again_in_place_is_not_the_one_trained_on(
    own: tuple[Path, Path], capsys: pytest.CaptureFixture[str], without_page: None
) -> None:
    data, run = own
    rebake(data)
    assert evaluate.COMMAND.run([f"--run_dir={run}"]) == 1
    error = capsys.readouterr().err
    assert "holds another" in error and "--data_dir" in error and error.count("\n") == 1
    # Named, it is judged on; what the run says that it was trained on tells the leaks.
    assert evaluate.COMMAND.run([f"--run_dir={run}", f"--data_dir={data}"]) == 1
    assert "8 pictures of split 'test' are files that the run was" in capsys.readouterr().err


def test_a_data_set_that_moved_is_the_same(
    own: tuple[Path, Path], without_page: None, judged: Result
) -> None:
    data, run = own
    moved = data.with_name("moved")
    data.rename(moved)
    found = evaluation.run(EvaluateConfig(run_dir=str(run), data_dir=str(moved)))
    np.testing.assert_array_equal(found.predictions.logits, judged.predictions.logits)
    assert found.leaks == ()


def test_a_run_without_trained_on_takes_its_data_set(
    own: tuple[Path, Path], capsys: pytest.CaptureFixture[str], without_page: None
) -> None:
    """As runs of earlier versions are."""
    data, run = own
    (run / trained_on.FILENAME).unlink()
    assert evaluation.run(EvaluateConfig(run_dir=str(run))).leaks == ()
    rebake(data)
    assert evaluate.COMMAND.run([f"--run_dir={run}", "--data_dir=data"]) == 1
    assert "cannot check whether the run was trained on" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["cut", "flip", "other"])
def test_a_damaged_trained_on_is_named(
    own: tuple[Path, Path], capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    _, run = own
    path = run / trained_on.FILENAME
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[60] ^= 1
    path.write_bytes(content[: len(content) // 2] if damage == "cut" else content)
    if damage == "other":
        of_run = trained_on.read(run)
        assert of_run is not None
        trained_on.write(run, dataclasses.replace(of_run, digest="0" * 64))
    assert evaluate.COMMAND.run([f"--run_dir={run}"]) == 1
    error = capsys.readouterr().err
    assert trained_on.FILENAME in error and error.count("\n") == 1


def test_another_working_directory_finds_the_data(
    own: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, without_page: None
) -> None:
    _, run = own
    monkeypatch.chdir("/")
    assert evaluation.run(EvaluateConfig(run_dir=str(run))).leaks == ()


def test_a_project_that_moved_as_a_whole_finds_its_data(
    own: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without_page: None
) -> None:
    monkeypatch.chdir("/")
    (tmp_path / "w").rename(tmp_path / "v")
    found = evaluation.run(EvaluateConfig(run_dir=str(tmp_path / "v" / "runs" / "tiny")))
    assert found.leaks == ()


def test_judges_some_classes_among_all(
    run_dir: Path, tmp_path: Path, judged: Result, without_page: None
) -> None:
    some = evaluation.run(_config(run_dir, tmp_path, classes=("lisa",)))
    assert set(some.predictions.labels) == {2}
    assert some.predictions.classes == 3
    whole = dict(zip(judged.predictions.ids, judged.predictions.logits, strict=True))
    for id_, logits in zip(some.predictions.ids, some.predictions.logits, strict=True):
        np.testing.assert_allclose(logits, whole[id_], rtol=1e-5, atol=1e-5)


def test_another_data_set_with_its_classes_in_another_place(
    run_dir: Path, tmp_path: Path, without_page: None
) -> None:
    """One class the network has not, one that it has at another label."""
    other = fakes.write_dataset(tmp_path / "other", {"train": (1, 1, 1), "test": (2, 2, 2)})
    renamed = json.loads((tmp_path / "other" / "manifest.json").read_text())
    renamed["classes"] = ["zebra", "apu", "bart"]
    renamed["digests"]["dataset"] = "2" * 64
    sealed = manifests.Manifest.from_json(json.dumps(renamed)).sealed()
    (tmp_path / "other" / "manifest.json").write_text(sealed.to_json())
    rows = ledgers.write(tmp_path / "other", other)
    fresh = {
        row["key"]: {"sha256": f"{i:064x}", "phash": i} for i, row in enumerate(rows, start=10**6)
    }
    ledgers.write(tmp_path / "other", manifests.load(tmp_path / "other"), fresh)
    config = _config(run_dir, tmp_path, data_dir=str(tmp_path / "other"))
    beside = dataclasses.replace(
        evaluation.prepare(config), config=dataclasses.replace(config, output_dir="")
    )
    assert beside.output_dir.name == "test-of-22222222"
    found = evaluation.run(config)
    labels = dict(zip(found.predictions.ids, found.predictions.labels, strict=True))
    # The fakes name their files after the classes of old: "bart/…" is "apu" now.
    assert {id_.split("/")[0]: int(label) for id_, label in labels.items()} == {
        "bart": 0,
        "lisa": 1,
    }
    assert found.left_out == 2
    assert found.temperature_split == ""


def test_looks_at_the_first_pictures_of_what_it_reads(
    run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(
        evaluation.first_records,
        "check",
        lambda _, *sources: seen.extend(source.split.name for source in sources),
    )
    evaluation.prepare(_config(run_dir, tmp_path))
    assert sorted(seen) == ["test", "validation"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"classes": ("ant", "bee")}, {"classes": ("ant", "cat")}),
        ({"classes": tuple("abcdefghij" * 5)}, {"classes": tuple("abcdefghi" * 6)}),
        ({"classes": ("a/b", "c")}, {"classes": ("a", "b/c")}),
        ({"classes": ("x" * 50, "c")}, {"classes": ("x" * 51, "c")}),
        ({"classes": ("..", "c")}, {"classes": ("../c", "d")}),
        ({}, {"classes": ("ant",)}),
        ({}, {"logit_adjustment": 1.0}),
        ({}, {"weights": "last"}),
        ({}, {"tta": "flip"}),
    ],
)
def test_different_evaluations_go_into_different_directories(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    labels = [EvaluateConfig(run_dir="r", **given).label for given in (one, other)]
    assert labels[0] != labels[1]
    assert all(len(label) < 60 and "/" not in label for label in labels)


def test_other_flags_have_another_directory() -> None:
    """Or the second evaluation would be written over the first."""
    flags: list[dict[str, Any]] = [
        {"classes": ("a", "b")}, {"classes": ("a+b",)}, {"classes": ("a b",)},
        {"tta": "flip"}, {"classes": ("flip",)}, {"weights": "last"}, {"classes": ("last",)},
        {"weights": "ema"}, {"classes": ("ema",)}, {"logit_adjustment": 1}, {"classes": ("tau1",)},
        {"classes": ("a_b",)}, {"classes": ("a-b",)}, {"classes": ("last-flip",)}, {},
        {"weights": "last", "tta": "flip"},
    ]  # fmt: skip
    labels = [EvaluateConfig(run_dir="r", **each).label for each in flags]
    assert len(set(labels)) == len(flags), labels


def test_the_order_of_classes_is_no_difference() -> None:
    labels = {EvaluateConfig(run_dir="r", classes=names).label for names in ("b,a", "a,b", "a,b,a")}
    assert labels == {"test-a+b"}


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["--split=tset"], 1, "no split 'tset'"),
        (["--classes=moe"], 2, "'moe' is not a class of both"),
        (["--data_dir=/nowhere"], 2, "/nowhere does not exist"),
        (["--logit_adjustment=99"], 2, "-10 to 10"),
        (["--batch_size=0"], 2, "1 or more"),
        (["--splt=test"], 2, "did you mean --split?"),
    ],
)
def test_says_what_is_wrong(
    run_dir: Path, capsys: pytest.CaptureFixture[str], argv: list[str], code: int, message: str
) -> None:
    assert evaluate.COMMAND.run([f"--run_dir={run_dir}", *argv]) == code
    assert message in capsys.readouterr().err


def test_cannot_judge_without_a_ledger(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], without_page: None
) -> None:
    other = tmp_path / "other"
    fakes.write_dataset(other, tiny_run.COUNTS)
    (other / manifests.SOURCES).unlink(missing_ok=True)
    argv = [f"--run_dir={run_dir}", f"--data_dir={other}", f"--output_dir={tmp_path / 'out'}"]
    assert evaluate.COMMAND.run(argv) == 1
    error = capsys.readouterr().err
    assert "sources.parquet" in error and "is missing" in error


def test_the_card_tells_of_every_judgement(run_dir: Path, judged: Result) -> None:
    text = (run_dir / model_card.CARD).read_text(encoding="utf-8")
    assert "| test |" in text
    assert manifests.load(judged_data(run_dir)).digest in text
    assert "adds those of an unused split" not in text


def judged_data(run_dir: Path) -> str:
    return json.loads((run_dir / "config.json").read_text())["flags"]["data_dir"]
