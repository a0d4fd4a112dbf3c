"""What TensorFlow Datasets itself makes of a data set's directory."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.datasets import fakes
from tfrecords import example, framing, tfds
from tfrecords.images import canonicalise
from tfrecords.manifest import Manifest
from tfrecords.schema import TRAIN, Encoding, ImageRecord, ImageSpec, Resize

SPECS = {
    "jpeg": ImageSpec(16, 24),
    "png": ImageSpec(16, 24, encoding=Encoding.PNG),
    "raw": ImageSpec(16, 24, encoding=Encoding.RAW),
    "short_side": ImageSpec(16, 16, Resize.SHORT_SIDE, Encoding.PNG),
}


@pytest.fixture(params=SPECS)
def spec(request: pytest.FixtureRequest) -> ImageSpec:
    return SPECS[request.param]


@pytest.fixture
def found(spec: ImageSpec, tmp_path: Path) -> Manifest:
    return fakes.write_dataset(tmp_path, spec=spec, copies=2)


def builder(data_dir: Path) -> Any:
    return pytest.importorskip("tensorflow_datasets").builder_from_directory(data_dir)


def records(data_dir: Path, found: Manifest, split: str) -> list[ImageRecord]:
    return [
        example.decode(payload)
        for shard in found.split(split).shards
        for payload in framing.read_records(str(data_dir / shard.filename))
    ]


def test_every_feature_comes_back(tmp_path: Path, found: Manifest, spec: ImageSpec) -> None:
    data = builder(tmp_path).as_dataset(split=TRAIN)
    theirs = {row["id"].decode(): row for row in data.as_numpy_iterator()}
    ours = records(tmp_path, found, TRAIN)
    assert theirs.keys() == {record.id for record in ours}
    for record in ours:
        row = theirs[record.id]
        assert (row["label"], row["rank"], row["copy"]) == (record.label, record.rank, record.copy)
        assert row["image"].dtype == np.uint8
        np.testing.assert_array_equal(row["image"], expected_pixels(record.image, spec))


def expected_pixels(image: bytes, spec: ImageSpec) -> np.ndarray:
    """Returns what TFDS should decode: of a JPEG what TensorFlow's default, the fast DCT, gives.

    That is a few levels from the accurate one, which the trainer asks for.
    """
    if spec.encoding is not Encoding.JPEG:
        return canonicalise.decode_record(image, spec)
    return pytest.importorskip("tensorflow").io.decode_jpeg(image, channels=3).numpy()


def test_supervised_pairs(tmp_path: Path, found: Manifest, spec: ImageSpec) -> None:
    data = builder(tmp_path).as_dataset(split="validation", as_supervised=True)
    if spec.fixed_size:
        assert data.element_spec[0].shape == (spec.height, spec.width, 3)
    else:
        assert data.element_spec[0].shape == (None, None, 3)
    labels = Counter(int(label) for _, label in data)
    assert tuple(labels[i] for i in range(3)) == found.split("validation").originals


def test_info_agrees_with_the_manifest(tmp_path: Path, found: Manifest) -> None:
    info = builder(tmp_path).info
    assert info.name == found.name
    assert tuple(info.features["label"].names) == found.classes
    assert info.features["label"].str2int(found.classes[1]) == 1
    assert found.digest in info.description
    for split in found.splits:
        assert info.splits[split.name].num_examples == split.records
        assert info.splits[split.name].num_bytes == split.bytes
        assert info.splits[split.name].filenames == sorted(s.filename for s in split.shards)


def test_slices_of_a_split(tmp_path: Path) -> None:
    found = fakes.write_dataset(tmp_path)
    parts = [builder(tmp_path).as_dataset(split=f"train[{part}]") for part in (":50%", "50%:")]
    ids = [row["id"] for part in parts for row in part.as_numpy_iterator()]
    assert len(ids) == len(set(ids)) == found.split(TRAIN).records


def test_a_class_name_is_one_line_and_any_script(tmp_path: Path) -> None:
    found = fakes.write_dataset(tmp_path)
    names = ("two\nlines", "学校", "a b")
    renamed = Manifest(
        found.name, names, found.image, found.splits, found.statuses, found.config, found.digests
    )
    for name, text in tfds.metadata_files(renamed).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert builder(tmp_path).info.features["label"].names == ["two lines", "学校", "a b"]


def test_equal_manifests_give_equal_files(tmp_path: Path) -> None:
    found = fakes.write_dataset(tmp_path)
    again = Manifest.from_json(found.to_json())
    assert tfds.metadata_files(again) == tfds.metadata_files(found)
    for name in (tfds.DATASET_INFO, tfds.FEATURES):
        json.loads(tfds.metadata_files(found)[name])
