"""A TFDS builder that generates with Beam, by our decode, resize and encode."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import tensorflow_datasets as tfds
from apache_beam.options.pipeline_options import PipelineOptions

from tfrecords.images import canonicalise
from tfrecords.schema import ImageSpec


def example(path: str, side: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields (key, example) of a source file, or nothing."""
    try:
        data = Path(path).read_bytes()
        image = canonicalise.canonicalise(data, ImageSpec(side, side), canonicalise.PixelLimits())
    except canonicalise.ImageError:
        return
    yield path, {"image": image.data, "label": Path(path).parent.name}


class Plain(tfds.core.GeneratorBasedBuilder):
    """Class folders as a TFDS data set."""

    VERSION = tfds.core.Version("1.0.0")
    pkg_dir_path = Path(__file__).parent
    root = Path()
    side = 224

    def _info(self) -> tfds.core.DatasetInfo:
        names = sorted(path.name for path in self.root.iterdir() if path.is_dir())
        features = {
            "image": tfds.features.Image(shape=(self.side, self.side, 3), encoding_format="jpeg"),
            "label": tfds.features.ClassLabel(names=names),
        }
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        return {"train": self._generate_examples(self.root)}

    def _generate_examples(self, root: Path) -> Any:
        from benchmarks import datasets

        paths = [str(path) for path in datasets.listed(root)]
        return beam.Create(paths) | beam.FlatMap(example, self.side)


def main() -> None:
    from benchmarks.harness import compare

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--side", type=int, default=224)
    flags, rest = parser.parse_known_args()
    Plain.root, Plain.side = flags.input, flags.side
    builder = Plain(data_dir=flags.output)
    options = PipelineOptions(["--runner=FnApiRunner", *rest])
    config = tfds.download.DownloadConfig(beam_options=options, compute_stats="skip")
    builder.download_and_prepare(download_config=config)
    compare.report(pictures=builder.info.splits["train"].num_examples)


if __name__ == "__main__":
    main()
