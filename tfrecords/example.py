"""`ImageRecord` to and from the bytes of a `tf.train.Example`, without TensorFlow.

The message is declared here in a private descriptor pool: importing this beside TensorFlow
registers no symbol twice, and the wire format is that of tensorflow/core/example/*.proto.
Serialisation is deterministic (map entries in key order), so equal records are equal bytes
in every process; TensorFlow's own `SerializeToString(deterministic=True)` gives the same.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

from tfrecords import schema
from tfrecords.errors import EvenshardError
from tfrecords.schema import ImageRecord

_Field = descriptor_pb2.FieldDescriptorProto


class ExampleError(EvenshardError, ValueError):
    """Bytes that are not an Example of this schema; the text names the feature at fault."""


def encode(record: ImageRecord) -> bytes:
    """Returns the serialised `tf.train.Example` of a record."""
    example = _EXAMPLE()
    feature = example.features.feature
    feature[schema.IMAGE].bytes_list.value.append(record.image)
    feature[schema.LABEL].int64_list.value.append(record.label)
    feature[schema.ID].bytes_list.value.append(record.id.encode())
    feature[schema.RANK].int64_list.value.append(record.rank)
    feature[schema.COPY].int64_list.value.append(record.copy)
    return example.SerializeToString(deterministic=True)


def decode(data: bytes) -> ImageRecord:
    """Returns the record in `data`.

    Raises:
      ExampleError: not an Example, or a feature is missing, of another kind, repeated or
        out of range.
    """
    example = _EXAMPLE()
    try:
        example.ParseFromString(data)
    except message.DecodeError as error:
        raise ExampleError(f"not a tf.train.Example: {error}") from error
    feature = example.features.feature
    try:
        id_ = _only(feature, schema.ID, "bytes_list").decode()
    except UnicodeDecodeError as error:
        raise ExampleError(f"feature {schema.ID!r} is not UTF-8: {error}") from error
    image = _only(feature, schema.IMAGE, "bytes_list")
    label, rank, copy = (
        _only(feature, name, "int64_list") for name in (schema.LABEL, schema.RANK, schema.COPY)
    )
    try:
        return ImageRecord(image=image, label=label, id=id_, rank=rank, copy=copy)
    except ValueError as error:
        raise ExampleError(str(error)) from error


def _only(feature: Any, name: str, kind: str) -> Any:
    """Returns the single value of a feature, never inserting an absent name into the map."""
    if name not in feature:
        raise ExampleError(f"feature {name!r} is missing; the record has {sorted(feature)}")
    found = feature[name].WhichOneof("kind")
    if found != kind:
        raise ExampleError(f"feature {name!r} should be a {kind}, it is {found}")
    values = getattr(feature[name], kind).value
    if len(values) != 1:
        raise ExampleError(f"feature {name!r} should have one value, it has {len(values)}")
    return values[0]


def _example_class() -> type[Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="evenshard/example.proto", package="tensorflow", syntax="proto3"
    )
    for name, type_, packed in (
        ("BytesList", _Field.TYPE_BYTES, False),
        ("FloatList", _Field.TYPE_FLOAT, True),
        ("Int64List", _Field.TYPE_INT64, True),
    ):
        value = file.message_type.add(name=name).field.add(
            name="value", number=1, type=type_, label=_Field.LABEL_REPEATED
        )
        value.options.packed = packed
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, kind in enumerate(("BytesList", "FloatList", "Int64List"), start=1):
        feature.field.add(
            name=kind.removesuffix("List").lower() + "_list",
            number=number,
            type=_Field.TYPE_MESSAGE,
            type_name=f".tensorflow.{kind}",
            label=_Field.LABEL_OPTIONAL,
            oneof_index=0,
        )
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=_Field.TYPE_STRING, label=_Field.LABEL_OPTIONAL)
    entry.field.add(
        name="value",
        number=2,
        type=_Field.TYPE_MESSAGE,
        type_name=".tensorflow.Feature",
        label=_Field.LABEL_OPTIONAL,
    )
    features.field.add(
        name="feature",
        number=1,
        type=_Field.TYPE_MESSAGE,
        type_name=".tensorflow.Features.FeatureEntry",
        label=_Field.LABEL_REPEATED,
    )
    file.message_type.add(name="Example").field.add(
        name="features",
        number=1,
        type=_Field.TYPE_MESSAGE,
        type_name=".tensorflow.Features",
        label=_Field.LABEL_OPTIONAL,
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.Example"))


_EXAMPLE = _example_class()
