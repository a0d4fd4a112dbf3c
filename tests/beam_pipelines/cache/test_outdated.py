"""A cache that an earlier version wrote: used on, without the pictures that it made otherwise."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from beam_pipelines.cache import outdated
from beam_pipelines.cache.layout import Layout
from beam_pipelines.flag_rules import identity
from tests.beam_pipelines.steps.test_canonicalise import SPEC, Bake, decoded, facts_of
from tests.support.datasets import fakes
from tests.support.pictures import dataset_files
from tests.support.pictures.tiff_files import Arrangement, tiff
from tests.tfrecords.images.test_xmp_orientation import QUARTER_TURN, packet, saved
from tfrecords.images import canonicalise


def jpeg_with_much_metadata() -> bytes:
    """Returns a JPEG of a quarter turn by XMP, behind 5 MiB of comments."""
    plain = saved("JPEG", QUARTER_TURN)
    comment = b"\xff\xfe" + (65_535).to_bytes(2, "big") + bytes(65_533)
    return plain[:2] + comment * 80 + plain[2:]


def dark() -> np.ndarray:
    return np.linspace(0, 4_095, 24 * 24 * 3).astype(np.uint16).reshape(24, 24, 3)


def turned_tiff() -> bytes:
    text = packet(QUARTER_TURN)
    text += b" " * (-len(text) % 4)
    tags = {700: np.frombuffer(text, "<u4").tolist()}
    return tiff(dark() * 16, 2, Arrangement(planar=True, tags=tags))


def lossless(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


# Name → (contents, whether an earlier version made another picture or note of it).
FILES: Mapping[str, tuple[bytes, bool]] = {
    "turned.jpg": (jpeg_with_much_metadata(), True),
    "turned.tif": (turned_tiff(), True),
    "is_a_tiff.jpg": (turned_tiff(), True),
    "dark.png": (dataset_files.png(dark(), 16, dataset_files.RGB), True),
    "dark.ppm": (b"P6\n24 24\n65535\n" + dark().astype(">u2").tobytes(), True),
    "ordinary.jpg": (fakes.picture_bytes("ordinary"), False),
    "turned_before.jpg": (saved("JPEG", QUARTER_TURN), False),
    "bright.png": (dataset_files.png(dark() * 16, 16, dataset_files.RGB), False),
    "of_8_bits.png": (lossless(np.asarray(fakes.picture("x", 24, 24))), False),
    "text.jpg": (b"no picture at all", False),
}


@pytest.fixture
def bake(tmp_path: Path) -> Bake:
    """A folder of `FILES` beside ordinary pictures."""
    made = Bake(tmp_path)
    for name, (data, _) in FILES.items():
        (made.input_dir / "apu" / name).write_bytes(data)
    return made


def as_of_before(bake: Bake) -> None:
    """Gives the packs of a cache the names that they had before there were rules."""
    ending = f"r{identity.RULES}"
    for path in Path(bake.layout.canonical_dir).iterdir():
        if path.suffix == ".facts":
            path.write_bytes(path.read_bytes().replace(f'{ending}"'.encode(), b'"'))
        path.rename(path.with_name(path.name.replace(f"{ending}.", ".")))


@pytest.fixture
def of_an_earlier_version(bake: Bake, monkeypatch: pytest.MonkeyPatch) -> Bake:
    """The same with a cache in which the files of rare kinds are black pictures without a note."""
    right = canonicalise.canonicalise
    rare = {data for data, is_rare in FILES.values() if is_rare}

    def wrong(data: bytes, *rules: object) -> canonicalise.CanonicalImage:
        found = right(data, *rules)  # type: ignore[arg-type]  # Handed through.
        if data not in rare:
            return found
        black = right(lossless(np.zeros((24, 24, 3), np.uint8)), *rules)  # type: ignore[arg-type]  # As above.
        return canonicalise.CanonicalImage(
            black.data, found.header, *(black.phash, black.fingerprint, black.thumbnail), note=""
        )

    with monkeypatch.context() as patch:
        patch.setattr(canonicalise, "canonicalise", wrong)
        bake.run()
    as_of_before(bake)
    return bake


def test_only_what_would_be_made_otherwise_is_decoded_again(of_an_earlier_version: Bake) -> None:
    bake = of_an_earlier_version
    results = bake.run()
    assert decoded(results) == sum(is_rare for _, is_rare in FILES.values())
    facts = facts_of(results)
    assert len(facts) == 8 + len(FILES)
    for key, row in facts.items():
        data = (bake.input_dir / key).read_bytes()
        if row.reason is None:
            image = canonicalise.canonicalise(data, SPEC, bake.config.limits)
            assert bake.image(row) == image.data, key
            assert bake.thumbnail(row) == image.thumbnail
            assert (row.detail or "") == image.note, key
    assert "nearly black" in str(facts["apu/dark.png"].detail)
    assert decoded(bake.run()) == 0


def test_shards_of_the_earlier_packs_are_not_taken_for_those_of_now(
    of_an_earlier_version: Bake,
) -> None:
    """A shard is known by the names of its packs."""
    bake = of_an_earlier_version
    earlier = {path.stem for path in Path(bake.layout.canonical_dir).glob("*.facts")}
    assert earlier.isdisjoint(row.pack for row in facts_of(bake.run()).values() if row.pack)
    before = Layout.of(bake.config).copies_dir
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(identity, "RULES", identity.RULES + 1)
        assert Layout.of(bake.config).copies_dir != before


def test_an_earlier_cache_of_ordinary_pictures_is_used_as_it_is(
    of_an_earlier_version: Bake,
) -> None:
    bake = of_an_earlier_version
    for name, (_, is_rare) in FILES.items():
        if is_rare:
            (bake.input_dir / "apu" / name).unlink()
    first = bake.run()  # Another listing: what is left is taken from the earlier pack.
    assert decoded(first) == 0
    packs = {row.pack for row in facts_of(first).values() if row.pack}
    assert packs and all(outdated.is_in_force(bake.layout.canonical_dir, pack) for pack in packs)


def test_a_pack_without_rare_kinds_keeps_its_name(tmp_path: Path) -> None:
    bake = Bake(tmp_path)
    names = {row.pack for row in facts_of(bake.run()).values()}
    as_of_before(bake)
    again = bake.run()
    assert decoded(again) == 0
    assert {f"{row.pack}r{identity.RULES}" for row in facts_of(again).values()} == names
