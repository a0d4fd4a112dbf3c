"""What is installed, and whether it is what this distribution asks for and can be imported.

Nothing is imported here: a broken library would take the process with it. Versions come from the
metadata of distributions, and imports are tried in another process.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

DISTRIBUTION = "evenshard"

# Of each distribution, what a program imports; others are imported by their own names.
_MODULES = {
    "absl-py": "absl",
    "apache-beam": "apache_beam",
    "google-crc32c": "google_crc32c",
    "pillow": "PIL",
    "protobuf": "google.protobuf",
    "pyyaml": "yaml",
    "pillow-heif": "pillow_heif",
    "pillow-jxl-plugin": "pillow_jxl",
}

# The extras that add something to the product, with what: the others are for its developers.
EXTRAS = {
    "beam": "bake on Beam's runners, and from and to gs://",
    "trainer": "train, evaluate, predict",
    "pretrained": "weights for --recipe=head without a download",
    "export": "ONNX and LiteRT",
    "tensorboard": "look at tensorboard/ of runs",
    "heif": "read HEIC and HEIF",
    "jxl": "read JPEG XL",
    "torch": "read shards in PyTorch",
}

_REQUIREMENT = re.compile(
    r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^]]*\])?(?P<bounds>[^;]*)(?:;(?P<when>.*))?"
)
_BOUND = re.compile(r"(>=|<=|==|<|>)\s*([0-9][0-9.]*)")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")

# What a requirement's condition speaks of where it depends on the system.
_SYSTEM = ("sys_platform", "platform_machine")

# Seconds for an import on a slow disk.
_PATIENCE = 300


@dataclass(frozen=True, slots=True)
class Library:
    """A distribution that this one asks for.

    Attributes:
      name: of it.
      extra: that asks for it; "" where it is always needed.
      bounds: of its version, as in ">=2.0,<3"; "" for any.
      version: installed; "" for none.
      somewhere: whether it is asked for on some systems alone.
    """

    name: str
    extra: str
    bounds: str
    version: str
    somewhere: bool = False

    @property
    def module(self) -> str:
        """What a program imports of it."""
        return _MODULES.get(self.name, self.name.replace("-", "_"))

    @property
    def fits(self) -> bool:
        """Whether its version is within the bounds."""
        return all(
            _holds(sign, _numbers(self.version), _numbers(bound))
            for sign, bound in _BOUND.findall(self.bounds)
        )


def libraries(requirements: Sequence[str] | None = None) -> list[Library]:
    """Returns what this distribution asks for: always, and with the extras of `EXTRAS`.

    Args:
      requirements: as its metadata has them; read from there by default. Empty where this
        distribution is run from its source, without being installed.
    """
    if requirements is None:
        try:
            requirements = metadata.requires(DISTRIBUTION) or ()
        except metadata.PackageNotFoundError:
            requirements = ()
    found = []
    for requirement in requirements:
        parts = _REQUIREMENT.match(requirement)
        extra = _EXTRA.search(requirement)
        if parts is None or (extra is not None and extra[1] not in EXTRAS):
            continue
        name = parts["name"].lower().replace("_", "-")
        bounds = parts["bounds"].strip(" ()")
        somewhere = any(word in (parts["when"] or "") for word in _SYSTEM)
        found.append(Library(name, extra[1] if extra else "", bounds, version_of(name), somewhere))
    return found


def version_of(name: str) -> str:
    """Returns the installed version of a distribution, or ""."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def resize_kernel() -> str:
    """Returns the code that resizes pictures here, as `kernels.chosen` names it; "" if unknown."""
    code = "import json; from tfrecords.images import kernels; print(json.dumps(kernels.chosen()))"
    answer = ask(code)
    return answer.value if isinstance(answer.value, str) else ""


def failed_imports(modules: Sequence[str]) -> dict[str, str]:
    """Returns module → why it cannot be imported, of those that cannot.

    Each is tried in one other process, so that a crash of one does not take this one with it.
    """
    code = (
        "import importlib, json, sys\n"
        "failed = {}\n"
        "for name in sys.argv[1:]:\n"
        "    try: importlib.import_module(name)\n"
        "    except BaseException as error: failed[name] = f'{type(error).__name__}: {error}'\n"
        "print(json.dumps(failed))"
    )
    answer = ask(code, *modules)
    if isinstance(answer.value, dict):
        return answer.value
    if len(modules) == 1:
        return {modules[0]: answer.trouble}
    # One of them ended the process: asked one by one, it is known which.
    return {name: why for each in modules for name, why in failed_imports([each]).items()}


@dataclass(frozen=True, slots=True)
class Answer:
    """What another process answered.

    Attributes:
      value: of the JSON that it printed last; None if it did not get that far.
      trouble: the last line of its errors, or how it ended; "" if it answered.
      log: all that it wrote to standard error.
    """

    value: Any
    trouble: str
    log: str


def ask(code: str, *arguments: str) -> Answer:
    """Runs Python code in another process, and returns the JSON of its last line."""
    command = [sys.executable, "-c", code, *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_PATIENCE
        )
    except subprocess.TimeoutExpired:
        return Answer(None, f"no answer within {_PATIENCE} seconds", "")
    except OSError as error:
        return Answer(None, error.strerror or str(error), "")
    try:
        return Answer(json.loads(done.stdout.splitlines()[-1]), "", done.stderr)
    except (IndexError, ValueError):
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        ended = f"ended by signal {-done.returncode}" if done.returncode < 0 else "no answer"
        return Answer(None, lines[-1] if lines and done.returncode > 0 else ended, done.stderr)


def _numbers(version: str) -> tuple[int, ...]:
    """Returns the release part of a version: (2, 21, 0) of "2.21.0rc1"."""
    release = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, release[0].split("."))) if release else ()


def _holds(sign: str, left: tuple[int, ...], right: tuple[int, ...]) -> bool:
    length = max(len(left), len(right))
    padded = [each + (0,) * (length - len(each)) for each in (left, right)]
    a, b = padded
    return {">=": a >= b, "<=": a <= b, "==": a == b, "<": a < b, ">": a > b}[sign]
