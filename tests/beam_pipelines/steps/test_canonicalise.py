from __future__ import annotations

import dataclasses
import hashlib
import os
from pathlib import Path

import pytest

from beam_pipelines.cache import packs, storage, thumbnails
from beam_pipelines.cache.facts import ImageFacts
from beam_pipelines.cache.layout import Layout
from beam_pipelines.config import PrepareConfig
from beam_pipelines.inputs.sources import list_sources
from beam_pipelines.planning.bundles import bundle_tasks
from beam_pipelines.steps.canonicalise import canonicalise_bundle
from beam_pipelines.tasks import BundleResult
from tests.support.datasets import fakes
from tests.support.processes import hanging
from tfrecords.images import canonicalise
from tfrecords.images.decode_pool import Watch, run_alone
from tfrecords.schema import ImageSpec

SPEC = ImageSpec(16, 16, encoding="png")


class Bake:
    """The first half of a bake on a folder, run again and again."""

    def __init__(self, root: Path) -> None:
        self.input_dir = fakes.write_folders(root / "in", {"apu": 5, "bart": 3})
        self.config = PrepareConfig(
            input_dir=self.input_dir,
            output_dir=root / "out",
            image_size=(SPEC.height, SPEC.width),
            encoding=SPEC.encoding,
        )
        self.layout = Layout.of(self.config)
        for directory in self.layout.directories:
            storage.make_directory(directory)

    def run(self) -> list[BundleResult]:
        rows = list_sources(self.config.input_dir).rows
        tasks = list(bundle_tasks(rows, self.config, self.layout))
        return [canonicalise_bundle(task, Watch()) for task in tasks]

    def image(self, row: ImageFacts) -> bytes:
        return next(packs.read(f"{self.layout.canonical_dir}/{row.pack}", [row.index]))

    def thumbnail(self, row: ImageFacts) -> bytes:
        return thumbnails.read(f"{self.layout.canonical_dir}/{row.pack}")[row.index].tobytes()


@pytest.fixture
def bake(tmp_path: Path) -> Bake:
    return Bake(tmp_path)


def facts_of(results: list[BundleResult]) -> dict[str, ImageFacts]:
    return {row.key: row for result in results for row in result.facts}


def decoded(results: list[BundleResult]) -> int:
    return sum(result.decoded for result in results)


def test_facts_and_images_of_pictures(bake: Bake) -> None:
    facts = facts_of(bake.run())
    assert len(facts) == 8
    for key, row in facts.items():
        data = (bake.input_dir / key).read_bytes()
        image = canonicalise.canonicalise(data, SPEC, bake.config.limits)
        assert row.sha256 == hashlib.sha256(data).hexdigest()
        assert (row.width, row.height, row.format, row.mode) == (24, 24, "JPEG", "RGB")
        assert row.reason is None and row.phash == image.phash
        assert row.encoded_bytes == len(image.data)
        assert bake.image(row) == image.data
        assert bake.thumbnail(row) == image.thumbnail


def test_facts_survive_json(bake: Bake) -> None:
    for row in facts_of(bake.run()).values():
        assert ImageFacts.from_json(row.to_json()) == row


