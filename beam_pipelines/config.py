"""`PrepareConfig`: everything a bake is told, validated once."""

from __future__ import annotations

import enum
import re
from dataclasses import asdict, dataclass, field
from typing import Any

from beam_pipelines.planning.balance import BalancePolicy
from tfrecords import manifest
from tfrecords.images.canonicalise import PixelLimits
from tfrecords.schema import TRAIN, ImageSpec

# Raise it when canonical images of equal sources change: cached ones are then not reused.
PIXELS_VERSION = 1

# Raise it when files of the cache change their form: those of an earlier form are then made anew.
_CACHE_VERSION = 3

DEFAULT_SPLITS = ((TRAIN, 0.8), ("validation", 0.1), ("test", 0.1))

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_SPLIT_NAME = re.compile(r"[a-z][a-z0-9_]*")


class NearDuplicates(str, enum.Enum):
    """What becomes of pictures that look the same."""

    GROUP = "group"
    OFF = "off"
    DROP = "drop"


class SplitBy(str, enum.Enum):
    """What is dealt to a split as one: near-duplicate groups, or clusters of like pictures."""

    RANDOM = "random"
    APPEARANCE = "appearance"


class Operation(str, enum.Enum):
    """A change that makes an augmented copy; applied in this order."""

    CROP = "crop"
    FLIP = "flip"
    ROTATE = "rotate"
    COLOR = "color"
    CUTOUT = "cutout"


