"""Features of selected records: right, shared among selections, resumable."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.support.datasets import fakes
from tests.support.runs.train_configs import config
from tfrecords.manifest import Manifest
from trainer.data.augment import Augmenter
from trainer.data.selection import Source, open_split, select
from trainer.data.stream import stream_source
from trainer.features import extract
from trainer.features.backbone import Runtimes, backbone_of, tensorflow_runtime
from trainer.features.extract import Extractor, index_of, pictures
from trainer.features.store import FOLDER
from trainer.models.build import build

FLIP = Augmenter(("flip", "crop", "color"))


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return fakes.write_dataset(
        tmp_path_factory.mktemp("data"), {"train": (90, 50, 30), "validation": (4, 3, 2)}, copies=2
    )


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    fakes.write_dataset(folder, {"train": (90, 50, 30), "validation": (4, 3, 2)}, copies=2)
    return folder


def source(manifest: Manifest, data_dir: Path, **selection: object) -> Source:
    return open_split(manifest, data_dir, "train", select(manifest, **selection))  # type: ignore[arg-type]  # Values of a table.


class Counting(Runtimes):
    """Counts the pictures that pass through the network."""

    count = 0

    def quickest(self, pictures: int) -> tuple[str, extract.Runtime]:
        name, run = super().quickest(pictures)

        def counted(images: np.ndarray) -> np.ndarray:
            self.count += len(images)
            return run(images)

        return name, counted


@pytest.fixture
def extractor(tmp_path: Path) -> Extractor:
    backbone = backbone_of(build(config(model="tests.support.networks.tiny:network"), (16, 16), 3))
    return Extractor(
        backbone=backbone,
        network="network",
        model_name="tiny",
        dataset="dataset",
        runtimes=Counting(backbone, on_cpu=False),
        fallback=tmp_path / "fallback",
        say=lambda text: None,
        progress="none",
        stopped=lambda: False,
    )


def counted(extractor: Extractor) -> int:
    assert isinstance(extractor.runtimes, Counting)
    return extractor.runtimes.count


def test_rows_are_the_features_of_the_stream(
    manifest: Manifest, data_dir: Path, extractor: Extractor
) -> None:
    selected = source(manifest, data_dir, classes=("apu", "lisa"), per_class=40)
    natural = dataclasses.replace(selected, selection=selected.selection.natural())
    found = extractor.features(natural, index_of(natural))
    assert found is not None and found.values.dtype == np.float16
    run = tensorflow_runtime(extractor.backbone)
    expected = {
        id_: (run(image[None].numpy())[0], int(label))
        for images, labels, ids in stream_source(natural, 7)
        for image, label, id_ in zip(images, labels, ids.numpy(), strict=True)
    }
    assert len(expected) == len(found.ids) == 120
    for row, label, id_ in zip(found.values, found.labels, found.ids, strict=True):
        features, expected_label = expected[id_.encode()]
        assert label == expected_label
        np.testing.assert_allclose(row, features, rtol=2e-3, atol=1e-3)


def test_selections_share_what_is_computed(
    manifest: Manifest, data_dir: Path, extractor: Extractor
) -> None:
    small = source(manifest, data_dir, per_class=10)
    extractor.features(small, index_of(small))
    assert counted(extractor) == 30
    larger = source(manifest, data_dir, per_class=20)
    extractor.features(larger, index_of(larger))
    assert counted(extractor) == 60
    extractor.features(larger, index_of(larger))
    assert counted(extractor) == 60


def test_labels_and_counts_are_those_of_the_selection(manifest: Manifest, data_dir: Path) -> None:
    selections: tuple[dict[str, object], ...] = (
        {},
        {"per_class": 91},
        {"originals_only": True},
        {"classes": ("bart", "lisa")},
    )
    for selection in selections:
        chosen = source(manifest, data_dir, **selection)
        counts = np.bincount(index_of(chosen).labels, minlength=len(chosen.selection.classes))
        assert tuple(counts) == chosen.selection.counts(chosen.split)


def test_another_network_or_size_shares_nothing(
    manifest: Manifest, data_dir: Path, extractor: Extractor
) -> None:
    chosen = source(manifest, data_dir, per_class=5)
    extractor.features(chosen, index_of(chosen))
    changes = ({"network": "other"}, {"dataset": "other"})
    for number, change in enumerate(changes, start=1):
        other = dataclasses.replace(extractor, **change)
        other.features(chosen, index_of(chosen))
        assert counted(other) == 15 * (number + 1)


def test_what_was_stopped_goes_on(manifest: Manifest, data_dir: Path, extractor: Extractor) -> None:
    chosen = source(manifest, data_dir)
    calls = iter([False, True])
    stopping = dataclasses.replace(extractor, stopped=lambda: next(calls))
    assert stopping.features(chosen, index_of(chosen)) is None
    done = counted(extractor)
    assert 0 < done <= extract.BLOCK
    whole = extractor.features(chosen, index_of(chosen))
    assert whole is not None and counted(extractor) == len(whole.ids) == 176


def test_a_view_is_a_function_of_position_not_of_the_selection(
    manifest: Manifest, data_dir: Path
) -> None:
    chosen = source(manifest, data_dir)
    few, many = np.array([3, 70, 71, 150]), np.arange(176)
    by_position = [
        {
            int(position): image
            for positions, images in pictures(chosen, wanted, FLIP, (0, view))
            for position, image in zip(positions.numpy(), images.numpy(), strict=True)
        }
        for wanted, view in ((few, 1), (many, 1), (few, 2))
    ]
    assert list(by_position[1]) == many.tolist()
    for position in few:
        np.testing.assert_array_equal(by_position[0][position], by_position[1][position])
        assert (by_position[0][position] != by_position[2][position]).any()


def test_a_data_set_that_cannot_be_written_is_not_needed(
    manifest: Manifest, data_dir: Path, extractor: Extractor
) -> None:
    (data_dir / FOLDER).write_text("a file in the way")
    chosen = source(manifest, data_dir, per_class=5)
    found = extractor.features(chosen, index_of(chosen))
    assert found is not None and any(extractor.fallback.iterdir())
