"""The variables of a network by stable names, and weights loaded from a file."""

from __future__ import annotations

import re
import tempfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

import h5py
import keras
import numpy as np

from tfrecords.errors import TrainerError, UsageError

# Below this share of its variables a file is of another network.
LEAST_SHARE = 0.5

# The weights in a .keras archive, which is a zip file.
_WEIGHTS_MEMBER = "model.weights.h5"

# Keras numbers the layers of each kind from 0: conv2d, conv2d_1, ….
_NUMBERED = re.compile(r"^(?P<kind>.+?)(?:_(?P<number>\d+))?$")

# Shapes of the variables of one layer.
_Shapes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, eq=False)
class Loaded:
    """Which weights of a network were loaded, and from where.

    Attributes:
      source: a file or a package, for people.
      variables: identities of the variables whose values were loaded.
      total: number of the network's weights.
      new: names of the layers that start anew, from input to output.
    """

    source: str
    variables: frozenset[int]
    total: int
    new: tuple[str, ...]

    @classmethod
    def of(cls, source: str, model: keras.Model, variables: Iterable[keras.Variable]) -> Loaded:
        """Returns the record of the weights of a network that were loaded."""
        weights = frozenset(map(id, model.weights))
        loaded = frozenset(map(id, variables)) & weights
        fresh = [variable for variable in model.weights if id(variable) not in loaded]
        names = dict.fromkeys(variable.path.rpartition("/")[0] for variable in fresh)
        return cls(source, loaded, len(weights), tuple(names))

    @property
    def share(self) -> float:
        """Part of the network's weights that were loaded, 0 to 1."""
        return len(self.variables) / max(1, self.total)

    def describe(self) -> str:
        """Returns "loaded 42 of 43 weights from FILE; new: head"."""
        shown = ", ".join(self.new[:5]) + (", …" if len(self.new) > 5 else "")
        rest = f"; new: {shown}" if self.new else ""
        return f"loaded {len(self.variables)} of {self.total} weights from {self.source}{rest}"


def model_state(model: keras.Model) -> dict[str, keras.Variable]:
    """Returns every variable of a model, dropout's random state included, by a stable name.

    Names count positions instead of using paths: Keras numbers layers on through a process, so
    the paths of two equal networks differ.
    """
    return {f"model/{i:04d}/{v.name}": v for i, v in enumerate(model.variables)}


def load_matching_weights(model: keras.Model, path: str, *, partial: bool = False) -> Loaded:
    """Loads a .keras or .weights.h5 file, layer by layer where the structure is the same.

    Layers of a kind are aligned in order, as the longest runs of equal shapes, so that a layer
    more or less in between moves nothing into another's place.

    Args:
      model: receives the weights; layers without a counterpart keep their own.
      path: of the file.
      partial: accept a file that fits less than half of the network.

    Raises:
      TrainerError: the file cannot be read, nothing in it fits, or too little.
    """
    if not Path(path).is_file():
        raise UsageError(f"--weights={path}: no such file; give none, imagenet or a file")
    try:
        stored = _read(Path(path))
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        reason = str(error).strip().splitlines()[0]
        raise TrainerError(f"--weights: cannot load {path}: {reason}") from error
    ours = _variables_by_key(model)
    pairs = match(
        {key: values.shape for key, values in stored.items()},
        {key: tuple(variable.shape) for key, variable in ours.items()},
    )
    loaded = Loaded.of(path, model, (ours[key] for key in pairs))
    if not loaded.variables:
        raise TrainerError(f"--weights: nothing in {path} fits --model={model.name}")
    if loaded.share < LEAST_SHARE and not partial:
        raise TrainerError(
            f"--weights: only {len(loaded.variables)} of {loaded.total} weights of {model.name} "
            f"fit {path}: it is of another network; --partial_weights loads what fits"
        )
    for key, source in pairs.items():
        ours[key].assign(stored[source])
    return loaded


def match(
    stored: Mapping[str, tuple[int, ...]], ours: Mapping[str, tuple[int, ...]]
) -> dict[str, str]:
    """Returns our key → stored key of the variables that correspond to each other.

    Args:
      stored: key of each variable in the file, as Keras writes them, and its shape.
      ours: the same of the network.
    """
    theirs_by_kind, ours_by_kind = _layers_by_kind(stored), _layers_by_kind(ours)
    pairs = {}
    for kind, own_layers in ours_by_kind.items():
        for own, other in _aligned(own_layers, theirs_by_kind.get(kind, []), ours, stored):
            pairs[own] = other
    return pairs


def _aligned(
    own_layers: Sequence[tuple[str, ...]],
    other_layers: Sequence[tuple[str, ...]],
    ours: Mapping[str, tuple[int, ...]],
    stored: Mapping[str, tuple[int, ...]],
) -> Iterable[tuple[str, str]]:
    """Yields (our key, stored key) of the layers of one kind; a layer is its variables' keys."""
    own_shapes: list[_Shapes] = [tuple(ours[key] for key in layer) for layer in own_layers]
    other_shapes: list[_Shapes] = [tuple(stored[key] for key in layer) for layer in other_layers]
    aligned = SequenceMatcher(None, own_shapes, other_shapes, autojunk=False)
    for block in aligned.get_matching_blocks():
        for offset in range(block.size):
            yield from zip(
                own_layers[block.a + offset], other_layers[block.b + offset], strict=True
            )


def _layers_by_kind(keys: Iterable[str]) -> dict[tuple[str, ...], list[tuple[str, ...]]]:
    """Returns kind → its layers in the order of the network, each the keys of its variables."""
    layers: dict[tuple[str, ...], list[str]] = {}
    for key in keys:
        layers.setdefault(tuple(key.split("/")[:-1]), []).append(key)
    kinds: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for path in sorted(layers, key=lambda path: [_part(part) for part in path]):
        kind = tuple(_part(part)[0] for part in path)
        in_order = sorted(layers[path], key=lambda key: int(key.rpartition("/")[2]))
        kinds.setdefault(kind, []).append(tuple(in_order))
    return kinds


def _part(name: str) -> tuple[str, int]:
    """Returns the kind and the number of a layer: ("conv2d", 3) of conv2d_3."""
    found = _NUMBERED.match(name)
    if found is None:
        return name, 0
    return found["kind"], int(found["number"] or 0)


def _read(path: Path) -> dict[str, np.ndarray]:
    """Returns the variables in a .keras or .weights.h5 file by key."""
    if not zipfile.is_zipfile(path):
        return _read_h5(path)
    with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
        return _read_h5(Path(archive.extract(_WEIGHTS_MEMBER, folder)))


def _read_h5(path: Path) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}

    def visit(key: str, item: h5py.Group | h5py.Dataset) -> None:
        # A random state is not a weight; nor is what an optimizer stores beside the layers.
        layer, _, number = key.partition("/vars/")
        if isinstance(item, h5py.Dataset) and number.isdecimal() and _is_weight(layer):
            arrays[key] = item[()]

    with h5py.File(path) as file:
        file.visititems(visit)
    return arrays


def _is_weight(layer: str) -> bool:
    return not layer.startswith("optimizer") and "seed_generator" not in layer


def _variables_by_key(model: keras.Model) -> dict[str, keras.Variable]:
    """Returns the key under which Keras stores each weight of a network.

    Each weight is filled with its own number; a file that Keras writes then says where it lies.
    """
    values = [np.array(variable.numpy()) for variable in model.weights]
    try:
        for number, variable in enumerate(model.weights):
            variable.assign(np.full(variable.shape, number, variable.dtype))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "numbers.weights.h5"
            model.save_weights(path)
            numbers = _read_h5(path)
    finally:
        for variable, value in zip(model.weights, values, strict=True):
            variable.assign(value)
    return {key: model.weights[int(array.flat[0])] for key, array in numbers.items() if array.size}
