"""Records as `tf.train.Example` bytes: golden bytes, parity with TensorFlow both ways, errors."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrecords import example
from tfrecords.example import ExampleError
from tfrecords.schema import ImageRecord

RECORD = ImageRecord(image=b"\xff\xd8\xff", label=3, id="bart/é 1.jpg#2", rank=300, copy=2)

# tf.train.Example with these five features, SerializeToString(deterministic=True), by
# TensorFlow 2.21. Map entries are in order of their keys: copy, id, image, label, rank.
GOLDEN = bytes.fromhex(
    "0a5c"
    "0a0d0a04636f707912051a030a0102"
    "0a190a02696412130a110a0f626172742fc3a920312e6a70672332"
    "0a100a05696d61676512070a050a03ffd8ff"
    "0a0e0a056c6162656c12051a030a0103"
    "0a0e0a0472616e6b12061a040a02ac02"
)

INT64 = st.integers(0, 2**63 - 1)
RECORDS = st.builds(
    ImageRecord,
    image=st.binary(max_size=300),
    label=INT64,
    id=st.text(max_size=40),
    rank=INT64,
    copy=INT64,
)


def test_golden_bytes() -> None:
    assert example.encode(RECORD) == GOLDEN
    assert example.decode(GOLDEN) == RECORD


@given(RECORDS)
def test_decode_inverts_encode(record: ImageRecord) -> None:
    data = example.encode(record)
    assert example.decode(data) == record
    assert example.encode(example.decode(data)) == data


class TestTensorFlow:
    @given(record=RECORDS)
    @settings(max_examples=50, deadline=None)
    def test_writes_the_same_bytes_and_reads_ours(self, record: ImageRecord) -> None:
        message = tensorflow_example(record)
        data = example.encode(record)
        assert message.SerializeToString(deterministic=True) == data
        parsed = type(message).FromString(data)
        assert parsed == message

    def test_its_parser_gives_the_features(self) -> None:
        tf = pytest.importorskip("tensorflow")
        scalars = dict.fromkeys(("image", "id"), tf.io.FixedLenFeature([], tf.string))
        scalars |= dict.fromkeys(("label", "rank", "copy"), tf.io.FixedLenFeature([], tf.int64))
        parsed = tf.io.parse_single_example(GOLDEN, scalars)
        got = {name: tensor.numpy() for name, tensor in parsed.items()}
        assert got == {
            "image": RECORD.image, "id": RECORD.id.encode(), "label": 3, "rank": 300, "copy": 2,
        }  # fmt: skip

    def test_its_bytes_in_any_order_and_with_further_features_are_read(self) -> None:
        tf = pytest.importorskip("tensorflow")
        message = tensorflow_example(RECORD)
        message.features.feature["weight"].float_list.value.append(0.5)
        fields = [
            tf.train.Features(feature={name: message.features.feature[name]}).SerializeToString()
            for name in ("weight", "rank", "image", "id", "copy", "label")
        ]
        # Serialised messages that follow one another are merged: protobuf's rule.
        data = b"".join(b"\x0a" + bytes([len(field)]) + field for field in fields)
        assert example.decode(data) == RECORD

    def test_may_be_imported_first(self) -> None:
        # Every other test imports ours first; two registrations of one symbol would raise.
        pytest.importorskip("tensorflow")
        code = (
            "import sys, tensorflow\nfrom tfrecords import example\n"
            "data = example.encode(example.decode(sys.stdin.buffer.read()))\n"
            "print(tensorflow.train.Example.FromString(data).features.feature['rank'])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], input=GOLDEN, capture_output=True, check=True
        )
        assert b"300" in done.stdout


def tensorflow_example(record: ImageRecord) -> Any:
    """Returns the record as TensorFlow's own message."""
    tf = pytest.importorskip("tensorflow")
    feature = {
        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        for name, value in (("image", record.image), ("id", record.id.encode()))
    } | {
        name: tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
        for name, value in (("label", record.label), ("rank", record.rank), ("copy", record.copy))
    }
    return tf.train.Example(features=tf.train.Features(feature=feature))


def edited(name: str, **lists: list[Any]) -> bytes:
    """Returns GOLDEN with a feature replaced by one of the given kind, or removed."""
    message = example._EXAMPLE.FromString(GOLDEN)
    del message.features.feature[name]
    for kind, values in lists.items():
        getattr(message.features.feature[name], kind).value.extend(values)
    return message.SerializeToString(deterministic=True)


class TestErrors:
    @pytest.mark.parametrize(
        ("data", "text"),
        [
            (b"", r"'id' is missing; the record has \[\]"),
            (b"\x0a\xff", "not a tf.train.Example"),
            (edited("image"), r"'image' is missing; the record has \['copy', 'id', 'label'"),
            (edited("label", float_list=[3.0]), "'label' should be a int64_list, it is float_list"),
            (edited("label", int64_list=[1, 2]), "'label' should have one value, it has 2"),
            (edited("rank", int64_list=[-1]), "must not be negative, got 3, -1, 2 for 'bart/é"),
            (edited("id", bytes_list=[b"\xe9.jpg"]), "'id' is not UTF-8"),
        ],
    )
    def test_name_the_feature(self, data: bytes, text: str) -> None:
        with pytest.raises(ExampleError, match=text):
            example.decode(data)

    def test_a_kind_without_values(self) -> None:
        message = example._EXAMPLE.FromString(GOLDEN)
        message.features.feature["copy"].int64_list.ClearField("value")
        with pytest.raises(ExampleError, match="'copy' should have one value, it has 0"):
            example.decode(message.SerializeToString())

    @given(st.binary(max_size=100))
    def test_any_bytes_give_a_record_or_an_example_error(self, data: bytes) -> None:
        try:
            example.decode(data)
        except ExampleError as error:
            assert str(error)

    @given(st.data())
    def test_damaged_examples_give_a_record_or_an_example_error(self, data: st.DataObject) -> None:
        damaged = bytearray(GOLDEN)
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
        try:
            assert isinstance(example.decode(bytes(damaged)), ImageRecord)
        except ExampleError as error:
            assert str(error)

    @pytest.mark.parametrize("name", ["label", "rank", "copy"])
    def test_numbers_beyond_64_bits_are_refused(self, name: str) -> None:
        fields = {"label": 0, "rank": 0, "copy": 0, name: 2**63}
        with pytest.raises(ValueError):
            example.encode(ImageRecord(image=b"", id="a", **fields))
