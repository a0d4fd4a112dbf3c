"""Facts of pictures that do not exist: what the planner gets of a data set of any size.

Classes have a long tail, keys are paths as a camera names them, fingerprints of a class share
most of their bits as pictures of one kind do, and some pictures are copies or nearly so.
Everything is a function of the number of pictures and the seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_pipelines.cache import facts_table
from beam_pipelines.planning import bundles

# Of the pictures; caltech60, where students collected them by hand, has 1% near duplicates, and
# collections scraped off the web several times that.
EXACT_DUPLICATES = 0.02
NEAR_DUPLICATES = 0.04
REJECTED = 0.005

# As ImageNet-21k: 14 million pictures in 21,841 classes.
PICTURES_PER_CLASS = 640
TAIL = 0.7

# Rows made at a time; copies are of pictures among the same rows.
_CHUNK = 1 << 18


@dataclass(frozen=True)
class Shape:
    """How many pictures, in how many classes and bundles."""

    pictures: int
    seed: int = 0

    @property
    def classes(self) -> int:
        return max(2, self.pictures // PICTURES_PER_CLASS)

    @property
    def bundles(self) -> int:
        return bundles.count_bundles(self.pictures)


def blocks(shape: Shape) -> Iterator[bytes]:
    """Yields blocks of facts as bundles send them, `tables.facts_block`."""
    per_bundle = -(-shape.pictures // shape.bundles)
    bundle = 0
    for start in range(0, shape.pictures, _CHUNK):
        chunk = _facts(shape, start, min(_CHUNK, shape.pictures - start))
        for first in range(0, len(chunk), per_bundle):
            yield facts_table.encoded(
                _packed(chunk.slice(first, per_bundle), bundle, shape.bundles)
            )
            bundle += 1


def keys(shape: Shape) -> Iterator[str]:
    """Yields the keys of the pictures, in no order."""
    for start in range(0, shape.pictures, _CHUNK):
        count = min(_CHUNK, shape.pictures - start)
        label = _labels(_generator(shape, start), shape.classes, count)
        yield from _keys(_names(shape), label, np.arange(start, start + count)).to_pylist()


def _generator(shape: Shape, start: int) -> np.random.Generator:
    return np.random.default_rng((shape.seed, shape.pictures, start))


def _names(shape: Shape) -> list[str]:
    return [f"class_{number:06d}" for number in range(shape.classes)]


def _packed(rows: pa.Table, bundle: int, bundles: int) -> pa.RecordBatch:
    """Gives rows their places in the pack of one bundle."""
    is_picture = rows["reason"].is_null().to_numpy()
    index = pa.array(np.cumsum(is_picture, dtype=np.int32) - 1, mask=~is_picture)
    pack = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(len(rows), np.int32), mask=~is_picture),
        [f"{bundle:05d}-of-{bundles:05d}-0123456789ab"],
    )
    # A bundle's dictionary names its own classes only.
    of_class = rows["class_name"].cast(pa.string()).combine_chunks().dictionary_encode()
    own = {"class_name": of_class, "pack": pack, "index": index}
    columns = {name: rows[name] for name in rows.column_names} | own
    table = pa.table([columns[name] for name in facts_table.FACTS.names], schema=facts_table.FACTS)
    return table.combine_chunks().to_batches()[0]


def _facts(shape: Shape, start: int, count: int) -> pa.Table:
    rng = _generator(shape, start)
    label = _labels(rng, shape.classes, count)
    serial = np.arange(start, start + count)
    content, words = _contents(rng, shape, label, serial)
    is_picture = rng.random(count) >= REJECTED
    edge = rng.integers(200, 2000, (2, count), np.int32)
    constants = {
        "split": pa.nulls(count, facts_table.FACTS.field("split").type),
        "group_value": pa.nulls(count, facts_table.FACTS.field("group_value").type),
        "reason": _dictionary(pa.array(np.zeros(count, np.int32), mask=is_picture), ["corrupt"]),
        "detail": pc.if_else(pa.array(is_picture), pa.scalar(None, pa.string()), "broken data"),
        "format": _name_or_null("JPEG", is_picture),
        "mode": _name_or_null("RGB", is_picture),
    }
    names = _names(shape)
    return pa.table(
        {
            "key": _keys(names, label, serial),
            "class_name": _dictionary(pa.array(label), names),
            "bytes": pa.array(rng.integers(5_000, 400_000, count)),
            "sha256": _digests(content),
            "phash": pa.array(words[:, 0], mask=~is_picture),
            "fingerprint": _masked(_binary(words.byteswap()), is_picture),
            "width": pa.array(edge[0], mask=~is_picture),
            "height": pa.array(edge[1], mask=~is_picture),
            "encoded_bytes": pa.array(rng.integers(8_000, 30_000, count), mask=~is_picture),
            **constants,
        }
    )


def _labels(rng: np.random.Generator, classes: int, count: int) -> np.ndarray:
    """Returns int32[count]; class k has a share in proportion to k^-0.7."""
    weights = np.arange(1, classes + 1) ** -TAIL
    edges = np.cumsum(weights) / weights.sum()
    return np.minimum(np.searchsorted(edges, rng.random(count)), classes - 1).astype(np.int32)


def _contents(
    rng: np.random.Generator, shape: Shape, label: np.ndarray, serial: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns int64[n], equal for equal files, and uint64[n, 4], fingerprints."""
    count = len(label)
    kinds = np.random.default_rng(shape.seed).integers(0, 2**64, (shape.classes, 4), np.uint64)
    # A quarter of the bits differ from the class's: two of its pictures differ in 96 of 256.
    words = kinds[label] ^ (_bits(rng, count) & _bits(rng, count))
    content = serial.copy()
    near, exact = (
        rng.integers(0, count, (2, round(count * share)))
        for share in (NEAR_DUPLICATES, EXACT_DUPLICATES)
    )
    # 8 of 256 bits differ, 2 of them in the first word.
    flips = np.ones((5, near.shape[1], 4), np.uint64) << rng.integers(
        0, 64, (5, near.shape[1], 4), np.uint64
    )
    words[near[1]] = words[near[0]] ^ np.bitwise_xor.reduce(flips[:2])
    words[exact[1]], content[exact[1]] = words[exact[0]], content[exact[0]]
    return content, words


