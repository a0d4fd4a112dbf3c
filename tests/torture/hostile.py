"""Pictures and archives whose bytes were tampered with: read, or refused in a line."""

from __future__ import annotations

import bz2
import functools
import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from tests.support.datasets import fakes
from tests.torture import case, cell
from tests.torture.case import Case, Kind, Lost
from tfrecords.images import canonicalise, decode_pool
from tfrecords.images.decode_pool import Watch
from tfrecords.images.rejects import ImageError
from tfrecords.inputs import listing
from tfrecords.inputs.options import InputOptions
from tfrecords.inputs.read import read_source
from tfrecords.inputs.rows import InputPath
from tfrecords.schema import ImageSpec

# 64 megapixels, so that a picture may not ask for more memory than a cell has.
LIMITS = canonicalise.PixelLimits(max_pixels=1 << 26, bomb_pixels=1 << 26)
SPEC = ImageSpec(32, 32)

# Values that overflow something.
_ODD = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)

# One archive in so many is baked by the command.
_BAKED = 60


@functools.cache
def pictures() -> tuple[tuple[str, bytes], ...]:
    """Returns (format, bytes) of the pictures that are tampered with."""
    image = fakes.picture("hostile", 48, 64)
    frames = [fakes.picture(f"frame {number}", 48, 64) for number in range(3)]
    made: list[tuple[str, bytes]] = []

    def add(form: str, picture: Image.Image, **options: object) -> None:
        buffer = io.BytesIO()
        picture.save(buffer, form, **options)  # type: ignore[arg-type]  # Values of a table.
        made.append((form, buffer.getvalue()))

    exif = Image.Exif()
    exif[0x0112] = 6
    profile = bytes(128) + b"not a profile"
    add("PNG", image)
    add("PNG", image.convert("P"), transparency=3)
    add("PNG", image.convert("LA"), icc_profile=profile)
    add("PNG", image, save_all=True, append_images=frames)
    add("JPEG", image, exif=exif, icc_profile=profile)
    add("JPEG", image, progressive=True)
    add("JPEG", image.convert("CMYK"))
    add("GIF", image)
    add("GIF", image, save_all=True, append_images=frames)
    for compression in ("raw", "tiff_lzw", "jpeg", "tiff_adobe_deflate", "packbits"):
        add("TIFF", image, compression=compression)
    add("TIFF", image.convert("I;16"))
    add("WEBP", image)
    add("WEBP", image, lossless=True)
    add("WEBP", image, save_all=True, append_images=frames)
    add("BMP", image)
    return tuple(made)


def mutated(data: bytes, rng: np.random.Generator, begin: int) -> bytes:
    """Returns bytes that were tampered with, mostly among the first `begin`."""
    result = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        if not result:
            break
        most = min(begin, len(result)) if rng.random() < 0.8 else len(result)
        at = int(rng.integers(most))
        what = rng.integers(7)
        if what == 0:
            result[at] ^= 1 << int(rng.integers(8))
        elif what == 1:
            result[at] = int(rng.integers(256))
        elif what == 2:
            width = int(rng.choice([1, 2, 4]))
            order = "big" if rng.random() < 0.5 else "little"
            value = int(rng.choice(_ODD)) & (256**width - 1)
            result[at : at + width] = value.to_bytes(width, order)  # type: ignore[arg-type]  # A word of two.
        elif what == 3 and rng.random() < 0.3:
            del result[at:]
        elif what == 4:
            del result[at : at + int(rng.integers(1, 32))]
        elif what == 5:
            other = int(rng.integers(len(result)))
            result[at:at] = result[other : other + int(rng.integers(1, 64))]
        else:
            other = int(rng.integers(len(result)))
            length = int(rng.integers(1, 32))
            result[at : at + length] = result[other : other + length]
    return bytes(result)


def picture(attempt: Case) -> str:
    """Decodes one picture that was tampered with."""
    rng = attempt.rng("picture")
    form, data = pictures()[int(rng.integers(len(pictures())))]
    tampered = mutated(data, rng, 200)
    try:
        said = cell.confined(lambda: _decoded(tampered))
    except Lost as lost:
        if "ended it" not in str(lost):
            raise Lost(f"{form}: {lost}") from lost
        # Decoders are native code, and may crash: the bake's own pool must name the picture.
        said = decode_pool.run_alone(_watched, tampered)
    return f"{form} {said}"


def _decoded(data: bytes) -> str:
    try:
        canonicalise.canonicalise(data, SPEC, LIMITS)
    except ImageError as error:
        if "\n" in error.detail or len(error.detail) > 200:
            raise AssertionError(f"detail is no line: {error.detail!r}") from error
        return "rejected"
    return "decoded"


