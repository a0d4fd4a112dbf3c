"""The messages of TensorBoard's HParams tab, described here so that TensorBoard is not needed.

Source: tensorboard/plugins/hparams/{plugin_data,api}.proto, whose field numbers these are, and
summary_v2.py, which says what is written where.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, struct_pb2

PLUGIN = "hparams"
_VERSION = 0
_SUCCESS = 1

_PACKAGE = "evenshard.hparams"
_Field = descriptor_pb2.FieldDescriptorProto


@dataclass(frozen=True)
class Message:
    """A message to the tab.

    Attributes:
      tag: under which it is written.
      content: its bytes.
    """

    tag: str
    content: bytes


def start(flags: Mapping[str, object], seconds: float) -> Message:
    """Returns that a run of these flags began.

    Args:
      flags: name → number, text or bool; others are written as text.
      seconds: since 1970.
    """
    data = _DATA(version=_VERSION)
    data.session_start_info.start_time_secs = seconds
    for name, value in flags.items():
        data.session_start_info.hparams.add(key=name, value=_value(value))
    return Message("_hparams_/session_start_info", data.SerializeToString())


def end(seconds: float) -> Message:
    """Returns that a run was finished, `seconds` after 1970."""
    data = _DATA(version=_VERSION)
    data.session_end_info.status = _SUCCESS
    data.session_end_info.end_time_secs = seconds
    return Message("_hparams_/session_end_info", data.SerializeToString())


def _value(value: object) -> struct_pb2.Value:
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, (int, float)):
        return struct_pb2.Value(number_value=value)
    return struct_pb2.Value(string_value=str(value))


def _described() -> Any:
    """Returns the class of HParamsPluginData."""
    file = descriptor_pb2.FileDescriptorProto(
        name="evenshard/hparams.proto", package=_PACKAGE, syntax="proto3"
    )
    file.dependency.append("google/protobuf/struct.proto")
    # A map is on the wire what its repeated entries are.
    _message(file, "Entry", ("key", 1, _Field.TYPE_STRING, ""),
             ("value", 2, _Field.TYPE_MESSAGE, ".google.protobuf.Value"))  # fmt: skip
    _message(file, "SessionStartInfo", ("hparams", 1, _Field.TYPE_MESSAGE, f".{_PACKAGE}.Entry"),
             ("start_time_secs", 5, _Field.TYPE_DOUBLE, ""))  # fmt: skip
    file.message_type[-1].field[0].label = _Field.LABEL_REPEATED
    _message(file, "SessionEndInfo", ("status", 1, _Field.TYPE_INT32, ""),
             ("end_time_secs", 2, _Field.TYPE_DOUBLE, ""))  # fmt: skip
    _message(
        file, "HParamsPluginData", ("version", 1, _Field.TYPE_INT32, ""),
        ("session_start_info", 3, _Field.TYPE_MESSAGE, f".{_PACKAGE}.SessionStartInfo"),
        ("session_end_info", 4, _Field.TYPE_MESSAGE, f".{_PACKAGE}.SessionEndInfo"),
    )  # fmt: skip
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(
        pool.FindMessageTypeByName(f"{_PACKAGE}.HParamsPluginData")
    )


def _message(
    file: descriptor_pb2.FileDescriptorProto, name: str, *fields: tuple[str, int, int, str]
) -> None:
    """Adds a message; a field is (name, number, type, name of its message type)."""
    message = file.message_type.add(name=name)
    for field, number, type_, type_name in fields:
        added = message.field.add(name=field, number=number, label=_Field.LABEL_OPTIONAL)
        added.type = type_
        if type_name:
            added.type_name = type_name


_DATA = _described()
