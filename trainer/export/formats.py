"""The formats of an export: how each is written, and how its own runtime reads it back."""

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
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from tfrecords.errors import TrainerError
from trainer.export.serving import Servable

# uint8[n, height, width, 3] → float32[n, classes].
Predictor = Callable[[np.ndarray], np.ndarray]

# Name of the metadata inside a model: a JSON object, which docs/export.md describes.
METADATA = "evenshard.json"
LABELS = "labels.txt"

# onnxruntime 1.14 and later read it; tf2onnx writes up to 18.
ONNX_OPSET = 18

# The earliest date that zip has: equal exports have equal bytes.
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Format:
    """A file format of exported networks.

    Attributes:
      name: as in --format.
      filename: of the file or directory, below the output directory.
      takes: name of its default input: "image_bytes" or "pixels".
      writers: modules that writing needs.
      readers: modules that reading it back for the check needs.
      write: writes a network, with its metadata, to a path.
      load: returns the predicting function of a written network.
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
      TrainerError: names the missing ones, and the command that installs them.
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
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(servable, str(path), signatures=servable.signatures(), options=options)
    extra = path / "assets.extra"  # TensorFlow's folder for files that no op reads.
    extra.mkdir()
    (extra / METADATA).write_text(_json(metadata), encoding="utf-8")


def _load_saved_model(path: Path) -> Predictor:
    pixels = tf.saved_model.load(str(path)).signatures["pixels"]
    return lambda images: pixels(pixels=tf.constant(images))["probabilities"].numpy()


def _write_onnx(servable: Servable, metadata: Mapping[str, Any], path: Path) -> None:
    import onnx
    import tf2onnx

    frozen = _frozen(servable)
    model, _ = tf2onnx.convert.from_graph_def(
        frozen.graph.as_graph_def(),
        input_names=[frozen.inputs[0].name],
        output_names=[frozen.outputs[0].name],
        opset=ONNX_OPSET,
    )
    _rename(model.graph)
    model.producer_name = "evenshard"
    onnx.helper.set_model_props(
        model, {METADATA: _json(metadata), LABELS: "\n".join(metadata["classes"])}
    )
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _rename(graph: Any) -> None:
    """Renames the only input of an onnx.GraphProto to pixels, the only output to probabilities."""
    names = {graph.input[0].name: "pixels", graph.output[0].name: "probabilities"}
    for node in graph.node:
        for field in (node.input, node.output):
            field[:] = [names.get(name, name) for name in field]
    graph.input[0].name, graph.output[0].name = "pixels", "probabilities"


def _load_onnx(path: Path) -> Predictor:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda images: session.run(["probabilities"], {"pixels": images})[0]


def _frozen(servable: Servable) -> tf.types.experimental.ConcreteFunction:
    """Returns the network's function with its weights as constants.

    TensorFlow 2.21's LiteRT converter turns the variables of Keras 3 into READ_VARIABLE ops that
    nothing initialises: every probability is NaN. And tf2onnx 1.17 leaves the constants that
    EfficientNet's normalisation captures as inputs.
    """
    return convert_variables_to_constants_v2(servable.probabilities.get_concrete_function())


def _write_litert(servable: Servable, metadata: Mapping[str, Any], path: Path) -> None:
    """Writes a flatbuffer with a zip behind it: how TensorFlow Lite Metadata adds files."""
    frozen = _frozen(servable)
    pixels = servable.probabilities.input_signature[0]
    module = tf.Module()
    module.serve = tf.function(
        lambda pixels: {"probabilities": frozen(pixels)[0]}, input_signature=[pixels]
    )
    with tempfile.TemporaryDirectory() as folder:
        signatures = {"serving_default": module.serve.get_concrete_function()}
        # The custom gradient of Swish captures objects that no file can hold.
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        tf.saved_model.save(module, folder, signatures=signatures, options=options)
        path.write_bytes(tf.lite.TFLiteConverter.from_saved_model(folder).convert())
    with zipfile.ZipFile(path, "a") as archive:
        for name, text in (
            (METADATA, _json(metadata)),
            (LABELS, "\n".join(metadata["classes"]) + "\n"),
        ):
            archive.writestr(zipfile.ZipInfo(name, _ZIP_EPOCH), text)


def _load_litert(path: Path) -> Predictor:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    (pixels,), (probabilities,) = interpreter.get_input_details(), interpreter.get_output_details()

    def predict(images: np.ndarray) -> np.ndarray:
        interpreter.resize_tensor_input(pixels["index"], images.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(pixels["index"], images)
        interpreter.invoke()
        return interpreter.get_tensor(probabilities["index"])

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
