"""Pairwise covering: few combinations in which every two choices that can stand together do (Cohen et al., 1997).

Most faults of switches are those of one or of two of them, and the pairs of n switches fit into a number of rows that grows with
the logarithm of n, where their product does not fit anywhere. Rows are found greedily, one pair that is still missing at a time,
with nothing drawn: the same factors always give the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

Row = Mapping[str, Any]
Pair = tuple[str, Any, str, Any]
"""One factor's value beside another's."""


@dataclass(frozen=True)
class Covering:
    """Rows, and what they leave out because it cannot be."""

    rows: tuple[dict[str, Any], ...]
    """The first has the first value of every factor."""
    pairs: int
    """That stand in some row."""
    impossible: tuple[Pair, ...]
    """Pairs that no allowed row was found for."""


def covering(factors: Mapping[str, Sequence[Any]], allowed: Callable[[Row], bool]) -> Covering:
    """Every pair of values of two factors stands in some row, or no allowed row with it is near the first values of the others.

    The first value of each factor is the plain one; all together they must be allowed. Nothing else has to be known of what goes
    together: `allowed` is asked of whole rows.
    """
    plain = {name: values[0] for name, values in factors.items()}
    if not allowed(plain):
        raise ValueError(f"the first values do not go together: {plain}")
    missing = dict.fromkeys(
        (one, x, other, y) for one, other in combinations(factors, 2) for x in factors[one] for y in factors[other]
    )
    rows, impossible, found = list[dict[str, Any]](), list[Pair](), len(missing)
    start: dict[str, Any] | None = plain
    fixed: set[str] = set()
    while missing:
        if rows:
            pair = next(iter(missing))
            one, x, other, y = pair
            fixed = {one, other}
            start = completed({**plain, one: x, other: y}, fixed, factors, allowed)
            if start is None:
                impossible.append(pair)
                del missing[pair]
                continue
            start = improved(start, fixed, factors, allowed, missing)
        assert start is not None
        rows.append(start)
        for pair in pairs_of(start):
            missing.pop(pair, None)
    return Covering(tuple(rows), found - len(impossible), tuple(impossible))


def pairs_of(row: Row) -> Iterator[Pair]:
    """All that stand in a row."""
    for one, other in combinations(row, 2):
        yield one, row[one], other, row[other]


def completed(
    row: dict[str, Any], fixed: set[str], factors: Mapping[str, Sequence[Any]], allowed: Callable[[Row], bool]
) -> dict[str, Any] | None:
    """The row, or the first allowed one that differs from it in one or two factors that are not fixed."""
    if allowed(row):
        return row
    free = [name for name in factors if name not in fixed]
    for count in (1, 2):
        for names in combinations(free, count):
            for change in changes(names, factors):
                if allowed(tried := {**row, **change}):
                    return tried
    return None


def changes(names: Sequence[str], factors: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """Other values than the first for each of these."""
    if not names:
        yield {}
        return
    for value in factors[names[0]][1:]:
        for rest in changes(names[1:], factors):
            yield {names[0]: value, **rest}


def improved(
    row: dict[str, Any],
    fixed: set[str],
    factors: Mapping[str, Sequence[Any]],
    allowed: Callable[[Row], bool],
    missing: Mapping[Pair, None],
) -> dict[str, Any]:
    """Factor by factor, the value that brings most missing pairs; gone through until nothing is gained."""
    order = list(factors)

    def gain(name: str, value: Any) -> int:
        at = order.index(name)
        return sum(
            ((other, row[other], name, value) if order.index(other) < at else (name, value, other, row[other]))
            in missing
            for other in order
            if other != name
        )

    while True:
        before = dict(row)
        for name in order:
            if name in fixed:
                continue
            ranked = sorted(factors[name], key=lambda value: -gain(name, value))
            best = gain(name, ranked[0])
            if best <= gain(name, row[name]):
                continue
            row = {**row, name: next((one for one in ranked if allowed({**row, name: one})), row[name])}
        if row == before or sum(pair in missing for pair in pairs_of(row)) <= sum(
            pair in missing for pair in pairs_of(before)
        ):
            return row if allowed(row) else before
