"""The results as a page of Markdown, for docs/performance.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.train.gpu import plan
from benchmarks.train.gpu.cases import Case

Found = Mapping[str, object]

_NETWORKS = {"resnet50": "ResNet-50", "springfield_cnn": "springfield_cnn"}
_PRECISIONS = {"mixed_bfloat16": "bfloat16", "mixed_float16": "float16", "float32": "float32"}


@dataclass(frozen=True)
class Aim:
    """What is promised of one number."""

    text: str
    least: float = float("-inf")
    most: float = float("inf")

    def verdict(self, value: float | None) -> str:
        """Returns the number, and whether the aim is met."""
        if value is None:
            return "–"
        return f"{value:.2f}" if self.least <= value <= self.most else f"**{value:.2f}**"


OVER_FIT = Aim("ours / fit ≥ 1.00", least=1.0)
OVER_TORCH = Aim("ours / torch compiled ≥ 0.95", least=0.95)
MEMORY = Aim("memory, ours / fit ≤ 1.05", most=1.05)
WAIT = Aim("input-bound < 0.05", most=0.05)


def page(head: Sequence[str], results: Mapping[str, Found], left_out: Sequence[str]) -> str:
    """Returns the whole page.

    Args:
      head: lines on the machine.
      results: case → what was found.
      left_out: cases for which no time was left.
    """
    cases = {Case.parse(name): found for name, found in results.items() if name.count(":") == 5}
    others = {name: found for name, found in results.items() if name.count(":") != 5}
    sections = [*head, "", *_comparison(cases), "", *_all_steps(cases), "", *_whole_runs(others)]
    if left_out:
        sections += ["", "No time was left for, or no card: " + "; ".join(left_out) + "."]
    return "\n".join(sections) + "\n"


def _comparison(cases: Mapping[Case, Found]) -> Iterator[str]:
    """Yields ours, as the trainer runs it on a GPU, against the others; bold: an aim missed."""
    yield from _heading(
        "network, batch", "precision", "ours, pictures/s", "without XLA", "`fit` as it comes",
        "torch compiled", "torch", "ours / fit", "ours / torch compiled", "memory, ours / fit",
    )  # fmt: skip
    for model, side, batch, precision in dict.fromkeys(
        (case.model, case.side, case.batch, case.precision) for case in cases
    ):

        def of(
            jit: str, way: str, key: str = "rate",
            one: tuple[str, int, int, str] = (model, side, batch, precision),
        ) -> float | None:  # fmt: skip
            value = cases.get(Case(*one, jit, way), {}).get(key)
            return float(value) if isinstance(value, (int, float)) else None

        ours, fit, torch = of("on", "ours"), of("auto", "fit"), of("on", "torch")
        without, plain = of("off", "ours"), of("off", "torch")
        memory = _ratio(of("on", "ours", "peak_mib"), of("auto", "fit", "peak_mib"))
        name = f"{_NETWORKS.get(model, model)}, {side} px, {batch}"
        yield _row(
            name, _PRECISIONS[precision], *map(_number, (ours, without, fit, torch, plain)),
            OVER_FIT.verdict(_ratio(ours, fit)), OVER_TORCH.verdict(_ratio(ours, torch)),
            MEMORY.verdict(memory),
        )  # fmt: skip
    yield ""
    yield f"Aims: {'; '.join(aim.text for aim in (OVER_FIT, OVER_TORCH, MEMORY))}. Bold: missed."


def _all_steps(cases: Mapping[Case, Found]) -> Iterator[str]:
    yield from _heading("step", "XLA", "pictures/s", "ms a step", "first step s", "GPU MiB", "")
    for case, found in cases.items():
        name = (f"{_NETWORKS.get(case.model, case.model)} {case.side} px, {case.batch}, "
                f"{_PRECISIONS[case.precision]}: {case.way}")  # fmt: skip
        cells = (_number(found.get(key)) for key in ("rate", "ms", "first_s", "peak_mib"))
        yield _row(name, case.jit, *cells, str(found.get("error", found.get("layout", ""))))


def _whole_runs(others: Mapping[str, Found]) -> Iterator[str]:
    yield from _heading("whole runs, input, tests", "pictures/s", "input-bound", "card MiB", "")
    for name, found in others.items():
        wait = found.get("input_wait")
        bound = WAIT.verdict(float(wait)) if isinstance(wait, (int, float)) else "–"
        shown = ("rate", "input_wait", "card_mib")
        rest = [f"{key} {value}" for key, value in found.items() if key not in shown]
        cells = (_number(found.get("rate")), bound, _number(found.get("card_mib")))
        yield _row(name, *cells, ", ".join(rest))
    yield ""
    most = plan.LIMIT_MB + plan.CONTEXT_MB
    limited = [name for name, found in others.items() if name in (plan.LIMITED, plan.AUTO)
               and _above(found.get("card_mib"), most)]  # fmt: skip
    kept = f"**missed** by {', '.join(limited)}" if limited else "no run is above it"
    yield (
        f"Aims: {WAIT.text}, augmented on the device; at most {most} MiB of the card with a limit "
        f"of {plan.LIMIT_MB} ({kept})."
    )


def _heading(*names: str) -> Iterable[str]:
    return (_row(*names), "|" + "---|" * len(names))


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _number(value: object) -> str:
    if not isinstance(value, (int, float)):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"


def _ratio(one: float | None, other: float | None) -> float | None:
    return one / other if one is not None and other else None


def _above(value: object, most: float) -> bool:
    return isinstance(value, (int, float)) and value > most
