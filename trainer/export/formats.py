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

from tfrecords.errors import TrainerError
from trainer.export.serving import Servable
from trainer.models import onnx_graph

# uint8[n, height, width, 3] → float32[n, classes].
Predictor = Callable[[np.ndarray], np.ndarray]

# Name of the metadata inside a model: a JSON object, which docs/export.md describes.
METADATA = "evenshard.json"
LABELS = "labels.txt"

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

    function = servable.probabilities.get_concrete_function()
    model = onnx_graph.convert(function, "pixels", "probabilities")
    model.producer_name = "evenshard"
    onnx.helper.set_model_props(
        model, {METADATA: _json(metadata), LABELS: "\n".join(metadata["classes"])}
    )
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _load_onnx(path: Path) -> Predictor:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda images: session.run(["probabilities"], {"pixels": images})[0]


def _write_litert(servable: Servable, metadata: Mapping[str, Any], path: Path) -> None:
    """Writes a flatbuffer with a zip behind it: how TensorFlow Lite Metadata adds files."""
    frozen = onnx_graph.frozen(servable.probabilities.get_concrete_function())
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