def _watched(data: bytes, watch: Watch) -> str:
    """What a worker of a bake does with a picture."""
    blamed = watch.blamed("picture")
    if blamed is not None:
        return blamed.value
    with watch.decoding("picture"):
        return _decoded(data)


@functools.cache
def archives() -> tuple[tuple[str, bytes], ...]:
    """Returns (extension, bytes) of the archives that are tampered with."""
    files = {
        f"{name}/{number}.png": fakes.picture_bytes(f"{name}{number}", "PNG")
        for name in ("apu", "bart")
        for number in range(12)
    }
    made: list[tuple[str, bytes]] = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", method) as archive:
            archive.comment = b"a comment"
            for name, data in files.items():
                archive.writestr(zipfile.ZipInfo(name), data, method)
        made.append((".zip", buffer.getvalue()))
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
            for name, data in files.items():
                info = tarfile.TarInfo(f"{'long' * 30}/{name}" if form else name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
            link = tarfile.TarInfo("apu/link.png")
            link.type, link.linkname = tarfile.SYMTYPE, "0.png"
            tar.addfile(link)
        plain = buffer.getvalue()
        made.append((".tar", plain))
    made += [(".tar.gz", gzip.compress(plain)), (".tar.bz2", bz2.compress(plain))]
    made += [(".tar.xz", lzma.compress(plain)), (".tar.zst", _zstd(plain))]
    return tuple(made)


def _zstd(data: bytes) -> bytes:
    import pyarrow as pa

    packed: bytes = pa.compress(data, codec="zstd", asbytes=True)
    return packed


def archive(attempt: Case) -> str:
    """Lists and reads one archive that was tampered with; some are baked by the command."""
    rng = attempt.rng("archive")
    extension, data = archives()[int(rng.integers(len(archives())))]
    tampered = _archive_mutated(extension, data, rng)
    path = attempt.folder / f"in{extension}"
    path.write_bytes(tampered)
    if attempt.seed % _BAKED == 0:
        ended = case.run(
            "beam_pipelines.prepare", f"--input_dir={path}", f"--output_dir={attempt.folder / 'o'}",
            "--image_size=8", "--workers=1",
        )  # fmt: skip
        ended.require_told(f"the bake of a tampered {extension}")
        if ended.code == 0:
            case.run("tfrecords.verify", str(attempt.folder / "o")).require_done("verify")
        return f"{extension} {'baked' if ended.code == 0 else 'refused'}"
    return f"{extension} {cell.confined(lambda: _read_all(path))}"


def _archive_mutated(extension: str, data: bytes, rng: np.random.Generator) -> bytes:
    """Tampers with the headers of an archive, wherever they are, or with those at its begin."""
    marks = {".zip": (b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"), ".tar": (b"ustar",)}
    places = [
        at
        for mark in marks.get(extension, ())
        for at in range(len(data))
        if data.startswith(mark, at)
    ]
    if not places or rng.random() < 0.3:
        return mutated(data, rng, 64 if extension not in marks else 512)
    at = places[int(rng.integers(len(places)))]
    # A tar's mark stands inside its header, near the end.
    start = max(0, at - 257) if extension == ".tar" else at
    header = mutated(data[start : start + 64], rng, 64)
    header = header[:64].ljust(64, b"\0") if rng.random() < 0.8 else header
    result = bytearray(data[:start] + header + data[start + 64 :])
    if extension == ".tar" and rng.random() < 0.7 and len(result) >= start + 512:
        _mend_checksum(result, start)
    return bytes(result)


def _mend_checksum(data: bytearray, start: int) -> None:
    """Makes the sum of a tar's header right, so that it is believed."""
    data[start + 148 : start + 156] = b" " * 8
    data[start + 148 : start + 156] = b"%06o\0 " % sum(data[start : start + 512])


def _read_all(path: Path) -> str:
    options = InputOptions(spool_dir=str(path.parent / "spool"))
    (path.parent / "spool").mkdir()
    found = listing.list_labelled(InputPath("--input_dir", str(path)), options=options)
    read = 0
    for row in found.rows:
        if row.problem is None:
            try:
                read_source(row)
                read += 1
            except OSError as error:
                if "\n" in str(error):
                    raise AssertionError(f"an error of several lines: {error}") from error
    return "read" if read else "nothing to read"


KINDS = (
    Kind("picture", "PNG, JPEG, GIF, TIFF, WebP, BMP with bytes changed", 1, picture),
    Kind("archive", "zips and tars, plain and compressed, with bytes changed", 1, archive),
)
