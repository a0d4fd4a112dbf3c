"""`make release-check`: builds what would be published, and uses it as a stranger would.

The source distribution and the wheel are built and checked as a package index checks them, then
installed into clean environments of every Python that is supported and found here. In each,
`evenshard --version` and `evenshard doctor` must work; with --demo, so must `evenshard demo`.
It needs the network, for build, twine and what the distribution depends on.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from email.parser import BytesParser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SUPPORTED = ("3.10", "3.11", "3.12", "3.13")

# What an installed command needs beside its code, and what no user needs.
NEEDED = (
    "evenshard/springfield_like/__main__.py",
    "evenshard/py.typed",
    "tfrecords/reporting/templates/base.html.j2",
    "beam_pipelines/report/templates/report.html.j2",
    "trainer/report/templates/report.html.j2",
    "trainer/sweep/templates/leaderboard.html.j2",
)
_UNWANTED = ("tests/", "benchmarks/", "examples/", "docs/", ".ci/")

_EXTRAS = "[trainer]"  # The demo bakes without Beam.
_DEMO = ("demo", "--scale=0.01", "--epochs=1", "--image_size=32", "--per_class=10")


class ReleaseError(Exception):
    """What was built is not fit to be published; the text says why."""


def main(argv: Sequence[str] | None = None) -> int:
    """Builds, checks and installs; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--demo", action="store_true", help="also run the demo; takes minutes each")
    parser.add_argument("--only", metavar="VERSION", choices=SUPPORTED, help="of Python")
    flags = parser.parse_args(argv)
    found = pythons()
    versions = [flags.only] if flags.only else [each for each in SUPPORTED if each in found]
    try:
        if not versions or (flags.only and flags.only not in found):
            raise ReleaseError(f"no Python of {', '.join(versions or SUPPORTED)} is found here")
        with tempfile.TemporaryDirectory(prefix="release-") as folder:
            wheel, source = build(Path(folder))
            for problem in wheel_problems(wheel):
                raise ReleaseError(f"{wheel.name}: {problem}")
            for version in versions:
                for built in (wheel, source):
                    use(found[version], built, Path(folder), demo=flags.demo and built is wheel)
                    print(f"Python {version}: {built.name} works", flush=True)
    except (ReleaseError, subprocess.CalledProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    missing = [each for each in SUPPORTED if each not in found]
    if missing and not flags.only:
        print(f"note: not tried, for they are not here: Python {', '.join(missing)}")
    return 0


def pythons(places: Sequence[Path] | None = None) -> dict[str, Path]:
    """Returns version → interpreter, of those supported, on the path and in pyenv's folder.

    Args:
      places: folders with interpreters, in order of preference.
    """
    if places is None:
        root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
        of_pyenv = sorted(root.glob("versions/*/bin"))
        places = [*map(Path, os.get_exec_path()), *of_pyenv]
    found: dict[str, Path] = {}
    for version in SUPPORTED:
        for place in places:
            program = place / f"python{version}"
            # A shim of pyenv is there for versions that are not switched on, and fails.
            if program.is_file() and _runs(program):
                found.setdefault(version, program)
    return found


def build(folder: Path) -> tuple[Path, Path]:
    """Returns the wheel and the source distribution, built and checked with twine.

    Raises:
      CalledProcessError: one of the steps failed.
    """
    tools = folder / "tools"
    _run(sys.executable, "-m", "venv", tools)
    _run(tools / "bin/python", "-m", "pip", "install", "--quiet", "build", "twine")
    # The wheel is built from the source distribution, so that nothing is missing in it.
    _run(tools / "bin/python", "-m", "build", "--outdir", folder / "dist", ROOT)
    built = sorted((folder / "dist").iterdir())
    _run(tools / "bin/twine", "check", "--strict", *built)
    (wheel,) = (each for each in built if each.suffix == ".whl")
    (source,) = (each for each in built if each.suffix == ".gz")
    return wheel, source


def wheel_problems(wheel: Path) -> Iterator[str]:
    """Yields what is wrong with the contents of a wheel, and with the page that an index shows."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        page = BytesParser().parsebytes(archive.read(metadata))
    for name in NEEDED:
        if name not in names:
            yield f"{name} is missing"
    for name in names:
        if name.startswith(_UNWANTED):
            yield f"{name} belongs to the repository alone"
    if page["Description-Content-Type"] != "text/markdown":
        yield "the description is not declared as text/markdown"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = page.get_payload(decode=True)
    if not isinstance(shown, bytes) or shown.decode().strip() != readme.strip():
        yield "the description is not README.md"
    yield from page_problems(readme)


def page_problems(markdown: str) -> Iterator[str]:
    """Yields what an index would show otherwise than the repository does."""
    for link in re.findall(r"\]\(([^)\s]+)\)", markdown):
        if not link.startswith("https://"):
            yield f"the link {link} of README.md leads nowhere on a package index"
    if markdown.count("```") % 2:
        yield "a code block of README.md is not closed"
    if re.search(r"^\s*<(script|style|iframe)", markdown, re.MULTILINE | re.IGNORECASE):
        yield "a package index removes scripts, styles and frames"


def use(python: Path, built: Path, folder: Path, *, demo: bool) -> None:
    """Installs what was built into a clean environment, and starts its commands there.

    Raises:
      CalledProcessError: one of the steps failed.
    """
    environment = folder / "environment"
    shutil.rmtree(environment, ignore_errors=True)
    _run(python, "-m", "venv", environment)
    wanted = f"{built}{_EXTRAS if demo else ''}"
    constraints = ("--constraint", ROOT / "constraints.txt")
    _run(environment / "bin/python", "-m", "pip", "install", "--quiet", *constraints, wanted)
    command = environment / "bin/evenshard"
    # From elsewhere: the repository's own folders must not be found.
    _run(command, "--version", cwd=folder)
    _run(command, "doctor", cwd=folder)
    if demo:
        shutil.rmtree(folder / "evenshard-demo", ignore_errors=True)
        _run(command, *_DEMO, cwd=folder)


def _runs(program: Path) -> bool:
    try:
        done = subprocess.run([program, "-c", "import venv, ensurepip"], capture_output=True)
    except OSError:
        return False
    return done.returncode == 0


def _run(*command: str | Path, cwd: Path = ROOT) -> None:
    print("+", *command, flush=True)
    # Neither the caller's packages nor those of the checkout may help.
    hidden = ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    subprocess.run([str(each) for each in command], cwd=cwd, env=environment, check=True)


if __name__ == "__main__":
    sys.exit(main())
