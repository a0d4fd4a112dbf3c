"""What people write first: Create → ParDo(decode, resize, encode) → WriteToTFRecord.

It decodes with our functions and encodes Examples with our encoder, without TensorFlow, so
that only the shape of the pipeline differs. Beam's own options follow, such as
`--direct_running_mode=multi_processing --direct_num_workers=2`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from tfrecords import example
from tfrecords.images import canonicalise
from tfrecords.schema import ImageRecord, ImageSpec


class DecodeAndResize(beam.DoFn):
    """Turns a path into the bytes of an Example."""

    def __init__(self, side: int) -> None:
        self._spec = ImageSpec(side, side)

    def process(self, path: str) -> Iterator[bytes]:
        try:
            data = Path(path).read_bytes()
            image = canonicalise.canonicalise(data, self._spec, canonicalise.PixelLimits())
        except canonicalise.ImageError:
            return
        yield example.encode(ImageRecord(image.data, 0, path, 0, 0))


def main() -> None:
    from benchmarks import datasets
    from benchmarks.harness import compare

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--shards", type=int, default=8)
    flags, rest = parser.parse_known_args()
    flags.output.mkdir(parents=True)
    paths = [str(path) for path in datasets.listed(flags.input)]
    # By name: plain DirectRunner first tries to download another runner.
    with beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner", *rest])) as root:
        encoded = root | beam.Create(paths) | beam.ParDo(DecodeAndResize(flags.side))
        _ = encoded | beam.io.WriteToTFRecord(
            str(flags.output / "plain.tfrecord"), num_shards=flags.shards
        )
    compare.report(pictures=len(paths))


if __name__ == "__main__":
    main()
