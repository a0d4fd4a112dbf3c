from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from beam_pipelines.choices import ConflictPolicy, GroupWithin, NearDuplicates, Operation, SplitBy
from beam_pipelines.config import PrepareConfig
from tests.support.prepare_configs import config_of
from tfrecords.cli import flags, parsing
from tfrecords.errors import UsageError
from tfrecords.images.canonicalise import PIXELS_VERSION, Truncated
from tfrecords.inputs.options import TableOptions
from tfrecords.schema import Encoding, ImageSpec, Resize
from tfrecords.system import cores


def test_defaults_are_those_of_the_contract() -> None:
    found = config_of()
    assert found == PrepareConfig(input_dir="in", output_dir="out")
    assert found.image == ImageSpec(224, 224, Resize.SQUASH, Encoding.JPEG, 95)
    assert found.splits == (("train", 0.8), ("validation", 0.1), ("test", 0.1))
    assert found.records_per_class == (None, None)
    assert found.workers == cores.usable()


def test_every_flag_arrives() -> None:
    found = config_of(
        "--input_csv=t.csv",
        "--path_column=file",
        "--label_column=kind",
        "--split_column=part",
        "--csv_separator=;",
        "--csv_encoding=cp1252",
        "--zip_encoding=cp932",
        "--max_file_mb=30",
        "--name=town",
        "--image_size=96x128",
        "--resize=pad",
        "--encoding=png",
        "--splits=train:0.7,test:0.3",
        "--seed=5",
        "--min_per_class=10",
        "--max_per_class=20",
        "--augment=rotate,flip",
        "--near_duplicates=drop",
        "--near_distance=3",
        "--label_conflicts=drop_all",
        "--group_by=^(.*)_",
        "--group_within=class",
        "--allow_empty_splits",
        "--split_by=random",
        "--min_source_pixels=4",
        "--max_source_pixels=400",
        "--truncated=reject",
        "--max_reject_fraction=0.5",
        "--num_shards=4",
        "--keep_cache",
        "--overwrite",
        "--plan_only",
        "--workers=3",
    )
    assert (found.input_csv, found.name, found.seed, found.workers) == ("t.csv", "town", 5, 3)
    assert found.image == ImageSpec(96, 128, Resize.PAD, Encoding.PNG)
    assert found.splits == (("train", 0.7), ("test", 0.3))
    assert (*found.records_per_class, found.num_shards) == (10, 20, 4)
    assert found.augment == (Operation.FLIP, Operation.ROTATE)
    assert (found.near_duplicates, found.near_distance) == (NearDuplicates.DROP, 3)
    assert (found.label_conflicts, found.group_by) == (ConflictPolicy.DROP_ALL, "^(.*)_")
    assert found.split_by is SplitBy.RANDOM
    assert found.group_within is GroupWithin.CLASS and found.allow_empty_splits
    assert (found.limits.min_pixels, found.limits.max_pixels) == (4, 400)
    assert found.limits.truncated is Truncated.REJECT
    assert found.max_reject_fraction == 0.5
    assert found.keep_cache and found.overwrite and found.plan_only
    options = found.input_options("spool")
    assert options.table == TableOptions(
        "file", ("kind",), "part", ";", "cp1252", splits=("train", "test")
    )
    assert (options.name_encoding, options.max_bytes) == ("cp932", 30_000_000)
    assert options.spool_dir == "spool"


def test_python_values_mean_what_flags_mean() -> None:
    assert PrepareConfig(
        input_dir="in",
        output_dir="out",
        image_size=(96, 128),
        splits={"train": 0.7, "test": 0.3},
        augment=["rotate", Operation.FLIP],
        num_shards="auto",
        resize=Resize.CROP,
    ) == config_of(
        "--image_size=96x128", "--splits=train:0.7,test:0.3", "--augment=flip,rotate",
        "--resize=crop",
    )  # fmt: skip


def test_a_command_line_is_its_configuration() -> None:
    found = config_of("--per_class=7", "--image_size=96x128", "--augment=crop", "--overwrite")
    assert parsing.parse(PrepareConfig, flags.command_line(found)) == found


