"""Our stream of training batches against other ways to read the same pictures.

    python -m benchmarks.train.input [--input=DIR] [--limit=5000] [--forms=224-jpeg,…]

Each competitor shuffles, decodes and batches as fast as it can, with nothing behind it that
trains; "pictures/s" is the pace after warming up. A hand-tuned tf.data pipeline, TFDS,
WebDataset and Grain read the very bytes that our bake encoded, each in its own container;
`image_dataset_from_directory` reads the source files. Then ours with augmentation on, and with
a selection of 20 of 42 of the classes at 155 a class, per picture that it delivers.
"""

from __future__ import annotations

import argparse
import io
import sys
import tarfile
from pathlib import Path

from benchmarks import datasets
from benchmarks.harness import compare, peers
from benchmarks.harness.compare import Claim, Column, Competitor
from benchmarks.harness.paths import BENCH
from benchmarks.harness.processes import Usage
from tfrecords import example, framing, manifest

FORMS = ("224-jpeg", "224-raw", "64-jpeg", "64-raw")
TARS = 8

# Of our rate to `image_dataset_from_directory`.
_OVER_FOLDERS = {"jpeg": 2.4, "raw": 6.0}

RATE = compare.reported("rate")


def tars(data_dir: Path) -> Path:
    """Returns a folder with the train split as WebDataset's tars; made once."""
    target = BENCH / "data" / f"tars-{data_dir.name}"
    target = target.with_name(f"{target.name}-{manifest.load(data_dir).image.encoding.value}")
    if target.exists():
        return target
    building = target.with_name(target.name + ".building")
    building.mkdir(parents=True, exist_ok=True)
    found = manifest.load(data_dir)
    suffix = "raw" if found.image.encoding.value == "raw" else "jpg"
    files = [tarfile.open(building / f"{i:05d}.tar", "w") for i in range(TARS)]
    records = (
        example.decode(data)
        for shard in found.split("train").shards
        for data in framing.read_records(str(data_dir / shard.filename))
    )
    for number, record in enumerate(records):
        file = files[number % TARS]
        _add(file, f"{number:08d}.{suffix}", record.image)
        _add(file, f"{number:08d}.cls", str(record.label).encode())
    for file in files:
        file.close()
    building.rename(target)
    return target


