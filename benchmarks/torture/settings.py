"""F6, F7: settings of a search, and configs, as nobody would write them."""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, get_args

import torch
from hypothesis import strategies as st

from benchmarks.torture import drawn, mangling
from benchmarks.torture.rows import Row, Trial, hold
from core.codec.store import load_codecs
from core.codec.types import Tokenizer
from core.config import Impossible
from core.config_toml import load, to_toml
from core.data.batch import Batch
from core.decode.config import SearchConfig
from core.decode.search import search
from core.errors import UserError
from core.model.build import build
from core.model.config import RNNConfig, TransformerConfig
from core.model.seq2seq import Seq2Seq
from core.run.folder import RunFolder
from core.run.stored import stored_config
from core.settings import run_config
from core.testing.tiny import batch_of, tiny_codecs, tiny_pairs
from tasks import TASKS

SEARCHES = 125
CONFIGS = 125
"""Of a trial."""
CHOICES: dict[str, tuple[Any, ...]] = {
    "strategy": get_args(SearchConfig.__annotations__["strategy"]) or ("beam", "greedy", "sample", "stochastic"),
    "beams": (1, 2, 3, 5, 12),
    "n_best": (1, 1, 2, 5, 12),
    "groups": (1, 1, 2, 3),
    "group_penalty": (0.0, 0.5, 1e6),
    "ended": ("any", "front"),
    "length_penalty": (-10.0, -1.0, 0.0, 0.7, 1.0, 10.0, 1e30, -1e30),
    "length_form": ("power", "gnmt"),
    "length_ratio": (0.0, 0.5, 1.0, 2.0),
    "length_extra": (1, 1, 2, 5),
    "shortest_ratio": (0.0, 0.5, 5.0),
    "shortest_extra": (0, 1, 3, 1000),
    "coverage": (0.0, 0.0, 1.0, 1e6),
    "draft": (0, 0, 1, 7),
    "no_repeat": (0, 0, 1, 2, 50),
    "temperature": (0.0, 1e-30, 0.5, 1.0, 1e30),
    "top_k": (0, 1, 3, 10_000),
    "top_p": (0.0, 1e-30, 0.5, 1.0),
    "min_p": (0.0, 0.5, 1.0),
    "typical_p": (0.0, 0.2, 1.0),
}


HEADS = ("even", "even", "ends", "never ends", "hardly")


@cache
def models() -> tuple[tuple[Seq2Seq, Batch], ...]:
    """Untrained ones, and sources of length one to many in one batch."""
    codecs = tiny_codecs("abc")
    pairs = [
        *tiny_pairs(codecs, 5, longest=6, letters="abc"),
        *tiny_pairs(codecs, 2, longest=40, letters="abc", seed=1),
    ]
    found: list[tuple[Seq2Seq, Batch]] = []
    for number, kind in enumerate((RNNConfig(width=8, dropout=0.0), TransformerConfig(width=8, heads=2, dropout=0.0))):
        torch.manual_seed(number)
        found.append((build(kind, codecs).eval(), batch_of(pairs)))
    return tuple(found)


def bent(model: Seq2Seq, how: str) -> None:
    """The head's bias: ends at once, never ends, says numbers that are hardly any."""
    with torch.no_grad():
        bias = next(
            (one for name, one in model.named_parameters() if name.endswith("bias") and one.shape[0] == 7), None
        )
        if bias is not None:
            bias.zero_()
            if how != "even":
                bias[2] = {"ends": 1e4, "never ends": -1e4, "hardly": -3e38}[how]


def searches(trial: Trial) -> None:
    """Half drawn by ourselves, half by Hypothesis."""
    draw = trial.random
    half = 8 if trial.quick else SEARCHES // 2
    for _ in range(half if trial.quick else SEARCHES - half):
        chosen = {name: draw.choice(values) for name, values in CHOICES.items() if draw.random() < 0.25}
        searched(trial, chosen, draw.choice(models()), draw.choice(HEADS))
    some = st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in CHOICES.items()})
    what = st.tuples(some, st.sampled_from(models()), st.sampled_from(HEADS))
    drawn.each(trial, what, half, lambda one: searched(trial, *one))


