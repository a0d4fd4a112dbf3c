"""Runs of several bakes of the same pictures, evaluated together: each on its own bake."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import evenshard
from evenshard import __main__ as program
from tests.support.datasets import fakes
from tfrecords import ledger
from trainer.evaluate import __main__ as evaluate
from trainer.evaluate import run as evaluation
from trainer.evaluate.config import EvaluateConfig

COUNTS = {"apu": 14, "bart": 10, "lisa": 8}
BAKES: dict[str, dict[str, Any]] = {
    "large": {},
    # Other pixels, other shards, another order of classes, copies; the splits are the same.
    "small": {
        "image_size": 12, "per_class": 6, "num_shards": 2, "class_order": ["lisa", "apu", "bart"]
    },
    "dealt anew": {"seed": 5},
}  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures/ and, for each bake of them, its data/ and a run/."""
    folder = tmp_path_factory.mktemp("bakes")
    fakes.write_folders(folder / "pictures", COUNTS)
    for seed, (name, changed) in enumerate(BAKES.items()):
        given = {"image_size": 16, "splits": "train:0.5,validation:0.2,test:0.3"} | changed
        evenshard.bake(
            folder / "pictures", folder / name / "data", encoding="png", workers=1, **given
        )
        evenshard.train(
            folder / name / "data", folder / name / "run", seed=seed, epochs=2, batch_size=8,
            model="tests.support.networks.tiny:network", learning_rate=0.02, progress="none",
        )  # fmt: skip
    return folder


@pytest.fixture(autouse=True)
def without_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes no page and no predictions."""
    monkeypatch.setattr(evaluation.page, "write", lambda run: run.run_dir / "index.html")


def runs_of(root: Path, *names: str) -> tuple[str, ...]:
    return tuple(str(root / name / "run") for name in names)


def expected(root: Path, name: str, classes: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Returns id → probabilities of `classes`, as predict has them of the pixels of a bake."""
    data, run = evenshard.open(root / name / "data"), evenshard.load_run(root / name / "run")
    images = {record.id: data.pixels(record) for record in data.records("test")}
    found = run.predict(list(images.values()))
    order = [found.class_names.index(name) for name in classes]
    return dict(zip(images, found.probabilities[:, order], strict=True))


@pytest.mark.parametrize("names", [("large", "small"), ("small", "large")])
def test_each_run_sees_the_pictures_of_its_own_bake(
    root: Path, tmp_path: Path, names: tuple[str, str]
) -> None:
    out = tmp_path / "out"
    run_dirs = runs_of(root, *names)
    found = evaluation.run(EvaluateConfig(run_dir=run_dirs, output_dir=str(out)))
    classes = evenshard.load_run(run_dirs[0]).classes
    each = [expected(root, name, classes) for name in names]
    assert set(found.predictions.ids) == each[0].keys() == each[1].keys()
    mean = np.stack([(each[0][id_] + each[1][id_]) / 2 for id_ in found.predictions.ids])
    np.testing.assert_allclose(found.predictions.probabilities(), mean, atol=2e-6)
    data = evenshard.open(root / names[0] / "data")
    labels = {record.id: data.classes[record.label] for record in data.records("test")}
    told = zip(found.predictions.ids, found.predictions.labels, strict=True)
    assert {id_: classes[label] for id_, label in told} == labels
    document = json.loads((out / "evaluation.json").read_text())
    assert [item["run_dir"] for item in document["evaluated_on"]] == list(run_dirs)
    digests = [evenshard.open(root / name / "data").manifest.digest for name in names]
    assert [item["digest"] for item in document["evaluated_on"]] == digests


