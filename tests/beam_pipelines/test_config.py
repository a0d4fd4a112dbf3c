from __future__ import annotations

import dataclasses

import pytest

from beam_pipelines.choices import ConflictPolicy, GroupWithin, NearDuplicates, Operation, SplitBy
from beam_pipelines.config import PrepareConfig
from beam_pipelines.flag_rules import identity
from tests.support.bakes.prepare_configs import config_of
from tfrecords.cli import flags, parsing
from tfrecords.errors import UsageError
from tfrecords.images.canonicalise import Truncated
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
        "--group_column=patient",
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
        "file", ("kind",), "part", ";", "cp1252", ("train", "test"), group_column="patient"
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


def test_rules_of_an_input() -> None:
    rules = config_of("--include=*.png,cat", "--exclude=/x", "--class_level=2").input_rules()
    assert (rules.include, rules.exclude, rules.class_level) == (("*.png", "cat"), ("/x",), 2)
    assert (rules.splits_from, rules.split_folders) == ("auto", {})
    assert config_of("--class_from=^(.*)_").input_rules().class_from == "^(.*)_"
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
    assert identity.for_manifest(found)["class_order"] == ["b", "a"]
    assert identity.for_manifest(found)["classes_map"] == [["a", "c"], ["b", ""]]


def test_a_table_alone_has_its_own_folder_as_root() -> None:
    config = PrepareConfig(input_csv="meta/labels.csv", output_dir="out")
    assert config.input_dir == "meta"


def test_tables_have_the_folder_that_they_lie_in_as_root() -> None:
    config = PrepareConfig(input_csv="train=meta/a.csv,test=meta/b.csv", output_dir="out")
    assert config.input_dir == "meta"
    assert config.input_tables == ("meta/a.csv", "meta/b.csv")
    for several, folder in (("meta/a.csv,more/b.csv", "."), ("meta/a.csv,meta/more/b.csv", "meta")):
        assert PrepareConfig(input_csv=several, output_dir="out").input_dir == folder
    with pytest.raises(UsageError, match="tables in meta and in /more: give --input_dir"):
        PrepareConfig(input_csv="meta/a.csv,/more/b.csv", output_dir="out")
    assert PrepareConfig(input_csv="a.csv,b/c.csv", input_dir=".", output_dir="o").input_dir == "."
