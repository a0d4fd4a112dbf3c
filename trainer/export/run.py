"""Exports a run: `run(config)` from checkpoints to files that serve without this package."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from tfrecords import sizes
from tfrecords.errors import TrainerError, UsageError
from tfrecords.schema import Encoding
from tfrecords.system import atomic, disk, scratch
from trainer import tensorflow_import
from trainer.export import formats, parity, standalone
from trainer.export.config import ExportConfig
from trainer.export.formats import Format
from trainer.export.parity import Parity, ReadParity, Reference
from trainer.export.serving import Servable
from trainer.metrics.probabilities import Probabilities, Temperature
from trainer.models.weights import model_state
from trainer.predicting import pixel_rules
from trainer.runs.load import LoadedRun, open_run

RESULT = "export.json"
DIRECTORY = "export"
SCHEMA_VERSION = 1

# The program that reads every format, as it is called beside the files.
READER = "predict.py"


@dataclass(frozen=True, eq=False)
class Exported:
    """A network in one format.

    Attributes:
      format: of it.
      path: file or directory.
      bytes: its size.
      sha256: of its bytes; of a directory, of its files' names and digests.
      parity: with the live network, on pixels; None if unchecked.
      read: with the bake and the live network, on files; None if unmeasured.
    """

    format: Format
    path: Path
    bytes: int
    sha256: str
    parity: Parity | None
    read: ReadParity | None


@dataclass(frozen=True, eq=False)
class Result:
    """The files that an export wrote.

    Attributes:
      exported: one for each format, in the order of --format.
      document: path of export.json.
      reader: path of the program that reads the files without this package.
      temperature: that divides the logits.
    """

    exported: tuple[Exported, ...]
    document: Path
    reader: Path
    temperature: Temperature


def run(config: ExportConfig) -> Result:
    """Exports a run, checks the files, and only then moves them into place.

    Raises:
      ManifestError, UsageError, TrainerError: with one readable line.
    """
    asked = [formats.FORMATS[name] for name in dict.fromkeys(config.format)]
    for format_ in asked:
        formats.require_modules(format_, check=config.parity_pictures > 0)
    # In float32 on a CPU, which every runtime has, whatever the run was trained on.
    opened = open_run(
        config.run_dir, config.weights, "cpu", "float32", trust_run_code=config.trust_run_code
    )
    # A served file becomes pixels by the rules of now.
    pixel_rules.check((opened.manifest,))
    rule = probabilities_of(opened, config)
    about = metadata(opened, config, rule.temperature)
    output = Path(config.output or Path(config.run_dir, DIRECTORY))
    kept = _kept(output, about, overwrite=config.overwrite)
    reference = parity.prepare(opened, config, rule)
    output.mkdir(parents=True, exist_ok=True)
    with disk.explained(output), scratch.folder(output, ".export-") as folder:
        labels = folder / formats.LABELS
        labels.write_text("".join(f"{name}\n" for name in about["classes"]), encoding="utf-8")
        servable = Servable(opened, rule, labels)
        with nullcontext() if config.verbose else tensorflow_import.held_back():
            written = [_write(f, servable, about, folder, reference) for f in asked]
        for item in written:
            if item.parity:
                parity.require(item.parity, item.format.name)
        exported = tuple(_publish(item, output) for item in written)
    document = about | {"formats": kept | {item.format.name: _entry(item) for item in exported}}
    path = output / RESULT
    atomic.write_text(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    reader = output / READER
    atomic.write_text(reader, inspect.getsource(standalone))
    return Result(exported, path, reader, rule.temperature)


def describe(result: Result) -> str:
    """Returns the lines that end the command's output."""
    lines = []
    for item in result.exported:
        checked = str(item.parity) if item.parity else "unchecked"
        lines.append(f"{item.format.name}: {item.path} ({sizes.readable(item.bytes)}); {checked}")
        if item.read:
            lines.append(f"  {item.read}")
            if item.read.parity.agreement < parity.MIN_AGREEMENT:
                lines.append(
                    "  warning: if every prediction must agree, give it pixels made by the bake"
                )
    lines.append(f"probabilities {result.temperature}")
    return "\n".join([*lines, f"input, classes, digests: {result.document}"])


