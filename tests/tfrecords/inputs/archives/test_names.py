"""Names of members: encodings told, guessed and left alone, and paths that stay inside."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.inputs.archives import (
    END,
    contents,
    members,
    tar_member,
    zip_bytes,
    zip_with_raw_names,
)
from tfrecords.errors import UsageError
from tfrecords.inputs.archives.names import find_codec
from tfrecords.inputs.layout import labelled
from tfrecords.inputs.options import InputOptions
from tfrecords.inputs.paths import safe_path

WORDS = {
    "cp932": "猫 犬 日本語の写真 動物園 さくら 東京タワー",
    "gbk": "猫 狗 中文图片 动物 汽车 北京 飞机 测试集",
    "big5": "貓 狗 動物 圖片 飛機 台北",
    "cp949": "고양이 강아지 사진 서울 자동차",
    "cp866": "кошка Собаки фото Москва птицы",
    "cp1251": "кошка Собаки фото Москва",
    "koi8_r": "кошка Собаки",
    "cp437": "café Müller straße niño",
    "cp1250": "łódź żaba kočka",
}


@pytest.mark.parametrize("codec", WORDS)
def test_the_encodings_of_systems_are_found_from_a_few_names(codec: str) -> None:
    words = WORDS[codec].split()
    names = [f"{word}/{number}.jpg".encode(codec) for word in words for number in range(3)]
    found = find_codec(names)
    assert found.is_guess
    decoded = {found.decode(word.encode(codec)) for word in words}
    # Where two codecs are as likely, nothing is guessed.
    assert found.others or decoded == set(words)
    if codec in ("cp932", "gbk", "cp949", "cp866", "cp1251", "cp437"):
        assert decoded == set(words)


def test_utf8_is_no_guess() -> None:
    found = find_codec(["猫/é.jpg".encode(), b"plain.jpg"])
    assert not found.is_guess and found.decode("猫".encode()) == "猫"


def test_one_odd_name_leaves_the_others_as_they_are() -> None:
    names = [f"ключ{number}.jpg".encode() for number in range(9)]
    found = find_codec([*names, "кошка и Собака.jpg".encode("cp1251")])
    assert [found.decode(name) for name in names] == [name.decode() for name in names]
    assert found.decode("кошка и Собака.jpg".encode("cp1251")) == "кошка и Собака.jpg"


def test_shift_jis_in_a_zip_is_read_and_said(tmp_path: Path) -> None:
    # The second byte of the first character is a backslash.
    names = [f"{word}/{n}.jpg" for word in ("表示", "猫", "犬のさんぽ") for n in range(2)]
    data = zip_with_raw_names({name.encode("cp932"): name.encode() for name in names})
    (tmp_path / "in.zip").write_bytes(data)
    notes: list[str] = []
    assert contents(tmp_path / "in.zip", notes) == {name: name.encode() for name in names}
    assert any("read as cp932, as in '表示/0.jpg': --zip_encoding" in note for note in notes)


def test_an_encoding_that_is_told(tmp_path: Path) -> None:
    data = zip_with_raw_names({"犬.jpg".encode("cp932"): b"x"})
    (tmp_path / "in.zip").write_bytes(data)
    notes: list[str] = []
    (found,) = members(tmp_path / "in.zip", InputOptions(name_encoding="cp932"), notes)
    assert found.name == "犬.jpg" and notes == []
    with pytest.raises(UsageError, match="--zip_encoding=klingon is not a known encoding"):
        members(tmp_path / "in.zip", InputOptions(name_encoding="klingon"))


def test_what_may_be_several_is_left_undecoded_and_said(tmp_path: Path) -> None:
    (tmp_path / "in.zip").write_bytes(zip_with_raw_names({"犬.jpg".encode("cp932"): b"x"}))
    notes: list[str] = []
    (found,) = members(tmp_path / "in.zip", notes=notes)
    assert any("may be '犬.jpg' (cp932) or " in note and "--zip_encoding" in note for note in notes)
    assert labelled(found, "dog", None).problem == "name_not_utf8"


def test_a_flag_or_a_field_that_says_utf8_is_believed(tmp_path: Path) -> None:
    (tmp_path / "in.zip").write_bytes(zip_bytes({"猫/é.jpg": b"x"}))
    assert contents(tmp_path / "in.zip") == {"猫/é.jpg": b"x"}
    data = zip_with_raw_names({b"\xff\xfe.jpg": b"x"}, flags=1 << 11)
    (tmp_path / "in.zip").write_bytes(data)
    (found,) = members(tmp_path / "in.zip")
    assert labelled(found, "cat", None).problem == "name_not_utf8"


def test_names_of_a_tar_are_decoded_too(tmp_path: Path) -> None:
    names = ["кошка/Фото.jpg", "Собака/лапа.jpg"]
    parts = [tar_member(name.encode("cp866"), b"x") for name in names]
    (tmp_path / "in.tar").write_bytes(b"".join(parts) + END)
    assert set(contents(tmp_path / "in.tar")) == set(names)


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=6))
def test_every_name_is_decoded_or_kept(names: list[bytes]) -> None:
    found = find_codec(names)
    for name in names:
        decoded = found.decode(name)
        if name.isascii():
            assert decoded == name.decode()


@given(st.text(alphabet="ab./\\: C", max_size=20))
def test_no_path_leaves_the_root(name: str) -> None:
    path = safe_path(name)
    assert not path.startswith("/") and "\\" not in path
    assert not {"", ".", ".."} & set(path.split("/")) or path == ""
    assert safe_path(path) == path or ":" in path
