"""`evaluation.json`: the results of `trainer.evaluate`, as other commands read them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tfrecords.errors import TrainerError

EVALUATION = "evaluation.json"
DIRECTORY = "evaluation"

# Flags of `evenshard evaluate` that are in the file, and what they are where nobody gives them.
_FLAGS = {"split": "test", "weights": "best", "logit_adjustment": 0, "tta": "none", "classes": None}


def command_of(directory: Path) -> str:
    """Returns the command that evaluates again what is in a directory; of a damaged file its name.

    Args:
      directory: holds an evaluation of one run, or of several.
    """
    try:
        document = json.loads((directory / EVALUATION).read_text(encoding="utf-8"))
        runs = [run["run_dir"] for run in document.get("runs") or [document]]
        given = {"run_dir": ",".join(runs)}
        if not document.get("evaluated_on"):  # Each run on the data set that it was trained on.
            given["data_dir"] = document["data_dir"]
        given |= {
            name: ",".join(value) if isinstance(value, list) else value
            for name, usual in _FLAGS.items()
            if (value := document.get(name, usual)) != usual
        }
        given["output_dir"] = str(directory)
        words = [f"--{name}={value}" for name, value in given.items()]
        words += ["--allow_leaks"] if document.get("leaks") else []
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "evenshard evaluate"
    return " ".join(["evenshard", "evaluate", *map(shlex.quote, words)])


@dataclass(frozen=True)
class StoredEvaluation:
    """The part of an evaluation.json that model cards and lineage need.

    Attributes:
      data_dir: of the data set; empty where the file does not say.
      digest: of the data set; empty where the file does not say.
      metrics: name → value, None where the split has no picture to tell.
      leaks: pictures that the run had been trained on.
      judged_classes: number of those with a picture; 0 where the file does not say.
    """

    data_dir: str
    metrics: Mapping[str, float | None]
    leaks: int
    digest: str = ""
    judged_classes: int = 0

    @classmethod
    def read(cls, path: Path) -> StoredEvaluation:
        """Returns the results in a file.

        Raises:
          TrainerError: it is absent, cut off or of another form.
        """
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            metrics = {
                str(name): None if value is None else float(value)
                for name, value in document["metrics"].items()
            }
            return cls(
                data_dir=str(document.get("data_dir") or ""),
                metrics=metrics,
                leaks=int(document.get("leaks") or 0),
                digest=str((document.get("dataset") or {}).get("digest", "")),
                judged_classes=sum(
                    int(scores["support"]) > 0
                    for scores in (document.get("per_class") or {}).values()
                ),
            )
        except OSError as error:
            raise TrainerError(f"cannot read {path}: {error.strerror or error}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise TrainerError(
                f"{path} is damaged ({error!r}): evaluate the run again to replace it"
            ) from error