def metadata(opened: LoadedRun, config: ExportConfig, temperature: Temperature) -> dict[str, Any]:
    """Returns the metadata of an exported model, for JSON; docs/export.md lists it."""
    spec, (height, width) = opened.manifest.image, opened.size
    stored = {"height": spec.height, "width": spec.width, "resize": spec.resize.value}
    stored |= {"filter": "triangle, antialiased", "encoding": spec.encoding.value}
    if spec.encoding is Encoding.JPEG:
        stored["jpeg_quality"] = spec.jpeg_quality
    return {
        "schema_version": SCHEMA_VERSION,
        "run": Path(config.run_dir).resolve().name,
        "model": opened.config.model,
        "weights": config.weights,
        "weights_sha256": _weights_digest(opened),
        "dataset_digest": opened.manifest.digest,
        "input": {
            "name": "pixels",
            "dtype": "uint8",
            "shape": [None, height, width, 3],
            "colour": "sRGB",
        },
        "stored": stored,
        "output": {
            "name": "probabilities",
            "dtype": "float32",
            "shape": [None, len(opened.selection.classes)],
        },
        "temperature": temperature.value,
        **({"temperature_note": temperature.note} if temperature.note else {}),
        "classes": list(opened.selection.classes),
    }


def probabilities_of(opened: LoadedRun, config: ExportConfig) -> Probabilities:
    """Returns the rule of the exported probabilities: that of the run, but for --temperature."""
    if isinstance(config.temperature, str):
        return opened.probabilities
    return replace(opened.probabilities, temperature=Temperature(config.temperature))


def _weights_digest(opened: LoadedRun) -> str:
    """Returns the sha256 of every variable's name, type, shape and values."""
    digest = hashlib.sha256()
    for name, variable in model_state(opened.model).items():
        values = np.asarray(variable)
        # Dropout's random state is not exported.
        if values.dtype.kind == "f":
            digest.update(f"{name} {values.dtype} {values.shape}\n".encode())
            digest.update(values.tobytes())
    return digest.hexdigest()


def _kept(output: Path, about: Mapping[str, Any], *, overwrite: bool) -> dict[str, Any]:
    """Returns the entries of formats that the same network was exported to before, if any."""
    path = output / RESULT
    if not path.exists():
        return {}
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
        kept = dict(before.pop("formats"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrainerError(f"{path} is damaged: {error!r}; delete it") from error
    if before == dict(about):
        return kept
    if not overwrite:
        raise UsageError(
            f"{output} holds an export of another run, other weights or another temperature: "
            "give --output, or --overwrite to replace it"
        )
    for name in kept:
        if name in formats.FORMATS:
            _remove(output / formats.FORMATS[name].filename)
    return {}


def _write(
    format_: Format,
    servable: Servable,
    about: Mapping[str, Any],
    folder: Path,
    reference: Reference | None,
) -> Exported:
    """Writes a format, and compares its answers with those of the live network."""
    path = folder / format_.filename
    try:
        format_.write(servable, about, path)
    except OSError:
        raise
    except Exception as error:  # Converters raise whatever their libraries do.
        if disk.find(error) is not None:
            raise
        reason = (str(error).strip() or "no message").splitlines()[0]
        raise TrainerError(
            f"--format={format_.name}: {about['model']} cannot be converted: "
            f"{type(error).__name__}: {reason}"
        ) from error
    agreement = parity.check(format_, path, reference) if reference else None
    takes_files = format_.takes == "image_bytes"
    read = parity.read(path, reference) if reference and takes_files else None
    size, digest = _size_and_digest(path)
    return Exported(format_, path, size, digest, agreement, read)


def _publish(item: Exported, output: Path) -> Exported:
    """Moves a written format into place, where it replaces an earlier one."""
    final = output / item.format.filename
    _remove(final)
    os.replace(item.path, final)
    return replace(item, path=final)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _size_and_digest(path: Path) -> tuple[int, str]:
    """Returns bytes and sha256 of a file; of a directory, the digest of its `sha256sum` lines."""
    if path.is_file():
        return path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()
    files = sorted(item for item in path.rglob("*") if item.is_file())
    lines = [
        f"{hashlib.sha256(item.read_bytes()).hexdigest()}  {item.relative_to(path).as_posix()}\n"
        for item in files
    ]
    size = sum(item.stat().st_size for item in files)
    return size, hashlib.sha256("".join(lines).encode()).hexdigest()


def _entry(item: Exported) -> dict[str, Any]:
    return {
        "path": item.format.filename,
        "bytes": item.bytes,
        "sha256": item.sha256,
        "input": item.format.takes,
        "parity": asdict(item.parity) if item.parity else None,
        "read_parity": asdict(item.read) if item.read else None,
        "versions": _versions(item.format),
    }


def _versions(format_: Format) -> dict[str, str]:
    """Returns package → version of the packages that wrote and read a format."""
    modules = ("evenshard", "tensorflow", "keras", *format_.writers, *format_.readers)
    versions = {}
    for name in modules:
        package = name.replace("_", "-")
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions
