"""`evenshard doctor`: its findings, why no GPU is seen, and that it needs no library itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from evenshard import doctor
from evenshard.doctor import Findings
from evenshard.machine import graphics, installation
from evenshard.machine.graphics import System, TensorFlow
from evenshard.machine.installation import Library

SEES = TensorFlow(("Tesla T4",), True, "", "")
BLIND = TensorFlow((), True, "", "I0000 x] Cannot dlopen some GPU libraries. Skipping\n")
BROKEN = TensorFlow((), None, "ImportError: no symbol", "")
LISTED = "Tesla T4, 15360 MiB, 550.1"
GPU = System(driver=True, listed=LISTED, cuda_libraries=True, hidden=None)
NO_GPU = System(driver=False, listed="", cuda_libraries=False, hidden=None)


@pytest.fixture
def healthy(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Libraries that are all well, and nothing started."""
    good = [Library("numpy", "", ">=2.0", "2.1"), Library("tensorflow", "trainer", "", "2.21")]
    monkeypatch.setattr(installation, "libraries", lambda: good)
    monkeypatch.setattr(installation, "failed_imports", lambda modules: {})
    monkeypatch.setattr(installation, "resize_kernel", lambda: "avx2")
    monkeypatch.setattr(graphics, "ask_tensorflow", lambda: SEES)
    monkeypatch.setattr(graphics, "ask_system", lambda: GPU)
    return monkeypatch


def test_all_is_well(
    healthy: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor.COMMAND.run([str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "Tesla T4" in printed and "Nothing is wrong." in printed
    assert f"free in {tmp_path}" in printed
    assert "evenshard benchmark --data_dir=" in printed
    for name in ("python", "cores", "memory", "locale"):
        assert f"\n{name} " in printed


def test_what_does_not_work_is_a_problem_and_an_exit_code(
    healthy: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [
        Library("numpy", "", ">=2.0", "1.26.4"),
        Library("tqdm", "", ">=4", ""),
        Library("apache-beam", "beam", ">=2", ""),
    ]
    healthy.setattr(installation, "libraries", lambda: found)
    healthy.setattr(installation, "failed_imports", lambda modules: {"numpy": "no symbol"})
    assert doctor.COMMAND.run([str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert "- numpy 1.26.4 is installed, >=2.0 is needed; run: pip install 'numpy>=2.0'" in printed
    assert "- tqdm is not installed; run: pip install 'tqdm>=4'" in printed
    assert "- import numpy fails: no symbol" in printed
    assert (
        "[beam]     absent: bake on Beam's runners, and from and to gs://; pip install" in printed
    )
    assert "- apache-beam" not in printed


def test_a_library_of_some_systems_may_be_absent_and_is_told_to_be_slow(
    healthy: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [Library("cykooz-resizer", "", ">=4.0.1,<5", "", somewhere=True)]
    healthy.setattr(installation, "libraries", lambda: found)
    healthy.setattr(installation, "resize_kernel", lambda: "numpy")
    assert doctor.COMMAND.run([str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "Nothing is wrong." in printed
    assert "- resizing, by numpy" in printed
    assert "pip install 'cykooz-resizer>=4.0.1,<5'" in printed


def test_a_kernel_that_cannot_be_chosen_is_a_problem(
    healthy: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    healthy.setattr(installation, "resize_kernel", lambda: "")
    assert doctor.COMMAND.run([str(tmp_path)]) == 1
    assert "EVENSHARD_RESIZE_KERNEL" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("tensorflow", "system", "platform", "why"),
    [
        (BROKEN, GPU, "linux", "TensorFlow cannot be imported"),
        (BLIND, NO_GPU, "darwin", "no build with CUDA for darwin"),
        (BLIND, NO_GPU, "linux", "no NVIDIA driver is loaded here"),
        (BLIND, System(True, LISTED, True, "-1"), "linux", "CUDA_VISIBLE_DEVICES='-1' hides it"),
        (TensorFlow((), False, "", ""), GPU, "linux", "this build of TensorFlow has no CUDA"),
        (BLIND, System(True, "", True, None), "linux", "nvidia-smi lists no GPU"),
        (BLIND, System(True, LISTED, False, None), "linux", "pip install 'evenshard[gpu]'"),
        (BLIND, GPU, "linux", "does not open it: Cannot dlopen some GPU libraries. Skipping"),
    ],
)
def test_why_no_gpu_is_seen(
    tensorflow: TensorFlow, system: System, platform: str, why: str
) -> None:
    assert why in graphics.why_none(tensorflow, system, platform)


@pytest.mark.parametrize(
    ("tensorflow", "system", "problems", "slow"),
    [
        (SEES, GPU, 0, 0),
        (BLIND, GPU, 1, 0),
        (BLIND, NO_GPU, 0, 1),
        (BLIND, System(True, LISTED, True, ""), 0, 1),
        (BROKEN, GPU, 2, 0),
    ],
)
def test_a_gpu_that_is_not_used_is_a_problem_and_none_at_all_is_slow(
    tensorflow: TensorFlow, system: System, problems: int, slow: int
) -> None:
    found = Findings()
    doctor._look_at_gpus(found, tensorflow, system)
    assert (len(found.problems), len(found.slow)) == (problems, slow)


def test_the_file_system_of_a_folder_is_the_innermost_mounted(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/a / ext4 rw 0 0\nserver:/x /data nfs4 rw 0 0\ntmpfs /database tmpfs rw 0 0\n"
    )
    for folder, kind in (("/home", "ext4"), ("/data/shards", "nfs4"), ("/database", "tmpfs")):
        assert doctor._file_system(Path(folder), str(mounts)) == kind
    assert doctor._file_system(Path("/home"), str(tmp_path / "absent")) == ""


def test_a_folder_is_expected(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.COMMAND.run(["/absent/folder"]) == 2
    assert "is not a folder; one is expected" in capsys.readouterr().err


def test_it_starts_where_no_library_can_be_imported() -> None:
    """It must name what is missing, and not die of it. All commands need absl-py, pure Python."""
    theirs = ("numpy", "PIL", "google", "google_crc32c", "tqdm", "pyarrow", "jinja2",
              "matplotlib", "tensorflow", "keras", "apache_beam")  # fmt: skip
    code = (
        f"import sys\nsys.modules.update(dict.fromkeys({theirs!r}))\n"
        "from evenshard import __main__\n"
        "sys.exit(__main__.main(['doctor', '--help']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "evenshard doctor" in done.stdout
