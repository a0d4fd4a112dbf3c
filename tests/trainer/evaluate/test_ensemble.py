"""Several runs evaluated as the one that predict makes of them."""

from __future__ import annotations

import dataclasses
import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import evenshard
from evenshard import __main__ as program
from tests.support.datasets import fakes
from tfrecords import example, framing, ledger
from tfrecords import manifest as manifests
from tfrecords.images import canonicalise
from trainer.config import TrainConfig
from trainer.evaluate import __main__ as evaluate
from trainer.evaluate import run as evaluation
from trainer.evaluate.config import EvaluateConfig
from trainer.metrics import metrics, predictions
from trainer.runs import trained_on
from trainer.train.run import run as train


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One bake with two folds, and a test split that is the same for both."""
    root = tmp_path_factory.mktemp("folds")
    fakes.write_folders(root / "pictures", {"apu": 14, "bart": 10, "lisa": 8})
    evenshard.bake(
        root / "pictures", root / "data", image_size=16, encoding="png", workers=1,
        splits="folds:2,test:0.3",
    )  # fmt: skip
    return root / "data"


@pytest.fixture(scope="module")
def runs(data_dir: Path) -> tuple[str, str]:
    """A run on each fold; one name has a comma, as trials of a sweep have, one another size."""
    found = []
    for fold, size in ((0, None), (1, (12, 12))):
        run_dir = data_dir.parent / ("epochs=2,fold=0" if fold == 0 else "other")
        train(
            TrainConfig(
                data_dir=str(data_dir), run_dir=str(run_dir), fold=fold, image_size=size,
                model="tests.support.networks.tiny:network", batch_size="8", epochs=2, seed=fold,
                learning_rate=0.02, progress="none",
            ),
            report=False,
        )  # fmt: skip
        found.append(str(run_dir))
    return found[0], found[1]


@pytest.fixture
def without_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes no page and no predictions."""
    monkeypatch.setattr(evaluation.page, "write", lambda run: run.run_dir / "index.html")


def test_the_mean_is_that_of_predict(
    data_dir: Path, runs: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    argv = [f"--run_dir={','.join(runs)}", "--split=test", f"--output_dir={out}"]
    assert evaluate.COMMAND.run(argv) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"mean probabilities of 2 runs: {', '.join(runs)}\n")
    assert f"\nnext: evenshard predict --run_dir={','.join(runs)} " in said
    stored, classes, about = predictions.read(out / predictions.FILENAME)
    manifest = manifests.load(data_dir)
    images = {
        record.id: canonicalise.decode_record(record.image, manifest.image)
        for shard in manifest.split("test").shards
        for record in map(example.decode, framing.read_records(str(data_dir / shard.filename)))
    }
    assert sorted(stored.ids) == sorted(images)
    expected = evenshard.load_run(list(runs)).predict([images[id_] for id_ in stored.ids])
    assert (expected.class_names, about["split"]) == (classes, "test")
    np.testing.assert_allclose(stored.probabilities(), expected.probabilities, atol=2e-6)
    alone = evenshard.load_run(runs[0]).predict([images[id_] for id_ in stored.ids])
    assert np.abs(alone.probabilities - expected.probabilities).max() > 1e-3
    document = json.loads((out / "evaluation.json").read_text())
    assert [run["run_dir"] for run in document["runs"]] == list(runs)
    assert document["run_dir"] is None
    counts = [round(float(np.mean(each))) for each in zip(*map(_train_counts, runs), strict=True)]
    judged = metrics.evaluate(stored, counts)
    for name in ("macro_f1", "top1", "balanced_accuracy", "head", "tail"):
        assert document["metrics"][name] == pytest.approx(getattr(judged, name))
    loss = metrics.cross_entropy(stored)
    assert document["metrics"]["loss"] == pytest.approx(loss, rel=1e-4)
    text = (out / "report" / "index.html").read_text(encoding="utf-8")
    assert "The mean of 2 runs of tests.support.networks.tiny:network" in text
    assert "flags that differ" in text.lower()


