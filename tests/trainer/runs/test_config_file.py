"""config.json: written, read back, compared, and refused where it is damaged."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.datasets import fakes
from tests.support.runs import run_configs
from tfrecords.errors import TrainerError
from trainer.choices import AUTO_BATCH, NOT_PART_OF_THE_RESULT
from trainer.config import TrainConfig
from trainer.runs.ancestry import Extension
from trainer.runs.compare import differences, surroundings
from trainer.runs.config_file import CONFIG, DeviceSummary, RunConfig


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> RunConfig:
    folder = tmp_path_factory.mktemp("data")
    manifest = fakes.write_dataset(folder, copies=2)
    flags = TrainConfig(data_dir=str(folder), run_dir="run", per_class=6, classes=("bart", "lisa"))
    return run_configs.describe(
        flags,
        manifest,
        device=DeviceSummary("gpu", ("H100",), "mixed_bfloat16", False),
        versions={"keras": "3.12.0"},
    )


def test_what_is_written_is_read_back(described: RunConfig, tmp_path: Path) -> None:
    run_configs.write(tmp_path, described)
    assert RunConfig.read(tmp_path) == described
    assert described.train_counts == (5, 3)


def test_the_form_of_the_file_is_fixed(described: RunConfig) -> None:
    """Runs of earlier versions are read, and other tools read these."""
    document = json.loads(described.to_json())
    assert list(document) == [
        "flags", "dataset", "selection", "size", "device", "versions", "manifest",
    ]  # fmt: skip
    assert document["flags"]["classes"] == ["bart", "lisa"]
    assert document["selection"] == {
        "classes": ["bart", "lisa"], "labels": [1, 2], "max_rank": 6, "originals_only": False,
    }  # fmt: skip
    assert document["size"] == [16, 16]
    assert document["dataset"] == {
        "name": "fake", "digest": described.manifest.digest, "absolute": "", "relative": "",
    }  # fmt: skip


def test_the_version_of_the_network_is_read_back(described: RunConfig) -> None:
    later = dataclasses.replace(described, network_version=2)
    assert RunConfig.from_json(later.to_json()) == later
    document = json.loads(later.to_json()) | {"network_version": "two"}
    with pytest.raises(ValueError, match="'network_version' cannot be used"):
        RunConfig.from_json(json.dumps(document))


def test_a_file_of_an_earlier_version_is_read(described: RunConfig) -> None:
    document = json.loads(described.to_json())
    for name in ("device", "versions"):
        del document[name]
    del document["flags"]["read_parallelism"]
    document["flags"]["abandoned"] = 1
    found = RunConfig.from_json(json.dumps(document))
    assert found.flags == described.flags
    assert (found.unrecorded, found.abandoned) == ({"read_parallelism"}, {"abandoned"})
    assert (found.device, found.versions) == (DeviceSummary(), {})
    assert found.network_version == 1
    # An absent flag was at its default.
    digest = described.dataset.digest
    assert differences(found, described.flags, digest) == []
    changed = dataclasses.replace(described.flags, read_parallelism=3)
    assert differences(found, changed, digest) == ["--read_parallelism was 8, is now 3"]
    assert surroundings(found, described) == [
        "it was begun by a version without --read_parallelism, whose defaults it takes",
        "this version has no --abandoned",
    ]


def test_checkpoints_of_an_earlier_version_are_those_of_the_run(described: RunConfig) -> None:
    document = json.loads(described.to_json())
    del document["flags"]["label_smoothing"]
    document["flags"]["abandoned"] = 1
    known = {k: v for k, v in document["flags"].items() if k not in NOT_PART_OF_THE_RESULT}
    text = json.dumps(known | {"dataset": described.dataset.digest}, sort_keys=True)
    then = hashlib.sha256(text.encode()).hexdigest()
    found = RunConfig.from_json(json.dumps(document))
    assert found.resumable == {then, described.fingerprint}
    # The file that is then written knows it too; one of today's own has nothing to know.
    assert RunConfig.from_json(found.to_json()).resumable == found.resumable
    assert RunConfig.from_json(described.to_json()).earlier == frozenset()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(length=st.integers(0, 10_000))
def test_a_cut_file_is_refused_wherever_it_ends(described: RunConfig, length: int) -> None:
    text = described.to_json()
    with pytest.raises(ValueError):
        RunConfig.from_json(text[: min(length, len(text) - 1)])


def without(document: dict[str, Any], *path: str) -> None:
    for name in path[:-1]:
        document = document[name]
    del document[path[-1]]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (("flags",), "no object 'flags'"),
        (("flags", "data_dir"), "'flags' cannot be used"),
        (("dataset", "digest"), "no text 'digest'"),
        (("selection", "labels"), "'selection' cannot be used: 'labels' is missing"),
        (("size",), "'size' cannot be used"),
        (("manifest", "schema_version"), "'manifest' cannot be used"),
    ],
)
def test_a_file_of_another_form_is_refused_in_one_line(
    described: RunConfig, tmp_path: Path, path: tuple[str, ...], message: str
) -> None:
    document = json.loads(described.to_json())
    without(document, *path)
    (tmp_path / CONFIG).write_text(json.dumps(document))
    with pytest.raises(TrainerError, match=message) as refused:
        RunConfig.read(tmp_path)
    assert str(tmp_path / CONFIG) in str(refused.value) and "\n" not in str(refused.value)
    assert "--noresume" in str(refused.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"flags": 3}', "\x00"])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / CONFIG).write_text(text)
    with pytest.raises(TrainerError, match="config.json is damaged"):
        RunConfig.read_if_present(tmp_path)


def test_no_run_is_told_from_a_damaged_one(tmp_path: Path) -> None:
    assert RunConfig.read_if_present(tmp_path) is None
    assert RunConfig.read_if_present(tmp_path / "absent") is None
    with pytest.raises(TrainerError, match="is not a run directory: it has no config.json"):
        RunConfig.read(tmp_path)


def test_identity_leaves_out_flags_that_change_no_result(described: RunConfig) -> None:
    flags, digest = described.flags, described.dataset.digest
    elsewhere = dataclasses.replace(flags, run_dir="b", device="cpu", stop_after_epoch=3)
    assert differences(described, elsewhere, digest) == []
    moved = dataclasses.replace(described, flags=elsewhere)
    assert moved.fingerprint == described.fingerprint
    reseeded = dataclasses.replace(flags, seed=1)
    assert differences(described, reseeded, digest) == ["--seed was 0, is now 1"]
    assert dataclasses.replace(described, flags=reseeded).fingerprint != described.fingerprint


def test_an_automatic_batch_is_the_one_that_was_found(described: RunConfig) -> None:
    flags = dataclasses.replace(described.flags, recipe="scratch")
    stored = dataclasses.replace(described, flags=flags)
    asked = dataclasses.replace(flags, batch_size=AUTO_BATCH)
    assert differences(stored, asked, described.dataset.digest) == []


def test_an_automatic_augmentation_is_what_was_found(described: RunConfig) -> None:
    flags = dataclasses.replace(described.flags, recipe="scratch", augment=("crop",))
    stored = dataclasses.replace(described, flags=flags)
    digest = described.dataset.digest
    assert differences(stored, dataclasses.replace(flags, augment=("auto",)), digest) == []
    (told,) = differences(stored, dataclasses.replace(flags, augment=("flip",)), digest)
    assert told.startswith("--augment was ")


@pytest.mark.parametrize(
    "given", [{"model": "resnet50", "weights": "w.keras"}, {"head_features": "multilevel"}, {}]
)
@pytest.mark.parametrize("lengths", [(0, 1), (0, 3), (1, 3), (0, 2, 9), (3, 4)], ids=str)
def test_a_run_that_grew_resumes_from_what_it_was(
    lengths: tuple[int, ...], given: dict[str, Any], described: RunConfig
) -> None:
    """By whatever recipe it began: a head is fine-tuned later, and a fine-tuned run further."""

    def asked(length: int) -> RunConfig:
        recipe = {"recipe": "finetune", "unfreeze_epochs": length} if length else {"recipe": "head"}
        features = {} if given or length else {"head_features": "last"}  # As finetune settles it.
        flags = TrainConfig("d", "r", **recipe | features | given)
        return dataclasses.replace(described, flags=flags)

    *before, last = map(asked, lengths)
    epochs = [each.flags.epochs for each in before]
    grown = dataclasses.replace(last, extended_from=tuple(Extension(n, 0, n) for n in epochs))
    assert grown.resumable == {each.fingerprint for each in (*before, last)}
    assert RunConfig.from_json(grown.to_json()) == grown


@pytest.mark.parametrize(
    "change",
    [
        lambda chosen: {"classes": chosen["classes"][::-1]},
        lambda chosen: {"classes": ["moe", *chosen["classes"][1:]]},
        lambda chosen: {"labels": chosen["labels"][::-1]},
        lambda chosen: {"labels": [number + 1 for number in chosen["labels"]]},
    ],
)
def test_classes_at_other_labels_than_those_of_the_data_set_are_refused(
    described: RunConfig, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    """Each answer of the network would get the name of another class."""
    document = json.loads(described.to_json())
    document["selection"] |= change(document["selection"])
    with pytest.raises(ValueError, match="'selection' cannot be used: its classes are not those"):
        RunConfig.from_json(json.dumps(document))
