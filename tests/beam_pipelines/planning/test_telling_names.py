"""Names that tell what belongs together: taken where pictures agree, and only there."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable

import numpy as np
import pytest

from beam_pipelines.cache import facts_table
from beam_pipelines.choices import SplitBy
from beam_pipelines.config import PrepareConfig
from beam_pipelines.flag_rules import identity
from beam_pipelines.planning import telling_names
from beam_pipelines.planning.plan import Plan, make_plan
from tests.support.bakes.image_facts import CONFIG, picture
from tfrecords.sharding import stable_hash

TRACKS, FRAMES = 16, 10

# Number of the track, 0 to 15, and of the frame → path below the class.
TELLING: dict[str, Callable[[int, int], str]] = {
    "track and frame": lambda track, frame: f"{track:05d}_{frame:05d}.ppm",
    "words and a suffix": lambda track, frame: f"video{track}_cam1_frame{frame:03d}_crop.jpg",
    "patient first": lambda track, frame: f"P{track:03d}-{'abcdefghij'[frame]}{track * frame}.png",
    "sides": lambda track, frame: f"{track:03d}_visit{frame // 2}_{'LR'[frame % 2]}.jpeg",
    "a folder each": lambda track, frame: f"seq{track}/IMG_{frame * 7 + track}.JPG",
    "no separator": lambda track, frame: f"{'abcdefghijklmnop'[track]}{frame}.bmp",
    "copies": lambda track, frame: f"sign {track} ({frame}).jpg",
}

DICE = random.Random(3)
SHUFFLED = DICE.sample(range(TRACKS * FRAMES), TRACKS * FRAMES)

SILENT: dict[str, Callable[[int, int], str]] = {
    "numbers": lambda track, frame: f"{track * FRAMES + frame:06d}.png",
    "a prefix for all": lambda track, frame: f"IMG_{track * FRAMES + frame}.jpg",
    "the class and a number": lambda track, frame: f"class.{track * FRAMES + frame}.jpg",
    "hashes": lambda track, frame: f"{stable_hash('name', track, frame) % 2**32:08x}.jpg",
    "other groups": lambda track, frame: (
        f"{SHUFFLED[track * FRAMES + frame] % TRACKS:02d}_{SHUFFLED[track * FRAMES + frame]}.png"
    ),
    "groups of half a class": lambda track, frame: (
        f"{'ab'[track % 2]}_{track * FRAMES + frame}.png"
    ),
}


def plan(
    name: Callable[[int, int], str],
    config: PrepareConfig = CONFIG,
    classes: tuple[str, ...] = ("a", "b"),
) -> tuple[Plan, dict[str, tuple[str, int]]]:
    """Returns a plan of tracks whose frames look alike, and the track of each key."""
    track_of = {
        f"{label}/{name(track, frame)}": (label, track)
        for label in classes
        for track in range(TRACKS)
        for frame in range(FRAMES)
    }
    assert len(track_of) == len(classes) * TRACKS * FRAMES
    keys = sorted(track_of)

    def look(rows: np.ndarray) -> np.ndarray:
        seeds = [[track, ord(label)] for label, track in (track_of[keys[row]] for row in rows)]
        return np.stack(
            [np.random.default_rng(s).integers(0, 256, (16, 16, 3), np.uint8) for s in seeds]
        )

    facts = facts_table.facts_table([facts_table.facts_block([picture(key) for key in keys])])
    return make_plan(facts, config, look), track_of


AUTO = dataclasses.replace(CONFIG, split_by=SplitBy.AUTO)


@pytest.mark.parametrize("scheme", TELLING)
def test_tracks_that_names_tell_stay_whole(scheme: str) -> None:
    result, track_of = plan(TELLING[scheme], AUTO)
    splits: dict[tuple[str, int], set[str]] = {}
    for row in result.sources.to_pylist():
        splits.setdefault(track_of[row["key"]], set()).add(row["split"])
    assert {len(found) for found in splits.values()} == {1}
    assert len(set().union(*splits.values())) == 3
    assert result.config.split_by is SplitBy.RANDOM
    assert result.config.group_by in telling_names.PATTERNS
    (told,) = (note for note in result.notes if "--split_by=auto chose names" in note)
    assert "100% of the pictures" in told and "it is 0% where" in told


def test_the_flags_that_it_names_bake_the_same() -> None:
    found, _ = plan(TELLING["track and frame"], AUTO)
    flags = {"group_by": found.config.group_by, "split_by": SplitBy.RANDOM}
    asked, _ = plan(TELLING["track and frame"], dataclasses.replace(CONFIG, **flags))
    assert found.sources.equals(asked.sources)
    assert identity.for_manifest(found.config) == identity.for_manifest(asked.config)


@pytest.mark.parametrize("scheme", SILENT)
def test_names_that_tell_nothing_leave_it_to_appearance(scheme: str) -> None:
    result, _ = plan(SILENT[scheme], AUTO)
    assert result.config.split_by is SplitBy.APPEARANCE
    assert result.config.group_by is None


@pytest.mark.parametrize("scheme", TELLING)
def test_names_are_not_asked_where_pictures_are_no_kin(scheme: str) -> None:
    keys = [f"a/{TELLING[scheme](i, j)}" for i in range(TRACKS) for j in range(FRAMES)]
    keys += [f"b/{i}.jpg" for i in range(100)]
    facts = facts_table.facts_table([facts_table.facts_block([picture(key) for key in keys])])

    def look(rows: np.ndarray) -> np.ndarray:
        dice = [np.random.default_rng(row) for row in rows]
        return np.stack([one.integers(0, 256, (16, 16, 3), np.uint8) for one in dice])

    result = make_plan(facts, AUTO, look)
    assert result.config.split_by is SplitBy.RANDOM and result.config.group_by is None
    assert not any("--split_by=auto" in note for note in result.notes)