def test_per_class_sets_both() -> None:
    assert config_of("--per_class=7").records_per_class == (7, 7)
    larger = dataclasses.replace(config_of("--per_class=7"), per_class=9)
    assert larger.records_per_class == (9, 9)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"balance": "power:2"}, "power"),
        ({"balance": "effective:1"}, "effective"),
        ({"balance": "power"}, "--balance"),
        ({"balance": "sqrt:1"}, "--balance"),
        ({"balance": "power:x"}, "--balance"),
        ({"splits": "train"}, "--splits=train: NAME:FRACTION"),
        ({"splits": "train:0.8,test:0.3"}, "add up to 1"),
        ({"splits": "test:0.5,train:0.5"}, "the first split must be"),
        ({"splits": 3}, "--splits=3"),
        ({"augment": "flop"}, "--augment=flop: .*not 'flop'"),
        ({"per_class": 3, "max_per_class": 4}, "--per_class sets both"),
        ({"per_class": 0}, "--per_class must be at least 1"),
        ({"min_per_class": 5, "max_per_class": 4}, "exceeds --max_per_class=4"),
        ({"min_per_class": 5, "augment": "none"}, "--augment must name an operation"),
        ({"name": "My set"}, "--name"),
        ({"image_size": ""}, "--image_size"),
        ({"image_size": "96x128", "resize": "short_side"}, "short_side"),
        ({"jpeg_quality": 101}, "jpeg_quality"),
        ({"min_source_pixels": 9, "max_source_pixels": 4}, "source pixels"),
        ({"group_by": "("}, "not a regular expression"),
        ({"group_within": "class"}, "--group_within=class needs --group_by"),
        ({"workers": -1}, "--workers"),
        ({"workers": "many"}, "--workers=many: auto or a whole number"),
        ({"near_duplicates": "gruop"}, "did you mean group?"),
        ({"input_dir": ""}, "--input_dir is required"),
        ({"splits_from": "x"}, "--splits_from=x: auto, folders or none is expected, or FOLDER"),
        ({"splits_from": "a:b c"}, "FOLDER:SPLIT"),
        ({"splits_from": 3}, "--splits_from=3: auto"),
        ({"class_level": 0}, "--class_level must be at least 1"),
        ({"include": "*.png,[a"}, "--include: .*bracket"),
        ({"exclude": "/"}, "--exclude: a glob such as"),
        ({"class_order": ""}, "natural or name is expected, or a file"),
        ({"class_order": 3}, "natural or name is expected, or a file"),
        ({"classes_map": 3}, "a CSV with the columns from and to"),
        ({"input_csv": "t.csv", "class_level": 2}, "--class_level is for folders and archives"),
        ({"input_csv": "t.csv", "exclude": "x"}, "--exclude is for folders and archives"),
        ({"max_file_mb": 0}, "--max_file_mb must be at least 1"),
        ({"path_column": "file"}, "--path_column is for a table: give --input_csv too"),
    ],
)
def test_wrong_values_are_refused_before_anything_is_read(
    values: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        PrepareConfig(**{"input_dir": "in", "output_dir": "out", **values})


def test_rules_of_an_input() -> None:
    rules = config_of("--include=*.png,cat", "--exclude=/x", "--class_level=2").input_rules()
    assert (rules.include, rules.exclude, rules.class_level) == (("*.png", "cat"), ("/x",), 2)
    assert (rules.splits_from, rules.split_folders) == ("auto", {})
    assert config_of("--splits_from=none").input_rules().splits_from == "none"
    told = config_of("--splits_from=fold1:train,a:b:val").input_rules()
    assert told.split_folders == {"fold1": "train", "a:b": "validation"}
    same = PrepareConfig(
        input_dir="in", output_dir="out", splits_from={"fold1": "train", "a:b": "validation"}
    )
    assert same.input_rules() == told


def test_orders_and_maps_of_python() -> None:
    found = PrepareConfig(
        input_dir="in", output_dir="out", class_order=["b", "a"], classes_map={"a": "c", "b": None}
    )
    assert found.class_order == ("b", "a")
    assert found.classes_map == (("a", "c"), ("b", ""))
    assert found.for_manifest()["class_order"] == ["b", "a"]
    assert found.for_manifest()["classes_map"] == [["a", "c"], ["b", ""]]


def test_how_the_input_is_read_is_in_the_manifest() -> None:
    """Which pictures and which classes are in a data set depends on it."""
    one = config_of("--input_csv=t.csv")
    for value in ({"label_column": "breed"}, {"max_file_mb": 1}, {"zip_encoding": "gbk"}):
        assert one.for_manifest() != dataclasses.replace(one, **value).for_manifest()
        assert one.pixels_digest() == dataclasses.replace(one, **value).pixels_digest()


def test_a_table_alone_has_its_own_folder_as_root() -> None:
    config = PrepareConfig(input_csv="meta/labels.csv", output_dir="out")
    assert config.input_dir == "meta"


def test_the_way_to_split_is_in_the_manifest() -> None:
    assert config_of("--split_by=appearance").for_manifest()["split_by"] == "appearance"
    assert config_of().for_manifest()["split_by"] == "auto"


def test_only_what_changes_bytes_is_in_the_manifest() -> None:
    one = config_of()
    same = dataclasses.replace(
        one, input_dir="j", output_dir="p", workers=5, keep_cache=True, runner="PrismRunner"
    )
    assert one.for_manifest() == same.for_manifest()
    assert one.for_manifest() != dataclasses.replace(one, seed=1).for_manifest()
    assert one.pixels_digest() == dataclasses.replace(one, seed=1).pixels_digest()
    other_size = dataclasses.replace(one, image_size=32)
    assert one.pixels_digest() != other_size.pixels_digest()


def test_the_manifest_has_every_flag_that_may_change_bytes() -> None:
    """A flag added later is either there, or named here as one that cannot change bytes."""
    elsewhere = {
        "input_dir", "output_dir", "input_csv", "overwrite", "keep_cache", "plan_only", "workers",
        "runner", "beam_options", "max_reject_fraction", "per_class", "allow_empty_splits",
        "image_size", "resize", "encoding", "jpeg_quality",  # As `image`.
        "folds",  # Where there are any.
        "min_source_pixels", "max_source_pixels", "truncated",  # As `limits`.
    }  # fmt: skip
    fields = {field.name for field in dataclasses.fields(PrepareConfig)}
    in_manifest = set(config_of().for_manifest()) - {"image", "limits", "pixels_version"}
    assert fields - elsewhere == in_manifest


def test_another_version_of_the_pixels_reuses_none_of_the_cache(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = config_of().pixels_digest()
    monkeypatch.setattr("beam_pipelines.config.PIXELS_VERSION", PIXELS_VERSION + 1)
    assert config_of().pixels_digest() != before
