"""What people write first: Create → ParDo(decode, resize, encode) → WriteToTFRecord.

It decodes, resizes and encodes with Pillow, and encodes Examples with our encoder, without
TensorFlow; with `--ours` it has our codecs, so that only the shape of the pipeline differs.
Beam's own options follow, such as `--direct_running_mode=multi_processing
--direct_num_workers=2`.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from PIL import Image

from tfrecords import example
from tfrecords.images import canonicalise
from tfrecords.schema import ImageRecord, ImageSpec


class DecodeAndResize(beam.DoFn):
    """Turns a path into the bytes of an Example."""

    def __init__(self, side: int, ours: bool) -> None:
        self._side = side
        self._picture = self._by_us if ours else self._by_pillow

    def process(self, path: str) -> Iterator[bytes]:
        try:
            data = self._picture(Path(path).read_bytes())
        except (canonicalise.ImageError, OSError):
            return
        yield example.encode(ImageRecord(data, 0, path, 0, 0))

    def _by_us(self, data: bytes) -> bytes:
        spec = ImageSpec(self._side, self._side)
        return canonicalise.canonicalise(data, spec, canonicalise.PixelLimits()).data

    def _by_pillow(self, data: bytes) -> bytes:
        image = Image.open(io.BytesIO(data)).convert("RGB")
        image = image.resize((self._side, self._side), Image.Resampling.BILINEAR)
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=95)
        return buffer.getvalue()


def main() -> None:
    from benchmarks import datasets
    from benchmarks.harness import compare

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--ours", action="store_true", help="decode and resize by our functions")
    flags, rest = parser.parse_known_args()
    flags.output.mkdir(parents=True)
    paths = [str(path) for path in datasets.listed(flags.input)]
    # By name: plain DirectRunner first tries to download another runner.
    with beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner", *rest])) as root:
        encoded = root | beam.Create(paths) | beam.ParDo(DecodeAndResize(flags.side, flags.ours))
        _ = encoded | beam.io.WriteToTFRecord(
            str(flags.output / "plain.tfrecord"), num_shards=flags.shards
        )
    compare.report(pictures=len(paths))


if __name__ == "__main__":
    main()
