"""Commands under a locale that is not UTF-8, and files under any umask."""

from __future__ import annotations

import csv
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.datasets import fakes

# A POSIX locale in which Python keeps to ASCII, as it does in an old container.
ASCII = {
    "LC_ALL": "C", "LANG": "tr_TR", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0",
    "PYTHONIOENCODING": "ascii",
}  # fmt: skip

CLASSES = ("Möwe", "ığdır", "İstanbul", "海")

TINY = "--model=tests.support.networks.tiny:network"


def run(*argv: str, environment: dict[str, str] = ASCII, umask: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *argv],
        env={**os.environ, **environment}, umask=umask, capture_output=True, timeout=600,
    )  # fmt: skip
    said = done.stdout.decode("ascii") + done.stderr.decode("ascii")
    assert done.returncode == 0, said
    assert "Traceback" not in said
    return said


def modes(folder: Path) -> set[tuple[str, int]]:
    """Returns (kind, permissions) of everything below a folder."""
    return {
        ("folder" if path.is_dir() else "file", stat.S_IMODE(path.stat().st_mode))
        for path in [folder, *folder.rglob("*")]
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bake, a run and a prediction, made under `ASCII` and a umask of 0."""
    root = tmp_path_factory.mktemp("Gruß")
    fakes.write_folders(root / "bilder", dict.fromkeys(CLASSES, 12))
    data, trained = root / "gebacken-ö", root / "lauf-ö"
    run(
        "beam_pipelines.prepare", f"--input_dir={root / 'bilder'}", f"--output_dir={data}",
        "--image_size=16", "--workers=1", "--per_class=8",
    )  # fmt: skip
    run(
        "evenshard", "train", f"--data_dir={data}", f"--run_dir={trained}", "--epochs=1",
        "--batch_size=8", TINY,
    )  # fmt: skip
    run(
        "trainer.predict", f"--run_dir={trained}", f"--input={root / 'bilder'}",
        f"--output={root / 'antwort.csv'}", "--top_k=2",
    )  # fmt: skip
    return root


def test_names_are_those_of_the_folders(made: Path) -> None:
    said = run("tfrecords.inspect", f"--data_dir={made / 'gebacken-ö'}")
    assert r"M\xf6we" in said
    with open(made / "antwort.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["Id"] for row in rows] == sorted(row["Id"] for row in rows)  # By code point.
    assert {row["Id"].split("/")[0] for row in rows} == set(CLASSES)
    assert {row["Expected"] for row in rows} <= set(CLASSES)
    page = (made / "lauf-ö" / "report" / "index.html").read_text(encoding="utf-8")
    assert all(name in page for name in CLASSES)


def test_what_is_baked_is_the_same_as_under_utf_8(made: Path) -> None:
    run(
        "beam_pipelines.prepare", f"--input_dir={made / 'bilder'}", f"--output_dir={made / 'utf8'}",
        "--image_size=16", "--workers=1", "--per_class=8",
        environment={"LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "ascii"}, umask=0o077,
    )  # fmt: skip
    for name in ("manifest.json", "label.labels.txt"):
        assert (made / "utf8" / name).exists(), name
    shards = [
        sorted((path.name, path.read_bytes()) for path in folder.glob("*.tfrecord*"))
        for folder in (made / "gebacken-ö", made / "utf8")
    ]
    assert shards[0] == shards[1] and shards[0]
    assert modes(made / "utf8") == {("folder", 0o700), ("file", 0o600)}


def test_files_have_the_permissions_that_the_umask_gives(made: Path) -> None:
    everything = {("folder", 0o777), ("file", 0o666)}
    assert modes(made / "gebacken-ö") == everything
    assert modes(made / "lauf-ö") == everything
    assert modes(made / "antwort.csv") == {("file", 0o666)}


def test_a_locale_of_eight_bits(tmp_path: Path) -> None:
    """Each byte is a character in it, so that no name is an error: it would be another name."""
    locales, name = tmp_path / "locales", "tr_TR.ISO-8859-9"
    locales.mkdir()
    localedef = ["localedef", "-i", "tr_TR", "-f", "ISO-8859-9", str(locales / name)]
    try:
        subprocess.run(localedef, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("localedef cannot make a Turkish locale here")
    fakes.write_folders(tmp_path / "in", {"ığdır": 4, "Möwe": 4})
    environment = {**ASCII, "LC_ALL": name, "LOCPATH": str(locales)}
    encoding = "import sys; print(sys.getfilesystemencoding())"
    assert run_python(encoding, environment).strip() == "iso8859-9"
    flags = (f"--output_dir={tmp_path / 'out'}", "--image_size=16", "--workers=1")
    run("evenshard", "bake", f"--input_dir={tmp_path / 'in'}", *flags, environment=environment)
    labels = (tmp_path / "out" / "label.labels.txt").read_text(encoding="utf-8").split()
    assert labels == ["Möwe", "ığdır"]
    said = run_python("import evenshard; evenshard.open", environment)
    assert "EvenshardWarning: Python takes names of files as iso8859-9 here" in said


def run_python(program: str, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment}, capture_output=True, encoding="utf-8", check=True,
    )  # fmt: skip
    return done.stdout + done.stderr