def test_the_command_that_evaluates_them_again_does_the_same(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [f"--run_dir={','.join(runs_of(root, 'large', 'small'))}", f"--output_dir={tmp_path}/o"]
    assert evaluate.COMMAND.run(argv) == 0
    first = (tmp_path / "o" / "evaluation.json").read_bytes()
    capsys.readouterr()
    assert program.main(["report", f"{tmp_path}/o"]) == 2
    again = shlex.split(capsys.readouterr().err.split("`")[1])
    assert {*again[2:]} == {*argv}
    assert program.main(again[1:]) == 0
    assert (tmp_path / "o" / "evaluation.json").read_bytes() == first


def refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, runs: tuple[str, ...], *flags: str
) -> str:
    """Returns the error of a command, which is one line."""
    argv = [f"--run_dir={','.join(runs)}", f"--output_dir={tmp_path / 'refused'}", *flags]
    assert evaluate.COMMAND.run(argv) in (1, 2)
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert not (tmp_path / "refused").exists()
    return error


def test_other_splits_are_refused_with_the_run_and_what_helps(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = runs_of(root, "large", "small", "dealt anew")
    error = refused(capsys, tmp_path, runs)
    assert f"'test' holds other pictures for {runs[2]} (dataset, " in error
    assert f"than for {runs[0]} (dataset, " in error
    tables = [ledger.read(root / name / "data") for name in ("large", "dealt anew")]
    keys = [
        {*table.filter(pc.equal(table["split"], "test"))["key"].to_pylist()} for table in tables
    ]
    assert f"{len(keys[0] ^ keys[1])} are in one of them only, such as " in error
    assert f"evenshard predict --run_dir={','.join(runs)} --input=FOLDER" in error
    # One data set for all is no way round: what one holds out, the other was trained on.
    error = refused(capsys, tmp_path, runs, f"--data_dir={root / 'small' / 'data'}")
    assert runs[0] in error and "is larger than the stored 12x12" in error
    assert "without --data_dir each run reads the data set that it was trained on" in error
    error = refused(capsys, tmp_path, runs, f"--data_dir={root / 'large' / 'data'}")
    assert error.startswith(f"error: {runs[2]}: ") and "'test' are files that the run" in error
    assert "or leave this run out of --run_dir" in error


def test_one_data_set_that_none_was_trained_on(root: Path, tmp_path: Path) -> None:
    fakes.write_folders(tmp_path / "new" / "pictures", {name: 5 for name in COUNTS})
    for place, path in enumerate(sorted((tmp_path / "new" / "pictures").rglob("*.jpg"))):
        hue = 90 * (place % 3) + 13
        path.write_bytes(fakes.picture_bytes(f"new {place}", height=24, width=24, hue=hue))
    evenshard.bake(
        tmp_path / "new" / "pictures", tmp_path / "new" / "data", image_size=20, encoding="png",
        workers=1, splits="train:0.2,test:0.8",
    )  # fmt: skip
    config = EvaluateConfig(
        run_dir=runs_of(root, *BAKES),
        data_dir=str(tmp_path / "new" / "data"),
        output_dir=str(tmp_path / "out"),
    )
    found = evaluation.run(config)
    assert len(found.predictions.ids) == 12 and not found.leaks
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["evaluated_on"] is None


@pytest.fixture
def sources(root: Path) -> Iterator[Path]:
    """The ledger of one bake, which is put back after a test."""
    path = root / "small" / "data" / "sources.parquet"
    content = path.read_bytes()
    yield path
    path.write_bytes(content)


def test_another_file_of_one_name_is_another_picture(
    root: Path, sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = ledger.read(sources.parent)
    rows = table.to_pylist()
    changed = next(row for row in rows if row["split"] == "test" and row["shard"])
    changed["sha256"] = "0" * 64
    pq.write_table(pa.Table.from_pylist(rows, table.schema), sources)
    error = refused(capsys, tmp_path, runs_of(root, "large", "small"))
    assert "1 are in one of them only, or have another class or other bytes" in error
    assert f"such as {changed['key']!r}" in error
    sources.unlink()
    error = refused(capsys, tmp_path, runs_of(root, "large", "small"))
    assert "cannot check whether 'test' holds the same pictures for all runs" in error