def _bits(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.integers(0, 2**64, (count, 4), np.uint64)


def _keys(names: list[str], label: np.ndarray, serial: np.ndarray) -> pa.Array:
    """Returns paths such as `class_000012/session_0417/IMG_0012345678.jpg`."""
    folder = pa.array(names).take(pa.array(label))
    session = pa.array([f"session_{number:04d}" for number in range(1000)]).take(
        pa.array(serial * 2_654_435_761 % 1000)
    )
    number = pc.utf8_lpad(pa.array(serial).cast(pa.string()), 10, "0")
    file = pc.binary_join_element_wise("IMG_", number, ".jpg", "")
    return pc.binary_join_element_wise(folder, session, file, "/")


def _digests(content: np.ndarray) -> pa.Array:
    """Returns 32 bytes a content that look like a hash: four multiplications of its number."""
    factors = np.array(
        [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5], np.uint64
    )
    mixed = (content.astype(np.uint64)[:, None] + np.uint64(1)) * factors
    return _binary((mixed ^ mixed >> np.uint64(29)) * factors[::-1])


def _binary(words: np.ndarray) -> pa.Array:
    data = pa.py_buffer(np.ascontiguousarray(words).tobytes())
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(32), len(words), [None, data])


def _masked(values: pa.Array, valid: np.ndarray) -> pa.Array:
    return pc.if_else(pa.array(valid), values, pa.scalar(None, values.type))


def _dictionary(indices: pa.Array, names: list[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(indices, names)


def _name_or_null(name: str, valid: np.ndarray) -> pa.DictionaryArray:
    return _dictionary(pa.array(np.zeros(len(valid), np.int32), mask=~valid), [name])
