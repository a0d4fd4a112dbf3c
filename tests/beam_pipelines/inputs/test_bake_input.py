"""The input of a bake, understood: classes, their order and names, what is said of it."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from beam_pipelines.config import PrepareConfig
from beam_pipelines.inputs import bake_input
from beam_pipelines.inputs.bake_input import BakeInput, check_classes
from tests.support.datasets import fakes
from tfrecords.errors import UsageError
from tfrecords.inputs.rows import SourceFile


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    return fakes.write_folders(tmp_path / "in", {"apu": 3, "bart": 2, "carl": 2})


def config(input_dir: Path, **values: Any) -> PrepareConfig:
    return PrepareConfig(
        **{"input_dir": input_dir, "output_dir": input_dir.parent / "out", **values}
    )


def test_one_class_points_to_the_likely_root(tmp_path: Path) -> None:
    fakes.write_folders(tmp_path / "in" / "pictures", {"apu": 2})
    fakes.write_folders(tmp_path / "in", {"pictures": 3})
    with pytest.raises(UsageError, match=r"only one class.*did you mean --input_dir=.*/pictures\?"):
        BakeInput.of(config(tmp_path / "in"))


def test_batches_without_a_picture_are_told(tmp_path: Path) -> None:
    (tmp_path / "in" / "cifar-10-batches-py").mkdir(parents=True)
    for name in ("data_batch_1", "test_batch"):
        (tmp_path / "in" / "cifar-10-batches-py" / name).write_bytes(b"x")
    with pytest.raises(
        UsageError, match=r"none of its 2 files has the name of a picture.*batch_1'"
    ):
        BakeInput.of(config(tmp_path / "in"))


def test_the_end_of_a_chain_of_folders_is_no_better_root(tmp_path: Path) -> None:
    fakes.write_folders(tmp_path / "in" / "Image", {"aligned": 3})
    (tmp_path / "in" / "label_list.txt").write_text("x 1\n")
    with pytest.raises(
        UsageError, match="only one class.*labels may be in label_list.txt"
    ) as error:
        BakeInput.of(config(tmp_path / "in"))
    assert "did you mean" not in str(error.value)


def test_of_several_archives_that_of_train_is_named(tmp_path: Path) -> None:
    for name in ("test.zip", "train.zip"):
        (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(UsageError, match=r"did you mean --input_dir=.*/train\.zip\?"):
        BakeInput.of(config(tmp_path))


def test_one_class_in_a_table_points_to_the_column(tmp_path: Path) -> None:
    fakes.write_folders(tmp_path / "in", {"a": 2})
    names = [path.name for path in (tmp_path / "in" / "a").iterdir()]
    lines = "".join(f"a/{name},0\n" for name in names)
    (tmp_path / "GT-00000.csv").write_text(f"path,label\n{lines}")
    with pytest.raises(UsageError, match=r"GT-00000.csv has only one class, '0'.*--label_column"):
        BakeInput.of(config(tmp_path / "in", input_csv=str(tmp_path / "GT-00000.csv")))


def test_files_without_class_folders_are_refused(tmp_path: Path) -> None:
    fakes.write_folders(tmp_path, {"in": 2})
    with pytest.raises(UsageError, match="has files but no class folders"):
        BakeInput.of(config(tmp_path / "in"))


@pytest.mark.parametrize("folder", [".", "images"])
def test_without_classes_the_table_that_lies_there_is_named(tmp_path: Path, folder: str) -> None:
    fakes.write_folders(tmp_path / "in", {folder: 2})
    (tmp_path / "in" / "train.csv").write_text("id,label\n0000,a\n0001,b\n")
    with pytest.raises(UsageError, match=r"--input_csv=\S+/in/train.csv \(2 rows\)"):
        BakeInput.of(config(tmp_path / "in"))


def test_a_folder_that_holds_only_an_archive_points_to_it(tmp_path: Path) -> None:
    fakes.write_folders(tmp_path / "pictures", {"apu": 2, "bart": 2})
    (tmp_path / "in").mkdir()
    shutil.make_archive(str(tmp_path / "in" / "pictures"), "zip", tmp_path / "pictures")
    with pytest.raises(UsageError, match=r"did you mean --input_dir=.*/in/pictures\.zip\?"):
        BakeInput.of(config(tmp_path / "in"))


def rows_of(*classes: str) -> list[SourceFile]:
    return [SourceFile(f"{name}/1.jpg", "p", name, 1, 1) for name in classes]


@pytest.mark.parametrize("name", ["a\nb", "a\rb", "a\n", "a\u2028b"])
def test_a_class_name_with_a_line_break_is_refused(name: str) -> None:
    """It would take two lines of TFDS' labels, and shift those of all later classes."""
    with pytest.raises(UsageError, match="has a line break in its name.*--classes_map") as caught:
        check_classes(rows_of(name, "c"), "in")
    assert len(str(caught.value).splitlines()) == 1


