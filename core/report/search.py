"""The section on the search: what wider beams find, what they cost, and which of what was found one should have taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.report.charts import Chart, Series
from core.report.facts import number
from core.report.page import Section, charts, table, text


@dataclass(frozen=True, slots=True)
class BeamRow:
    """What a beam of one width found; the answers that it gave, unless something else is said."""

    beams: int
    metric: float
    score: float
    """Mean score, what hypotheses are ranked by."""
    logp: float
    """Mean log-probability."""
    length: float
    """Mean length of the output over that of the reference, in tokens."""
    probable: float
    """The same of the most probable of all that was found, whatever its length: the length bias."""
    empty: float
    """Share of empty answers."""
    cut: float
    """Share cut at the length limit."""
    repeats: float
    """Share that says some three tokens twice in a row."""
    copied: float | None
    """Share of the output's words that stand in the source; None where the source is no text."""
    worse: float
    """Share whose score the widest beam exceeds: errors of the search."""
    below: float | None
    """Share whose reference scores higher than the answer: errors of the search, whatever the widest beam found."""
    distinct: float
    """Share of the answers found for a record that differ from all better ones; 1 for one answer."""
    apart: float
    """Mean share of tokens that two of the answers found do not have in common."""
    mode: float
    """The metric of the most probable."""
    oracle: float
    """The metric of the best of all that was found."""
    utility: float | None
    """The metric of the one of highest expected utility (minimum Bayes risk); None where there is no utility."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Modes:
    """The most probable outputs of all, found exactly, against what beams found."""

    tried: int
    """Records."""
    decided: int
    """Those of them where it was found for certain; all that follows is of these."""
    missed: tuple[float, ...]
    """Of each width the share whose most probable answer is less probable than the mode."""
    empty: float
    """Share of modes that say nothing at all."""
    length: float
    """Mean length of the mode over that of the reference, in tokens, ends included."""
    metric: float | None
    """Of the modes; None where tokens alone make no answer."""
    given: tuple[float, ...]
    """Of the answers of each width."""
    read: float
    """Mean number of prefixes that were read for a record."""


def search_section(
    rows: Sequence[BeamRow],
    metric: str,
    records: int,
    note: str,
    missing: str = "",
    *,
    exact: Modes | None = None,
    no_exact: str = "",
) -> Section:
    """Score and metric against the width of the beam; then against the most probable output of all."""
    if missing or not rows:
        return Section("Search", missing=missing or "nothing was decoded")
    places = [(float(n), str(one.beams)) for n, one in enumerate(rows)]

    def drawn(name: str, title: str, y: str, lines: Sequence[tuple[str, Callable[[BeamRow], float | None]]]) -> Chart:
        series: list[Series] = []
        for label, of in lines:
            points = [
                (place, value) for (place, _), one in zip(places, rows, strict=True) if (value := of(one)) is not None
            ]
            if points:
                series.append(Series(label, [x for x, _ in points], [y for _, y in points]))
        return Chart(name, title, "beams", y, series, x_ticks=places)

    made = [
        drawn("beam-metric", f"{metric} by beam", metric, [("as searched", lambda one: one.metric)]),
        drawn("beam-score", "Score of the answers by beam", "mean score", [("score", lambda one: one.score)]),
        drawn("beam-logp", "Log-probability of the answers by beam", "nats, mean", [("logp", lambda one: one.logp)]),
        drawn(
            "beam-length",
            "Length of the outputs by beam",
            "of the reference's",
            [("answers", lambda one: one.length), ("most probable found", lambda one: one.probable)],
        ),
        drawn(
            "beam-choice",
            f"{metric}: which of the answers found",
            metric,
            [
                ("oracle: the best", lambda one: one.oracle),
                ("MBR: highest utility", lambda one: one.utility),
                ("as searched", lambda one: one.metric),
                ("mode: most probable", lambda one: one.mode),
            ],
        ),
        drawn(
            "beam-diversity",
            "Answers found for one record",
            "share",
            [("distinct", lambda one: one.distinct), ("tokens not shared", lambda one: one.apart)],
        ),
    ]
    found = table(
        ("beams", metric, "mean score", "mean logp", "worse than the widest", "reference scores higher", "seconds"),
        [
            (
                one.beams,
                number(one.metric),
                f"{one.score:.3f}",
                f"{one.logp:.3f}",
                percent(one.worse),
                percent(one.below),
                f"{one.seconds:.1f}",
            )
            for one in rows
        ],
    )
    shape = table(
        ("beams", "length ratio", "of the most probable", "empty", "cut at the limit", "repeating", "copied words"),
        [
            (
                one.beams,
                f"{one.length:.3f}",
                f"{one.probable:.3f}",
                percent(one.empty),
                percent(one.cut),
                percent(one.repeats),
                percent(one.copied),
            )
            for one in rows
        ],
    )
    choice = table(
        ("beams", "as searched", "mode", "MBR", "oracle", "distinct", "tokens not shared"),
        [
            (
                one.beams,
                number(one.metric),
                number(one.mode),
                "–" if one.utility is None else number(one.utility),
                number(one.oracle),
                percent(one.distinct),
                percent(one.apart),
            )
            for one in rows
        ],
    )
    said = (
        f"On {records} records. Where log-probability rises with the beam and the metric falls, the model, "
        "not the search, is at fault (the beam curse). Where the most probable answer is shorter than the one given, the "
        "model would rather stop early: what the length penalty makes good (the length bias)."
    )
    parts = [
        text(said),
        charts(made),
        "<h3>What it finds, and what it misses</h3>",
        found,
        "<h3>What the answers are like</h3>",
        shape,
        "<h3>Which of the answers found</h3>",
        text(
            "The same candidates, chosen by probability (mode), as most like all the others in what the task values (MBR: minimum "
            "Bayes risk), or by one who knows the reference (oracle)."
        ),
        choice,
        "<h3>Against the most probable output of all</h3>",
        *(text(f"Not measured: {no_exact}", "missing") for _ in range(exact is None)),
        *(exactly(exact, rows, metric) if exact is not None else ()),
    ]
    return Section("Search", (*parts, text(note, "note") if note else ""), charts=made)


def exactly(found: Modes, rows: Sequence[BeamRow], metric: str) -> list[str]:
    """Errors of the search, all of them, where they can be known."""
    said = (
        f"For {found.decided} of {found.tried} records the most probable output of all was found for certain (exhaustively, with "
        f"a bound; {found.read:,.0f} prefixes read for one on average). It is empty for {percent(found.empty)} of them and has "
        f"{found.length:.2f} times the tokens of the reference."
    )
    if found.metric is not None:
        said += f" Its {metric} is {number(found.metric)}."
    why = (
        "Missed: the most probable of the answers that the beam found is less probable than that; a length penalty lets a beam "
        "drop short answers that are more probable. Records that could not be "
        "decided within their time and number of prefixes are the harder ones. Where nothing is missed and the answers are bad, "
        "the model is at fault; an empty mode is a model that would rather say nothing (Stahlberg & Byrne, 2019)."
    )
    cells = [
        (one.beams, percent(missed), number(given))
        for one, missed, given in zip(rows, found.missed, found.given, strict=False)
    ]
    return [text(said), table(("beams", "missed", f"{metric} of the answers to these"), cells), text(why, "note")]


def percent(share: float | None) -> str:
    """Of a share; a dash where there is none."""
    return "–" if share is None else f"{100 * share:.1f} %"
