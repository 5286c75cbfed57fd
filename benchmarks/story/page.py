"""docs/story.md and its pictures, from result files alone: what stands in `telling`, with the figures between."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.leaderboard.arrays import unpack
from benchmarks.leaderboard.markdown import machine, table
from benchmarks.story import bottleneck, pictures, telling
from benchmarks.story.rungs import LADDER, Rung
from core.errors import DataError

Result = Mapping[str, Any]
Found = Sequence[tuple[Rung, Result]]


def files(found: Found) -> dict[str, str]:
    """Name -> content, of everything under docs/ that the results give."""
    one_test(found)
    titled = [(rung.title, result) for rung, result in found]
    names = bottleneck.bins(found)
    made = {
        "story/learning.svg": pictures.learning(titled),
        "story/loss.svg": pictures.losses(titled),
        "story/lengths.svg": pictures.lengths(titled, names),
        "story/bits.svg": pictures.bits(titled, names),
    }
    if kept_shares := bottleneck.shares(found):
        made["story/shares.svg"] = pictures.shares(kept_shares, names)
    for rung, result in found:
        if result["attention"] is not None:
            made[f"story/attention-{rung.name}.svg"] = pictures.attention(
                f"{rung.title}: attention", result["attention"]
            )
    return {"story.md": markdown(found, sorted(made)), **made}


def one_test(found: Found) -> None:
    """Scores of different sentences do not stand in one table."""
    digests = {result["data"]["sha256"] for _, result in found}
    if len(digests) > 1:
        raise DataError("the results are of different test data: remove those of the old one, or give --results")


def markdown(found: Found, names: Sequence[str]) -> str:
    """The page."""
    parts = [telling.HEAD, setting(found), "## The ladder\n", ladder(found), learning(found)]
    for number, (rung, result) in enumerate(found):
        parts += [f"## {1 + LADDER.index(rung)}. {capital(rung.title)}\n", telling.RUNGS[rung.name], keys(rung)]
        if number:
            parts.append(gain(found[number - 1], (rung, result)))
    parts += ["## The bottleneck, by length\n", telling.LENGTHS, bottleneck.section(found)]
    drawn = [(rung, f"story/attention-{rung.name}.svg") for rung, _ in found]
    drawn = [(rung, name) for rung, name in drawn if name in names]
    if drawn:
        parts += ["## Where it looks\n", telling.ATTENTION]
        parts += [f"![{rung.title}]({name})\n" for rung, name in drawn]
    parts += ["## Words that should stay\n", telling.KEPT, kept(found), "## Three answers\n", answers(found)]
    parts += ["## BLEU by hand\n", telling.BLEU, by_hand(found), telling.AGAIN]
    return "\n".join(parts)


def setting(found: Found) -> str:
    """Data, budget, machine."""
    results = [result for _, result in found]
    data, config = results[0]["data"], results[0]["config"]
    budget = f"{config['train']['steps']:,} updates of the same batches each"
    if minutes := results[0]["budget_minutes"]:
        budget += f"; had {minutes:g} minutes of one core been less, all rungs would have ended at their shares of them"
    asked = f"{data['n']:,}" if data["n"] == data["of"] else f"{data['n']:,} of {data['of']:,} (the lowest hashes)"
    spent = sum(result["processor_minutes"] for result in results)
    passed = (max(result["scored"] for result in results) - min(result["begun"] for result in results)) / 60
    machines = "; ".join(dict.fromkeys(machine(result["environment"]) for result in results))
    remarks = " ".join(dict.fromkeys(result["remark"] for result in results if result["remark"]))
    lines = [
        f"* Data: `{data['name']}`, {config['task']['source_language']} to {config['task']['target_language']},"
        f" {data['train']:,} pairs to learn from, {data['dev']:,} to choose by, {asked} to test, scored once."
        " Two close languages: what little can be learned in minutes is enough to say something, so that what a model"
        " cannot hold shows, and not only what it has not learned yet.",
        f"* Budget: {budget}.",
        f"* Cost: {spent:.0f} minutes of the processor for training, reading and evaluating; from the first rung's beginning to the"
        f" last one's score {passed:.0f} minutes by the clock, on {machines} a rung.",
        *([f"* {remarks}"] if remarks else []),
        "* Chosen by short trials of the second and the third rung, judged on dev: the pair of languages and the size of batches,"
        " the same for all. The optimizer is AdamW for the recurrent rungs and Muon for the Transformers. Scores are of"
        " the test part, with 95 % intervals over groups of sentences that belong together. The models are small and the budget is"
        " short: orders and gaps are the point here, not heights.",
    ]
    return "\n".join(lines) + "\n"


def ladder(found: Found) -> str:
    """One row a rung."""
    head = [
        "",
        "rung",
        "papers",
        "parameters",
        "updates",
        "minutes by the clock",
        "of the processor",
        "BLEU",
        "chrF",
        "bits per word",
    ]
    return table(
        head,
        [
            [
                *(str(1 + LADDER.index(rung)), rung.title, rung.papers, f"{result['parameters']:,}"),
                *(f"{result['steps']:,}", f"{result['minutes']:.1f}", f"{result['processor_minutes']:.1f}"),
                *(valued(result["metrics"][name]) for name in ("bleu", "chrf")),
                f"{result['metrics']['bits']['value']:.2f}",
            ]
            for rung, result in found
        ],
    )


def learning(found: Found) -> str:
    """Curves, and who was stopped by the clock."""
    stopped = [rung.title for rung, result in found if result["steps"] < result["config"]["train"]["steps"]]
    said = f"\nThe clock ended {', '.join(stopped)} before the last update.\n" if stopped else ""
    return f"![BLEU on dev](story/learning.svg)\n\n![Loss](story/loss.svg)\n{said}"


def keys(rung: Rung) -> str:
    """What to type."""
    return "In this repository: `" + " ".join(rung.keys) + "`.\n"


def gain(before: tuple[Rung, Result], after: tuple[Rung, Result]) -> str:
    """Against the rung below."""
    points, low, high = difference(before[1]["metrics"]["bleu"], after[1]["metrics"]["bleu"])
    verdict = "better" if low > 0 else "worse" if high < 0 else "not told apart"
    return (
        f"Against {before[0].title}: {points:+.1f} BLEU [{low:+.1f}, {high:+.1f}] ({verdict} at this budget),"
        f" {after[1]['parameters'] - before[1]['parameters']:+,} parameters,"
        f" {after[1]['processor_minutes']:.1f} minutes of the processor in place of {before[1]['processor_minutes']:.1f}.\n"
    )


def difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[float, float, float]:
    """`other` less `one`, with the 95 % interval of the paired bootstrap."""
    points_R = unpack(other["resamples"]) - unpack(one["resamples"])
    low, high = (float(edge) for edge in np.nanpercentile(points_R, [2.5, 97.5]))
    return other["value"] - one["value"], low, high


def kept(found: Found) -> str:
    """Shares with their counts."""

    def share(part: int, whole: int) -> str:
        return f"{100 * part / whole:.1f} % ({part:,} of {whole:,})" if whole else "-"

    head = ["rung", "kept", "of words that training lacks"]
    own = [(rung.title, result["kept"]) for rung, result in found]
    return table(
        head, [[name, share(one["said"], one["shared"]), share(one["new_said"], one["new"])] for name, one in own]
    )


def answers(found: Found) -> str:
    """The test sentences of the lowest hashes, as every rung says them."""
    parts = ["The test sentences whose keys have the lowest hashes:\n"]
    for number, asked in enumerate(found[0][1]["answers"]):
        rows = [["source", asked["source"]], ["reference", asked["target"]]]
        rows += [[rung.title, result["answers"][number]["output"]] for rung, result in found]
        parts.append(table(["", "text"], [[name, code(text)] for name, text in rows]))
    return "\n".join(parts)


def by_hand(found: Found) -> str:
    """Two sentences and the whole test part, of the last rung that has such sentences."""
    rung, result = next(((one, own) for one, own in reversed(found) if len(own["bleu"]["examples"]) == 2), found[-1])
    tellers: Sequence[Callable[[Result], str]] = (whole_example, zero_example)
    parts = [f"An answer of {rung.title}, and its arithmetic:\n"]
    shown = result["bleu"]["examples"]
    for pair in shown:
        teller = tellers[0] if pair["textbook"] else tellers[1]
        parts.append(teller(pair))
    if not shown:
        parts.append("(No answer of these runs has a match worth showing.)\n")
    return "\n".join([*parts, telling.CORPUS, corpus(rung, result["bleu"]["corpus"])])


def pair_lines(pair: Result) -> str:
    """Output, reference and the table of orders."""
    rows = [
        [str(order), str(matched), str(total), f"{precision:.4f}", f"{theirs / 100:.4f}"]
        for order, (matched, total, precision, theirs) in enumerate(
            zip(pair["matched"], pair["total"], pair["precisions"], pair["sacrebleu_precisions"], strict=True), start=1
        )
    ]
    return (
        f"* source: {code(pair['source'])}\n* reference, {pair['reference_length']} tokens: {code(' '.join(pair['reference_tokens']))}\n"
        f"* output, {pair['output_length']} tokens: {code(' '.join(pair['output_tokens']))}\n\n"
        + table(["n", "matches", "n-grams", "p_n", "sacreBLEU's p_n"], rows)
    )


def whole_example(pair: Result) -> str:
    """Where all orders match."""
    logs = " + ".join(f"1/4 log {precision:.4f}" for precision in pair["precisions"])
    same = "the same" if abs(pair["textbook"] - pair["sacrebleu"]) < 0.005 else "another"
    return (
        f"{pair_lines(pair)}\n```text\nBP   = {brevity(pair)}\n"
        f"BLEU = {pair['brevity']:.4f} x exp({logs}) = {pair['textbook'] / 100:.4f}, that is {pair['textbook']:.2f} of 100\n```\n\n"
        f"sacreBLEU's sentence score is {pair['sacrebleu']:.2f}, {same}: there is nothing to smooth (`{pair['signature']}`).\n"
    )


def zero_example(pair: Result) -> str:
    """Where one has no match."""
    return (
        f"{telling.ZERO}\n{pair_lines(pair)}\n```text\nBP       = {brevity(pair)}\n"
        f"textbook = {pair['textbook']:.2f}\nsacreBLEU = {pair['sacrebleu']:.2f}\n```\n"
    )


def brevity(pair: Result) -> str:
    """With its arithmetic."""
    longer = pair["output_length"] > pair["reference_length"]
    return "1" if longer else f"exp(1 - {pair['reference_length']} / {pair['output_length']}) = {pair['brevity']:.4f}"


def corpus(rung: Rung, found: Result) -> str:
    """The whole test part."""
    rows = [
        [str(order), f"{matched:,}", f"{total:,}", f"{precision:.4f}"]
        for order, (matched, total, precision) in enumerate(
            zip(found["matched"], found["total"], found["precisions"], strict=True), start=1
        )
    ]
    return (
        f"{capital(rung.title)}, {found['n']:,} sentences, {found['output_length']:,} tokens against {found['reference_length']:,}"
        f" (BP {found['brevity']:.4f}):\n\n"
        + table(["n", "matches", "n-grams", "p_n"], rows)
        + f"\n* corpus BLEU by the textbook's formula: **{found['textbook']:.2f}**;"
        f" sacreBLEU's: **{found['sacrebleu']:.2f}** (`{found['signature']}`)\n"
        f"* mean of the sentences' textbook scores: {found['mean_of_sentences']:.2f},"
        f" of which {found['zero_sentences']:,} of {found['n']:,} are 0\n"
    )


def valued(one: Mapping[str, Any]) -> str:
    """12.3 [11.0, 13.5]"""
    low, high = one["interval"]
    return f"{one['value']:.1f} [{low:.1f}, {high:.1f}]"


def capital(title: str) -> str:
    """At the beginning of a line."""
    return title[:1].upper() + title[1:]


def code(text: str) -> str:
    """As it is, in a table too, but for what cannot be seen: a ` inside asks for more around."""
    text = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text).strip()
    return f"`` {text} ``" if "`" in text else f"`{text}`" if text else "(nothing)"