@dataclass(frozen=True, slots=True)
class PrepareConfig:
    """What to bake, from where, to where.

    Attributes:
      input_dir: class folders, or an archive of them; the root of relative paths of a CSV.
      input_csv: a table with columns path and label, or None.
      output_dir: the data set.
      name: starts every shard's file name; lower case, digits and underscores.
      image: size and encoding of the records.
      limits: bounds on a source's pixels.
      splits: (name, fraction) with train among them; fractions add up to 1.
      seed: of the split, the ranks and the copies.
      min_per_class: train classes with fewer get copies up to this; None for no copies.
      max_per_class: train classes with more are capped; None for no cap.
      balance: "power:α" or "effective:β", a target from the class sizes; None otherwise.
      augment: operations for copies.
      near_duplicates: kept together in the split, ignored, or dropped but one.
      near_distance: bits of 256 in the fingerprint that near duplicates may differ in; None for
        the measured default, which is stricter for dropping than for grouping.
      label_conflicts: policy for equal files under two classes: "keep_first" or "drop_all".
      group_by: regular expression on keys; equal matches stay in one split.
      split_by: what is dealt to a split as one.
      max_reject_fraction: more rejects than this fail the bake.
      num_shards: of the train split; None for a number from the bytes.
      keep_cache: leave canonical files for the next bake.
      overwrite: replace a complete data set.
      plan_only: print the plan and write no data set.
      workers: processes that decode; 0 decodes inside Beam's own workers.
    """

    input_dir: str
    output_dir: str
    input_csv: str | None = None
    name: str = "dataset"
    image: ImageSpec = field(default_factory=ImageSpec)
    limits: PixelLimits = field(default_factory=PixelLimits)
    splits: tuple[tuple[str, float], ...] = DEFAULT_SPLITS
    seed: int = 0
    min_per_class: int | None = None
    max_per_class: int | None = None
    balance: str | None = None
    augment: tuple[Operation, ...] = (Operation.CROP, Operation.FLIP, Operation.COLOR)
    near_duplicates: NearDuplicates = NearDuplicates.GROUP
    near_distance: int | None = None
    label_conflicts: str = "keep_first"
    group_by: str | None = None
    split_by: SplitBy = SplitBy.RANDOM
    max_reject_fraction: float = 0.05
    num_shards: int | None = None
    keep_cache: bool = False
    overwrite: bool = False
    plan_only: bool = False
    workers: int = 1

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"--name must be lower-case letters, digits and underscores, not {self.name!r}"
            )
        _check_splits(self.splits)
        self._check_numbers()
        if self.group_by is not None:
            try:
                re.compile(self.group_by)
            except re.error as error:
                raise ValueError(
                    f"--group_by={self.group_by!r} is no regular expression: {error}"
                ) from error

    def _check_numbers(self) -> None:
        if not 0 <= self.max_reject_fraction <= 1:
            raise ValueError(
                f"--max_reject_fraction must be 0 to 1, not {self.max_reject_fraction}"
            )
        for flag, value in (
            ("--min_per_class", self.min_per_class),
            ("--max_per_class", self.max_per_class),
            ("--num_shards", self.num_shards),
        ):
            if value is not None and value < 1:
                raise ValueError(f"{flag} must be at least 1, not {value}")
        if (self.min_per_class or 0) > (self.max_per_class or 2**62):
            raise ValueError(
                f"--min_per_class={self.min_per_class} exceeds --max_per_class={self.max_per_class}"
            )
        self.balance_policy()
        if self.min_per_class and not self.augment:
            raise ValueError("--min_per_class needs copies, so --augment must name an operation")
        if not 0 <= (self.near_distance or 0) <= 64:
            raise ValueError(f"--near_distance must be 0 to 64 bits, not {self.near_distance}")
        if self.workers < 0:
            raise ValueError(f"--workers must be auto or at least 0, not {self.workers}")

    def balance_policy(self) -> BalancePolicy:
        """Returns the policy that `balance` and the bounds ask for.

        Raises:
          ValueError: `balance` is none of the rules, or a number is out of range.
        """
        rule, _, number = (self.balance or "").partition(":")
        try:
            value = float(number) if rule else None
        except ValueError:
            rule = "unknown"
        if rule not in ("", "power", "effective"):
            raise ValueError(
                f"--balance must be power:A or effective:B, as in power:0.5, not {self.balance!r}"
            )
        return BalancePolicy(
            min_per_class=self.min_per_class,
            max_per_class=self.max_per_class,
            power=value if rule == "power" else None,
            effective_beta=value if rule == "effective" else None,
        )

    @property
    def split_names(self) -> tuple[str, ...]:
        """Names of the splits, train first."""
        return tuple(name for name, _ in self.splits)

    def for_manifest(self) -> dict[str, Any]:
        """Returns what determines the bytes of the data set, as JSON values."""
        fields = asdict(self)
        for name in _NOT_IN_THE_BYTES:
            del fields[name]
        fields["pixels_version"] = PIXELS_VERSION
        return {key: _json_value(value) for key, value in fields.items()}

    def pixels_digest(self) -> str:
        """Returns what determines the bytes of a canonical image, as 12 hex digits."""
        return manifest.digest_of_config(
            {
                "image": _json_value(asdict(self.image)),
                "limits": asdict(self.limits),
                "version": PIXELS_VERSION,
                "cache": _CACHE_VERSION,
            }
        )[:12]


_NOT_IN_THE_BYTES = (
    "input_dir",
    "input_csv",
    "output_dir",
    "keep_cache",
    "overwrite",
    "plan_only",
    "workers",
    "max_reject_fraction",
)


def _check_splits(splits: tuple[tuple[str, float], ...]) -> None:
    names = [name for name, _ in splits]
    text = ",".join(f"{name}:{fraction:g}" for name, fraction in splits)
    if len(set(names)) != len(names) or not all(map(_SPLIT_NAME.fullmatch, names)):
        raise ValueError(f"--splits={text}: names must differ and be lower-case words")
    if TRAIN not in names or names[0] != TRAIN:
        raise ValueError(f"--splits={text}: the first split must be {TRAIN!r}")
    if any(not 0 < fraction <= 1 for _, fraction in splits):
        raise ValueError(f"--splits={text}: each fraction must be above 0 and at most 1")
    total = sum(fraction for _, fraction in splits)
    if abs(total - 1) > 1e-6:
        raise ValueError(f"--splits={text}: fractions must add up to 1, they add up to {total:g}")


def _json_value(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, dict):
        return {key: _json_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_value(item) for item in value]
    return value
