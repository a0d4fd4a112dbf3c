"""`evenshard doctor`: what is installed, what this machine has, and what is wrong or slow.

Libraries are imported in other processes, so that a broken one is reported and does no more.
"""

from __future__ import annotations

import locale
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from evenshard.machine import graphics, installation
from evenshard.machine.graphics import System, TensorFlow
from evenshard.machine.installation import EXTRAS, Library
from tfrecords import __version__
from tfrecords.cli import flags, run, utf8
from tfrecords.cli.flags import flag
from tfrecords.cli.run import Command
from tfrecords.errors import UsageError
from tfrecords.sizes import readable
from tfrecords.system import cores, memory

# Below these something is slow, or does not fit. Cores: decoding has one beside the step.
# Memory: TensorFlow takes 1 GB before the first picture. Disk: a bake of 10,000 pictures at 224
# pixels takes about 0.3 GB, and as much again while it works.
_FEW_CORES = 2
_LITTLE_MEMORY = 4e9
_LITTLE_DISK = 2e9
_NO_DISK = 100e6

# File systems over a network: many small reads are slow, and locks may be missing.
_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "fuse.gcsfuse", "fuse.s3fs"})


@dataclass(frozen=True, kw_only=True)
class DoctorConfig:
    """Where data would go. Fields are the flags of `evenshard doctor`."""

    dir: str = flag(
        ".", "Doctor", "Folder whose disk is looked at.", metavar="DIR", positional=True
    )

    def __post_init__(self) -> None:
        flags.convert_fields(self)
        if not os.path.isdir(self.dir):
            raise UsageError(f"{self.dir} is not a folder; one is expected")