def test_each_bad_file_is_a_fact_and_nothing_else(bake: Bake) -> None:
    whole = fakes.picture_bytes("x")
    bad = {
        "empty": b"",
        "not_an_image": b"hello, this is text",
        "truncated": whole[: len(whole) // 2],
        "unsupported_format": b"%PDF-1.7 and so on",
    }
    for name, data in bad.items():
        (bake.input_dir / "apu" / f"{name}.jpg").write_bytes(data)
    (bake.input_dir / "apu" / "gone.jpg").symlink_to("/nowhere")
    facts = facts_of(bake.run())
    for name in bad:
        row = facts[f"apu/{name}.jpg"]
        assert row.reason == name and row.detail
        assert row.sha256 == hashlib.sha256(bad[name]).hexdigest()
        assert row.pack is None and row.index is None
    assert facts["apu/gone.jpg"].reason == "unreadable"
    assert sum(row.reason is None for row in facts.values()) == 8


def test_what_is_odd_about_a_kept_file_is_its_detail(bake: Bake) -> None:
    whole = fakes.picture_bytes("x")
    (bake.input_dir / "apu" / "cut.jpg").write_bytes(whole[:-2])
    facts = facts_of(bake.run())
    row = facts.pop("apu/cut.jpg")
    assert row.reason is None and "last marker" in str(row.detail)
    assert {row.detail for row in facts.values()} == {None}


def test_a_file_that_grows_while_it_is_read_is_changed(bake: Bake) -> None:
    rows = list_sources(bake.config.input_dir).rows
    tasks = list(bundle_tasks(rows, bake.config, bake.layout))
    with (bake.input_dir / "apu" / "0000.jpg").open("ab") as file:
        file.write(b"more")
    facts = facts_of([canonicalise_bundle(task, Watch()) for task in tasks])
    assert facts["apu/0000.jpg"].reason == "changed"


def test_a_read_that_hangs_costs_its_picture(bake: Bake) -> None:
    (bake.input_dir / "apu" / "0000.jpg").rename(bake.input_dir / "apu" / f"{hanging.HANGS}.jpg")
    rows = list_sources(bake.config.input_dir).rows
    (task,) = bundle_tasks(rows, bake.config, bake.layout)
    facts = facts_of([run_alone(hanging.canonicalise_bundle, task, seconds=1.0)])
    hung = facts.pop("apu/hangs.jpg")
    assert (hung.reason, hung.pack) == ("decoder_hung", None)
    assert "reading or decoding it took more than" in (hung.detail or "")
    assert len(facts) == 7 and all(row.reason is None for row in facts.values())


def test_what_is_no_file_is_a_fact_and_is_tried_again(bake: Bake) -> None:
    path = bake.input_dir / "apu" / "pipe.jpg"
    os.mkfifo(path)
    assert facts_of(bake.run())["apu/pipe.jpg"].reason == "not_a_file"
    path.unlink()
    path.write_bytes(b"")
    assert facts_of(bake.run())["apu/pipe.jpg"].reason == "empty"


def test_a_second_run_decodes_nothing(bake: Bake) -> None:
    first = bake.run()
    assert decoded(first) == 8
    second = bake.run()
    assert decoded(second) == 0
    assert facts_of(second) == facts_of(first)


def test_of_a_changed_folder_only_what_changed_is_decoded(bake: Bake) -> None:
    before = facts_of(bake.run())
    fakes.write_folders(bake.input_dir, {"carl": 1})
    os.remove(bake.input_dir / "bart" / "0001.jpg")
    changed = bake.input_dir / "apu" / "0002.jpg"
    changed.write_bytes(fakes.picture_bytes("another", height=30))
    results = bake.run()
    assert decoded(results) == 2
    after = facts_of(results)
    assert before.keys() - after.keys() == {"bart/0001.jpg"}
    for key in before.keys() & after.keys() - {"apu/0002.jpg"}:
        assert after[key].sha256 == before[key].sha256
        data = (bake.input_dir / key).read_bytes()
        image = canonicalise.canonicalise(data, SPEC, bake.config.limits)
        assert bake.image(after[key]) == image.data
        assert bake.thumbnail(after[key]) == image.thumbnail


def test_growth_that_doubles_the_bundles_reuses_all_there_is(bake: Bake) -> None:
    bake.run()
    fakes.write_folders(bake.input_dir, {"carl": 40, "lenny": 32})
    assert decoded(bake.run()) == 72


def test_a_file_that_moves_to_another_class_by_csv_is_not_decoded_again(bake: Bake) -> None:
    bake.run()
    rows = list_sources(bake.config.input_dir).rows
    moved = [dataclasses.replace(row, class_name="carl") for row in rows]
    tasks = list(bundle_tasks(moved, bake.config, bake.layout))
    results = [canonicalise_bundle(task, Watch()) for task in tasks]
    assert decoded(results) == 0
    assert {row.class_name for row in facts_of(results).values()} == {"carl"}
