"""One recipe for all trials of a sweep that leave it open: else they could not be compared."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from tfrecords.errors import EvenshardError
from tfrecords.manifest import Manifest
from trainer.data.folds import of_run
from trainer.data.selection import Selection, open_configured
from trainer.recipes import choice
from trainer.sweep.grid import Trial
from trainer.sweep.resources import visible_gpus
from trainer.train import recipe


def settle(trials: Sequence[Trial], manifest: Manifest) -> tuple[tuple[Trial, ...], str]:
    """Returns the trials with their recipes settled, and what is said of it; "" of none.

    Args:
      trials: of the grid.
      manifest: of the data set; its largest open trial decides.
    """
    open_ones = [trial.config for trial in trials if trial.config.is_open]
    situations = []
    gpus = visible_gpus() if open_ones else ()
    for config in open_ones:
        try:
            of_trial = of_run(config, manifest)
            selection = Selection.of(config, of_trial)
            train = open_configured(config, of_trial, config.train_split, selection)
            validation = open_configured(
                config, of_trial, config.validation_split, selection.natural()
            )
        except EvenshardError:  # Refused, with the reason, when the trial is looked at.
            continue
        gpu = config.device != "cpu" and bool(gpus)
        situations.append(recipe.situation(config, train, validation, gpu=gpu))
    if not situations:
        return tuple(trials), ""
    here = max(situations, key=lambda each: each.train)
    chosen = recipe.choose_for_all([trial.config for trial in trials], here)
    settled = (
        dataclasses.replace(
            trial,
            config=recipe.resumed(trial.config) or trial.config.with_recipe(chosen.recipe),
        )
        if trial.config.is_open
        else trial
        for trial in trials
    )
    return tuple(settled), choice.describe(chosen.recipe, chosen.reason, here)
