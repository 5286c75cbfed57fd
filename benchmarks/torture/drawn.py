"""Records that Hypothesis draws: texts, molecules, proteins, programs and JSON by their grammars, good lines, and good lines changed.

A file that breaks a promise is shortened before it is told of. The trial's seed says all that is drawn, and nothing is kept between
runs: what was found once stands in tests/torture/finds.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import HealthCheck, Phase, configuration, given, seed, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from benchmarks.torture.kinds import AMINO, Kind
from benchmarks.torture.mangling import ILL_FORMED, ODD
from benchmarks.torture.rows import Trial

FILES, QUICK = 25, 8
SLOW: tuple[HealthCheck, ...] = (
    HealthCheck.too_slow,
    HealthCheck.data_too_large,
    HealthCheck.large_base_example,
    HealthCheck.filter_too_much,
)
"""What Hypothesis would complain of: files are large, and machines busy."""
RECORDS = 10
"""Of a file; what Hypothesis can say in one example has an end."""
Entries = Sequence[tuple[bool, bytes]]


def each(trial: Trial, what: SearchStrategy[Any], examples: int, bring: Callable[[Any], None]) -> None:
    """So many, one after the other; what breaks a promise is made as short as can be."""
    configuration.set_hypothesis_home_dir(trial.shared / "hypothesis")  # tables of characters, made once for all trials

    @seed(trial.random.getrandbits(64))
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=SLOW,
    )
    @given(what)
    def brought(one: Any) -> None:
        bring(one)

    brought()


def files(trial: Trial, kind: Kind, bring: Callable[[int, Entries, random.Random], None]) -> None:
    """So many files of a format, each brought to its reader."""
    count = 0

    def numbered(one: tuple[Entries, random.Random]) -> None:
        nonlocal count
        count += 1
        bring(1000 + count, *one)
        trial.count("files by Hypothesis")

    entries = st.lists(entry(kind), min_size=RECORDS, max_size=RECORDS)
    each(trial, st.tuples(entries, st.randoms()), QUICK if trial.quick else FILES, numbered)


def entry(kind: Kind) -> SearchStrategy[tuple[bool, bytes]]:
    """Whether it is good, and the line."""
    good = st.randoms().map(kind.good)
    wrong = st.one_of(
        changed(good),
        by_grammar(kind).map(lambda text: text.encode("utf-8", "surrogatepass")),
        st.text(st.characters(), max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")),
        st.binary(max_size=24),
        st.sampled_from(kind.odd).map(lambda text: text.encode("utf-8", "surrogatepass")),
    )
    return st.one_of(st.tuples(st.just(True), good), st.tuples(st.just(False), wrong))


def changed(lines: SearchStrategy[bytes]) -> SearchStrategy[bytes]:
    """A few places of a good line say something else."""
    inserted = st.one_of(
        st.sampled_from(ILL_FORMED),
        st.sampled_from(ODD).map(lambda text: text[:100].encode("utf-8", "surrogatepass")),
        st.binary(max_size=3),
    )
    edits = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 8), inserted), min_size=1, max_size=3)
    return st.builds(edited, lines, edits)


def edited(line: bytes, edits: Sequence[tuple[float, int, bytes]]) -> bytes:
    """At a share of its length so many bytes go, and others come."""
    for share, gone, come in edits:
        at = round(share * len(line))
        line = line[:at] + come + line[at + gone :]
    return line


def by_grammar(kind: Kind) -> SearchStrategy[str]:
    """What such a file is made of, put together as nobody would."""
    if kind.ending == ".jsonl":
        return objects(programs() if kind.task == "code_synthesis" else st.text(max_size=20))
    match kind.task:
        case "reaction_prediction":
            return reactions() if not kind.head else reactions().map(lambda one: f"k,{one}")
        case "protein_alignment":
            return proteins()
        case "code_synthesis":
            return programs()
        case _:
            return cells()


def cells() -> SearchStrategy[str]:
    """Columns of quotes, tags and words."""
    cell = st.one_of(st.text(max_size=12), st.sampled_from(('"', '""', '"a', "<seg>", "</tu>", "&amp;", "&#0;", "]]>")))
    return st.tuples(st.lists(cell, max_size=5), st.sampled_from(("\t", ",", " ", ""))).map(
        lambda one: one[1].join(one[0])
    )


def objects(texts: SearchStrategy[str]) -> SearchStrategy[str]:
    """JSON with the names that readers know, whatever stands behind them."""
    leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts)
    values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3))
    known = st.fixed_dictionaries({}, optional={"source": texts | values, "target": texts | values, "id": values})
    whole: SearchStrategy[Any] = st.one_of(known, st.dictionaries(NAMES, values, max_size=5), values)
    return whole.map(lambda tree: json.dumps(tree, ensure_ascii=True))


NAMES = st.sampled_from(
    ("source", "target", "id", "tests", "references", "article", "summary", "meta", "text", "prompt", "code", "")
)


def molecules() -> SearchStrategy[str]:
    """Atoms, bonds, branches and rings, most of which close."""
    atoms = st.sampled_from(
        ("C", "c", "N", "n", "O", "Cl", "Br", "[nH]", "[C@@H]", "[13C]", "[O-]", "[Fe+3]", "*", "[", "x")
    )
    bonds = st.sampled_from(("", "", "=", "#", "-", ":", "/", "\\", ".", "$", "~"))
    rings = st.sampled_from(("", "", "1", "2", "%10", "%", "0"))
    atom = st.tuples(bonds, atoms, rings).map("".join)
    chains = st.lists(atom, min_size=1, max_size=5).map("".join)
    return st.recursive(
        chains,
        lambda inner: st.tuples(chains, inner, inner).map(lambda one: f"{one[0]}({one[1]}){one[2]}"),
        max_leaves=4,
    )


def reactions() -> SearchStrategy[str]:
    """Sides, arrows, and what stands behind them."""
    arrows = st.sampled_from((">>", ">", ">>>", "->", " >> "))
    behind = st.sampled_from(("", "", "", " |f:0.1|", "\tname", " name", " {}"))
    return st.tuples(st.just("") | molecules(), arrows, st.just("") | molecules(), behind).map("".join) | molecules()


def proteins() -> SearchStrategy[str]:
    """Names and residues, wrapped anywhere, with what some programs put among them."""
    letters = st.sampled_from((*AMINO, *AMINO.lower(), *"XBZJUO*-.?1 "))
    names = st.text(st.characters(exclude_categories=("Cs",)), max_size=12).map(lambda name: f">{name}")
    rows = st.lists(letters, max_size=20).map("".join)
    pair = st.tuples(rows, st.integers(1, 6)).map(lambda one: f"seq{one[1]}  {one[0]}")
    marks = st.sampled_from(("//", "CLUSTAL", "# STOCKHOLM 1.0", "#=GC core 0101", " 2 5", "MSF: 5 ..", "  * : ."))
    return st.lists(st.one_of(names, rows, pair, marks), max_size=5).map("\n".join)


def programs() -> SearchStrategy[str]:
    """Expressions within expressions, under statements, indented by chance."""
    leaves = st.sampled_from(
        ("x", "1", "'a'", "f'{x}'", "None", "0x_", "1e999", "...", "*a", "**b", "lambda: 0", "é", "`")
    )
    forms = st.sampled_from(
        (
            "({})",
            "[{}]",
            "{{{}: 1}}",
            "f({}, *x)",
            "{} + {}",
            "not {}",
            "{} if {} else 0",
            "x[{}:]",
            "[i for i in {}]",
            "(yield {})",
        )
    )

    def inside(inner: SearchStrategy[str]) -> SearchStrategy[str]:
        return st.tuples(forms, inner, inner).map(lambda one: one[0].format(one[1], one[2]))

    expressions = st.recursive(leaves, inside, max_leaves=5)
    heads = st.sampled_from(
        (
            "return ",
            "x = ",
            "",
            "if ",
            "for i in ",
            "def f(a): ",
            "class A: ",
            "async with ",
            "match ",
            "@",
            "del ",
            "SELECT ",
        )
    )
    indents = st.sampled_from(("", "", "    ", "\t", " \t", "  "))
    tails = st.sampled_from(("", "", ":", ";", " \\", "  # x", '"""'))
    return st.lists(st.tuples(indents, heads, expressions, tails).map("".join), min_size=1, max_size=3).map("\n".join)
