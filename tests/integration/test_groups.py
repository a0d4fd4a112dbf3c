"""Bakes with --group_column: each patient in one split or fold, from a folder and from a zip."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

import evenshard
from tests.support.datasets import fakes
from tests.support.processes import commands
from tfrecords import ledger, manifest, verify
from tfrecords.errors import UsageError

FLAGS = {"image_size": 16, "encoding": "png", "workers": 0, "max_reject_fraction": 1.0}
PICTURES = {"apu": 30, "bart": 30}


def patient_of(name: str) -> str:
    """Returns the patient of pictures such as apu/0007.jpg: three of each class, some of none."""
    number = int(name[-8:-4])
    return "" if number in (4, 11) else f"p{number // 3}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = fakes.write_folders(tmp_path_factory.mktemp("in") / "pictures", PICTURES)
    write_table(root, patient_of)
    return root


def write_table(root: Path, patient: Callable[[str], str], **splits: str) -> None:
    """Writes labels.csv beside the class folders; `splits` are of patients."""
    text = io.StringIO()
    write = csv.writer(text).writerow
    write(["path", "label", "patient", *(["split"] if splits else [])])
    for file in sorted(root.rglob("*.jpg")):
        name = file.relative_to(root).as_posix()
        one = patient(name)
        write([name, name.split("/")[0], one, *([splits.get(one, "")] if splits else [])])
    (root / "labels.csv").write_text(text.getvalue())


@pytest.fixture(scope="module")
def baked(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("baked") / "d"
    bake(folder, output)
    return output


def bake(root: Path, output: Path, **flags: object) -> None:
    given = {"input_csv": root / "labels.csv", "group_column": "patient", **FLAGS, **flags}
    evenshard.bake(root, output, **given)  # type: ignore[arg-type]  # Flags of a test.


def places(output: Path) -> dict[str, set[object]]:
    """Returns patient → the splits, and in train the folds, that its pictures are in."""
    found = manifest.load(output)
    fold_of = {
        shard.filename: fold
        for fold in range(len(found.folds))
        for shard in found.shards_of_fold(fold)
    }
    result: dict[str, set[object]] = defaultdict(set)
    for row in ledger.read(output).to_pylist():
        if row["split"] is not None and (patient := patient_of(row["key"])):
            result[patient].add((row["split"], fold_of.get(row["shard"])))
    return result


def check_whole(output: Path) -> None:
    found = places(output)
    assert len(found) == 10 and all(len(own) == 1 for own in found.values()), found
    assert verify.verify(output).sound


def notes(output: Path) -> str:
    return "\n".join(json.loads((output / "report" / "bake.json").read_text())["notes"])


def test_a_patient_is_in_one_split_and_the_report_says_how(baked: Path, folder: Path) -> None:
    check_whole(baked)
    assert {name for name, _ in set.union(*places(baked).values())} == {
        "train",
        "validation",
        "test",
    }
    assert manifest.load(baked).config["group_column"] == "patient"
    page = (baked / "report" / "index.html").read_text()
    for text in ("puts 56 pictures into 10 groups, the largest of 6", "is empty for 4 of 60 pict"):
        assert f"--group_column=patient {text}" in notes(baked) and text in page
    assert "pictures that have one value of patient; the largest has 6" in page
    groups: dict[str, set[int]] = defaultdict(set)
    for row in ledger.read(baked).to_pylist():
        groups[patient_of(row["key"])].add(row["group"])
    assert len(groups.pop("")) == 4
    assert all(len(own) == 1 for own in groups.values())


def test_a_zip_gives_the_same_data_set(baked: Path, folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        for file in sorted(folder.rglob("*.*")):
            archive.write(file, file.relative_to(folder).as_posix())
    bake(tmp_path / "in.zip", tmp_path / "d", input_csv=tmp_path / "in.zip" / "labels.csv")
    one, other = commands.digests(baked), commands.digests(tmp_path / "d")
    assert {n: d for n, d in one.items() if "tfrecord" in n}.items() <= other.items()


def test_a_patient_is_in_one_fold(folder: Path, tmp_path: Path) -> None:
    bake(folder, tmp_path / "d", splits="folds:3,test:0.2")
    check_whole(tmp_path / "d")
    assert len(set.union(*places(tmp_path / "d").values())) == 4


def test_the_same_flags_give_what_is_there_and_others_do_not(folder: Path, baked: Path) -> None:
    bake(folder, baked)
    with pytest.raises(UsageError, match="baked otherwise.*group_column"):
        bake(folder, baked, group_column="")


def test_a_plan_says_it_too(folder: Path) -> None:
    plan = evenshard.plan(
        folder, input_csv=folder / "labels.csv", group_column="patient", image_size=16, workers=0
    )
    assert any("puts 56 pictures into 10 groups" in note for note in plan.notes)


def test_a_cache_keeps_pictures_and_takes_the_groups_of_the_table(tmp_path: Path) -> None:
    root = fakes.write_folders(tmp_path / "in", PICTURES)
    write_table(root, lambda name: name[-5])
    bake(root, tmp_path / "d", keep_cache=True)
    write_table(root, patient_of)
    bake(root, tmp_path / "d", overwrite=True, keep_cache=True)
    check_whole(tmp_path / "d")
    bake(root, tmp_path / "fresh")
    digests = [commands.digests(tmp_path / name) for name in ("d", "fresh")]
    assert digests[0]["manifest.json"] == digests[1]["manifest.json"]
    # Without the flag, the cache with groups gives what a bake without both gives.
    bake(root, tmp_path / "d", overwrite=True, group_column="")
    bake(root, tmp_path / "plain", group_column="")
    digests = [commands.digests(tmp_path / name) for name in ("d", "plain")]
    assert digests[0]["manifest.json"] == digests[1]["manifest.json"]


def test_a_given_split_that_divides_a_patient_is_said(tmp_path: Path) -> None:
    root = fakes.write_folders(tmp_path / "in", PICTURES)
    rows = {"p0": "test", "p1": "test", "p2": "train"}
    write_table(root, patient_of, **rows)
    table = (root / "labels.csv").read_text()
    (root / "labels.csv").write_text(
        table.replace("apu/0000.jpg,apu,p0,test", "apu/0000.jpg,apu,p0,train")
    )
    bake(root, tmp_path / "d")
    assert "divides 1 group of --group_column=patient, such as 'p0' (1 " in (notes(tmp_path / "d"))
    found = places(tmp_path / "d")
    assert len(found.pop("p0")) == 2
    assert all(len(own) == 1 for own in found.values())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ("--group_column=patien",),
            "has the columns path, label, patient; did you mean 'patient'",
        ),
        (("--group_column=path",), "has its paths in that column"),
        (("--group_column=label",), "has its classes in that column"),
        (("--group_column=number",), "groups nothing"),
    ],
)
def test_errors_are_one_line_of_usage(
    folder: Path, tmp_path: Path, flags: tuple[str, ...], message: str
) -> None:
    table = tmp_path / "t.csv"
    lines = (folder / "labels.csv").read_text().splitlines()
    if "number" in flags[0]:
        lines = [f"{line},{n or 'number'}" for n, line in enumerate(lines)]
    table.write_text("\n".join(lines))
    done = commands.call(
        "beam_pipelines.prepare", f"--input_dir={folder}", f"--input_csv={table}",
        f"--output_dir={tmp_path / 'o'}", "--workers=0", *flags,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and message in errors[0]
