"""The formats of an export: how each is written, and read back by its own runtime."""

from __future__ import annotations

import importlib.util
import json
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.errors import TrainerError
from trainer.serving import Servable

# uint8[n, height, width, 3] → float32[n, classes].
Predictor = Callable[[np.ndarray], np.ndarray]

# What a model holds under this name: a JSON object, docs/export.md.
METADATA = "evenshard.json"
LABELS = "labels.txt"

# onnxruntime 1.14 and later read it; tf2onnx writes up to 18.
ONNX_OPSET = 18

# Zip's own first day: equal exports have equal bytes.
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Format:
    """A way to write a network.

    Attributes:
      name: as --format has it.
      filename: of what it writes, below the output directory.
      takes: what its default input is.
      writers: modules it needs to be written.
      readers: modules it needs to be read back for the check.
      write: writes a network, with its metadata, to a path.
      load: returns the function of what was written.
    """

    name: str
    filename: str
    takes: str
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    write: Callable[[Servable, Mapping[str, Any], Path], None]
    load: Callable[[Path], Predictor]


def require_modules(format_: Format, *, check: bool) -> None:
    """Refuses a format whose libraries are not installed.

    Raises:
      TrainerError: names the missing, and the command that installs them.
    """
    needed = format_.writers + (format_.readers if check else ())
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        packages = " ".join(name.replace("_", "-") for name in missing)
        without = ", or --parity_pictures=0" if set(missing) <= set(format_.readers) else ""
        raise TrainerError(
            f"--format={format_.name} needs {packages}: pip install {packages}{without}"
        )


def _write_saved_model(servable: Servable, metadata: Mapping[str, Any], path: Path) -> None:
    tf.saved_model.save(servable, str(path), signatures=servable.signatures())
    extra = path / "assets.extra"  # TensorFlow's place for what no op reads.
    extra.mkdir()
    (extra / METADATA).write_text(_json(metadata), encoding="utf-8")


def _load_saved_model(path: Path) -> Predictor:
    pixels = tf.saved_model.load(str(path)).signatures["pixels"]
    return lambda images: pixels(pixels=tf.constant(images))["probabilities"].numpy()


def _write_onnx(servable: Servable, metadata: Mapping[str, Any], path: Path) -> None:
    import onnx
    import tf2onnx

    model, _ = tf2onnx.convert.from_function(
        servable.probabilities,
        input_signature=servable.probabilities.input_signature,
        opset=ONNX_OPSET,
    )
    _rename_output(model.graph, "probabilities")
    model.producer_name = "evenshard"
    onnx.helper.set_model_props(
        model, {METADATA: _json(metadata), LABELS: "\n".join(metadata["classes"])}
    )
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _rename_output(graph: Any, name: str) -> None:
    """Names the only output of an onnx.GraphProto, which tf2onnx calls Identity:0."""
    old = graph.output[0].name
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [name if item == old else item for item in names]
    graph.output[0].name = name


def _load_onnx(path: Path) -> Predictor:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda images: session.run(["probabilities"], {"pixels": images})[0]


def _write_litert(servable: Servable, metadata: Mapping[str, Any], path: Path) -> None:
    """Writes a flatbuffer with a zip behind it: how TensorFlow Lite Metadata adds files."""
    with tempfile.TemporaryDirectory() as folder:
        # Of a function alone the converter loses the variables that Keras 3 holds.
        function = servable.probabilities.get_concrete_function()
        tf.saved_model.save(servable, folder, signatures={"serving_default": function})
        path.write_bytes(tf.lite.TFLiteConverter.from_saved_model(folder).convert())
    with zipfile.ZipFile(path, "a") as archive:
        for name, text in (
            (METADATA, _json(metadata)),
            (LABELS, "\n".join(metadata["classes"]) + "\n"),
        ):
            archive.writestr(zipfile.ZipInfo(name, _ZIP_EPOCH), text)


def _load_litert(path: Path) -> Predictor:
    from ai_edge_litert.interpreter import Interpreter

    # XNNPACK, the default, announces itself on stderr.
    interpreter = Interpreter(str(path))
    (given,), (wanted,) = interpreter.get_input_details(), interpreter.get_output_details()

    def predict(images: np.ndarray) -> np.ndarray:
        interpreter.resize_tensor_input(given["index"], images.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(given["index"], images)
        interpreter.invoke()
        return interpreter.get_tensor(wanted["index"])

    return predict


def _json(metadata: Mapping[str, Any]) -> str:
    return json.dumps(metadata, indent=2, ensure_ascii=False) + "\n"


FORMATS = {
    format_.name: format_
    for format_ in (
        Format(
            "saved_model", "saved_model", "image_bytes", (), (),
            _write_saved_model, _load_saved_model,
        ),
        Format(
            "onnx", "model.onnx", "pixels", ("tf2onnx", "onnx"), ("onnxruntime",),
            _write_onnx, _load_onnx,
        ),
        Format(
            "litert", "model.tflite", "pixels", (), ("ai_edge_litert",),
            _write_litert, _load_litert,
        ),
    )
}  # fmt: skip
