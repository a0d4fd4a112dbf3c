from __future__ import annotations

import dataclasses

import pytest

from beam_pipelines import flags as options
from beam_pipelines.config import NearDuplicates, Operation, PrepareConfig, SplitBy
from tfrecords.errors import UsageError
from tfrecords.schema import Encoding, ImageSpec, Resize


def config_of(*flags: str) -> PrepareConfig:
    parser = options.make_parser()
    argv = ["--input_dir=i", "--output_dir=o", *flags]
    return options.config_of(parser.parse_strictly(argv, options.check_beam_flags))


def test_defaults_are_those_of_the_contract() -> None:
    found = config_of("--workers=1")
    assert found == PrepareConfig("i", "o", workers=1)
    assert found.image == ImageSpec(224, 224, Resize.SQUASH, Encoding.JPEG, 95)
    assert found.splits == (("train", 0.8), ("validation", 0.1), ("test", 0.1))
    assert (found.min_per_class, found.max_per_class) == (None, None)


def test_every_flag_arrives() -> None:
    found = config_of(
        "--input_csv=t.csv",
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
        "--split_by=random",
        "--min_source_pixels=4",
        "--max_source_pixels=400",
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
    assert (found.min_per_class, found.max_per_class, found.num_shards) == (10, 20, 4)
    assert found.augment == (Operation.FLIP, Operation.ROTATE)
    assert (found.near_duplicates, found.near_distance) == (NearDuplicates.DROP, 3)
    assert (found.label_conflicts, found.group_by) == ("drop_all", "^(.*)_")
    assert found.split_by is SplitBy.RANDOM
    assert (found.limits.min_pixels, found.limits.max_pixels) == (4, 400)
    assert found.max_reject_fraction == 0.5
    assert found.keep_cache and found.overwrite and found.plan_only


def test_per_class_sets_both() -> None:
    found = config_of("--per_class=7")
    assert (found.min_per_class, found.max_per_class) == (7, 7)


def test_beam_options_pass_and_its_workers_decode() -> None:
    parser = options.make_parser()
    argv = [
        "--input_dir=i",
        "--output_dir=o",
        "--runner=FlinkRunner",
        "--job_name=x",
        "--region",
        "r",
    ]
    flags = parser.parse_strictly(argv, options.check_beam_flags)
    assert flags.foreign == ["--job_name=x", "--region", "r"]
    assert options.config_of(flags).workers == 0


@pytest.mark.parametrize("wrong", ["--regio=r", "stray", "-x", "--job_name=x stray".split()[1]])
def test_what_nobody_knows_is_refused(wrong: str) -> None:
    with pytest.raises(UsageError, match="unknown flag|unexpected argument"):
        config_of(wrong)


@pytest.mark.parametrize("rule", ["power:2", "effective:1", "power", "sqrt:1", "power:x"])
def test_balance_rules_are_checked_before_anything_is_read(rule: str) -> None:
    with pytest.raises(UsageError, match="balance|power|effective"):
        config_of(f"--balance={rule}")


def test_the_way_to_split_is_in_the_manifest() -> None:
    assert config_of("--split_by=appearance").for_manifest()["split_by"] == "appearance"
    assert config_of().for_manifest()["split_by"] == "random"


def test_only_what_changes_bytes_is_in_the_manifest() -> None:
    one = PrepareConfig("i", "o")
    same = dataclasses.replace(one, input_dir="j", output_dir="p", workers=5, keep_cache=True)
    assert one.for_manifest() == same.for_manifest()
    assert one.for_manifest() != dataclasses.replace(one, seed=1).for_manifest()
    assert one.pixels_digest() == dataclasses.replace(one, seed=1).pixels_digest()
    other_size = dataclasses.replace(one, image=ImageSpec(32, 32))
    assert one.pixels_digest() != other_size.pixels_digest()


@pytest.mark.parametrize(
    ("arguments", "here"),
    [
        (["--runner=FnApiRunner"], True),
        (["--runner=FnApiRunner", "--direct_running_mode=multi_processing"], False),
        (["--runner=PrismRunner"], False),
    ],
)
def test_steps_run_here_on_the_plain_local_runner_only(arguments: list[str], here: bool) -> None:
    assert options.runs_here(arguments) is here
