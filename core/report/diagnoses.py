"""The sections that ask the model: attention, its entropy, exposure bias, calibration, search, errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.report.attention import Attention, entropy_by_step
from core.report.calibration import Reliability
from core.report.charts import Chart, HeatMap, Series
from core.report.exposure import Exposure
from core.report.facts import number
from core.report.page import Section, charts, folded, maps, table, text

SHOWN = 3
"""Maps of attention that stand open; one has its heads as well."""
WIDEST = 60
"""Tokens of a map's longer side: a wider one cannot be read."""
NO_EXPLANATION = (
    "Attention shows where the decoder read, not why it said a word: the encoder has mixed what stands at a place with all the "
    "rest, the values matter as much as the weights, and other weights can give the same answer. A head that looks at one "
    "place always (an end, a full stop) is often one that does nothing."
)


def attention_section(found: Sequence[Attention], missing: str = "") -> Section:
    """Maps of the examples, and every head of the first."""
    readable = [one for one in found if max(len(one.source), len(one.target)) <= WIDEST]
    if missing or not readable:
        why = missing or f"all outputs looked at are longer than {WIDEST} tokens on a side, so a map could not be read"
        return Section("Attention", (text(NO_EXPLANATION, "note"),), missing=why)
    parts = [
        text(
            "Rows: tokens of the output; columns: of the source; the stronger the colour, the more (mean of all layers and heads)."
        )
    ]
    shown = [replace(one.map(), title=one.key) for one in readable[:SHOWN]]
    parts.append(maps(shown))
    first = readable[0]
    layers, heads = first.weights_LHTS.shape[:2]
    every: list[HeatMap] = []
    if layers * heads > 1:
        every = [first.map(how="max"), *(first.map(layer, head) for layer in range(layers) for head in range(heads))]
        parts.append(folded(f"the largest weight, and each of {layers} x {heads} heads, for {first.key}", maps(every)))
    rows = [(one.key, one.alignment()) for one in readable[:SHOWN]]
    parts += [
        text("Alignments, as source-target pairs of token numbers (Pharaoh): where each token looked most."),
        table(("record", "alignment"), rows),
        text(NO_EXPLANATION, "note"),
    ]
    return Section("Attention", parts, charts=[*shown[:1], *every])


