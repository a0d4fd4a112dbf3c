"""The plan of a town: sizes, kinds and formats, before anything is drawn."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenshard.springfield_like import files
from evenshard.springfield_like.citizens.cast import CITIZENS, TOTAL
from evenshard.springfield_like.files import Kind


@pytest.fixture(scope="module")
def full() -> list[files.PlannedFile]:
    """The plan of the whole town."""
    return files.plan_pictures(0, files.class_sizes(1.0, 42))


def assert_plan_is_sound(planned: list[files.PlannedFile], sizes: dict[str, int]) -> None:
    """Every class has its files, every copy a plain original of its class."""
    by_key = {file.key: file for file in planned}
    assert len(by_key) == len(planned) == sum(sizes.values())
    assert Counter(file.citizen.name for file in planned) == sizes
    for file in planned:
        assert file.key.startswith(f"{file.citizen.name}/")
        if file.kind not in (Kind.EXACT_DUPLICATE, Kind.NEAR_DUPLICATE):
            assert file.of is None
            continue
        original = by_key[file.of]
        assert (original.kind, original.citizen) == (Kind.PICTURE, file.citizen)
        assert original.index == file.index
        assert (original.recipe == file.recipe) == (file.kind is Kind.EXACT_DUPLICATE)


def test_the_full_town_has_the_storys_sizes(full):
    assert_plan_is_sound(full, {citizen.name: citizen.count for citizen in CITIZENS})
    assert len(full) == TOTAL


def test_the_full_town_has_the_documented_kinds(full):
    kinds = Counter(file.kind for file in full)
    assert {kind: kinds[kind] for kind in files.KINDS} == {
        kind: count for kind, (count, _) in files.KINDS.items()
    }
    modes = Counter((f.recipe.format, f.recipe.mode) for f in full if f.recipe.orientation == 1)
    formats = {name: count for name, (count, _) in files.FORMATS.items()}
    assert modes["PNG", "RGB"] == formats["png"]
    assert modes["PNG", "RGBA"] == formats["alpha"]
    assert modes["PNG", "P"] == formats["palette"]
    assert modes["JPEG", "L"] == formats["grey"]
    rotated = Counter(file.recipe.orientation for file in full)
    assert rotated[3] + rotated[6] + rotated[8] == formats["rotated"] == TOTAL - rotated[1]


def test_sizes_have_the_storys_mean_and_maximum(full):
    heights = [file.recipe.height for file in full]
    widths = [file.recipe.width for file in full]
    assert sum(heights) / TOTAL == pytest.approx(416, rel=0.02)
    assert sum(widths) / TOTAL == pytest.approx(409, rel=0.02)
    assert (max(widths), max(heights)) == (1912, 1072)
    assert (full[0].recipe.width, full[0].recipe.height) == (1912, 1072)
    assert min(*widths, *heights) >= files.SMALLEST_SIDE
    assert max(widths) / min(widths) > 10


def test_jpegs_vary(full):
    jpegs = [f.recipe for f in full if f.recipe.format == "JPEG" and f.kind is Kind.PICTURE]
    assert {recipe.quality for recipe in jpegs} == set(range(75, 96))
    assert {recipe.subsampling for recipe in jpegs} == {0, 2}
    assert 0.05 < sum(recipe.progressive for recipe in jpegs) / len(jpegs) < 0.2


def test_the_tail_has_no_defects(full):
    sizes = files.class_sizes(1.0, 42)
    defects = {file.citizen.name for file in full if file.kind is not Kind.PICTURE}
    assert min(sizes[name] for name in defects) >= 20


def test_one_name_has_a_space_and_one_an_accent(full):
    assert [file.key for file in full if " " in file.key] == ["baker_bruno/pic 0003.jpg"]
    accented = [file.key for file in full if not file.key.isascii()]
    assert [key.rsplit(".", 1)[0] for key in accented] == ["innkeeper_igor/pic_0003_caf\u00e9"]


def test_a_smaller_town_draws_the_same_pictures(full):
    small = files.class_sizes(0.05, 42)
    whole = {(f.citizen.name, f.index): f.recipe for f in full if f.of is None}
    planned = [f for f in files.plan_pictures(0, small) if f.of is None]
    both = [f for f in planned if (f.citizen.name, f.index) in whole]
    assert len(both) > 0.98 * len(planned)
    for file in both:
        recipe = whole[file.citizen.name, file.index]
        assert (recipe.width, recipe.height) == (file.recipe.width, file.recipe.height)


def test_another_seed_is_another_town():
    sizes = files.class_sizes(0.01, 42)
    assert files.plan_pictures(0, sizes) != files.plan_pictures(1, sizes)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.0005, 0.06), st.integers(1, 42), st.integers(0, 2**31))
def test_towns_of_every_size_are_sound(scale, classes, seed):
    sizes = files.class_sizes(scale, classes)
    assert len(sizes) == classes
    assert all(
        count == max(3, round(citizen.count * scale))
        for citizen, count in zip(CITIZENS[:classes], sizes.values(), strict=True)
    )
    assert_plan_is_sound(files.plan_pictures(seed, sizes), sizes)


def test_a_small_town_still_has_every_kind():
    planned = files.plan_pictures(0, files.class_sizes(0.02, 42))
    assert {file.kind for file in planned} == set(Kind)


def test_unlabelled_pictures_are_sound_and_of_many_classes():
    planned = files.plan_unlabelled(0, 200, 42)
    assert {file.kind for file in planned} == {Kind.PICTURE}
    assert len({file.key for file in planned}) == 200
    assert len({file.citizen.name for file in planned}) > 35
