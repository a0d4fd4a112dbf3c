from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_pipelines.cache import storage
from beam_pipelines.cache.layout import Layout
from beam_pipelines.config import PrepareConfig
from beam_pipelines.planning import bundles
from tfrecords.inputs.rows import SourceFile


def listing(count: int) -> list[SourceFile]:
    return [SourceFile(f"c{i % 3}/{i:05d}", f"/in/{i}", f"c{i % 3}", 10, 0) for i in range(count)]


@given(st.integers(1, 10**8))
def test_bundles_are_a_power_of_two_of_a_bounded_size(files: int) -> None:
    count = bundles.count_bundles(files)
    assert count & (count - 1) == 0
    assert files <= count * bundles.BUNDLE_FILES
    assert count == 1 or files > count * bundles.BUNDLE_FILES / 4 or count <= 8


def dealt(tmp_path: Path, rows: list[SourceFile]) -> list[list[SourceFile]]:
    config = PrepareConfig(input_dir="in", output_dir=tmp_path / "out")
    layout = Layout.of(config)
    for directory in layout.directories:
        storage.make_directory(directory)
    return [
        [SourceFile.from_json(line) for line in Path(task.listing).read_text().splitlines()]
        for task in bundles.bundle_tasks(rows, config, layout)
    ]


def test_bundles_partition_the_sources_into_samples_of_all_classes(tmp_path: Path) -> None:
    rows = listing(3000)
    found = dealt(tmp_path, rows)
    assert sorted((row for bundle in found for row in bundle), key=lambda r: r.key) == sorted(
        rows, key=lambda r: r.key
    )
    for bundle in found:
        classes = Counter(row.class_name for row in bundle)
        # Binomial with p = 1/3: five standard deviations.
        bound = 5 * (len(bundle) * 2 / 9) ** 0.5
        assert all(abs(classes[f"c{i}"] - len(bundle) / 3) < bound for i in range(3))


def test_a_new_file_changes_its_own_bundle_only(tmp_path: Path) -> None:
    rows = listing(3000)
    before = dealt(tmp_path / "a", rows)
    after = dealt(tmp_path / "b", [*rows, SourceFile("c0/new", "/in/new", "c0", 10, 0)])
    assert sum(one != other for one, other in zip(before, after, strict=True)) == 1


@pytest.mark.parametrize(
    ("index", "count", "expected"),
    [(1, 4, {"1of2", "1of4", "1of8", "5of8"}), (3, 8, {"1of2", "3of4", "3of8"}), (0, 1, None)],
)
def test_earlier_packs_share_files_with_a_bundle(
    index: int, count: int, expected: set[str] | None
) -> None:
    known = {f"{i}of{n}": (i, n) for n in (2, 4, 8) for i in range(n)}
    found = set(bundles.EarlierPacks(known, count).of(index))
    assert found == (expected if expected is not None else set(known))