def searched(trial: Trial, chosen: dict[str, Any], where: tuple[Seq2Seq, Batch], how: str) -> None:
    """Settings that can be: the search ends, with scores that are numbers, best first. Settings that cannot: refused by name."""
    torch.manual_seed(trial.number)
    trial.count("settings")
    try:
        config = SearchConfig(**chosen)
    except Impossible as error:
        hold(error.field in SearchConfig.__annotations__ and error.reason, f"no field and reason: {chosen}")
        trial.count("settings refused")
        return
    model, batch = where
    bent(model, how)
    try:
        found = search(model, batch, config)
    except UserError as error:
        hold("\n" not in str(error), f"no single line: {error}")
        trial.count("searches refused")
        return
    ran(config, chosen, batch, found)
    trial.count("searches")


def ran(config: SearchConfig, chosen: dict[str, Any], batch: Batch, found: Any) -> None:
    """What came of one search."""
    hold(len(found) == batch.size, f"{len(found)} answers to {batch.size} sources: {chosen}")
    longest = [math.floor(config.length_ratio * int(one)) + config.length_extra for one in batch.layout.lengths]
    for row, answers in enumerate(found):
        hold(1 <= len(answers) <= config.n_best, f"{len(answers)} answers, {config.n_best} asked: {chosen}")
        for one in answers:
            hold(math.isfinite(one.score) and all(map(math.isfinite, one.logp)), f"a score that is no number: {chosen}")
            hold(len(one.tokens) <= longest[row], f"{len(one.tokens)} tokens of at most {longest[row]}: {chosen}")
        for kind in ("end", "length"):
            scores = [one.score for one in answers if one.finish == kind]
            hold(scores == sorted(scores, reverse=True), f"not the best first: {scores} {chosen}")
        if config.strategy != "sample":  # samples are drawn apart from one another, so two may be alike
            hold(len({one.tokens for one in answers}) == len(answers), f"an answer twice: {chosen}")


VALUES = (
    "1",
    "-1",
    "0",
    "1.5",
    "1e999",
    "nan",
    "inf",
    "-inf",
    "9223372036854775808",
    "true",
    '"x"',
    "'none'",
    "[]",
    "[[]]",
    "{}",
    "[1, 'a']",
    "1979-05-27",
    "07:32:00",
    '"\\u0000"',
    '"\\ud800"',
    "0x1F",
    "1_000",
    '"""a\nb"""',
    "{kind = 'x'}",
    "{a = {b = 1}}",
    "''",
    '"../../etc/passwd"',
    "9" * 400,
    "[" * 50 + "]" * 50,
)
KEYS = (
    "train",
    "train.steps",
    "model",
    "model.kind",
    "model.width",
    "a.b.c",
    "search.beams",
    '"quo ted"',
    "''",
    "é",
    "_",
    "kind",
    "extends",
    "0",
    "data.path",
    "seed",
    "x" * 300,
)


@cache
def defaults(name: str) -> str:
    """A task's config as a file."""
    return to_toml(load(run_config(TASKS[name].config), None).config)


def configs(trial: Trial) -> None:
    """Files and words of a command: a config, or one line that names the place and the key."""
    draw = trial.random
    for number in range(CONFIGS if not trial.quick else 40):
        name = draw.choice(TASKS.names())
        path = trial.place / f"{number}.toml"
        lines = defaults(name).splitlines()
        for _ in range(draw.choice((0, 1, 1, 2, 5))):
            at = draw.randrange(len(lines))
            match draw.randint(0, 4):
                case 0:
                    lines[at] = f"{draw.choice(KEYS)} = {draw.choice(VALUES)}"
                case 1 if "=" in lines[at]:
                    lines[at] = f"{lines[at].split('=')[0]}= {draw.choice(VALUES)}"
                case 2:
                    lines.insert(
                        at,
                        draw.choice(
                            (f"[{draw.choice(KEYS)}]", f"[[{draw.choice(KEYS)}]]", "[", "]", "=", "# \x00", "\x7f")
                        ),
                    )
                case 3:
                    lines.insert(at, lines[draw.randrange(len(lines))])
                case _:
                    lines[at] = mangling.text(draw)
        raw = "\n".join(lines).encode("utf-8", "replace")
        path.write_bytes(raw if draw.random() < 0.7 else mangling.mangled(draw, raw))
        words = [f"{draw.choice(KEYS)}={draw.choice(VALUES)}" for _ in range(draw.choice((0, 0, 1, 3)))]
        asked(trial, name, path, words)


