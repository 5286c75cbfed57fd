"""What training changes about belief: exposure bias and calibration of several runs, each in one table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.report.calibration import Reliability
from core.report.charts import Chart, Series
from core.report.diagnoses import Calibrated
from core.report.exposure import Exposure
from core.report.facts import number
from core.report.page import Section, charts, table, text

AT = (0.1, 0.3, 0.5)
"""Shares of the prefix replaced that stand in the table."""


@dataclass(frozen=True, slots=True)
class Belief:
    """Of one run."""

    name: str
    reads: str
    """In training: true words, or its own as well."""
    smoothing: float
    exposure: Exposure | None
    no_exposure: str
    calibrated: Calibrated | None
    no_calibration: str


def exposure_rows(found: Sequence[Belief]) -> tuple[list[str], list[list[str]]]:
    """Heads and cells; a run that could not be asked has its reason."""
    metric = next((one.exposure.metric_name for one in found if one.exposure is not None and one.exposure.metric), "")
    head = ["run", "trained on", "smoothing", "right prefix", "own prefix", "lost", "right next"]
    head += [f"at {share:g} replaced" for share in AT]
    head += [f"{metric} of steps", *(f"at {share:g}" for share in AT)] if metric else []  # columns make no whole answer
    rows: list[list[str]] = []
    for one in found:
        begin = [one.name, one.reads, f"{one.smoothing:g}"]
        if one.exposure is None:
            rows.append([*begin, one.no_exposure, *[""] * (len(head) - 4)])
            continue
        shares = [one.exposure.shares.index(share) for share in (0.0, *AT)]
        rows.append(
            [
                *begin,
                f"{one.exposure.gold:.3f}",
                f"{one.exposure.own:.3f}",
                f"{one.exposure.lost:.3f}",
                *(f"{one.exposure.accuracy[n]:.3f}" for n in shares),
                *(number(one.exposure.metric[n]) if one.exposure.metric else "–" for n in shares if metric),
            ]
        )
    return head, rows


def calibration_rows(found: Sequence[Belief]) -> tuple[list[str], list[list[str]]]:
    """Expected calibration errors as trained and with a temperature."""
    head = [
        "run",
        "smoothing",
        "temperature",
        "ECE of tokens",
        "with temperature",
        "ECE of outputs",
        "with temperature",
    ]
    rows: list[list[str]] = []
    for one in found:
        own = one.calibrated
        if own is None:
            rows.append([one.name, f"{one.smoothing:g}", one.no_calibration, *[""] * 4])
            continue
        outputs = [f"{part.error:.4f}" for part in own.outputs] if own.outputs else ["–", "–"]
        tokens = [f"{part.error:.4f}" for part in own.tokens]
        rows.append([one.name, f"{one.smoothing:g}", f"{own.temperature:.3f}", *tokens, *outputs])
    return head, rows


def belief_sections(found: Sequence[Belief], records: int) -> list[Section]:
    """Two, with their charts."""
    exposed = [(one.name, one.exposure) for one in found if one.exposure is not None]
    made: list[Chart] = []
    if exposed:
        what = "share of the prefix replaced"
        metric = next((own.metric_name for _, own in exposed if own.metric), "")
        lines = (
            ("exposure-lost", "Confidence lost by reading its own words", "position", "probability", gap),
            ("exposure-corrupted", "Accuracy of the next token", what, "share right", accuracy),
            ("exposure-metric", f"{metric} of the likeliest tokens", what, metric, worth),
        )
        made = [
            Chart(name, title, x, y, [Series(run, *of(own)) for run, own in exposed if of(own)[1]], from_zero=True)
            for name, title, x, y, of in lines
        ]
        made = [one for one in made if one.series]
    head, rows = exposure_rows(found)
    said = (
        f"On {records} records. Confidence is the mean probability of the reference's token after the reference's prefix and "
        "after the model's own answer; right next, how often the likeliest token is the reference's, where that share of its "
        "prefix was replaced by chance; the last columns, the metric of the outputs that those likeliest tokens make."
    )
    first = Section("Exposure bias", (text(said), table(head, rows), charts(made)), charts=made)
    reliable = [(one.name, one.calibrated) for one in found if one.calibrated is not None]
    drawn = [
        Chart(
            f"reliability-{name}",
            f"Reliability of tokens, {title}",
            "confidence",
            "share right",
            [
                *(line(run, own.tokens[n]) for run, own in reliable),
                Series("perfect", (0.0, 1.0), (0.0, 1.0), dashed=True),
            ],
            from_zero=True,
        )
        for n, (name, title) in enumerate((("before", "as trained"), ("after", "each with its temperature")))
        if reliable
    ]
    head, rows = calibration_rows(found)
    said = "Each temperature is fitted on half of the records and judged on the other half, as in report."
    return [first, Section("Calibration", (text(said), table(head, rows), charts(drawn)), charts=drawn)]


Points = tuple[Sequence[float], Sequence[float]]
Of = Callable[[Exposure], Points]


def gap(own: Exposure) -> Points:
    """By position."""
    return own.positions, [right - mine for right, mine in zip(own.under_gold, own.under_own, strict=True)]


def accuracy(own: Exposure) -> Points:
    """By the share replaced."""
    return own.shares, own.accuracy


def worth(own: Exposure) -> Points:
    """The metric, by the share replaced."""
    return own.shares, own.metric


def line(name: str, of: Reliability) -> Series:
    """A reliability diagram's."""
    return Series(f"{name}, ECE {of.error:.3f}", of.confidence, of.accuracy)
