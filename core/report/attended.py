"""The sections on where a model looks: maps, coverage, alignments, entropy, and the second opinion beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from core.report.attention import HOW, Attention, How, entropy_by_step
from core.report.charts import Chart, HeatMap, Series
from core.report.page import Section, charts, folded, maps, table, text
from core.report.saliency import agreement

SHOWN = 3
"""Maps of attention that stand open; one has its heads as well."""
WIDEST = 60
"""Tokens of a map's longer side whose labels can all be read: such ones are shown where there are any."""
TELLING = 20
"""Tokens of a map from which something can be learned at a glance: two words have little to look at."""
SEVERAL: tuple[How, ...] = ("max", "rollout", "saliency")
NO_EXPLANATION = (
    "Attention shows where the decoder read, not why it said a word: the encoder has mixed what stands at a place with all the "
    "rest, the values matter as much as the weights, and other weights can give the same answer (Jain & Wallace, 2019). A head "
    "that looks at one place always (an end, a full stop) is often one that does nothing. Take a map for an explanation only "
    "where the second opinion agrees, and not at all where it does not."
)
HOW_MOST = "The largest weight shows what any head saw, where the mean hides it."
HOW_TOGETHER = (
    f"{HOW_MOST} The rollout follows the weights through all layers, since a place of the encoder's last layer holds something "
    "of all the others. Gradient x input is no attention: how much the log-probability of a token would change with a place."
)
ROWS = "Rows: tokens of the output; columns: {what}; the stronger the colour, the more (mean of all layers and heads)."


def attention_section(found: Sequence[Attention], missing: str = "") -> Section:
    """Maps of the examples, and every head of the first."""
    if missing or not found:
        return Section("Attention", (text(NO_EXPLANATION, "note"),), missing=missing or "nothing was decoded")
    size = [max(len(one.source), len(one.target)) for one in found]
    order = sorted(range(len(found)), key=lambda n: (size[n] > WIDEST, not found[n].full, abs(size[n] - TELLING), n))
    chosen = [found[n] for n in order[:SHOWN]]
    first = chosen[0]
    shown = [replace(one.map(), title=one.key) for one in chosen]
    every = [*several(first), *heads(first)]
    what = "places of the source, by their seconds" if first.seconds else "tokens of the source"
    parts = [text(ROWS.format(what=what)), maps(shown), coverage(chosen)]
    layers, each = first.weights_LHTS.shape[:2]
    names = "the largest weight, the rollout, gradient x input" if first.full else "the largest weight"
    parts.append(text(HOW_TOGETHER if first.full else HOW_MOST, "note"))
    parts.append(folded(f"{names}, and each of {layers} x {each} heads, for {first.key}", maps(every)))
    parts += [alignments(chosen), second_opinion(found), text(NO_EXPLANATION, "note")]
    return Section("Attention", parts, charts=[*shown[:1], *every])


def several(one: Attention) -> list[HeatMap]:
    """Put together in other ways than the mean."""
    return [one.map(how=how) for how in SEVERAL if how == "max" or one.full]


def heads(one: Attention) -> list[HeatMap]:
    """Each by itself."""
    layers, each = one.weights_LHTS.shape[:2]
    return [one.map(layer, head) for layer in range(layers) for head in range(each)]


def coverage(found: Sequence[Attention]) -> str:
    """How much of the source was looked at."""
    rows = [
        (
            one.key,
            len(one.source),
            f"{one.coverage_S.min():.2f}",
            f"{one.coverage_S.max():.2f}",
            f"{100 * float((one.coverage_S < 0.1).mean()):.1f} %",
            f"{100 * float((one.coverage_S > 2.0).mean()):.1f} %",
        )
        for one in found
    ]
    head = ("record", "places", "least", "most", "hardly looked at (below 0.1)", "again and again (above 2)")
    said = (
        "Coverage: what a place of the source was given by all steps together. What is left out was hardly looked at."
    )
    return text(said) + table(head, rows)


def alignments(found: Sequence[Attention]) -> str:
    """Pharaoh's pairs of texts, seconds of sound."""
    if any(one.seconds for one in found):
        rows = [
            (one.key, " ".join(f"{token}@{begin:.2f}-{end:.2f}" for token, begin, end in one.times())) for one in found
        ]
        return text("Alignments: the seconds where each token looked most.") + table(("record", "alignment"), rows)
    said = "Alignments, as source-target pairs counted from 0 (Pharaoh): where each token{} looked most."
    if all(one.words is None for one in found):
        return text(said.format("")) + table(("record", "tokens"), [(one.key, one.alignment()) for one in found])
    rows = [(one.key, one.alignment(), "" if one.words is None else str(one.words)) for one in found]
    return text(said.format(", and each word,")) + table(("record", "tokens", "words"), rows)


def second_opinion(found: Sequence[Attention]) -> str:
    """How far gradients agree with weights."""
    asked = [one for one in found if one.full and one.saliency_TS is not None]
    if not asked:
        return ""
    rows: list[tuple[str, str, str]] = []
    for how in ("mean", "max", "rollout"):
        pairs = [agreement(one.together(how), one.together("saliency")) for one in asked]
        same, rank = np.mean(pairs, 0).tolist()
        rows.append((HOW[how], f"{100 * same:.1f} %", f"{rank:.3f}"))
    said = (
        f"Second opinion, over {len(asked)} outputs: gradient x input, what the log-probability of a token owes to each place. "
        "How often both choose the same place, and the correlation of their ranks (Spearman):"
    )
    return text(said) + table(("attention", "same place", "ranks"), rows)


def entropy_section(found: Sequence[Attention], missing: str = "") -> Section:
    """By step, each head of each layer, with the line of looking everywhere alike."""
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
        uniform = Series("log S: all alike", entropy.steps, entropy.uniform, dashed=True)
        title = f"Layer {layer + 1}: entropy of attention"
        made.append(Chart(f"entropy-layer-{layer + 1}", title, "step", "nats", (*lines, uniform), from_zero=True))
    rows = [
        (name, f"{sum(values) / len(values):.3f}", f"{sum(entropy.uniform) / len(entropy.uniform):.3f}")
        for name, values in entropy.heads.items()
        if values
    ]
    over = f"Over {len(found)} outputs. " if len(found) > 1 else ""
    said = (
        f"{over}How spread out a head looks: 0 where it reads one place, log S (the dashed line) where it reads all S places "
        "alike. A decoder without attention would have that line at best: to it no place is better than another."
    )
    table_ = table(("head", "mean entropy, nats", "log S"), rows)
    return Section("Attention entropy", (text(said), charts(made), table_), charts=made)


def own_sections(one: Attention) -> list[Section]:
    """A page about one input."""
    open_maps = [one.map(), *several(one)]
    row = HeatMap(
        "coverage", "coverage", ("all steps",), one.source, one.coverage_S[None], column_name=open_maps[0].column_name
    )
    every = heads(one)
    layers, each = one.weights_LHTS.shape[:2]
    return [
        Section("Together", (maps(open_maps),), charts=open_maps),
        Section("Coverage", (maps([row]), coverage([one])), charts=[row]),
        Section("Heads", (text(f"{layers} layers, {each} heads each."), maps(every)), charts=every),
        Section("Alignment", (alignments([one]), second_opinion([one]), text(NO_EXPLANATION, "note"))),
        entropy_section([one]),
    ]
