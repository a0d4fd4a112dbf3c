"""A bake from and to S3 and Google Cloud Storage, through servers that speak their protocols."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.datasets import fakes
from tests.support.processes import commands

PREPARE = "beam_pipelines.prepare"
FLAGS = ("--image_size=16", "--per_class=20", "--encoding=png")

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return found.getsockname()[1]


def serve(command: list[str], port: int, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    for _ in range(300):
        with socket.socket() as client:
            if client.connect_ex(("localhost", port)) == 0:
                return process
        time.sleep(0.1)
    process.kill()
    raise RuntimeError(f"{command[0]} does not listen")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fakes.write_folders(tmp_path_factory.mktemp("in"), {"apu": 40, "carl": 3})


@pytest.fixture(scope="module")
def local(folders: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """File → sha256 of the same bake on a disk."""
    out = tmp_path_factory.mktemp("out") / "shards"
    done = commands.run(PREPARE, f"--input_dir={folders}", f"--output_dir={out}", *FLAGS)
    assert done.returncode == 0, done.stderr
    return commands.digests(out)


def bake(url: str, workers: str, *flags: str) -> str:
    done = commands.run(
        PREPARE, f"--input_dir={url}/in", f"--output_dir={url}/out{workers}",
        f"--workers={workers}", *FLAGS, *flags,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stderr


def judge(found: dict[str, bytes], local: dict[str, str]) -> None:
    """The same files as on a disk, a report, and nothing of the cache."""
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in found.items()}
    report = {name for name in digests if name.startswith("report/")}
    assert report == {"report/index.html", "report/class_balance.png"}
    assert {name: digests[name] for name in digests.keys() - report} == local


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    pytest.importorskip("moto", reason="needs moto[s3,server] and boto3")
    port = free_port()
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_REGION": "us-east-1"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in keys.items():
            patch.setenv(name, value)
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        process = serve(command, port, dict(os.environ))
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


@pytest.mark.parametrize("workers", ["0", "2"])
def test_s3_holds_the_same_bytes(
    s3: str, folders: Path, local: dict[str, str], workers: str
) -> None:
    """The endpoint comes as Beam's own flag, which must reach listing, workers and report."""
    boto3 = pytest.importorskip("boto3")
    client = boto3.client("s3", endpoint_url=s3, region_name="us-east-1")
    client.create_bucket(Bucket="bakes")
    for path in folders.rglob("*.jpg"):
        client.upload_file(str(path), "bakes", f"in/{path.relative_to(folders)}")
    bake("s3://bakes", workers, f"--s3_endpoint_url={s3}", "--s3_region_name=us-east-1")
    prefix = f"out{workers}/"
    listed = client.list_objects_v2(Bucket="bakes", Prefix=prefix)["Contents"]
    judge(
        {
            entry["Key"].removeprefix(prefix): client.get_object(Bucket="bakes", Key=entry["Key"])[
                "Body"
            ].read()
            for entry in listed
        },
        local,
    )


def test_google_cloud_storage_holds_the_same_bytes(
    folders: Path, local: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = pytest.importorskip("google.cloud.storage", reason="needs evenshard[dataflow]")
    pytest.importorskip("gcp_storage_emulator", reason="needs gcp-storage-emulator")
    from google.auth.credentials import AnonymousCredentials

    port = free_port()
    command = [
        str(Path(sys.executable).parent / "gcp-storage-emulator"), "start", "--host=localhost",
        f"--port={port}", "--in-memory", "--default-bucket=bakes", "--quiet",
    ]  # fmt: skip
    process = serve(command, port, dict(os.environ))
    try:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://localhost:{port}")
        client = storage.Client(project="some-project", credentials=AnonymousCredentials())
        bucket = client.bucket("bakes")
        for path in folders.rglob("*.jpg"):
            bucket.blob(f"in/{path.relative_to(folders)}").upload_from_filename(str(path))
        bake("gs://bakes", "0")
        blobs = client.list_blobs("bakes", prefix="out0/")
        judge({b.name.removeprefix("out0/"): b.download_as_bytes() for b in blobs}, local)
    finally:
        process.terminate()
        process.wait()