@dataclass
class Findings:
    """What was found, in the order in which it is shown.

    Attributes:
      facts: (name, value) of each line.
      problems: what does not work, and what to do.
      slow: what works slowly here, and what helps.
    """

    facts: list[tuple[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)

    def fact(self, name: str, value: str) -> None:
        """Adds a line to what is shown."""
        self.facts.append((name, value))


def main(config: DoctorConfig) -> int:
    """Looks, prints, and returns 1 where something does not work."""
    found = Findings()
    _look_at_libraries(found, installation.libraries())
    _look_at_machine(found, Path(config.dir))
    print(text(found))
    return run.FAILED if found.problems else run.DONE


def text(found: Findings) -> str:
    """Returns the findings as they are printed."""
    width = max(len(name) for name, _ in found.facts)
    lines = [f"{name:<{width}}  {value}" for name, value in found.facts]
    for title, items in (("Problems", found.problems), ("Slow here", found.slow)):
        if items:
            lines += ["", f"{title}:", *(f"- {item}" for item in items)]
    if not found.problems:
        lines += ["", "Nothing is wrong."]
    lines += ["To measure what limits training: evenshard benchmark --data_dir=SHARDS"]
    return "\n".join(lines)


def _look_at_libraries(found: Findings, libraries: list[Library]) -> None:
    found.fact("evenshard", f"{__version__}, {Path(__file__).resolve().parents[1]}")
    found.fact("python", f"{platform.python_version()}, {sys.executable}")
    if not libraries:
        found.problems.append(
            "evenshard runs from its source and is not installed, so its requirements are not "
            "known; run: pip install evenshard"
        )
    always = [each for each in libraries if not each.extra]
    found.fact("libraries", ", ".join(f"{each.name} {each.version or '-'}" for each in always))
    missing = _absent_extras(libraries)
    for extra, use in EXTRAS.items():
        of_it = [each for each in libraries if each.extra == extra]
        if of_it and extra not in missing:
            versions = ", ".join(f"{each.name} {each.version}" for each in of_it)
            found.fact(f"[{extra}]", versions)
        elif of_it:
            found.fact(f"[{extra}]", f"absent: {use}; pip install 'evenshard[{extra}]'")
    present = [each for each in libraries if not each.extra or each.extra not in missing]
    found.problems += _wrong_versions(present)
    _try_imports(found, present)
    if "trainer" not in missing:
        _look_at_gpus(found, graphics.ask_tensorflow(), graphics.ask_system())
    _look_at_resize(found, installation.resize_kernel())


def _look_at_resize(found: Findings, kernel: str) -> None:
    """Says what resizes pictures; all of it gives the same bytes."""
    if not kernel:
        found.problems.append(
            "cannot tell what resizes pictures: is EVENSHARD_RESIZE_KERNEL, if set, one of "
            "numpy, none, sse4.1, avx2, neon that this machine can run?"
        )
        return
    found.fact("resize", kernel)
    if kernel == "numpy" and not os.environ.get("EVENSHARD_RESIZE_KERNEL"):
        found.slow.append(
            "resizing, by numpy (the same pictures, in three times the time of a bake): "
            "cykooz-resizer has no wheel for every system; to build it, install Rust "
            "(https://rustup.rs) and run: pip install 'cykooz-resizer>=4.0.1,<5'"
        )


def _absent_extras(libraries: list[Library]) -> set[str]:
    return {each.extra for each in libraries if each.extra and not each.version}


def _wrong_versions(libraries: list[Library]) -> Iterator[str]:
    for each in libraries:
        if not each.version and each.somewhere:
            continue  # Whether it is needed here, pip has decided.
        if not each.version:
            yield f"{each.name} is not installed; run: pip install '{each.name}{each.bounds}'"
        elif not each.fits:
            yield (
                f"{each.name} {each.version} is installed, {each.bounds} is needed; run: "
                f"pip install '{each.name}{each.bounds}'"
            )


def _try_imports(found: Findings, libraries: list[Library]) -> None:
    """Imports what is installed in other processes; `_look_at_gpus` does so with TensorFlow."""
    of_tensorflow = ("tensorflow", "keras")
    # A distribution of weights has no module of its own name that every version has.
    tried = [
        each.module
        for each in libraries
        if each.version and each.name not in of_tensorflow and each.extra != "pretrained"
    ]
    for module, why in installation.failed_imports(list(dict.fromkeys(tried))).items():
        found.problems.append(f"import {module} fails: {why}")


def _look_at_gpus(found: Findings, tensorflow: TensorFlow, system: System) -> None:
    if tensorflow.trouble:
        found.problems.append(f"import tensorflow, keras fails: {tensorflow.trouble}")
    if tensorflow.gpus:
        found.fact("gpu", ", ".join(tensorflow.gpus))
        return
    why = graphics.why_none(tensorflow, system)
    found.fact("gpu", f"none: {why}")
    if graphics.is_wanted(tensorflow, system):
        found.problems.append(f"{system.listed.splitlines()[0]} is here, and is not used: {why}")
    else:
        found.slow.append(
            "training a whole network, on the CPU: --recipe=head trains in seconds on a frozen "
            "network's features; a small --image_size helps too"
        )


def _look_at_machine(found: Findings, folder: Path) -> None:
    found.fact("system", f"{platform.system()} {platform.release()}, {platform.machine()}")
    usable = cores.usable()
    total = os.cpu_count() or usable
    found.fact("cores", f"{usable}" if usable == total else f"{usable} of {total} usable")
    if usable <= _FEW_CORES:
        found.slow.append(
            f"decoding and augmenting on {usable} {'core' if usable == 1 else 'cores'}: "
            "--cache=decoded saves decoding from the second epoch on"
        )
    _look_at_memory(found)
    _look_at_disk(found, folder)
    encoding = "UTF-8" if not utf8.is_needed() else sys.getfilesystemencoding()
    found.fact("locale", f"{locale.setlocale(locale.LC_CTYPE)}, file names are {encoding}")


def _look_at_memory(found: Findings) -> None:
    available = memory.available_bytes()
    if available is None:
        found.fact("memory", "unknown on this system")
        return
    found.fact("memory", f"{readable(available)} available")
    if available < _LITTLE_MEMORY:
        found.slow.append(
            f"{readable(available)} of memory: --cache=none, and --workers=1 for bakes"
        )


def _look_at_disk(found: Findings, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    kind = _file_system(folder.resolve())
    found.fact("disk", f"{readable(free)} free in {folder.resolve()}{f' ({kind})' if kind else ''}")
    if free < _NO_DISK:
        found.problems.append(f"the disk of {folder.resolve()} is full: {readable(free)} are free")
    elif free < _LITTLE_DISK:
        found.slow.append(
            f"{readable(free)} of disk: evenshard clean {folder} lists what can go; "
            "evenshard plan says what a bake takes"
        )
    if kind in _NETWORK:
        found.slow.append(
            f"{folder.resolve()} is a network file system ({kind}): bake to a local disk, or train "
            "with --cache=encoded"
        )
    if not os.access(folder, os.W_OK):
        found.problems.append(f"{folder.resolve()} is not writable: choose another folder")


def _file_system(folder: Path, mounts: str = "/proc/mounts") -> str:
    """Returns the type of the file system that holds a folder, or "" where that is unknown."""
    try:
        lines = Path(mounts).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""  # Not Linux.
    best, kind = "", ""
    for line in lines:
        _, point, name, *_ = line.split(" ")
        inside = folder == Path(point) or Path(point) in folder.parents
        if inside and len(point) >= len(best):
            best, kind = point, name
    return kind


COMMAND = Command(
    module="evenshard.doctor",
    summary=(
        "Says what is installed and whether it works, whether TensorFlow sees a GPU and why not, "
        "what cores, memory and disk there are, and what will be slow. Please include its "
        "output in bug reports."
    ),
    arguments="[DIR]",
    config=DoctorConfig,
    main=main,
    notes="Exit code: 0 all that is installed works, 1 something does not, 2 usage.",
    examples="evenshard doctor\nevenshard doctor /data",
)


if __name__ == "__main__":
    sys.exit(COMMAND.run())
