"""What makes two runs one run: flags that change the result, and the data. Without TensorFlow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfrecords.errors import TrainerError
from trainer.config import AUTO_BATCH, NOT_PART_OF_THE_RESULT, TrainConfig

CONFIG = "config.json"


def of(config: TrainConfig, dataset: str) -> dict[str, Any]:
    """Returns what two runs must share to be one run.

    Args:
      config: of the run.
      dataset: digest of its data set.
    """
    flags = {k: v for k, v in config.to_dict().items() if k not in NOT_PART_OF_THE_RESULT}
    return flags | {"dataset": dataset}


def stored_config(run_dir: str | Path) -> dict[str, Any] | None:
    """Returns what config.json of a run holds, or None where there is none.

    Raises:
      TrainerError: it is damaged.
    """
    path = Path(run_dir) / CONFIG
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise TrainerError(f"cannot read {path}: {error}; --noresume starts anew") from error


def changes(stored: Mapping[str, Any], identity: Mapping[str, Any]) -> list[str]:
    """Returns how a stored configuration differs from an identity, one text a difference.

    A stored batch size answers --batch_size=auto, whatever it was.
    """
    before = stored["flags"] | {"dataset": stored["dataset"]["digest"]}
    return [
        f"{_shown(name, before.get(name))} there, {_shown(name, value)} here"
        for name, value in identity.items()
        if before.get(name) != value and (name, value) != ("batch_size", AUTO_BATCH)
    ]


def _shown(name: str, value: Any) -> str:
    shown = ",".join(value) if isinstance(value, (list, tuple)) else value
    return f"data set {str(value)[:12]}" if name == "dataset" else f"--{name}={shown}"