def entropy_section(found: Sequence[Attention], missing: str = "") -> Section:
    """By step, each head of the last layer, with the line of looking everywhere alike."""
    if missing or not found:
        return Section("Attention entropy", missing=missing or "nothing was decoded")
    entropy = entropy_by_step(found)
    layers = found[0].weights_LHTS.shape[0]
    made: list[Chart] = []
    for layer in range(layers):
        prefix = f"layer {layer + 1}, "
        lines = [
            Series(name.removeprefix(prefix), entropy.steps, values)
            for name, values in entropy.heads.items()
            if name.startswith(prefix)
        ]
        uniform = Series("log S: everywhere alike", entropy.steps, entropy.uniform, dashed=True)
        title = f"Layer {layer + 1}: entropy of attention"
        made.append(Chart(f"entropy-layer-{layer + 1}", title, "step", "nats", (*lines, uniform), from_zero=True))
    rows = [
        (name, f"{sum(values) / len(values):.3f}", f"{sum(entropy.uniform) / len(entropy.uniform):.3f}")
        for name, values in entropy.heads.items()
        if values
    ]
    said = f"Over {len(found)} outputs. A decoder without attention would have the dashed line at best: no place is better than another."
    table_ = table(("head", "mean entropy, nats", "log S"), rows)
    return Section("Attention entropy", (text(said), charts(made), table_), charts=made)


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
        line = Series("accuracy", found.shares, found.accuracy)
        made.append(
            Chart(
                "exposure-corrupted",
                "Accuracy of the next token",
                "share of the prefix replaced",
                "share right",
                (line,),
                from_zero=True,
            )
        )
        parts.append(
            table(
                ("share of the prefix replaced", "next token right"),
                [(f"{x:g}", f"{y:.3f}") for x, y in zip(found.shares, found.accuracy, strict=True)],
            )
        )
    note = (
        "At a position the right token is that of the reference, also where the model's own prefix says the same in other words: "
        "part of the distance is that. What scheduled sampling or smoothing would change takes other runs: see compare."
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
    measured: int
    tokens: tuple[Reliability, Reliability]
    outputs: tuple[Reliability, Reliability] | None
    outputs_missing: str
    coverage: tuple[Sequence[float], Sequence[float]] | None
    smoothing: float


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
    if found.coverage is not None:
        line = Series("outputs", *found.coverage)
        made.append(
            Chart(
                "risk-coverage",
                "Risk against coverage",
                "share answered, the surest first",
                "share wrong",
                (line,),
                from_zero=True,
            )
        )
    said = (
        f"A temperature of {found.temperature:.3f} makes the targets likeliest on {found.fitted} records; the errors below are of "
        f"{found.measured} others. Trained with label smoothing {found.smoothing:g}."
    )
    note = (
        "Tokens: the likeliest token under the right prefix, right if it is the reference's. Outputs: the product of their tokens' "
        "probabilities, right if the output is the reference exactly (by the task's canonical form where it has one)."
    )
    parts = [text(said), charts(made), table(("of", "how many", "ECE as trained", "ECE with temperature"), rows)]
    parts += [text(f"Outputs: {found.outputs_missing}", "missing")] if found.outputs_missing else []
    return Section("Calibration", (*parts, text(note, "note")), charts=made)


@dataclass(frozen=True, slots=True)
class BeamRow:
    """What a beam of one width found."""

    beams: int
    metric: float
    logp: float
    """Mean log-probability of the best answers."""
    length: float
    """Mean length of the output over that of the reference, in tokens."""
    cut: float
    """Share cut at the length limit."""
    repeats: float
    """Share that says some three tokens twice in a row."""
    worse: float
    """Share whose log-probability the widest beam exceeds: errors of the search."""
    seconds: float


def search_section(rows: Sequence[BeamRow], metric: str, records: int, note: str, missing: str = "") -> Section:
    """Score and metric against the width of the beam."""
    if missing or not rows:
        return Section("Search", missing=missing or "nothing was decoded")
    widths = [one.beams for one in rows]
    places = [(float(n), str(width)) for n, width in enumerate(widths)]
    at = [place for place, _ in places]
    made = [
        Chart(
            "beam-metric",
            f"{metric} by beam",
            "beams",
            metric,
            (Series(metric, at, [one.metric for one in rows]),),
            x_ticks=places,
        ),
        Chart(
            "beam-logp",
            "Log-probability of the answers by beam",
            "beams",
            "nats, mean",
            (Series("logp", at, [one.logp for one in rows]),),
            x_ticks=places,
        ),
        Chart(
            "beam-length",
            "Length of the outputs by beam",
            "beams",
            "of the reference's",
            (Series("length", at, [one.length for one in rows]),),
            x_ticks=places,
        ),
    ]
    cells = [
        (
            one.beams,
            number(one.metric),
            f"{one.logp:.3f}",
            f"{one.length:.3f}",
            f"{100 * one.cut:.1f} %",
            f"{100 * one.repeats:.1f} %",
            f"{100 * one.worse:.1f} %",
            f"{one.seconds:.1f}",
        )
        for one in rows
    ]
    head = (
        "beams",
        metric,
        "mean logp",
        "length ratio",
        "cut at the limit",
        "repeating",
        "worse than the widest",
        "seconds",
    )
    said = (
        f"On {records} records. Where log-probability rises with the beam and the metric falls, the model, "
        "not the search, is at fault (the beam curse)."
    )
    return Section("Search", (text(said), charts(made), table(head, cells), text(note, "note")), charts=made)


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
