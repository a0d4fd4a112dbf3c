"""One bake for all folds: what is read of each, trained on, and put together over all."""

from __future__ import annotations

import csv
import dataclasses
import json
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import evenshard
from evenshard import Dataset
from tests.support.processes import commands
from tests.support.runs import runs
from tests.support.runs.train_configs import config as train_config
from tfrecords import ledger, manifest, verify
from tfrecords.errors import UsageError
from tfrecords.manifest import MANIFEST
from tfrecords.schema import ImageRecord
from trainer.data.selection import Selection, open_split, select
from trainer.data.stream import stream_source
from trainer.export import parity
from trainer.export.config import ExportConfig
from trainer.features.backbone import Runtime, Runtimes, backbone_of, tensorflow_runtime
from trainer.features.extract import Extractor, index_of
from trainer.models.build import build
from trainer.runs.load import load_run
from trainer.train import run as train

COUNTS = {"apu": 21, "bart": 9, "lisa": 6}
FOLDS = 2
PER_CLASS = 10
FLAGS = {"image_size": 16, "encoding": "png", "near_duplicates": "off", "workers": 0}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for name, count in COUNTS.items():
        (root / name).mkdir()
        colour = rng.integers(0, 256, 3)
        for number in range(count):
            pixels = np.clip(colour + rng.normal(0, 50, (20, 20, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number:03}.png")
    return root


@pytest.fixture(scope="module")
def folded(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("folded") / "d"
    evenshard.bake(pictures, output, splits=f"folds:{FOLDS},test:0.2", per_class=PER_CLASS, **FLAGS)
    return output


def part_of(folded: Path, fold: int) -> dict[str, str]:
    """Returns key → split, as a bake of that fold alone would have it."""
    found = manifest.load(folded)
    held_out = {shard.filename for shard in found.shards_of_fold(fold)}
    return {
        row["key"]: "validation" if row["shard"] in held_out else row["split"]
        for row in ledger.read(folded).to_pylist()
    }


@pytest.fixture(scope="module")
def alone(pictures: Path, folded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bake whose table fixes fold 1 as validation."""
    folder = tmp_path_factory.mktemp("alone")
    rows = [(key, key.split("/")[0], split) for key, split in part_of(folded, 1).items()]
    with open(folder / "table.csv", "w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "split"), *rows])
    evenshard.bake(
        pictures, folder / "d", input_csv=folder / "table.csv", per_class=PER_CLASS, **FLAGS
    )
    return folder / "d"


def contents(records: Iterable[ImageRecord]) -> dict[str, tuple[int, int, bytes]]:
    return {record.id: (record.label, record.copy, record.image) for record in records}


@pytest.mark.parametrize("per_class", [None, 3, 7, PER_CLASS])
def test_a_fold_is_what_its_own_bake_holds(
    folded: Path, alone: Path, per_class: int | None
) -> None:
    """Records, copies and pixels; by the API, by the trainer's stream and by its features."""
    of_fold, of_bake = Dataset(folded, fold=1), Dataset(alone)
    for split in ("train", "validation", "test"):
        limit = per_class if split == "train" else None
        expected = contents(of_bake.records(split, per_class=limit))
        assert contents(of_fold.records(split, per_class=limit)) == expected
        assert sum(of_fold.counts(split).values()) == sum(of_bake.counts(split).values())
        labels = tuple(range(len(COUNTS)))
        selection = Selection(tuple(COUNTS), labels, max_rank=limit)
        source = open_split(of_fold.manifest, folded, split, selection)
        assert source.records == len(expected)
        batches = stream_source(source, 4).as_numpy_iterator()
        ids = [(id_.decode(), label) for _, some, of in batches for id_, label in zip(of, some)]  # noqa: B905
        assert sorted(ids) == sorted((id_, label) for id_, (label, _, _) in expected.items())
        assert set(index_of(source).ids) == expected.keys()


def test_some_classes_of_a_fold(folded: Path, alone: Path) -> None:
    chosen = {"classes": ("apu", "lisa"), "originals_only": True}
    of_fold = contents(Dataset(folded, fold=1).records(**chosen))
    assert of_fold == contents(Dataset(alone).records(**chosen))


def test_the_whole_has_no_balance_of_its_own(folded: Path) -> None:
    dataset = Dataset(folded)
    assert dataset.splits == ("train", "test")
    with pytest.raises(evenshard.EvenshardError, match="name a fold"):
        next(dataset.records("train"))
    found = sum(1 for _ in dataset.records("train", originals_only=True))
    assert found == sum(manifest.load(folded).split("train").originals)
    for id_ in ("apu/000.png", "lisa/000.png"):
        assert dataset.find(id_)[0].id == Dataset(folded, fold=0).find(id_)[0].id


def moved(counts: tuple[int, ...], number: int) -> tuple[int, ...]:
    """Returns counts of the same sum, with more of the first class and fewer of the last."""
    return counts[0] + number, *counts[1:-1], counts[-1] - number


def test_verify_checks_every_fold(folded: Path, tmp_path: Path) -> None:
    assert verify.verify(folded).sound
    found = manifest.load(folded)
    fold = found.folds[1]
    with pytest.raises(ValueError, match="fold 1: split 'validation'"):
        dataclasses.replace(
            found, folds=(found.folds[0], dataclasses.replace(fold, originals=(99, 0, 0)))
        )
    for change, what in (
        ({"train_copies": moved(fold.train_copies, 5)}, "once each"),
        ({"originals": moved(fold.originals, 1)}, "other numbers"),
    ):
        changed = dataclasses.replace(fold, **change)
        wrong = dataclasses.replace(found, folds=(found.folds[0], changed)).sealed()
        for path in folded.iterdir():
            if path.is_file():
                (tmp_path / path.name).write_bytes(path.read_bytes())
        (tmp_path / MANIFEST).write_text(wrong.to_json())
        problems = [str(each) for each in verify.verify(tmp_path).problems]
        assert any(each.startswith(f"{MANIFEST}: fold 1: ") and what in each for each in problems)


@pytest.mark.parametrize(
    ("fold", "message"), [(None, "--fold=0"), (2, "has folds 0 to 1"), (-1, "has folds 0 to 1")]
)
def test_training_says_which_fold(folded: Path, tmp_path: Path, fold, message) -> None:
    with pytest.raises(UsageError, match=message):
        train.run(runs.config(folded, tmp_path / "run", fold=fold))


def test_a_data_set_without_folds_has_none(alone: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not divided into folds"):
        train.run(runs.config(alone, tmp_path / "run", fold=0))


def test_a_ledger_of_other_ranks_is_refused(folded: Path, tmp_path: Path) -> None:
    for path in folded.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    rows = pq.read_table(tmp_path / "sources.parquet").to_pylist()
    next(row for row in rows if row["split"] == "train")["rank"] += 1
    pq.write_table(pa.Table.from_pylist(rows, ledger.SCHEMA), tmp_path / "sources.parquet")
    with pytest.raises(ledger.LedgerError, match="once each: bake again"):
        list(Dataset(tmp_path, fold=0).records("train"))


GRID = """
base: {model: "tests.support.networks.tiny:network", epochs: 2, batch_size: 8, learning_rate: 0.02}
folds: all
"""


def test_a_sweep_puts_the_folds_together(folded: Path, tmp_path: Path) -> None:
    (tmp_path / "grid.yaml").write_text(GRID)
    runs_dir = tmp_path / "runs"
    done = commands.run(
        "trainer.sweep", f"--data_dir={folded}", f"--runs_dir={runs_dir}",
        f"--grid={tmp_path / 'grid.yaml'}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr

    # Each picture of train once, by the run that held its fold out.
    table = pq.read_table(runs_dir / "out_of_fold" / "folds.parquet")
    rows = {row["key"]: row for row in table.to_pylist()}
    folds = [
        {key for key, split in part_of(folded, fold).items() if split == "validation"}
        for fold in range(FOLDS)
    ]
    assert {key for key, row in rows.items() if row["fold"] == 0} == folds[0]
    assert {key for key, row in rows.items() if row["fold"] == 1} == folds[1]
    assert len(rows) == table.num_rows == sum(map(len, folds))
    assert json.loads(table.schema.metadata[b"evenshard"])["classes"] == list(COUNTS)
    for fold in range(FOLDS):
        of_run = pq.read_table(runs_dir / f"fold={fold}" / "predictions.parquet").to_pylist()
        for row in of_run:
            assert rows[row["id"]]["label"] == row["label"] == row["id"].split("/")[0]
            np.testing.assert_allclose(
                rows[row["id"]]["probabilities"], row["probabilities"], rtol=1e-4, atol=1e-6
            )
        trained = pq.read_table(runs_dir / f"fold={fold}" / "trained_on.parquet")["key"].to_pylist()
        assert not set(trained) & folds[fold] and set(trained) <= folds[1 - fold]

    # Mean and spread over folds.
    with open(runs_dir / "folds.csv", newline="") as file:
        (group,) = csv.DictReader(file)
    with open(runs_dir / "leaderboard.csv", newline="") as file:
        board = list(csv.DictReader(file))
    scores = [float(row["val_macro_f1"]) for row in board]
    assert (group["group"], group["folds"], group["of"]) == ("folds", "2", "2")
    assert float(group["mean"]) == pytest.approx(np.mean(scores), abs=1e-5)
    assert float(group["spread"]) == pytest.approx(np.std(scores, ddof=1), abs=1e-5)
    assert {row["mean_over_folds"] for row in board} == {group["mean"]}
    page = (runs_dir / "report" / "index.html").read_text()
    assert "Over folds" in page and "Labels in doubt" in page
    assert re.search(r"evenshard predict --run_dir=\S+fold=0,\S+fold=1", page)
    assert (runs_dir / "out_of_fold" / "folds.label_issues.csv").exists()

    # A run knows its fold: what it was trained on is refused, its own validation is not.
    run_dir = f"--run_dir={runs_dir / 'fold=1'}"
    refused = commands.call("trainer.evaluate", run_dir, "--split=train")
    assert refused.returncode == 1 and "near-duplicates of pictures" in refused.stderr
    judged = commands.run("trainer.evaluate", run_dir, "--split=validation")
    assert judged.returncode == 0 and f"{len(folds[1])} pictures: macro-F1" in judged.stdout
    again = commands.run("evenshard", "report", str(runs_dir / "fold=1"))
    assert again.returncode == 0, again.stderr
    checked, version = parity._source(
        load_run(runs_dir / "fold=1"), ExportConfig(run_dir=str(runs_dir / "fold=1"))
    )
    assert checked.split.name == "test"
    version.check()


def test_folds_share_the_features_of_their_pictures(folded: Path, tmp_path: Path) -> None:
    """What is computed for one fold is there for all others."""
    backbone = backbone_of(
        build(train_config(model="tests.support.networks.tiny:network"), (16, 16), 3)
    )
    runtimes, run = Runtimes(backbone, on_cpu=False), tensorflow_runtime(backbone)
    computed: list[int] = []
    quickest = runtimes.quickest

    def counted(missing: int) -> tuple[str, Runtime]:
        computed.append(missing)
        return quickest(missing)

    runtimes.quickest = counted  # type: ignore[method-assign]  # Replaced for the test.
    extractor = Extractor(
        backbone, "network", "tiny", "dataset", runtimes, tmp_path, say=lambda text: None,
        progress="none", stopped=lambda: False,
    )  # fmt: skip
    whole = manifest.load(folded)
    for fold in range(FOLDS):
        view = whole.of_fold(fold)
        for split in ("train", "validation"):
            selection = select(view, originals_only=True)
            source = open_split(view, folded, split, selection)
            index = index_of(source)
            found = extractor.features(source, index)
            assert found is not None and found.ids == index.ids
            images = {
                id_.decode(): picture
                for pictures, _, ids in stream_source(source, 4).as_numpy_iterator()
                for id_, picture in zip(ids, pictures, strict=True)
            }
            expected = run(np.stack([images[id_] for id_ in found.ids]))
            np.testing.assert_allclose(found.values, expected, atol=2e-3)
    assert sum(computed) == sum(whole.split("train").originals)
