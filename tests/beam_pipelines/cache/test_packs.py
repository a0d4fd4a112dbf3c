from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_pipelines.cache import packs, storage
from tfrecords.errors import BakeError


@given(st.lists(st.binary(max_size=50), max_size=8), st.randoms())
def test_images_come_back_in_any_order(tmp_path_factory, images, random) -> None:
    path = str(tmp_path_factory.mktemp("pack") / "p")
    with packs.write(path) as pack:
        assert [pack.append(image) for image in images] == list(range(len(images)))
    order = random.choices(range(len(images)), k=5) if images else []
    assert list(packs.read(path, order)) == [images[i] for i in order]


def test_a_pack_that_broke_off_has_no_index(tmp_path: Path) -> None:
    path = str(tmp_path / "p")
    with pytest.raises(KeyboardInterrupt), packs.write(path) as pack:
        pack.append(b"1")
        raise KeyboardInterrupt
    assert storage.list_names(str(tmp_path)) == []


def test_damage_is_named_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "p"
    with packs.write(str(path)) as pack:
        pack.append(b"image 0")
        pack.append(b"image 1")
    data = bytearray((tmp_path / "p.pack").read_bytes())
    data[-6] ^= 1
    (tmp_path / "p.pack").write_bytes(data)
    assert list(packs.read(str(path), [0])) == [b"image 0"]
    with pytest.raises(BakeError, match="damaged at record 1: remove the .cache folder"):
        list(packs.read(str(path), [1]))
