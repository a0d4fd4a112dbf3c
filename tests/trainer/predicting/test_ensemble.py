"""Several runs answer with the mean of their probabilities, classes aligned by name."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.datasets import fakes
from tfrecords.errors import TrainerError, UsageError
from tfrecords.inputs import listing
from tfrecords.inputs.rows import InputPath, SourceFile
from tfrecords.schema import TRAIN, ImageSpec
from trainer.config import TrainConfig
from trainer.data import decoding
from trainer.metrics.probabilities import Temperature
from trainer.predicting import ensemble, run, together
from trainer.predicting.ensemble import Ensemble
from trainer.predicting.writing import Submission
from trainer.runs import load
from trainer.runs.load import LoadedRun
from trainer.train.run import run as train

CLASSES = ("apu", "bart", "lisa")


@pytest.fixture(scope="module")
def larger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on images of another size and encoding."""
    root = tmp_path_factory.mktemp("larger")
    spec = ImageSpec(24, 20)
    fakes.write_dataset(root / "data", {TRAIN: (5, 5, 9), "validation": (2, 2, 2)}, spec)
    config = TrainConfig(
        data_dir=str(root / "data"), run_dir=str(root / "run"), batch_size="8", epochs=1,
        model="tests.support.networks.tiny:network", progress="none",
    )  # fmt: skip
    train(config)
    return root / "run"


def listed(folder: Path) -> tuple[SourceFile, ...]:
    return listing.list_unlabelled(InputPath("--input", str(folder)))


def dense(found: Submission) -> np.ndarray:
    """Probabilities in label order, NaN where there are none."""
    result = np.full((len(found.ids), len(found.classes)), np.nan)
    for row in np.flatnonzero(found.labels[:, 0] >= 0):
        result[row, found.labels[row]] = found.probabilities[row]
    return result


def answers(runs: Ensemble | LoadedRun, folder: Path, tta: str = "none") -> np.ndarray:
    return dense(run.predict(runs, listed(folder), "bart", top_k=3, workers=1, tta=tta))


def renamed(opened: LoadedRun, classes: tuple[str, ...]) -> LoadedRun:
    """The same network, whose outputs are called otherwise."""
    selection = dataclasses.replace(opened.selection, classes=classes)
    stored = dataclasses.replace(opened.stored, selection=selection)
    return dataclasses.replace(opened, stored=stored)


@pytest.mark.parametrize("tta", ["none", "flip"])
def test_the_mean_of_runs_of_different_sizes(
    run_dir: Path, larger: Path, folder: Path, tta: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = [load.open_run(path) for path in (run_dir, larger)]
    third = load.open_run(run_dir, "last")
    expected = np.mean([answers(each, folder, tta) for each in (*alone, third)], axis=0)
    passes: list[ImageSpec] = []
    decode = decoding.Decoders.__init__
    monkeypatch.setattr(
        decoding.Decoders, "__init__",
        lambda self, spec, *args: (passes.append(spec), decode(self, spec, *args))[1],
    )  # fmt: skip
    found = answers(Ensemble((*alone, third)), folder, tta)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert not np.allclose(found, answers(alone[0], folder, tta), equal_nan=True, atol=1e-4)
    # Each form of image once, and then once more for the comparison.
    assert passes[:2] == [alone[0].manifest.image, alone[1].manifest.image] and len(passes) == 3


def test_classes_are_aligned_by_name(run_dir: Path, folder: Path) -> None:
    opened = load.open_run(run_dir)
    other = renamed(opened, ("lisa", "apu", "bart"))
    p = answers(opened, folder)
    both = Ensemble((opened, other))
    np.testing.assert_allclose(answers(both, folder), (p + p[:, [1, 2, 0]]) / 2, atol=1e-6)
    assert both.classes == CLASSES
    # Of the other run lisa has 9 pictures, apu 12 and bart 5.
    assert both.train_counts.tolist() == [9 + 12, 12 + 5, 5 + 9]
    assert run.fallback_class(both) == "apu"


def test_each_run_has_its_own_temperature(run_dir: Path, folder: Path) -> None:
    warm = load.open_run(run_dir)
    cold = dataclasses.replace(
        warm, validation=dataclasses.replace(warm.validation, temperature=Temperature(4.0))
    )
    logits = np.log(answers(warm, folder)) * warm.probabilities.temperature.value / 4.0
    flat = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        answers(Ensemble((warm, cold)), folder), (answers(warm, folder) + flat) / 2, atol=1e-5
    )