def test_what_writes_the_report_again_is_told(
    data_dir: Path,
    runs: tuple[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    without_page: None,
) -> None:
    out = tmp_path / "of both"
    argv = [
        f"--run_dir={','.join(runs)}",
        f"--output_dir={out}",
        "--tta=flip",
        "--classes=apu,bart",
    ]
    assert evaluate.COMMAND.run(argv) == 0
    first = (out / "evaluation.json").read_bytes()
    capsys.readouterr()
    assert program.main(["report", str(out)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    again = shlex.split(error.split("`")[1])
    assert again[:2] == ["evenshard", "evaluate"] and {f"--data_dir={data_dir}", *argv} <= {*again}
    (out / "evaluation.json").unlink()
    assert program.main(again[1:]) == 0
    assert (out / "evaluation.json").read_bytes() == first


def _train_counts(run_dir: str) -> tuple[int, ...]:
    return evenshard.load_run(run_dir)._stored.train_counts


def test_python_evaluates_several(
    runs: tuple[str, str], tmp_path: Path, without_page: None
) -> None:
    both = evenshard.load_run(list(runs))
    with pytest.raises(evenshard.UsageError, match="^output_dir is required with several runs"):
        both.evaluate()
    found = both.evaluate(output_dir=tmp_path / "out")
    document = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert found.metrics == document["metrics"]
    assert found.per_class["class"].to_pylist() == list(both.classes)


@pytest.mark.parametrize("split", ["validation", "train"])
@pytest.mark.parametrize("more", [(), ("--allow_leaks",)])
def test_a_split_that_differs_by_fold_is_no_common_one(
    runs: tuple[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    split: str,
    more: tuple[str, ...],
) -> None:
    argv = [f"--run_dir={','.join(runs)}", f"--output_dir={tmp_path / 'out'}", f"--split={split}"]
    assert evaluate.COMMAND.run([*argv, *more]) == 2
    error = capsys.readouterr().err
    assert "differs between folds, and the runs have --fold=0, --fold=1" in error
    assert error.count("\n") == 1 and not (tmp_path / "out").exists()


def test_what_any_of_them_was_trained_on_is_refused(
    data_dir: Path,
    runs: tuple[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    without_page: None,
) -> None:
    leaky = tmp_path / "leaky"
    shutil.copytree(runs[1], leaky)
    known = trained_on.read(leaky)
    rows = [row for row in ledger.read(data_dir).to_pylist() if row["split"] == "test"][:3]
    assert known is not None
    more = [
        {"key": row["key"], "group": row["group"], "sha256": None, "phash": None} for row in rows
    ]
    pictures = pa.concat_tables([known.pictures, pa.Table.from_pylist(more, trained_on.SCHEMA)])
    trained_on.write(leaky, dataclasses.replace(known, pictures=pictures))
    argv = [f"--run_dir={runs[0]},{leaky}", f"--output_dir={tmp_path / 'out'}"]
    assert evaluate.COMMAND.run(argv) == 1
    error = capsys.readouterr().err
    assert f"error: {leaky}: 3 pictures of split 'test' are near-duplicates" in error
    assert evaluate.COMMAND.run([*argv, "--allow_leaks"]) == 0
    assert "warning: 3 of them are, or resemble, pictures that a run" in capsys.readouterr().out


@pytest.fixture(scope="module")
def other(data_dir: Path) -> Path:
    """Another bake: one class that the runs do not know, one that they know at another label.

    Three of its pictures are those of the first one's.
    """
    pictures = data_dir.parent / "other_pictures"
    for name, hue, count in (("aardvark", 20, 4), ("bart", 90, 8), ("lisa", 170, 6)):
        (pictures / name).mkdir(parents=True)
        for number in range(count):
            data = fakes.picture_bytes(f"other {name}/{number}", height=24, width=24, hue=hue)
            (pictures / name / f"{number:04d}.jpg").write_bytes(data)
    for number in range(3):
        known = data_dir.parent / "pictures" / "lisa" / f"{number:04d}.jpg"
        shutil.copy(known, pictures / "lisa" / f"known{number}.jpg")
    evenshard.bake(
        pictures, data_dir.parent / "other_data", image_size=16, encoding="png", workers=1,
        splits="train:0.2,validation:0.2,test:0.6",
    )  # fmt: skip
    return data_dir.parent / "other_data"


@pytest.mark.parametrize("split", ["test", "validation"])
def test_the_mean_on_another_data_set_is_that_of_predict(
    runs: tuple[str, str],
    other: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    split: str,
) -> None:
    out = tmp_path / "out"
    argv = [f"--run_dir={','.join(runs)}", f"--data_dir={other}", f"--output_dir={out}"]
    assert evaluate.COMMAND.run([*argv, f"--split={split}", "--allow_leaks"]) == 0
    said = capsys.readouterr().out
    found = evenshard.open(other)
    records = [
        record for record in found.records(split) if found.classes[record.label] != "aardvark"
    ]
    left_out = sum(1 for _ in found.records(split)) - len(records)
    assert f"left out: {left_out} pictures of classes that the network does not know" in said
    stored, classes, about = predictions.read(out / predictions.FILENAME)
    assert (classes, about["split"]) == (("apu", "bart", "lisa"), split)
    names = {record.id: found.classes[record.label] for record in records}
    labels = zip(stored.ids, stored.labels, strict=True)
    assert {id_: classes[label] for id_, label in labels} == names
    images = {record.id: found.pixels(record) for record in records}
    expected = evenshard.load_run(list(runs)).predict([images[id_] for id_ in stored.ids])
    np.testing.assert_allclose(stored.probabilities(), expected.probabilities, atol=2e-6)
    document = json.loads((out / "evaluation.json").read_text())
    assert (
        document["dataset"]["digest"] == found.manifest.digest != document["trained_on"]["digest"]
    )
    assert document["left_out"] == left_out


def test_pictures_of_another_data_set_that_one_run_knows_are_refused(
    runs: tuple[str, str], other: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [f"--run_dir={','.join(runs)}", f"--data_dir={other}", f"--output_dir={tmp_path / 'o'}"]
    assert evaluate.COMMAND.run(argv) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {runs[1]}: 2 pictures of split 'test' are files that the run")
    assert error.count("\n") == 1 and not (tmp_path / "o").exists()


def test_runs_that_cannot_be_evaluated_together(
    runs: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = Path(runs[1], "config.json").read_text()
    (tmp_path / "classes").mkdir()
    (tmp_path / "classes" / "config.json").write_text(text.replace('"lisa"', '"lise"'))
    out = f"--output_dir={tmp_path / 'out'}"
    for others, flags, message in (
        (runs[1], [], "--output_dir is required with several runs"),
        (runs[1], [out, "--logit_adjustment=1"], "--logit_adjustment is for one run"),
        (runs[0], [out], "are the same run: give it once"),
        (str(tmp_path / "classes"), [out], "the runs differ in their classes: 1 only in"),
    ):
        assert evaluate.COMMAND.run([f"--run_dir={runs[0]},{others}", *flags]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1


def test_one_run_whose_name_has_a_comma(
    runs: tuple[str, str], tmp_path: Path, without_page: None
) -> None:
    found = evaluation.run(EvaluateConfig(run_dir=runs[0]))
    assert found.page == Path(runs[0], "evaluation", "test", "index.html")
