"""The join on a real runner, and bakes with it against bakes without."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from tests.support.bakes.prepare_configs import config_of
from tests.support.processes import commands
from tfrecords import ledger, manifest

beam = pytest.importorskip("apache_beam")
from beam_pipelines import run
from beam_pipelines.similarity import partitioned


def draw(path: Path, seed: int, near: int = 0) -> None:
    """Draws a picture; those of one seed are nearly the same."""
    image = Image.new("RGB", (64, 64), "white")
    pen = ImageDraw.Draw(image)
    for stroke in range(6):
        x, y, size = ((seed * 7919 + stroke * 104_729 * step) % 48 for step in (1, 3, 7))
        pen.ellipse((x, y, x + size + 8, y + size + 8), fill=(40 * stroke, seed % 200, 90))
    pen.point((near, 1), "red")
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 scenes in two classes; every third has near copies, and some files are equal."""
    root = tmp_path_factory.mktemp("in")
    for seed in range(60):
        for near in range(1 + 2 * (seed % 3 == 0)):
            name = ("apu", "bart")[(seed + near) % 2]
            draw(root / name / f"{seed:03d}_{near}.png", seed, near)
    shutil.copy(root / "apu" / "000_0.png", root / "bart" / "same.png")
    shutil.copy(root / "apu" / "002_0.png", root / "apu" / "same.png")
    (root / "bart" / "broken.jpg").write_bytes(b"not a picture")
    return root


def baked(folder: Path, output_dir: Path, *flags: str) -> dict[str, str]:
    given = [f"--input_dir={folder}", f"--output_dir={output_dir}", "--image_size=32", *flags]
    config = config_of(*given, "--workers=0", "--per_class=40")
    assert run.run(config, []) == 0
    return commands.digests(output_dir)


@pytest.mark.parametrize(
    ("flags", "rejected"),
    [
        ((), 1),
        (("--near_duplicates=drop", "--label_conflicts=drop_all", "--split_by=appearance"), 3),
    ],
)
def test_a_bake_that_joins_in_parts_is_byte_for_byte_the_same(
    folder: Path,
    tmp_path: Path,
    flags: tuple[str, ...],
    rejected: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = baked(folder, tmp_path / "whole", *flags)
    monkeypatch.setattr(partitioned, "LEAST_BUNDLES", 1)
    monkeypatch.setattr(partitioned, "PART_ROWS", 200)
    assert partitioned.count_parts(8, 0) > 3
    assert baked(folder, tmp_path / "parts", *flags) == whole
    # It had something to find, and what went aside did so for the reasons meant.
    statuses = manifest.load(tmp_path / "whole").statuses
    groups = len(ledger.read(tmp_path / "whole")["group"].drop_null().unique())
    assert statuses["rejected"] == rejected
    if "--near_duplicates=drop" in flags:
        assert statuses["duplicate"] > 40
    else:
        assert groups < statuses["kept"] - 40
