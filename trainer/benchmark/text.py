"""A checkup as one screen of text, and as JSON."""

from __future__ import annotations

import dataclasses
import textwrap
from typing import Any

from tfrecords.sizes import readable
from trainer.benchmark.advise import WORTH, Advice, Checkup, Stage, advise, expected_rate, verdict

_WIDTH = 96


def render(checkup: Checkup) -> str:
    """Returns the screen: the measured rates, the bottleneck, the changes worth making."""
    return "\n".join([*_facts(checkup), "", *_table(checkup), "", *_advice(checkup)])


def to_dict(checkup: Checkup) -> dict[str, Any]:
    """Returns everything that the screen shows, ready for JSON."""
    return {
        **dataclasses.asdict(checkup),
        "expected": expected_rate(checkup),
        "verdict": verdict(checkup),
        "advice": [dataclasses.asdict(advice) for advice in advise(checkup)],
    }


def _facts(checkup: Checkup) -> list[str]:
    load, host = checkup.load, checkup.host
    stored, size = ("x".join(map(str, pair)) for pair in (load.stored, load.size))
    shrunk = "" if stored == size else f", trained on at {size}"
    cores = f"{host.cores} core{'s' if host.cores > 1 else ''}"
    return [
        f"data     {load.records:,} records of {stored} {load.encoding}{shrunk}, "
        f"{readable(load.record_bytes)} each, {readable(load.encoded_bytes)} in all; "
        f"cache {load.cache}",
        f"machine  {host.device}; {cores}, {readable(host.free_bytes)} of memory free",
    ]


def _table(checkup: Checkup) -> list[str]:
    load, rates = checkup.load, checkup.rates
    lines = [f"{'each alone':24}{'pictures/s':>12}{'core ms/picture':>18}"]
    disk = rates.disk / max(1.0, load.record_bytes)
    lines.append(f"{'disk':24}{disk:12,.0f}{'-':>18}   {readable(rates.disk)}/s, cold")
    lines.append(_stage("decode", rates.decode))
    if rates.augment is not None:
        lines.append(_stage("augment", rates.augment))
    lines.append(_stage("input, all of it", rates.whole))
    lines += [
        f"{f'step, batch of {batch}':24}{rate:12,.0f}{'-':>18}"
        for batch, rate in sorted(rates.steps.items())
    ]
    lines += [
        "",
        f"{'training as it is now':24}{rates.together:12,.0f}{'':>18}   "
        f"input-bound {rates.waited:.0%}",
    ]
    return lines


def _stage(name: str, stage: Stage) -> str:
    return f"{name:24}{stage.rate:12,.0f}{1e3 * stage.cpu:18.2f}"


def _advice(checkup: Checkup) -> list[str]:
    changes = advise(checkup)
    lines = textwrap.wrap(verdict(checkup), _WIDTH)
    if any(change.possible for change in changes):
        lines.append("What to change, and the expected gain:")
    else:
        lines.append(
            f"No change of encoding, cache, batch size or cores would gain {WORTH:.0%} here."
        )
    return lines + [_change(change) for change in changes]


def _change(advice: Advice) -> str:
    gain = f"{advice.gain:+6.0%}" if advice.possible else "  (no)"
    obstacle = "" if advice.possible else f"would gain {advice.gain:+.0%}, but takes "
    return f"  {gain}  {advice.change:28}{obstacle}{advice.cost}"
