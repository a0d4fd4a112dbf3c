"""`evaluation.json`: the results of `trainer.evaluate`, as other commands read them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tfrecords.errors import TrainerError

EVALUATION = "evaluation.json"
DIRECTORY = "evaluation"


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