def _add(file: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    file.addfile(info, io.BytesIO(data))


def stream(name: str, kind: str, folder: Path, flags: argparse.Namespace, *more: str) -> Competitor:
    """Returns a stream with TensorFlow."""
    argv = compare.python(
        "benchmarks.baselines.tensorflow_stream", kind, str(folder), f"--batch={flags.batch}",
        f"--seconds={flags.seconds}", *more,
    )  # fmt: skip
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    return Competitor(name, argv, environment=quiet, timeout=600)


def peer(name: str, package: str, folder: Path, side: int, flags: argparse.Namespace) -> Competitor:
    """Returns a stream of a peer in an environment of its own."""
    python = peers.interpreter(package)
    argv = compare.python(
        f"benchmarks.baselines.{package}_stream", str(folder), f"--batch={flags.batch}",
        f"--seconds={flags.seconds}", f"--side={side}", interpreter=python or sys.executable,
    )  # fmt: skip
    return Competitor(name, argv, timeout=600)


def against_peers(root: Path, form: str, flags: argparse.Namespace) -> bool:
    """Ours against all others on one form of the pictures."""
    size, _, encoding = form.partition("-")
    side, data_dir = int(size), datasets.baked(root, int(size), encoding)
    names = {"tuned": "tf.data, hand-tuned", "folders": "image_dataset_from_directory"}
    competitors = [
        stream("ours", "ours", data_dir, flags),
        stream(names["tuned"], "tuned", data_dir, flags),
        stream("TFDS, same shards", "tfds", data_dir, flags),
        stream(names["folders"], "folders", root, flags, f"--side={side}"),
    ]
    for package, name in (("webdataset", "WebDataset"), ("grain", "Grain")):
        if package in flags.peers and peers.interpreter(package) is not None:
            competitors.append(peer(name, package, tars(data_dir), side, flags))
    if "ffcv" in flags.peers and peers.interpreter("ffcv") is not None:
        print("ffcv installs here, but no stream is written for it", file=sys.stderr)
    claims = [
        _claim(f"ours / {names['tuned']}", "ours", names["tuned"], 0.97),
        _cpu_claim(f"ours / {names['tuned']}, by CPU time", "ours", names["tuned"], 0.97),
        _claim(f"ours / {names['folders']}", "ours", names["folders"], _OVER_FOLDERS[encoding]),
        *(_claim(f"ours / {one.name}", "ours", one.name) for one in competitors[2:]
          if one.name != names["folders"]),
    ]  # fmt: skip
    if flags.short:
        competitors, claims = competitors[:2], claims[:2]
    return _show(f"input {form}, {datasets.title(root)}", competitors, claims, flags)


def against_itself(root: Path, form: str, flags: argparse.Namespace) -> bool:
    """Ours with augmentation, caches and a selection, against ours."""
    size, _, encoding = form.partition("-")
    data_dir = datasets.baked(root, int(size), encoding)
    classes = max(2, round(len(manifest.load(data_dir).classes) * 20 / 42))
    selection = f"{classes} classes at 155"
    competitors = [
        stream("ours", "ours", data_dir, flags),
        stream("flip, crop", "ours", data_dir, flags, "--augment=flip,crop"),
        stream("flip, crop, color", "ours", data_dir, flags, "--augment=flip,crop,color"),
        stream("flip, crop, rotate", "ours", data_dir, flags, "--augment=flip,crop,rotate"),
        stream("mixup, cutmix", "ours", data_dir, flags, "--augment=mixup,cutmix"),
        stream("randaugment", "ours", data_dir, flags, "--augment=randaugment"),
        stream("malloc's own way", "ours", data_dir, flags, "--default_malloc"),
        stream("cache encoded", "ours", data_dir, flags, "--cache=encoded"),
        stream("cache decoded", "ours", data_dir, flags, "--cache=decoded"),
        stream(selection, "ours", data_dir, flags, f"--num_classes={classes}", "--per_class=155"),
    ]
    claims = [
        _claim("augmented (flip, crop, the default) / not", "flip, crop", "ours", 0.6),
        _cpu_claim("augmented (flip, crop) / not, by CPU time", "flip, crop", "ours", 0.6),
        _claim("augmented (flip, crop, color) / not", "flip, crop, color", "ours"),
        _claim("ours / ours with malloc's own way", "ours", "malloc's own way"),
        _claim("selected / all, per picture delivered", selection, "ours", 0.8),
    ]
    if flags.short:
        competitors, claims = competitors[:2], claims[:2]
    return _show(f"our input {form}, {datasets.title(root)}", competitors, claims, flags)


def _claim(text: str, top: str, bottom: str, at_least: float | None = None) -> Claim:
    return Claim(text, top, bottom, RATE, RATE, at_least=at_least)


def _cpu_claim(text: str, top: str, bottom: str, at_least: float) -> Claim:
    """Returns a claim on pictures a second of CPU time; other programs do not change it much."""
    return Claim(text, top, bottom, _cpu_rate, _cpu_rate, at_least=at_least)


def _cpu_rate(usage: Usage) -> float | None:
    spent = usage.report.get("cpu_ms")
    return 1e3 / spent if spent else None


def _show(
    title: str, competitors: list[Competitor], claims: list[Claim], flags: argparse.Namespace
) -> bool:
    columns = [
        Column("pictures/s", RATE, 0, spread=True),
        Column("core ms/picture", compare.reported("cpu_ms"), 3),
        Column("first batch s", compare.reported("first_batch"), 1),
        Column("peak MiB", compare.peak_mib, 0),
    ]
    runs = compare.compete(competitors, flags.rounds, compare.slug(title))
    about = {"batch": flags.batch, "seconds": flags.seconds, "peers": peers.PACKAGES}
    return compare.show(title, runs, columns, claims, RATE, about)


def main() -> int:
    parser = compare.parser(__doc__, rounds=3)
    datasets.add_flags(parser, limit=5000)
    parser.add_argument("--forms", type=_list, default=list(FORMS), metavar="SIDE-ENCODING,…")
    parser.add_argument("--peers", type=_list, default=list(peers.STREAMS), metavar="NAME,…")
    parser.add_argument(
        "--short", action="store_true", help="only tuned tf.data, and only flip with crop"
    )
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each stream")
    flags = parser.parse_args()
    if flags.short:
        flags.peers = []
    compare.warn_if_busy()
    root = datasets.pictures(flags)
    kept = True
    for form in flags.forms:
        kept &= against_peers(root, form, flags)
        kept &= against_itself(root, form, flags)
    return int(flags.strict and not kept)


def _list(text: str) -> list[str]:
    return [part for part in text.split(",") if part]


if __name__ == "__main__":
    sys.exit(main())
