from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from benchmarks.bake import cost
from benchmarks.bake.cost import Measured, Prices
from benchmarks.engines import __main__ as engines
from benchmarks.engines import flink_cluster

TOOLS = Path(os.environ.get("EVENSHARD_ENGINES_DIR", ".engines"))


def test_files_that_differ_or_lack_are_named() -> None:
    assert engines.different({"a": "1", "b": "2"}, {"a": "1", "b": "3", "c": "4"}) == ["b", "c"]
    assert engines.different({"a": "1"}, {"a": "1"}) == []


def test_the_job_server_refers_to_every_jar(tmp_path: Path) -> None:
    jars = tmp_path / ("a folder of a very long name, " * 4)
    jars.mkdir()
    names = [f"library-{i}.jar" for i in range(40)]
    for name in names:
        (jars / name).touch()
    path = flink_cluster.write_job_server_jar(jars, tmp_path / "server.jar")
    text = zipfile.ZipFile(path).read("META-INF/MANIFEST.MF")
    assert max(map(len, text.split(b"\r\n"))) <= 72
    whole = text.replace(b"\r\n ", b"").decode()
    assert f"Main-Class: {flink_cluster.JOB_SERVER}\r\n" in whole
    found = re.search("Class-Path: (.*)\r\n", whole)
    assert found is not None
    assert sorted(uri.rpartition("/")[2] for uri in found[1].split(" ")) == sorted(names)


def test_without_jars_it_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="make engines"):
        flink_cluster.write_job_server_jar(tmp_path, tmp_path / "server.jar")


def test_what_is_left_over_is_found_and_ended() -> None:
    mark = "a-mark-of-this-test"
    process = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"],
        env={**os.environ, "EVENSHARD_ENGINES": mark},
    )
    assert engines.left_over(mark, seconds=1).keys() == {process.pid}
    assert process.wait(10) != 0
    assert engines.left_over(mark, seconds=0) == {}


def test_a_bill_by_hand() -> None:
    measured = Measured(3.6, 1e4, 2e4, 100, read_ms=0)
    prices = Prices(vcpu_hour=1, gb_hour=0.5, gb_shuffled=10, thousand_reads=0.001)
    found = cost.bill(1_000_000, measured, prices, gb_per_vcpu=2)
    assert (found.vcpu_hours, found.cores, found.memory) == (1, 1, 1)
    assert (found.shuffle, found.reads, found.total) == pytest.approx((1, 1, 4))
    slow = Measured(3.6, 1e4, 2e4, 100, read_ms=72)
    assert cost.bill(1_000_000, slow, prices, threads=10).vcpu_hours == 2


@pytest.mark.slow
def test_every_engine_gives_the_same_bytes() -> None:
    missing = [name for name in ("prism", "flink") if not (TOOLS / name).exists()]
    if missing:
        pytest.skip(f"`make engines` fetches {' and '.join(missing)}")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.engines", f"--tools={TOOLS}"],
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall("the same", done.stdout)) == len(engines.ENGINES)