def test_class_names_that_labels_cannot_tell_apart_are_refused() -> None:
    with pytest.raises(UsageError, match="'a  b' and 'a b' differ only in white space"):
        check_classes(rows_of("a b", "a  b"), "in")
    check_classes(rows_of("a b", "ab", "é ü"), "in")


def test_classes_are_mapped(folders: Path, tmp_path: Path) -> None:
    table = tmp_path / "map.csv"
    table.write_text("from,to\nbart,lisa\ncarl,-\napo,x\n")
    found = BakeInput.of(config(folders, classes_map=table))
    assert {row.class_name for row in found.rows} == {"apu", "lisa", None}
    assert found.config.classes_map == (("apo", "x"), ("bart", "lisa"), ("carl", ""))
    assert found.notes == (
        "--classes_map names apo, which the input does not have (did you mean apu by apo?)",
    )
    assert found.summary == "5 files in 2 classes; left out: 2 dropped_class"
    with pytest.raises(UsageError, match="only one class"):
        BakeInput.of(config(folders, classes_map={"bart": "apu", "carl": "apu"}))


def test_an_order_from_a_file(folders: Path, tmp_path: Path) -> None:
    order = tmp_path / "order.txt"
    order.write_text("carl\nbart\n\nlisa\napu\n")
    found = BakeInput.of(config(folders, class_order=str(order)))
    assert found.config.class_order == ("carl", "bart", "lisa", "apu")
    assert found.notes == ("--class_order names lisa, which the input does not have",)
    order.write_text("carl\nbart\n")
    with pytest.raises(UsageError, match="--class_order does not name apu"):
        BakeInput.of(config(folders, class_order=str(order)))
    order.write_text("carl\ncarl\n")
    with pytest.raises(UsageError, match="has carl twice"):
        BakeInput.of(config(folders, class_order=str(order)))
    with pytest.raises(UsageError, match="natural or name is expected, or a file.*No such file"):
        BakeInput.of(config(folders, class_order="sorted"))


def test_an_order_in_python_has_every_class_once_and_is_one(folders: Path) -> None:
    with pytest.raises(UsageError, match="--class_order has bart twice"):
        BakeInput.of(config(folders, class_order=("bart", "apu", "carl", "bart")))
    with pytest.raises(UsageError, match="the names in a set have no order"):
        config(folders, class_order={"bart", "apu", "carl"})
    with pytest.raises(UsageError, match="'apu' is mapped twice"):
        config(folders, classes_map=[("apu", "bart"), ("apu", "carl")])


def test_an_archive_in_an_archive_is_to_be_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("train.zip", b"PK")
    with pytest.raises(UsageError, match="train.zip in it is an archive too: unpack it"):
        BakeInput.of(config(tmp_path / "a.zip"))


def test_classes_that_differ_in_capitals_are_told(folders: Path) -> None:
    fakes.write_folders(folders, {"Apu": 1})
    assert BakeInput.of(config(folders)).notes == (
        "the classes Apu, apu differ in capitals only; --classes_map merges them if they are the "
        "same",
    )


# The output.


@pytest.mark.parametrize("output", ["in", "in/shards", "in/apu/x/y", "link/shards", "in/../in/o"])
def test_an_output_inside_the_input_is_refused(folders: Path, output: str) -> None:
    os.symlink(folders, folders.parent / "link")
    with pytest.raises(UsageError, match="--output_dir=.* is inside --input_dir=.*outside of it"):
        bake_input.refuse_output(config(folders, output_dir=f"{folders.parent}/{output}"))


def test_other_outputs_are_not_refused(folders: Path) -> None:
    root = folders.parent
    for output in (root / "in2", root, root / "out"):
        bake_input.refuse_output(config(folders, output_dir=output))
    (root / "labels.csv").write_text("path,label\n")
    table = root / "labels.csv"
    bake_input.refuse_output(
        PrepareConfig(input_csv=table, input_dir=root, output_dir=root / "out")
    )
