"""Pairs of body and summary -> records: what is left out, which split, and that no body is in two of them."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from core.data.split import split_of
from core.record import SPLITS, Record, Split

DIGITS = re.compile(r"\d+")
LETTER = re.compile(r"[^\W\d_]")
MOST_SUMMARIES = 4
Splits = dict[Split, tuple[Record, ...]]


@dataclass(frozen=True, slots=True)
class Pair:
    """One body with its summary."""

    key: str
    group: str
    """What was written together: its members go to one split."""
    body: str
    summary: str


def folded(body: str) -> str:
    """Bodies that differ in case, numbers or white space alone (versions of one package) are the same."""
    return " ".join(DIGITS.sub("0", body.casefold()).split())


def split_pairs(pairs: Iterable[Pair], *, longest: int, dev: float, test: float, name: str) -> Splits:
    """All splits at once, since what is left of dev and test depends on train; what was left out is said."""
    dropped: Counter[str] = Counter()
    kept = list(telling(list(clean(pairs, longest, dropped)), dropped))
    splits = divide(kept, dropped, dev=dev, test=test)
    counts = ", ".join(f"{len(splits[split]):,} {split}" for split in SPLITS)
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in dropped.most_common())
    print(f"{name}: {counts}; left out: {left_out}", file=sys.stderr)
    return splits


def clean(pairs: Iterable[Pair], longest: int, dropped: Counter[str]) -> Iterator[Pair]:
    """White space made single; what teaches nothing is counted under its reason and left out."""
    seen: set[tuple[str, str]] = set()
    for pair in pairs:
        body, summary = " ".join(pair.body.split()), " ".join(pair.summary.split())
        if reason := unfit(body, summary, longest):
            dropped[reason] += 1
        elif (same := (folded(body), folded(summary))) in seen:
            dropped["repeated"] += 1
        else:
            seen.add(same)
            yield Pair(pair.key, pair.group, body, summary)


def unfit(body: str, summary: str, longest: int) -> str:
    """Why a pair is left out; empty for a good one."""
    words = len(body.split())
    if not (LETTER.search(body) and LETTER.search(summary)):
        return "without a body or a summary"
    if words <= len(summary.split()):
        return "not longer than their summary"
    if longest and words > longest:
        return f"of more than {longest} words"
    return ""


def telling(pairs: list[Pair], dropped: Counter[str]) -> Iterator[Pair]:
    """Bodies under many different summaries are boilerplate: no reader could tell which is asked for."""
    summaries: dict[str, set[str]] = {}
    for pair in pairs:
        summaries.setdefault(folded(pair.body), set()).add(folded(pair.summary))
    for pair in pairs:
        if len(summaries[folded(pair.body)]) > MOST_SUMMARIES:
            dropped[f"whose body has more than {MOST_SUMMARIES} summaries"] += 1
        else:
            yield pair


def divide(pairs: list[Pair], dropped: Counter[str], *, dev: float, test: float) -> Splits:
    """Train keeps every summary of a body.

    Dev and test have each unseen body once, with its other summaries as further references.
    """
    parts: dict[Split, list[Pair]] = {split: [] for split in SPLITS}
    for pair in pairs:
        parts[split_of(pair.group, dev, test)].append(pair)
    splits: Splits = {"train": tuple(record(pair) for pair in parts["train"])}
    seen = {folded(pair.body) for pair in parts["train"]}
    for split in SPLITS[1:]:
        bodies: dict[str, list[Pair]] = {}
        for pair in parts[split]:
            if (body := folded(pair.body)) in seen:
                dropped[f"in {split} whose body is in another split"] += 1
            else:
                bodies.setdefault(body, []).append(pair)
        splits[split] = tuple(record(first, *rest) for first, *rest in bodies.values())
        seen.update(bodies)
    return splits


def record(pair: Pair, *others: Pair) -> Record:
    """What was written together is drawn together by the bootstrap."""
    meta: dict[str, object] = {"group": pair.group}
    if others:
        meta["references"] = tuple(other.summary for other in others)
    return Record(pair.key, pair.body, pair.summary, meta)
