"""60,000 tiny pictures: counted, baked, and every one accounted for."""

from __future__ import annotations

import zipfile

import numpy as np

from tests.torture import case
from tests.torture.case import Case, Kind, Lost
from tfrecords import ledger, manifest

PICTURES = 60_000
_CLASSES, _SIDE = 30, 6


def many(attempt: Case) -> str:
    """Bakes tiny pictures from a zip or from folders, some of them twice, and verifies them."""
    rng = attempt.rng("many")
    output = attempt.folder / "o"
    zipped = bool(rng.random() < 0.5)
    root = attempt.folder / ("in.zip" if zipped else "in")
    pixels = rng.integers(0, 256, (PICTURES, _SIDE * _SIDE * 3), dtype=np.uint8)
    header = b"P6 %d %d 255\n" % (_SIDE, _SIDE)
    files = ((f"class{n % _CLASSES:02d}/{n:06d}.ppm", header + pixels[n].tobytes()) for n in
             range(PICTURES))  # fmt: skip
    if zipped:
        with zipfile.ZipFile(root, "w") as archive:
            for name, data in files:
                archive.writestr(name, data)
    else:
        for name, data in files:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    flags = (f"--input_dir={root}", f"--output_dir={output}", f"--image_size={_SIDE}",
             "--encoding=png", "--near_duplicates=off", f"--max_per_class={PICTURES}")  # fmt: skip
    case.run("beam_pipelines.prepare", *flags).require_done("the bake of 60,000 pictures")
    statuses = manifest.load(output).statuses
    if sum(statuses.values()) != PICTURES or len(ledger.read(output)) != PICTURES:
        raise Lost(f"{PICTURES} pictures went in, the manifest has {dict(statuses)}")
    if statuses.get("kept") != PICTURES:
        raise Lost(f"all {PICTURES} are distinct, the manifest has {dict(statuses)}")
    case.run("tfrecords.verify", str(output)).require_done("verify")
    return f"from {'a zip' if zipped else 'folders'}"


KINDS = (Kind("many", "60,000 pictures of 6×6 pixels from a zip or from folders", 2, many, most=1),)
