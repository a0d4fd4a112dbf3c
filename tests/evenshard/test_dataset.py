from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

import evenshard
from evenshard.dataset import RecordNotFoundError
from tfrecords import framing, manifest
from tfrecords.manifest import ManifestError


def test_it_says_what_is_in_it(dataset: evenshard.Dataset, world: Path) -> None:
    found = manifest.load(world / "shards")
    assert dataset.classes == ("apu", "bart", "lisa")
    assert dataset.splits == ("train", "validation", "test")
    assert dataset.image_size == (16, 16)
    assert dataset.digest == found.digest
    assert dataset.counts() == {"apu": 20, "bart": 20, "lisa": 20}
    originals, copies = dataset.counts("train"), dataset.copies("train")
    assert {name: originals[name] - copies[name] for name in originals} == dict(
        zip(found.classes, found.split("train").originals, strict=True)
    )
    with pytest.raises(ManifestError, match="no split 'dev'"):
        dataset.counts("dev")


def test_what_is_no_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="not a data set") as refused:
        evenshard.open(tmp_path)
    said = str(refused.value)
    assert f"output_dir={tmp_path}" not in said  # It may be the folder of a person's pictures.


def test_sources(dataset: evenshard.Dataset) -> None:
    everything = dataset.sources()
    assert everything.num_rows == 62
    broken = dataset.sources(["key", "reason"], where=pc.field("status") == "rejected")
    assert broken.to_pylist() == [{"key": "bart/broken.jpg", "reason": "not_an_image"}]
    with pytest.raises(evenshard.UsageError, match="no column 'statu'; did you mean 'status'"):
        dataset.sources(["statu"])
    with pytest.raises(evenshard.UsageError, match="where: No match for FieldRef"):
        dataset.sources(where=pc.field("statu") == "kept")


def test_records_are_those_that_were_asked_for(dataset: evenshard.Dataset) -> None:
    everything = list(dataset.records("train"))
    assert len(everything) == 60
    assert len({record.id for record in everything}) == 60
    some = list(dataset.records("train", classes=["lisa", "apu"], per_class=3))
    assert sorted((record.label, record.rank) for record in some) == [
        (label, rank) for label in (0, 2) for rank in range(3)
    ]
    originals = list(dataset.records("train", originals_only=True))
    assert {record.copy for record in originals} == {0}
    assert len(originals) == sum(dataset.counts().values()) - sum(dataset.copies().values())
    assert len(list(dataset.records("train", classes="lisa"))) == 20


def test_pixels_are_those_of_the_record(dataset: evenshard.Dataset) -> None:
    record = next(dataset.records("test"))
    pixels = dataset.pixels(record)
    assert pixels.shape == (16, 16, 3)
    assert pixels.dtype == np.uint8


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"classes": ["bert"]}, "no class 'bert'; did you mean 'bart'"),
        ({"per_class": 0}, "per_class=0 must be at least 1"),
        ({"per_class": 2.5}, "per_class=2.5: a whole number is expected"),
        ({"per_class": True}, "per_class=True: a whole number is expected"),
        ({"originals_only": "false"}, "originals_only='false': True or False is expected"),
        ({"originals_only": 1}, "originals_only=1: True or False is expected"),
    ],
)
def test_what_cannot_be_selected_is_refused(
    dataset: evenshard.Dataset, arguments: dict[str, object], text: str
) -> None:
    with pytest.raises(evenshard.UsageError, match=text):
        next(dataset.records(**arguments))


def test_numbers_of_numpy_and_text_are_numbers(dataset: evenshard.Dataset) -> None:
    for three in (3, "3", np.int64(3)):
        assert len(list(dataset.records("train", per_class=three))) == 9  # type: ignore[arg-type]  # Not only int.


@pytest.mark.parametrize("fold", [True, 1.0, "one"])
def test_a_fold_is_a_number(world: Path, fold: object) -> None:
    """True would be fold 1."""
    with pytest.raises(evenshard.UsageError, match=f"fold={fold!r}: a whole number is expected"):
        evenshard.open(world / "shards", fold=fold)  # type: ignore[arg-type]  # The point.


def test_find_gives_records_in_the_order_of_their_ids(dataset: evenshard.Dataset) -> None:
    every = [*dataset.records("train"), *dataset.records("test")]
    ids = [record.id for record in every][::-1]
    assert any("#" in id_ for id_ in ids)
    assert dataset.find(ids) == every[::-1]
    assert dataset.find(ids[0]) == [every[-1]]
    assert dataset.find([]) == []


@pytest.mark.parametrize(
    ("id_", "text"),
    [
        ("bart/broken.jpg", r"its file was rejected \(not_an_image\)"),
        ("nobody/1.jpg", "no record 'nobody/1.jpg' in"),
        ("lisa/0000.jpg#99", "no record 'lisa/0000.jpg#99'"),
        ("lisa/0000.jpg#01", "no record 'lisa/0000.jpg#01'"),
    ],
)
def test_an_id_without_a_record_is_an_error(
    dataset: evenshard.Dataset, id_: str, text: str
) -> None:
    with pytest.raises(RecordNotFoundError, match=text) as caught:
        dataset.find([id_])
    assert isinstance(caught.value, LookupError)


def test_verify_names_the_damage(world: Path, tmp_path: Path) -> None:
    shutil.copytree(world / "shards", tmp_path / "damaged")
    copy = evenshard.open(tmp_path / "damaged")
    assert copy.verify(images="all", workers=2).sound
    shard = tmp_path / "damaged" / copy.manifest.split("test").shards[0].filename
    data = bytearray(shard.read_bytes())
    data[40] ^= 255
    shard.write_bytes(data)
    verdict = copy.verify(split="test")
    assert not verdict.sound
    assert shard.name in str(verdict.problems[0])
    with pytest.raises(framing.DamagedRecordError):
        list(evenshard.open(copy).records("test"))
    with pytest.raises(evenshard.EvenshardError, match="was replaced by another file"):
        list(copy.records("test"))
    with pytest.raises(evenshard.UsageError, match='images="some"'):
        copy.verify(images="some")


def test_it_stands_wherever_its_directory_does(dataset: evenshard.Dataset) -> None:
    assert evenshard.open(dataset).digest == dataset.digest
    assert Path(dataset) == Path(dataset.data_dir)


def test_it_shows_itself(dataset: evenshard.Dataset, world: Path) -> None:
    assert repr(dataset).startswith("<Dataset 'dataset' in ")
    assert "3 classes, 16x16 pixels (squash), png; records: train 60" in repr(dataset)
    html = dataset._repr_html_()
    assert html.count("<svg") == html.count("</svg>") == 1
    assert "<td" in html and "bart" in html
    assert "Plan" in evenshard.plan(world / "pictures", workers=1)._repr_html_()
    ids = [word for word in html.split('"') if word.startswith("evenshard")]
    assert ids and not set(ids) & set(dataset._repr_html_().split('"'))


def test_names_are_escaped(tmp_path: Path, world: Path) -> None:
    shutil.copytree(world / "shards", tmp_path / "odd")
    path = tmp_path / "odd" / "manifest.json"
    renamed = path.read_text().replace('"apu"', '"<b>apu & co</b>"')
    path.write_text(manifest.Manifest.from_json(renamed).sealed().to_json())
    html = evenshard.open(tmp_path / "odd")._repr_html_()
    assert "<b>apu" not in html
    assert "&lt;b&gt;apu &amp; co" in html
