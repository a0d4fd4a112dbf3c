"""Drawn road signs: the same on every machine, told apart, and mirror images of each other."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.accuracy import sign_drawing, signs
from benchmarks.accuracy.sign_drawing import FARTHEST, FRAMES, NEAREST, SIGNS
from benchmarks.accuracy.signs import Result


def face(name: str) -> np.ndarray:
    return np.asarray(sign_drawing.face(name)).astype(int)


def frame(name: str, split: str, track: int, number: int) -> np.ndarray:
    return sign_drawing.frame(sign_drawing.track(name, split, track), number)


def test_there_are_42_classes_and_no_two_look_alike() -> None:
    assert len(SIGNS) == 42
    for one, other in itertools.combinations(SIGNS, 2):
        assert np.abs(face(one) - face(other)).mean() > 1.5, (one, other)


def test_left_is_the_mirror_image_of_right() -> None:
    lefts = [name for name in SIGNS if name.endswith("_left")]
    assert len(lefts) == 6
    for left in lefts:
        right = face(left.replace("_left", "_right"))
        np.testing.assert_array_equal(face(left), right[:, ::-1])
        assert np.abs(right - right[:, ::-1]).mean() > 1.5, "a mirror image is another sign"


def test_a_frame_is_a_function_of_its_name() -> None:
    first = frame("stop", "train", 3, 20)
    np.testing.assert_array_equal(first, frame("stop", "train", 3, 20))
    assert first.dtype == np.uint8 and first.shape[2] == 3
    others = [("stop", "test", 3, 20), ("stop", "train", 4, 20), ("stop", "train", 3, 21)]
    assert all(
        first.shape != other.shape or (first != other).mean() > 0.3
        for other in (frame(*name) for name in others)
    )


@pytest.mark.parametrize("name", ["limit_20", "turn_left", "give_way"])
def test_a_track_comes_nearer(name: str) -> None:
    frames = [frame(name, "train", 0, number) for number in (0, FRAMES - 1)]
    sides = [max(picture.shape[:2]) for picture in frames]
    assert sides[0] == FARTHEST and FARTHEST < sides[1] <= NEAREST


def test_frames_of_a_track_are_alike_and_tracks_are_not() -> None:
    def small(track: int, number: int) -> np.ndarray:
        picture = Image.fromarray(frame("ahead", "train", track, number))
        return np.asarray(picture.resize((8, 8))).astype(float)

    for track in range(4):
        within = np.abs(small(track, 20) - small(track, 21)).mean()
        across = np.abs(small(track, 20) - small(track + 4, 20)).mean()
        assert within < across


def test_a_folder_is_drawn_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_drawing, "SIGNS", {"stop": SIGNS["stop"], "ahead": SIGNS["ahead"]})
    root = tmp_path / "drawn"
    signs.draw(root, {"train": 2, "test": 1}, 3)
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    assert len(names) == 2 * 3 * 3
    assert names[0] == "test/ahead/000_00.png" and names[-1] == "train/stop/001_29.png"
    (root / names[0]).unlink()
    signs.draw(root, {"train": 2, "test": 1}, 3)
    assert not (root / names[0]).exists()


def test_recipes_that_are_done_are_not_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = []

    def judge(data_dir: Path, run_dir: Path, flags: str) -> Result:
        ran.append(flags)
        return Result(flags, 100.0, 0.9, 0.8, 0.7)

    monkeypatch.setattr(signs, "judge", judge)
    signs.run(tmp_path / "baked", tmp_path, ["--epochs=1", "--epochs=2"])
    results = signs.run(tmp_path / "baked", tmp_path, ["--epochs=2", "--epochs=3"])
    assert ran == ["--epochs=1", "--epochs=2", "--epochs=3"]
    assert (
        signs.markdown(results).splitlines()[2] == "| `--epochs=2` | 100 | 0.900 | 0.800 | 0.700 |"
    )
    assert len(json.loads((tmp_path / "baked.json").read_text())) == 3


def test_recorded_signs_are_baked_with_the_flags_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = []
    monkeypatch.setattr(signs, "call", lambda *argv: calls.append(argv))
    monkeypatch.setattr(signs, "draw", lambda *_: pytest.fail("nothing is to be drawn"))
    monkeypatch.setattr(
        signs, "judge", lambda data_dir, run_dir, flags: Result(flags, 100.0, 0.9, 0.8, 0.7)
    )
    argv = ["signs", f"--work={tmp_path / 'work'}", "--pictures=gtsrb", "--bake=--per_class=300"]
    monkeypatch.setattr("sys.argv", [*argv, "--flags=--epochs=1"])
    signs.main()
    (bake,) = calls
    assert bake[:2] == ("-m", "beam_pipelines.prepare")
    assert {"--image_size=32", "--per_class=300"} < set(bake)
    assert not any(flag.startswith("--group_by") for flag in bake)
    assert "| `--epochs=1` |" in capsys.readouterr().out