def asked(trial: Trial, name: str, path: Path, words: list[str]) -> None:
    """One config; the same file as a run's own."""
    task = TASKS[name]
    trial.count("configs")
    once(trial, path, partial(load, run_config(task.config), path, words))
    path = path.rename(path.with_name("config.toml"))
    once(trial, path, partial(stored_config, task, RunFolder(path.parent), ()))
    path.unlink()


def once(trial: Trial, path: Path, read: Callable[[], Any]) -> None:
    """Read, or refused."""
    try:
        read()
        trial.count("readings of configs that can be")
    except UserError as error:
        said = str(error)
        hold(error.exit_code == 2, f"exit code {error.exit_code}: {said}")
        hold("\n" not in said and len(said) < 3000, f"no single line: {said[:300]!r}")
        fits = re.match(rf"{re.escape(str(path.parent))}/\S+?\.toml(:\d+)?: \S|command line: \S", said)
        hold(fits, f"a refusal without its place: {said[:300]!r}")
        trial.count("readings refused")


def trees(trial: Trial) -> None:
    """JSON of a run folder, with leaves exchanged and torn out, is refused in one line or read."""
    draw = trial.random
    good = {
        "source": {
            "kind": "subword",
            "model": "bpe",
            "pieces": ["a", "b", "ab"],
            "merges": [[0, 1]],
            "scores": [],
            "user_symbols": [],
        },
        "target": {"kind": "regex", "symbols": ["a", "b"], "pattern": "."},
    }
    for _ in range(CONFIGS if not trial.quick else 40):
        tree = json.loads(json.dumps(good))
        for _ in range(draw.choice((0, 1, 1, 2))):
            exchange(draw, tree)
        trial.count("tokenizers")
        try:
            codecs = load_codecs(tree)
            for codec in (codecs.source, codecs.target):
                assert isinstance(codec, Tokenizer)
                codec.decode(list(codec.encode("ab é")))
            trial.count("tokenizers read")
        except UserError as error:
            hold(str(error).startswith("codecs.json: ") and "\n" not in str(error), f"no single line: {error}")
            trial.count("tokenizers refused")


def exchange(draw: random.Random, tree: Any) -> None:
    """One leaf, somewhere, becomes something else."""
    odd = (
        None,
        1,
        -1,
        1.5,
        True,
        "",
        "a",
        "\ud800",
        [],
        {},
        [[]],
        "(a+)+$",
        1 << 70,
        "<pad>",
        ["a", 1],
        [[0, 1, 2]],
        math.inf,
    )
    while True:
        keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
        if not keys:
            return
        key = draw.choice(keys)
        if isinstance(tree[key], dict | list) and tree[key] and draw.random() < 0.7:
            tree = tree[key]
            continue
        if draw.random() < 0.2:
            del tree[key]
        else:
            tree[key] = draw.choice(odd)
        return


def row(name: str, threat: str, promise: str, trial: Any, unit: str, full: int) -> Row:
    """5,000 of each."""
    return Row(name, threat=threat, promise=promise, trial=trial, unit=unit, goal=5000, full=full, quick=1, seconds=6.0)


ROWS = (
    row(
        "F6",
        "settings of a search that nobody would choose, with models that end at once or never",
        "Refused by name, or the search ends: as many answers as sources, within their limit, none twice (but samples), best first, "
        "every score a number.",
        searches,
        "settings",
        40,
    ),
    row(
        "F7",
        "configs with wrong values, keys, tables, signs and bytes, on the command line too",
        "A config, or exit code 2 and one line with file:line and the key.",
        configs,
        "configs",
        40,
    ),
    replace(
        row(
            "F7b",
            "tokenizers of a run folder with leaves exchanged, torn out or of another type",
            "Read, and then able to encode and decode, or refused in one line.",
            trees,
            "tokenizers",
            40,
        ),
        seconds=1.0,
    ),
)
