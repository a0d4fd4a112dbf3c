"""What files a town is made of: sizes, formats, copies and broken ones, decided before drawing."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from evenshard.springfield_like.citizens.cast import CITIZENS, TOTAL
from evenshard.springfield_like.citizens.design import Citizen
from evenshard.springfield_like.dice import Dice
from tfrecords.sharding import stable_hash

MIN_CLASS = 3
LARGEST = (1912, 1072)  # width, height
SMALLEST_SIDE = 140

# Defects go to classes of at least this many files, so that a class of 3 keeps its 3.
_DEFECTS_FROM = 20

# JPEG qualities and chroma of the pictures at large; 0 is 4:4:4, 2 is 4:2:0 (Pillow's numbers).
_QUALITIES = (75, 95)
_CHROMA_420, _PROGRESSIVE = 0.70, 0.12


class Kind(str, enum.Enum):
    """What became of a file; the broken kinds have the names of `RejectReason`."""

    PICTURE = "picture"
    EXACT_DUPLICATE = "exact_duplicate"
    NEAR_DUPLICATE = "near_duplicate"
    TRUNCATED = "truncated"
    EMPTY = "empty"
    NOT_AN_IMAGE = "not_an_image"


# Files of each kind at full scale and the fewest of a smaller town.
KINDS: dict[Kind, tuple[int, int]] = {
    Kind.EXACT_DUPLICATE: (60, 4),
    Kind.NEAR_DUPLICATE: (90, 4),
    Kind.TRUNCATED: (15, 2),
    Kind.EMPTY: (6, 1),
    Kind.NOT_AN_IMAGE: (9, 1),
}

# Of the pictures, how many at full scale are not RGB JPEGs stored upright, and the fewest.
FORMATS: dict[str, tuple[int, int]] = {
    "png": (1_200, 8),
    "alpha": (60, 2),
    "palette": (60, 2),
    "grey": (100, 2),
    "rotated": (120, 3),
}


@dataclass(frozen=True)
class Recipe:
    """How a picture is stored.

    Attributes:
      width, height: upright pixels.
      format: "JPEG" or "PNG".
      mode: Pillow's: "RGB", "L", "RGBA" or "P".
      quality, subsampling, progressive: of a JPEG.
      orientation: EXIF value; 1 is upright and not written.
      shrink: further factor on both sides, of a near duplicate.
    """

    width: int
    height: int
    format: str = "JPEG"
    mode: str = "RGB"
    quality: int = 90
    subsampling: int = 2
    progressive: bool = False
    orientation: int = 1
    shrink: float = 1.0

    @property
    def stored_size(self) -> tuple[int, int]:
        """Width and height as a header says."""
        width = max(1, round(self.width * self.shrink))
        height = max(1, round(self.height * self.shrink))
        return (height, width) if self.orientation in (6, 8) else (width, height)


@dataclass(frozen=True)
class PlannedFile:
    """One file to be.

    Attributes:
      key: path below the pictures' root, POSIX, NFC.
      citizen: who is drawn.
      index: of the drawing, from 0; a duplicate has its original's.
      kind: what the file is.
      recipe: how it is stored.
      of: key of a duplicate's original.
      split: "pictures" or "unlabelled"; part of the seed.
    """

    key: str
    citizen: Citizen
    index: int
    kind: Kind
    recipe: Recipe
    of: str | None = None
    split: str = "pictures"


def class_sizes(scale: float, classes: int) -> dict[str, int]:
    """Returns files of each of the `classes` largest classes: max(3, round(count × scale))."""
    return {c.name: max(MIN_CLASS, round(c.count * scale)) for c in CITIZENS[:classes]}


def plan_pictures(seed: int, sizes: Mapping[str, int]) -> list[PlannedFile]:
    """Returns the files of the class folders, sorted by class (largest first) and number."""
    names = {citizen.name: citizen for citizen in CITIZENS}
    recipes = {
        (name, index): plain_recipe(seed, "pictures", name, index)
        for name, count in sizes.items()
        for index in range(count)
    }
    kinds = _deal(seed, "kind", sizes, KINDS, _DEFECTS_FROM, ())
    formats = _deal(seed, "format", sizes, FORMATS, 0, kinds)
    for slot, trait in formats.items():
        recipes[slot] = _with_trait(recipes[slot], trait, Dice(seed, "trait", *slot))
    files = []
    for slot, recipe in recipes.items():
        name, index = slot
        kind = kinds.get(slot, Kind.PICTURE)
        file = PlannedFile(_key(sizes, name, index, recipe), names[name], index, kind, recipe)
        if kind in (Kind.EXACT_DUPLICATE, Kind.NEAR_DUPLICATE):
            original = _original(seed, slot, sizes[name], kinds, formats)
            file = _copy_of(
                file, original, recipes[name, original], sizes, Dice(seed, "copy", *slot)
            )
        files.append(file)
    return files


def plan_unlabelled(seed: int, count: int, classes: int) -> list[PlannedFile]:
    """Returns `count` sound JPEGs of the `classes` largest classes, each class as likely."""
    files = []
    for index in range(count):
        citizen = Dice(seed, "unlabelled", index).pick(CITIZENS[:classes])
        recipe = plain_recipe(seed, "unlabelled", citizen.name, index)
        key = f"pic_{index + 1:04d}.jpg"
        files.append(PlannedFile(key, citizen, index, Kind.PICTURE, recipe, split="unlabelled"))
    return files


def plain_recipe(seed: int, split: str, name: str, index: int) -> Recipe:
    """Returns size and JPEG settings of a picture.

    Sizes are log-normal about 416 × 409 (height × width), from 140 to 1072 × 1912; the
    first picture of the largest class is exactly that large.
    """
    dice = Dice(seed, split, "recipe", name, index)
    level, aspect = dice.normal(0.0, 0.27), dice.normal(0.0, 0.20)
    # exp(mean of a log-normal): the medians lie this much below the means.
    below = (0.27**2 + (0.20 / 2) ** 2) / 2
    width = _clip(math.exp(math.log(409) - below + level + aspect / 2), LARGEST[0])
    height = _clip(math.exp(math.log(416) - below + level - aspect / 2), LARGEST[1])
    if (split, name, index) == ("pictures", CITIZENS[0].name, 0):
        width, height = LARGEST
    return Recipe(
        width,
        height,
        quality=dice.whole(*_QUALITIES),
        subsampling=2 if dice.chance(_CHROMA_420) else 0,
        progressive=dice.chance(_PROGRESSIVE),
    )


def _clip(side: float, largest: int) -> int:
    return min(largest, max(SMALLEST_SIDE, round(side)))


Slot = tuple[str, int]  # class and index
Trait = TypeVar("Trait", bound=str)


def _deal(
    seed: int,
    what: str,
    sizes: Mapping[str, int],
    wanted: Mapping[Trait, tuple[int, int]],
    from_size: int,
    taken: Iterable[Slot],
) -> dict[Slot, Trait]:
    """Gives each wanted trait its slots, in the order of a seeded hash.

    The first picture of a class is never dealt, so each class has a plain one.
    """
    total, used = sum(sizes.values()), set(taken)
    slots = [
        (name, index)
        for name, count in sizes.items()
        if count >= from_size
        for index in range(1, count)
        if (name, index) not in used
    ]
    slots.sort(key=lambda slot: stable_hash(seed, what, *slot))
    dealt: dict[Slot, Trait] = {}
    for trait, (full, fewest) in wanted.items():
        # A tenth at most, or the floors would leave a town of a few files no plain picture.
        count = min(max(fewest, round(full * total / TOTAL)), total // 10)
        chosen, slots = slots[:count], slots[count:]
        dealt.update(dict.fromkeys(chosen, trait))
    return dealt


def _with_trait(recipe: Recipe, trait: str, dice: Dice) -> Recipe:
    match trait:
        case "png":
            return replace(recipe, format="PNG")
        case "alpha":
            return replace(recipe, format="PNG", mode="RGBA")
        case "palette":
            return replace(recipe, format="PNG", mode="P")
        case "grey":
            return replace(recipe, mode="L")
        case "rotated":
            return replace(recipe, orientation=dice.pick((3, 6, 8)))
    raise ValueError(f"unknown trait {trait!r}")


def _original(
    seed: int, slot: Slot, count: int, kinds: Mapping[Slot, object], formats: Mapping[Slot, object]
) -> int:
    """Returns the index of a plain picture of the same class."""
    name = slot[0]
    plain = [i for i in range(count) if (name, i) not in kinds and (name, i) not in formats]
    return Dice(seed, "original", *slot).pick(plain)


def _copy_of(
    file: PlannedFile, index: int, recipe: Recipe, sizes: Mapping[str, int], dice: Dice
) -> PlannedFile:
    """Returns `file` as a copy of the plain picture `index` of its class."""
    of = _key(sizes, file.citizen.name, index, recipe)
    if file.kind is Kind.NEAR_DUPLICATE:
        shrink = dice.pick((1.0, dice.between(0.6, 0.95)))
        quality = dice.whole(60, 74)  # below every original's, so the bytes always differ
        recipe = replace(recipe, quality=quality, shrink=shrink)
    return replace(file, index=index, recipe=recipe, of=of)


def _key(sizes: Mapping[str, int], name: str, index: int, recipe: Recipe) -> str:
    """Returns the key; one file of a town has a space in its name and one an accent."""
    stem = f"pic_{index + 1:04d}"
    order: Sequence[str] = tuple(sizes)[:3]
    if index == 2 and name == order[0]:
        stem = "pic 0003"
    if index == 2 and name == order[-1]:
        stem = "pic_0003_caf\u00e9"
    return f"{name}/{stem}.{'png' if recipe.format == 'PNG' else 'jpg'}"
