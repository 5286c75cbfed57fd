"""The sections on what a model believes and where it errs: exposure bias, calibration, errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.report.calibration import Reliability
from core.report.charts import Chart, Series
from core.report.exposure import Exposure
from core.report.facts import number
from core.report.page import Section, charts, table, text


def exposure_section(found: Exposure | None, missing: str = "") -> Section:
    """Confidence in the right token by position, and accuracy against what was replaced."""
    if found is None:
        return Section("Exposure bias", missing=missing)
    made: list[Chart] = []
    parts: list[str] = []
    if found.positions:
        lines = (
            Series("after the right prefix", found.positions, found.under_gold),
            Series("after its own prefix", found.positions, found.under_own),
        )
        made.append(
            Chart(
                "exposure-position",
                "Confidence in the right token",
                "position",
                "mean probability",
                lines,
                from_zero=True,
            )
        )
        parts.append(
            text(
                f"In training the model reads right prefixes, in use its own. After its own, the right token has {found.lost:.3f} "
                f"less probability on average, over {max(found.counts)} outputs."
            )
        )
    if found.shares:
        what = "share of the prefix replaced"
        line = Series("accuracy", found.shares, found.accuracy)
        made.append(
            Chart("exposure-corrupted", "Accuracy of the next token", what, "share right", (line,), from_zero=True)
        )
        cells = [[f"{x:g}", f"{y:.3f}"] for x, y in zip(found.shares, found.accuracy, strict=True)]
        head = [what, "next token right"]
        if found.metric:
            title = f"{found.metric_name} of the likeliest tokens, step by step"
            line = Series(found.metric_name, found.shares, found.metric)
            made.append(Chart("exposure-metric", title, what, found.metric_name, (line,), from_zero=True))
            head.append(f"{found.metric_name} of the likeliest tokens")
            cells = [[*row, number(value)] for row, value in zip(cells, found.metric, strict=True)]
        parts.append(table(head, cells))
    note = (
        "At a position the right token is that of the reference, also where the model's own prefix says the same in other words: "
        "part of the distance is that. "
    )
    if found.ruled:
        note += (
            "Here a prefix decides what may follow (what is left of the source, or what is open), so after a wrong one the "
            "reference's token can be impossible and not only unlikely. "
        )
    if found.shares and not found.metric:
        note += "The metric is left out: the likeliest tokens of single steps make no whole answer here. "
    note += (
        "What scheduled sampling or label smoothing changes takes other runs: `compare` puts them "
        "beside this one in one table."
    )
    return Section(
        "Exposure bias",
        (parts[0] if parts else "", charts(made), *parts[1:], text(note, "note")),
        missing=missing,
        charts=made,
    )


@dataclass(frozen=True, slots=True)
class Calibrated:
    """Before and after a temperature that was fitted on other records."""

    temperature: float
    fitted: int
    """Records of the same split; none where the temperature was fitted on dev before."""
    measured: int
    tokens: tuple[Reliability, Reliability]
    outputs: tuple[Reliability, Reliability] | None
    outputs_missing: str
    coverage: Sequence[tuple[str, Sequence[float], Sequence[float]]]
    """What answers are ordered by, share answered, risk."""
    smoothing: float
    metric_name: str = ""
    kept: Sequence[tuple[str, Sequence[float], Sequence[float]]] = ()
    """The same with the metric of those that are answered."""


def calibration_section(found: Calibrated | None, missing: str = "") -> Section:
    """Reliability of tokens and of whole outputs, risk against coverage."""
    if found is None:
        return Section("Calibration", missing=missing)
    made: list[Chart] = []
    rows: list[tuple[object, ...]] = []
    for what, pair in (("tokens", found.tokens), ("outputs", found.outputs)):
        if pair is None:
            continue
        before, after = pair
        lines = (
            Series(f"as trained, ECE {before.error:.3f}", before.confidence, before.accuracy),
            Series(f"temperature {found.temperature:.2f}, ECE {after.error:.3f}", after.confidence, after.accuracy),
            Series("perfect", (0.0, 1.0), (0.0, 1.0), dashed=True),
        )
        made.append(
            Chart(f"reliability-{what}", f"Reliability of {what}", "confidence", "share right", lines, from_zero=True)
        )
        rows.append((what, f"{sum(before.counts):,}", f"{before.error:.4f}", f"{after.error:.4f}"))
    if found.coverage:
        made.append(
            Chart(
                "risk-coverage",
                "Risk against coverage",
                "share answered, the surest first",
                "share wrong",
                [Series(name, share, risk) for name, share, risk in found.coverage],
                from_zero=True,
            )
        )
    if found.kept:
        name = found.metric_name
        everything = Series("all answered", (0.0, 1.0), (found.kept[0][2][-1],) * 2, dashed=True)
        lines = [*(Series(by, share, value) for by, share, value in found.kept), everything]
        made.append(
            Chart("metric-coverage", f"{name} against coverage", "share answered, the surest first", name, lines)
        )
    where = f"makes the targets likeliest on {found.fitted} records" if found.fitted else "was fitted on dev"
    said = (
        f"A temperature of {found.temperature:.3f} {where}; the errors below are of {found.measured} others. "
        f"Trained with label smoothing {found.smoothing:g}; what it changes, `compare` shows beside a run without it."
    )
    note = (
        "ECE, the expected calibration error, is how far the confidence is from the share that is right, on average over ten bins; "
        "0 is perfect. Tokens: the likeliest token under the right prefix, right if it is the reference's. Outputs: the product of "
        "their tokens' "
        "probabilities, right if the output is the reference exactly (by the task's canonical form where it has one). Where few "
        "outputs can be that, as in translation, read the metric against coverage: of answers that a user who wants only the "
        "surest ones would see."
    )
    parts = [text(said), charts(made), table(("of", "how many", "ECE as trained", "ECE with temperature"), rows)]
    parts += [text(f"Outputs: {found.outputs_missing}", "missing")] if found.outputs_missing else []
    return Section("Calibration", (*parts, text(note, "note")), charts=made)


def errors_section(
    bins: Mapping[str, Mapping[str, Mapping[str, Any]]], metric: str, said: str, missing: str = ""
) -> Section:
    """The first metric by source length and by the task's own bins."""
    if missing or not bins:
        return Section("Errors", missing=missing or "there are no records to break down")
    made: list[Chart] = []
    parts = [text(said)]
    for name, rows in bins.items():
        columns = list(next(iter(rows.values())))
        parts.append(f"<h3>By {name.replace('<', '&lt;')}</h3>")
        cells = [(one, f"{row['n']:,}", *(number(row[key]) for key in columns[1:])) for one, row in rows.items()]
        parts.append(table((name, "records", *columns[1:]), cells))
        if len(rows) > 1:
            at = [float(n) for n in range(len(rows))]
            line = Series(metric, at, [row[metric] for row in rows.values()])
            ticks = [(place, one) for place, one in zip(at, rows, strict=True)]
            made.append(
                Chart(
                    f"errors-{name.replace(' ', '-')}",
                    f"{metric} by {name}",
                    name,
                    metric,
                    (line,),
                    "bars",
                    x_ticks=ticks,
                )
            )
    return Section("Errors", (*parts, charts(made)), charts=made)
