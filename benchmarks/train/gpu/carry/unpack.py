"""Writes the parts of a bundle below a folder, on all cores. Python's own library is enough.

python3 unpack.py TARGET part00 [part01 …]      in any order, also one by one
python3 unpack.py TARGET --check members.txt    says which members are missing
"""

from __future__ import annotations

import io
import lzma
import os
import sys
import tarfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# In the target: the names of the members that were written.
SEEN = ".members"


def unpack(target: Path, parts: Sequence[Path]) -> int:
    """Returns the number of members that it wrote."""
    target.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        names = list(pool.map(lambda member: _write(target, *member), _members(parts)))
    with (target / SEEN).open("a", encoding="utf-8") as file:
        file.write("".join(f"{name}\n" for name in names))
    return len(names)


def missing(target: Path, members: Path) -> list[str]:
    """Returns the members of a list that were not written."""
    seen = target / SEEN
    done = set(seen.read_text(encoding="utf-8").splitlines()) if seen.exists() else set()
    return [name for name in members.read_text(encoding="utf-8").splitlines() if name not in done]


def _members(parts: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    for part in parts:
        with tarfile.open(part) as archive:
            for info in archive:
                file = archive.extractfile(info)
                if file is not None:
                    yield info.name, file.read()


def _write(target: Path, name: str, packed: bytes) -> str:
    raw, bare = lzma.decompress(packed), name[: -len(".xz")]
    if bare.startswith("small-"):
        with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
            archive.extractall(target, filter="tar")
        return name
    path, _, offset = bare.rpartition("@")
    whole = target / path
    whole.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(whole, os.O_WRONLY | os.O_CREAT, 0o755)
    try:
        view, place = memoryview(raw), int(offset)
        while view:
            written = os.pwrite(file, view, place)
            view, place = view[written:], place + written
    finally:
        os.close(file)
    return name


def main() -> int:
    if len(sys.argv) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    target = Path(sys.argv[1])
    if sys.argv[2] == "--check":
        lacking = missing(target, Path(sys.argv[3]))
        print(f"missing: {' '.join(lacking)}" if lacking else "nothing is missing")
        return int(bool(lacking))
    count = unpack(target, [Path(name) for name in sys.argv[2:]])
    print(f"{count} members written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