def test_a_picture_that_one_form_cannot_have_is_rejected(
    run_dir: Path, larger: Path, folder: Path
) -> None:
    both = Ensemble((load.open_run(run_dir), load.open_run(larger)))
    rows = listed(folder / "d0")

    def decode(spec: ImageSpec) -> list[decoding.Decoded]:
        good = [decoding.decode(row, spec) for row in rows]
        if spec == both.groups[0].spec:
            good[2] = decoding.Decoded(rows[2], None, None, "slow")
        return good

    found = run.classify(both, tuple(row.key for row in rows), decode, "bart")
    assert [item.detail for item in found.rejects] == ["slow"]
    assert found.labels[2, 0] == -1 and (np.delete(found.labels[:, 0], 2) >= 0).all()


def test_the_record_says_which_runs(
    run_dir: Path, larger: Path, folder: Path, tmp_path: Path
) -> None:
    output = str(tmp_path / "s.csv")
    runs = [str(run_dir), str(larger)]
    run.run(runs, str(folder / "d0"), output, workers=1)
    record = json.loads(Path(f"{output}.runs.json").read_text())
    assert [item["run_dir"] for item in record["runs"]] == runs
    assert [item["image_size"] for item in record["runs"]] == [[16, 16], [24, 20]]
    digests = [load.open_run(path).stored.dataset.digest for path in runs]
    assert [item["dataset"]["digest"] for item in record["runs"]] == digests
    run.run(runs[:1], str(folder / "d0"), output, workers=1)
    assert not Path(f"{output}.runs.json").exists()


def test_runs_that_cannot_answer_together(run_dir: Path, larger: Path, tmp_path: Path) -> None:
    together.check([str(run_dir), str(larger)])
    other = tmp_path / "other"
    other.mkdir()
    text = (larger / "config.json").read_text().replace('"lisa"', '"lise"')
    (other / "config.json").write_text(text)
    with pytest.raises(UsageError, match=r"1 only in .*run \('lisa'\), 1 only in .*\('lise'\)"):
        together.check([str(run_dir), str(other)])
    with pytest.raises(UsageError, match="are the same run"):
        together.check([str(run_dir), f"{run_dir}/../run"])
    with pytest.raises(TrainerError, match="not a run directory"):
        together.check([str(run_dir), str(tmp_path)])
    with pytest.raises(UsageError, match="--run_dir is required"):
        ensemble.open_runs([])


@pytest.mark.parametrize(
    ("folders", "typed", "meant"),
    [
        (["a", "b"], "a,b", ["a", "b"]),
        (["x=1,y=2"], "x=1,y=2", ["x=1,y=2"]),
        (["x=1,y=2", "x=1,y=3"], "x=1,y=2,x=1,y=3", ["x=1,y=2", "x=1,y=3"]),
        (["a", "x,y"], "a,x,y", ["a", "x,y"]),
        (["a"], "a,b", ["a", "b"]),  # The one that is missing is told later.
        (["a", "b", "a,b"], "a,b", None),
        ([], "a", ["a"]),
    ],
)
def test_commas_separate_runs_and_may_be_in_their_names(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    folders: list[str],
    typed: str,
    meant: list[str] | None,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in folders:
        (tmp_path / name).mkdir()
    if meant is not None:
        assert together.named(typed.split(",")) == meant
    else:
        with pytest.raises(UsageError, match="may mean 'a', 'b' or 'a,b'"):
            together.named(typed.split(","))
