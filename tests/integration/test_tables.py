"""Tables in JSON and several tables through the whole bake: the same data set as of one CSV."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import evenshard
from beam_pipelines import complete, prepare, run
from beam_pipelines.config import PrepareConfig
from tests.integration.test_inputs import FLAGS
from tests.support.datasets import fakes
from tfrecords import manifest
from tfrecords.errors import UsageError

SPLITS = {"train": 4, "validation": 2, "test": 2}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of pictures, with the tables of their classes and splits in every form beside it."""
    folder = tmp_path / "in"
    folder.mkdir()
    every = []
    for split, count in SPLITS.items():
        names = [f"{split}_{n}.jpg" for n in range(2 * count)]
        for name in names:
            (folder / name).write_bytes(fakes.picture_bytes(name))
        rows = [(name, ("cat", "dog")[n % 2]) for n, name in enumerate(names)]
        (tmp_path / f"{split}.csv").write_text("".join(f"{p},{c}\n" for p, c in rows))
        (tmp_path / f"{split}.json").write_text(json.dumps(coco(rows)))
        every += [(*row, split) for row in rows]
    lines = ["path,label,split", *(",".join(row) for row in every)]
    (tmp_path / "every.csv").write_text("\n".join(lines) + "\n")
    keys = ("file_name", "label", "split")
    records = [dict(zip(keys, row, strict=True)) for row in every]
    (tmp_path / "every.json").write_text(json.dumps(records, indent=2))
    return folder


def coco(rows: list[tuple[str, str]]) -> dict[str, object]:
    names = sorted({name for _, name in rows})
    return {
        "images": [{"id": n, "file_name": path} for n, (path, _) in enumerate(rows)],
        "annotations": [
            {"image_id": n, "category_id": names.index(name)}
            for n, (_, name) in enumerate(rows)
            for _ in range(n % 3 + 1)
        ],
        "categories": [{"id": n, "name": name} for n, name in enumerate(names)],
    }


def tables(root: Path, suffix: str) -> str:
    return ",".join(f"{split}={root.parent / split}{suffix}" for split in SPLITS)


def config(root: Path, given: str, **values: object) -> PrepareConfig:
    output_dir = str(root.parent / "out")
    return PrepareConfig(
        **{**FLAGS, "input_dir": str(root), "input_csv": given, "output_dir": output_dir, **values}
    )


def shards(asked: PrepareConfig) -> dict[str, list[str]]:
    """Bakes, and returns the digests of each split."""
    assert run.run(asked, []) == 0
    found = manifest.load(asked.output_dir)
    return {split.name: [shard.sha256 for shard in split.shards] for split in found.splits}


def test_one_table_in_every_form_is_one_data_set(root: Path) -> None:
    expected = shards(config(root, str(root.parent / "every.csv")))
    assert list(expected) == list(SPLITS)
    for given in (str(root.parent / "every.json"), tables(root, ".csv"), tables(root, ".json")):
        assert shards(config(root, given, overwrite=True)) == expected


def test_the_same_bake_again(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every table counts for whether the input is the same."""
    asked = config(root, tables(root, ".csv"))
    assert prepare.main(asked) == 0
    assert prepare.main(asked) == 0
    assert "is complete, with the same input and flags: nothing to do" in capsys.readouterr().err
    unsplit = config(root, tables(root, ".csv").replace("train=", "").replace("validation=", "")
                     .replace("test=", ""))  # fmt: skip
    with pytest.raises(UsageError, match=r"baked otherwise \(--input_csv\)"):
        complete.require_same(unsplit)
    table = root.parent / "test.csv"
    status = table.stat()
    table.write_text(table.read_text())
    os.utime(table, ns=(status.st_atime_ns, status.st_mtime_ns + 10**12))
    with pytest.raises(UsageError, match=r"test\.csv was written, replaced or moved since"):
        complete.require_same(asked)


def test_in_python(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root.parent)
    given = "train=train.json,validation=validation.json,test=test.json"
    found = evenshard.plan("in", input_csv=given, image_size=16, workers=0)
    assert set(found.splits) == set(SPLITS)
    made = evenshard.bake("in", "out", input_csv=given, image_size=16, workers=0)
    assert set(made.splits) == set(SPLITS)
