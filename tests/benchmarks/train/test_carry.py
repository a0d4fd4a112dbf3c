"""The bundle for a machine without a network: what is packed there is what is unpacked."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest

from benchmarks.train.gpu import plan
from benchmarks.train.gpu.carry import build, pack, prune, start, unpack


def tree(root: Path) -> dict[str, tuple[bytes, bool]]:
    """Returns the bytes of each file below a folder, and whether it can be executed."""
    return {
        path.relative_to(root).as_posix(): (path.read_bytes(), os.access(path, os.X_OK))
        for path in root.rglob("*")
        if path.is_file() and path.name != unpack.SEEN
    }


@pytest.fixture
def packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[Path]]:
    """Returns a folder of small and large files, and the parts of it."""
    monkeypatch.setattr(pack, "LARGE", 5000)
    monkeypatch.setattr(pack, "PIECE", 8192)
    rng, root = np.random.default_rng(0), tmp_path / "root"
    for number, size in enumerate((0, 1, 4999, 5000, 8192, 8193, 30_000, 100, 3000, 4000, 4500)):
        path = root / f"folder{number % 3}" / f"file{number}.so"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rng.bytes(size))
    (root / "folder0" / "left.pyc").write_bytes(b"x")
    (root / "folder1" / "program").write_bytes(b"#!")
    (root / "folder1" / "program").chmod(0o755)
    return root, pack.pack(root, tmp_path / "out", 40_000, preset=1)


@pytest.fixture(autouse=True)
def out(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()


def test_parts_in_any_order_give_every_file_back(
    packed: tuple[Path, list[Path]], tmp_path: Path
) -> None:
    root, parts = packed
    target, members = tmp_path / "target", tmp_path / "out" / "members.txt"
    assert len(parts) > 2 and all(part.stat().st_size <= 40_000 for part in parts)
    unpack.unpack(target, parts[-1:])
    assert unpack.missing(target, members)
    for part in parts[:-1]:
        unpack.unpack(target, [part])
    assert not unpack.missing(target, members)
    expected = {name: found for name, found in tree(root).items() if not name.endswith(".pyc")}
    found = tree(target)
    assert {name: data for name, (data, _) in found.items()} == {
        name: data for name, (data, _) in expected.items()
    }
    assert found["folder1/program"][1]


def test_packing_again_leaves_no_old_part(packed: tuple[Path, list[Path]], tmp_path: Path) -> None:
    root, parts = packed
    again = pack.pack(root, tmp_path / "out", 10**6, preset=1)
    assert len(again) == 1 and sorted((tmp_path / "out").glob("part*")) == again
    assert len(parts) > 1
    with pytest.raises(ValueError, match="more than a part"):
        pack.pack(root, tmp_path / "out", 18_000, preset=1)


def image(kind: int, arch: int, size: int = 40) -> bytes:
    head = struct.pack("<HHIQ", kind, 1, 64, size).ljust(64, b"\0")
    return head[:28] + struct.pack("<I", arch) + head[32:] + b"\xaa" * size


def library(*containers: list[bytes]) -> bytes:
    """Returns an ELF file of one segment with containers of images in it, and tables behind it."""
    body = b""
    for images in containers:
        content = b"".join(images)
        body += b"pad!" + struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(content)) + content
    head = bytearray(64)
    head[:4] = b"\x7fELF"
    struct.pack_into("<QQ", head, 0x20, 64, 64 + 56 + len(body))
    struct.pack_into("<HHHHH", head, 0x36, 56, 1, 64, 3, 2)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, 64 + 56 + len(body), 0, 0)
    return bytes(head) + segment + body + b"tables" * 30


def test_only_code_that_the_card_uses_is_left(tmp_path: Path) -> None:
    cubin, ptx = prune._CUBIN, prune._PTX
    given = library(
        [image(cubin, 70), image(cubin, 90), image(ptx, 90)],
        [image(ptx, 60), image(ptx, 80), image(ptx, 100), image(cubin, 80)],
        [image(8, 50)],
    )
    path = tmp_path / "lib.so"
    path.write_bytes(given)
    prune.prune(path)
    data = path.read_bytes()
    assert len(data) == len(given) - len(b"tables" * 30)
    with path.open("r+b") as file, prune.mmap.mmap(file.fileno(), 0) as mapped:
        kept = [
            [(one.kind, one.arch) for one in images if any(data[one.start : one.start + one.size])]
            for images in prune.containers(mapped)
        ]
    assert kept == [[(cubin, 90)], [(ptx, 80)], [(8, 50)]]
    assert data[0x28:0x30] == bytes(8) and data[0x3A:0x40] == bytes(6)


def test_what_is_no_library_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"no library" * 10)
    prune.prune(path)
    assert path.read_bytes() == b"no library" * 10


def test_versions_are_those_of_the_constraints() -> None:
    found = list(build.pins("3.12"))
    names = [each.partition("==")[0] for each in found]
    assert len(names) == len(set(names)) and {"tensorflow", "keras", "google-crc32c"} <= set(names)
    assert not set(names) & set(build.PRESENT)
    assert all("==" in each and ";" not in each for each in found)
    lacking = {build._plain(name) for name in build.NEEDED} - {build._plain(n) for n in names}
    assert not lacking


def test_a_wheel_is_found_by_name_and_version(tmp_path: Path) -> None:
    names = (
        "h5py-3.14.0-cp312-cp312-manylinux_2_17_x86_64.whl", "h5py-3.14.01-x.whl",
        "google_crc32c-1.9.0-cp312-cp312-linux_x86_64.whl", "absl_py-2.5.1-py3-none-any.whl",
    )  # fmt: skip
    for name in names:
        (tmp_path / name).touch()
    for number, wanted in ((0, "h5py==3.14.0"), (2, "google-crc32c==1.9.0"), (3, "absl-py==2.5.1")):
        assert [one.name for one in build.wheels_of(wanted, tmp_path)] == [names[number]]
    assert not build.wheels_of("h5py==3.14", tmp_path / "none")


def test_pytorch_keeps_its_own_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"LD_LIBRARY_PATH": "/driver", "PATH": "/bin", "PYTHONPATH": "elsewhere"}
    made = start.environment(Path("/t"), Path("/p"), given)
    assert made["PYTHONPATH"] == "/t/project:/t/site"
    assert made["LD_LIBRARY_PATH"] == "/t/cuda/lib:/p/nvidia/nccl/lib:/driver"
    image = start.environment(Path("/t"), Path("/p"), {**given, "BUNDLE_CUDNN": "image"})
    assert image["LD_LIBRARY_PATH"].startswith("/p/nvidia/cudnn/lib:/p/nvidia/cu13/lib:/t/cuda/lib")
    settings = plan.Settings(Path("s"), Path("l"), 1.0, "python")

    def of_torch() -> list[tuple[str, ...]]:
        parts = plan.parts(settings)
        return [part.argv for part in parts if part.cases[0].endswith(":torch")]

    assert all(argv[0] == "python" for argv in of_torch())
    monkeypatch.setenv(start.BEFORE, made[start.BEFORE])
    expected = ("env", "-u", "PYTHONPATH", "LD_LIBRARY_PATH=/driver", "python")
    assert all(argv[:5] == expected for argv in of_torch())
