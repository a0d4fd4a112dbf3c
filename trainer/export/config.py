"""The flags of `evenshard export`."""

from __future__ import annotations

from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any

from tfrecords.cli import flags
from tfrecords.cli.flags import flag
from tfrecords.errors import UsageError
from trainer import remote, run_flags

FORMATS = ("saved_model", "onnx", "litert")

# By these suffixes a person means one file, and a folder is written.
_OF_FILES = frozenset({".gz", ".h5", ".json", ".keras", ".onnx", ".pb", ".tar", ".tflite", ".zip"})

_WHAT, _CHECK, _OUTPUT = "What to export", "How to check it", "Output"


# Divide the logits by the temperature that the run found on its validation split.
FITTED = "fitted"


def _temperature(value: Any) -> float | str:
    if value == FITTED:
        return FITTED
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = 0.0
    if not 0 < number < float("inf"):
        raise ValueError("fitted or a number above 0 is expected")
    return number


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """An export. Fields are the flags of `evenshard export`.

    Raises:
      UsageError: a value out of range.
    """

    run_dir: str = flag(MISSING, _WHAT, "Directory of a training run.", metavar="DIR")
    trust_run_code: bool = run_flags.trust_run_code(_WHAT)
    format: tuple[str, ...] = flag(
        ("saved_model",),
        _WHAT,
        "saved_model takes the bytes of picture files; onnx and litert take pixels. Several: "
        "--format=saved_model,onnx.",
        choices=FORMATS,
    )
    weights: str = run_flags.weights(_WHAT)
    temperature: float | str = flag(
        FITTED,
        _WHAT,
        "Divides the logits, which calibrates probabilities and changes no predicted class. "
        "fitted: what the run fitted on its validation split; or a number, 1 for none.",
        metavar="fitted|T",
        parse=_temperature,
    )

    parity_pictures: int = flag(
        200,
        _CHECK,
        "Pictures on which the exported network must agree with the original; 0: no check.",
        metavar="N",
    )
    data_dir: str = flag(
        "",
        _CHECK,
        "Data set of the pictures to check, from its test or else validation split. Default: the "
        "one the run was trained on.",
        metavar="DIR",
    )
    parity_input: str = flag(
        "",
        _CHECK,
        "Source pictures (folder, pattern, zip, CSV): also measure how far a SavedModel's decoder "
        "is from the bake's.",
        metavar="PATH",
    )

    output: str = flag("", _OUTPUT, "Folder to write into. Default: RUN_DIR/export.", metavar="DIR")
    overwrite: bool = flag(False, _OUTPUT, "Replace an export of another run or other weights.")
    verbose: bool = run_flags.verbose(_OUTPUT)

    def __post_init__(self) -> None:
        flags.convert_fields(self)
        for name in ("run_dir", "output"):
            remote.check_local(name, getattr(self, name))
        if Path(self.output).suffix.lower() in _OF_FILES and not Path(self.output).is_dir():
            raise UsageError(
                f"--output={self.output} is the name of a file: give a folder, which gets "
                "saved_model, model.onnx or model.tflite, by --format"
            )
        if not self.format:
            raise UsageError(f"--format is empty: give some of {', '.join(FORMATS)}")
        if self.parity_pictures < 0:
            raise UsageError(f"--parity_pictures must be 0 or more, not {self.parity_pictures}")
        if self.parity_input and not self.parity_pictures:
            raise UsageError("--parity_input asks for a check, and --parity_pictures=0 for none")
        if self.parity_input and "saved_model" not in self.format:
            raise UsageError("--parity_input measures a SavedModel: add it to --format")
