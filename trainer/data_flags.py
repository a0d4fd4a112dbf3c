"""Which data set a run reads, and what of it: `DataFlags`, the first flags of `TrainConfig`."""

from __future__ import annotations

from dataclasses import MISSING, dataclass

from tfrecords.cli import values
from tfrecords.cli.flags import flag
from trainer.choices import READ_PARALLELISM

_DATA = "Data"


@dataclass(frozen=True)
class DataFlags:
    """The directories of a run, and which records of the data set it reads."""

    data_dir: str = flag(
        MISSING,
        _DATA,
        "Directory that `evenshard bake` wrote, or gs://BUCKET/DIR.",
        metavar="DIR",
        typed_as=("data", "input_dir", "dataset"),
    )
    run_dir: str = flag(
        MISSING,
        _DATA,
        "Directory for checkpoints and results; created if absent.",
        metavar="DIR",
        typed_as=("output_dir", "out", "logdir", "log_dir", "model_dir", "workdir"),
    )
    train_split: str = flag("train", _DATA, "Split to train on.", metavar="NAME")
    validation_split: str = flag(
        "validation", _DATA, "Split that chooses the best epoch; never augmented.", metavar="NAME"
    )
    fold: int | None = flag(
        None,
        _DATA,
        "Of a data set that was baked with --folds=K: the fold to validate on, 0 to K-1; the "
        "others are the train split.",
        metavar="N",
    )
    per_class: int | None = flag(
        None,
        _DATA,
        "Train on the records of rank below N of each class: what a bake with --per_class=N holds.",
        metavar="N",
    )
    classes: tuple[str, ...] = flag(
        (),
        _DATA,
        "Only these classes, by name; labels are renumbered in the manifest's order.",
        metavar="A,B,…",
    )
    num_classes: int | None = flag(
        None, _DATA, "Only the N classes with most originals in the train split.", metavar="N"
    )
    originals_only: bool = flag(False, _DATA, "Leave out the augmented copies of the bake.")
    image_size: tuple[int, int] | None = flag(
        None,
        _DATA,
        "Train at this size, N or HxW, not above the baked one. Data sets of "
        "--resize=short_side need it: their pictures are centre-cropped to it.",
        metavar="N|HxW",
        typed_as=("imgsz", "img_size", "resolution"),
        parse=values.image_size,
        show=values.show_size,
    )
    cache: str = flag(
        "none",
        _DATA,
        "Hold the selected records in memory: as encoded bytes, or as decoded pixels. The cost "
        "is printed first.",
        choices=("none", "encoded", "decoded"),
    )
    shuffle_buffer_mb: int = flag(
        256,
        _DATA,
        "Encoded pictures held to shuffle from, MB. A selection that fits is shuffled as a whole.",
        metavar="MB",
    )

    read_parallelism: int = flag(
        READ_PARALLELISM,
        _DATA,
        "Shards read at a time; more, such as 32, hides the latency of a bucket. Part of what "
        "a run is: the order of records depends on it.",
        metavar="N",
    )

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of --image_size, or None for the baked size."""
        return self.image_size
