"""An exported network says what the live one says, and needs nothing of ours to say it."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.support.datasets import fakes
from tests.support.processes import commands
from tests.support.runs import tiny_run
from tfrecords import ledger
from tfrecords.images import canonicalise
from trainer.config import TrainConfig
from trainer.data.version import ReplacedDataError
from trainer.export import __main__ as export
from trainer.export import formats, parity
from trainer.export import run as exporting
from trainer.export.config import ExportConfig
from trainer.metrics.probabilities import Probabilities, Temperature, softmax
from trainer.runs import checkpoints
from trainer.runs.load import open_run
from trainer.train import run as training

TEMPERATURE = 1.7


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_run.write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def run_dir(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    trained = tiny_run.train(data_dir, tmp_path_factory.mktemp("run") / "tiny")
    with pytest.MonkeyPatch.context() as patch:
        tiny_run.trust_temperature(patch, trained, TEMPERATURE)
        yield trained


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Source files: two that TensorFlow reads, one that only the bake reads, one that none does."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "a.jpg").write_bytes(fakes.picture_bytes("a", height=70, width=50))
    (folder / "b.png").write_bytes(fakes.picture_bytes("b", "PNG", height=16, width=16))
    (folder / "c.tif").write_bytes(fakes.picture_bytes("c", "TIFF"))
    (folder / "d.jpg").write_bytes(b"not a picture")
    return folder


def _needs(name: str) -> formats.Format:
    format_ = formats.FORMATS[name]
    for module in (*format_.writers, *format_.readers):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"--format={name} needs {module}: pip install '.[export]'")
    return format_


@pytest.fixture(scope="module")
def exported(
    run_dir: Path, pictures: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, exporting.Result]:
    for name in formats.FORMATS:
        _needs(name)
    output = tmp_path_factory.mktemp("exported") / "out"
    config = ExportConfig(
        run_dir=str(run_dir),
        output=str(output),
        format=tuple(formats.FORMATS),
        parity_input=str(pictures),
    )
    return output, exporting.run(config)


@pytest.fixture(scope="module")
def batch() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)


@pytest.fixture(scope="module")
def live(run_dir: Path, batch: np.ndarray) -> np.ndarray:
    """The probabilities that every format has to give."""
    opened = open_run(run_dir)
    logits = np.asarray(opened.model(batch, training=False))
    return softmax(logits / TEMPERATURE)


def test_all_formats_agree_with_the_live_network(
    exported: tuple[Path, exporting.Result], batch: np.ndarray, live: np.ndarray
) -> None:
    output, result = exported
    assert [item.format.name for item in result.exported] == ["saved_model", "onnx", "litert"]
    for item in result.exported:
        assert item.parity is not None
        assert (item.parity.pictures, item.parity.agreement) == (9, 1.0)
        assert item.parity.max_difference < 1e-5
        found = item.format.load(item.path)(batch)
        np.testing.assert_allclose(found, live, atol=1e-5)
    names = {"saved_model", "model.onnx", "model.tflite", "export.json", "predict.py"}
    assert {path.name for path in output.iterdir()} == names


def test_files_are_measured_against_the_bake(exported: tuple[Path, exporting.Result]) -> None:
    read = exported[1].exported[0].read
    assert read is not None
    assert (read.parity.pictures, read.unread) == (2, 1)
    assert read.mean_pixel <= read.worst_pixel < 1
    assert all(item.read is None for item in exported[1].exported[1:])
    text = exporting.describe(exported[1])
    assert "from files: top-1 agreement" in text
    assert "1 in formats that it cannot read" in text


def test_the_saved_model_takes_files_and_names_classes(
    exported: tuple[Path, exporting.Result], pictures: Path, run_dir: Path
) -> None:
    serve = tf.saved_model.load(str(exported[0] / "saved_model")).signatures
    files = [(pictures / name).read_bytes() for name in ("a.jpg", "b.png")]
    found = serve["serving_default"](image_bytes=tf.constant(files))
    opened = open_run(run_dir)
    spec = opened.manifest.image
    baked = [
        canonicalise.canonicalise(file, spec, canonicalise.PixelLimits()).data for file in files
    ]
    images = np.stack([canonicalise.decode_record(data, spec) for data in baked])
    read = serve["read"](image_bytes=tf.constant(files))["pixels"].numpy()
    np.testing.assert_array_equal(read[1], images[1])
    of_pixels = serve["pixels"](pixels=tf.constant(read))
    for name in ("probabilities", "top_classes", "top_probabilities"):
        np.testing.assert_array_equal(found[name], of_pixels[name])
    probabilities = found["probabilities"].numpy()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    order = np.argsort(-probabilities, axis=1)
    names = np.array([name.encode() for name in opened.selection.classes])
    np.testing.assert_array_equal(found["top_classes"], names[order])
    np.testing.assert_array_equal(serve["labels"]()["classes"], names)


def test_every_format_describes_itself(exported: tuple[Path, exporting.Result]) -> None:
    import onnx

    output, _ = exported
    document = json.loads((output / "export.json").read_text(encoding="utf-8"))
    entries = document.pop("formats")
    assert document["classes"] == list(fakes.CLASSES)
    assert document["input"]["shape"] == [None, 16, 16, 3]
    assert document["stored"] == {
        "height": 16,
        "width": 16,
        "resize": "squash",
        "filter": "triangle, antialiased",
        "encoding": "png",
    }
    inside = output / "saved_model"
    assert json.loads((inside / "assets.extra" / "evenshard.json").read_text()) == document
    assert (inside / "assets" / "labels.txt").read_text() == "apu\nbart\nlisa\n"
    model = onnx.load(str(output / "model.onnx"))
    props = {prop.key: prop.value for prop in model.metadata_props}
    assert json.loads(props["evenshard.json"]) == document
    assert props["labels.txt"] == "apu\nbart\nlisa"
    with zipfile.ZipFile(output / "model.tflite") as archive:
        assert json.loads(archive.read("evenshard.json")) == document
        assert archive.read("labels.txt") == b"apu\nbart\nlisa\n"
    for name in ("onnx", "litert"):
        path = output / entries[name]["path"]
        assert entries[name]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert entries[name]["bytes"] == path.stat().st_size
    assert set(entries["onnx"]["versions"]) > {"tensorflow", "tf2onnx", "onnx", "onnxruntime"}


@pytest.mark.parametrize("name", ["saved_model", "model.onnx", "model.tflite"])
def test_the_example_needs_nothing_of_ours(
    exported: tuple[Path, exporting.Result],
    pictures: Path,
    run_dir: Path,
    tmp_path: Path,
    name: str,
) -> None:
    code = (
        "import runpy, sys\n"
        "main = runpy.run_path(sys.argv[1])['main']\n"
        "main(sys.argv[2:])\n"
        "ours = {'trainer', 'tfrecords', 'beam_pipelines'} & set(sys.modules)\n"
        "sys.exit(f'imports {ours}' if ours else 0)\n"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            code,
            exported[0] / exporting.READER,
            exported[0] / name,
            pictures / "b.png",
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    first, *rows = done.stdout.splitlines()
    assert first == str(pictures / "b.png")
    assert sorted(row.split()[1] for row in rows) == ["apu", "bart", "lisa"]
    shares = [float(row.split()[0].rstrip("%")) for row in rows]
    assert shares == sorted(shares, reverse=True)
    opened = open_run(run_dir)
    spec = opened.manifest.image
    data = canonicalise.canonicalise(
        (pictures / "b.png").read_bytes(), spec, canonicalise.PixelLimits()
    ).data
    logits = np.asarray(opened.model(canonicalise.decode_record(data, spec)[None], training=False))
    expected = softmax(logits / TEMPERATURE)[0]
    assert shares == pytest.approx(sorted(100 * expected, reverse=True), abs=0.06)


def _export(run_dir: Path, tmp_path: Path, *flags: str) -> int:
    return export.COMMAND.run([f"--run_dir={run_dir}", f"--output={tmp_path / 'out'}", *flags])


def test_writes_nothing_where_the_check_fails(
    run_dir: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    saved_model = formats.FORMATS["saved_model"]

    def broken(path: Path) -> formats.Predictor:
        predict = saved_model.load(path)
        return lambda images: np.roll(predict(images), 1, axis=1)

    changed = dataclasses.replace(saved_model, load=broken)
    monkeypatch.setitem(formats.FORMATS, "saved_model", changed)
    assert _export(run_dir, tmp_path) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: --format=saved_model: top-1 agreement 0.00% of 9 pictures")
    assert error.count("\n") == 1
    assert list((tmp_path / "out").iterdir()) == []


def test_a_second_format_joins_the_first_and_other_weights_do_not(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _needs("litert")
    output = tmp_path / "out"
    quick = "--parity_pictures=0"
    assert _export(run_dir, tmp_path, "--format=litert", quick) == 0
    assert "unchecked" in capsys.readouterr().out
    assert _export(run_dir, tmp_path, "--format=saved_model", quick) == 0
    document = json.loads((output / "export.json").read_text())
    assert sorted(document["formats"]) == ["litert", "saved_model"]
    assert document["formats"]["litert"]["parity"] is None
    capsys.readouterr()
    assert _export(run_dir, tmp_path, "--weights=last", quick) == 2
    assert "other weights" in capsys.readouterr().err
    assert (output / "model.tflite").exists()
    assert _export(run_dir, tmp_path, "--weights=last", "--overwrite", quick) == 0
    document = json.loads((output / "export.json").read_text())
    assert (list(document["formats"]), document["weights"]) == (["saved_model"], "last")
    assert not (output / "model.tflite").exists()


@pytest.mark.parametrize(
    ("weights", "given", "expected"),
    [("best", "fitted", TEMPERATURE), ("last", "fitted", 1.0), ("ema", "2.5", 2.5)],
)
def test_temperature_is_that_of_the_weights(
    run_dir: Path, weights: str, given: str, expected: float
) -> None:
    """The run has --ema: it validated the average, and nothing is known of its last weights."""
    config = ExportConfig(run_dir=str(run_dir), weights=weights, temperature=given)
    opened = open_run(run_dir, weights)
    rule = exporting.probabilities_of(opened, config)
    assert rule.temperature.value == pytest.approx(expected)


def test_the_weights_are_those_asked_for(run_dir: Path) -> None:
    digests = set()
    for weights in ("best", "last", "ema"):
        config = ExportConfig(run_dir=str(run_dir), weights=weights)
        opened = open_run(run_dir, weights, "cpu", "float32")
        digests.add(exporting.metadata(opened, config, Temperature())["weights_sha256"])
    last = checkpoints.Store(run_dir / "checkpoints").latest()
    assert last is not None
    # best is the average of its epoch, which may be the last epoch's.
    assert len(digests) >= 2


def test_exports_in_float32_whatever_trained(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tiny_run.train(data_dir, tmp_path / "half", precision="mixed_bfloat16")
    capsys.readouterr()
    assert export.COMMAND.run([f"--run_dir={copy}"]) == 0
    said = capsys.readouterr().out
    assert "top-1 agreement 100.00% of 9 pictures" in said
    model = copy / "export" / "saved_model"
    reader = copy / "export" / "predict.py"
    assert said.endswith(f"\nnext: python {reader} {model} PICTURE\n")
    loaded = tf.saved_model.load(str(copy / "export" / "saved_model"))
    graph = loaded.signatures["pixels"].graph.as_graph_def()
    types = {node.attr["T"].type for f in graph.library.function for node in f.node_def}
    assert tf.float32.as_datatype_enum in types
    assert tf.bfloat16.as_datatype_enum not in types


def test_says_which_library_is_missing(
    run_dir: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = importlib.util.find_spec
    readers = ("tf2onnx", "onnx", "onnxruntime", "ai_edge_litert")
    monkeypatch.setattr(
        formats.importlib.util, "find_spec", lambda name: None if name in readers else found(name)
    )
    assert _export(run_dir, tmp_path, "--format=onnx") == 1
    error = capsys.readouterr().err
    packages = "tf2onnx onnx onnxruntime"
    assert error == f"error: --format=onnx needs {packages}: pip install {packages}\n"
    assert _export(run_dir, tmp_path, "--format=litert") == 1
    error = capsys.readouterr().err
    assert "pip install ai-edge-litert, or --parity_pictures=0" in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--format=onx"], 2, "did you mean onnx?"),
        (["--format="], 2, "--format is empty"),
        (["--temperature=0"], 2, "--temperature=0: fitted or a number above 0 is expected"),
        (["--temperature=warm"], 2, "--temperature=warm: fitted or a number above 0 is expected"),
        (["--parity_pictures=-1"], 2, "0 or more"),
        (["--parity_pictures=0", "--parity_input=x"], 2, "--parity_pictures=0 for none"),
        (["--format=onnx", "--parity_input=x"], 2, "add it to --format"),
        (["--parity_input=/nowhere"], 2, "--parity_input=/nowhere does not exist"),
        (["--data_dir=/nowhere"], 1, "--parity_pictures=0 to export unchecked"),
        (["--wieghts=last"], 2, "did you mean --weights?"),
    ],
)
def test_says_what_is_wrong(
    run_dir: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    code: int,
    message: str,
) -> None:
    if "--format=onnx" in flags:
        _needs("onnx")
    assert _export(run_dir, tmp_path, *flags) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_damaged_result_is_named(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "export.json").write_text("{")
    assert _export(run_dir, tmp_path) == 1
    assert "export.json is damaged" in capsys.readouterr().err


def test_checks_on_validation_where_there_is_no_test_split(run_dir: Path, tmp_path: Path) -> None:
    fakes.write_dataset(tmp_path / "data", {"train": (2, 2, 2), "validation": (3, 3, 1)})
    config = ExportConfig(run_dir=str(run_dir), data_dir=str(tmp_path / "data"), parity_pictures=5)
    opened = open_run(run_dir)
    found = parity.prepare(opened, config, Probabilities())
    assert found is not None
    assert found.records.pixels.shape == (5, 16, 16, 3)


@pytest.mark.slow
def test_real_pictures(tmp_path: Path) -> None:
    """200 photographs that the network has not seen: pixels agree, and so nearly do files."""
    root = Path(os.environ.get("EVENSHARD_TEST_DATA", "nowhere"), "caltech60", "caltech60")
    if not root.is_dir():
        pytest.skip("needs EVENSHARD_TEST_DATA/caltech60")
    for name in formats.FORMATS:
        _needs(name)
    for name in ("Faces", "Leopards", "Motorbikes", "airplanes", "bonsai", "car_side"):
        shutil.copytree(root / name, tmp_path / "in" / name)
    baked, run, unseen = tmp_path / "baked", tmp_path / "run", tmp_path / "unseen.csv"
    done = commands.run(
        "beam_pipelines.prepare", f"--input_dir={tmp_path / 'in'}", f"--output_dir={baked}",
        "--image_size=64", "--splits=train:0.6,validation:0.1,test:0.3", "--max_per_class=150",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    training.run(TrainConfig(data_dir=str(baked), run_dir=str(run), epochs=2, progress="none"))
    rows = ledger.stream(baked, ("key", "split", "shard"))
    table = [row for part in rows for row in part.to_pylist()]
    keys = [row["key"] for row in table if row["split"] == "test" and row["shard"]]
    unseen.write_text("path\n" + "".join(f"{tmp_path / 'in' / key}\n" for key in keys))
    result = exporting.run(
        ExportConfig(run_dir=str(run), format=tuple(formats.FORMATS), parity_input=str(unseen))
    )
    for item in result.exported:
        assert item.parity is not None
        assert item.parity.pictures == min(200, len(keys))
        assert item.parity.agreement >= 0.995
        assert item.parity.max_difference < 1e-4
    read = result.exported[0].read
    assert read is not None
    assert read.parity.agreement >= 0.97
    assert read.mean_pixel < 1


def test_a_data_set_that_is_replaced_meanwhile_is_no_reference(
    data_dir: Path, run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = Path(shutil.copytree(data_dir, tmp_path / "data"))
    config = ExportConfig(run_dir=str(run_dir), data_dir=str(copied), parity_pictures=5)
    real = parity.stream_source

    def replacing(*arguments: Any) -> tf.data.Dataset:
        shard = sorted(copied.glob("*test*.tfrecord*"))[0]
        shutil.copyfile(shard, tmp_path / "staged")
        os.replace(tmp_path / "staged", shard)
        return real(*arguments)

    monkeypatch.setattr(parity, "stream_source", replacing)
    with pytest.raises(ReplacedDataError, match="was replaced while it was read"):
        parity.prepare(open_run(str(run_dir)), config, 1.0)
