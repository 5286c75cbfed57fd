"""Every law of models and of the search on a pairwise covering of all switches, and exact resuming on one of all techniques.

The default tier holds the laws of models against the last row of each kind, and the coverings themselves against what they say;
the slow tier holds all laws against all rows, and breaks off a training of every row.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest

from core.data.config import DataConfig, MixedSource
from core.model.config import ConvConfig, ModelConfig, RNNConfig, TransformerConfig
from core.settings import run_config
from core.testing.combinations import INPUT, KINDS, TRAINING, case, config_of, factors, models, possible, trainings
from core.testing.covering import Covering, covering, pairs_of
from core.testing.ctc_laws import CTC_LAWS
from core.testing.model_laws import MODEL_LAWS
from core.testing.search_laws import SEARCH_LAWS
from core.testing.task_case import task_case
from core.testing.tiny import law_name, small
from core.testing.toys import TOY, ToyConfig
from core.testing.training_laws import TrainingCase, interrupted_and_resumed_is_unbroken, training_case

LAWS = (*MODEL_LAWS, *SEARCH_LAWS)


def held(found: Covering, names: dict[str, Any]) -> None:
    """Every pair is in a row, or said to be impossible."""
    there = {pair for row in found.rows for pair in pairs_of(row)}
    every = {(one, x, other, y) for one, other in combinations(names, 2) for x, y in product(names[one], names[other])}
    assert there | set(found.impossible) == every
    assert not there & set(found.impossible)
    assert found.pairs == len(there)


def test_a_covering_is_small_and_whole() -> None:
    names: dict[str, Any] = dict.fromkeys("abcdefghij", (0, 1, 2))
    found = covering(names, lambda row: True)
    held(found, names)
    assert len(found.rows) <= 24, f"{len(found.rows)} rows of {3**10} combinations"
    assert found == covering(names, lambda row: True)
    assert not found.impossible


def test_a_covering_keeps_to_what_is_allowed() -> None:
    names: dict[str, Any] = dict.fromkeys("abcd", (0, 1))

    def allowed(row: Any) -> bool:
        return not (row["a"] and row["b"]) and (not row["c"] or row["d"] == row["a"])

    found = covering(names, allowed)
    held(found, names)
    assert all(map(allowed, found.rows))
    assert found.impossible == (("a", 1, "b", 1),)
    with pytest.raises(ValueError, match="do not go together"):
        covering(names, lambda row: bool(row["a"]))


@pytest.mark.parametrize("kind", KINDS)
def test_every_pair_of_switches_stands_in_a_row_or_is_refused(kind: str) -> None:
    found, names = models(kind), factors(kind)
    held(found, dict(names))
    assert all(possible(kind, row) for row in found.rows)
    assert len({tuple(row.values()) for row in found.rows}) == len(found.rows)
    plain = {name: values[0] for name, values in names.items()}
    assert type(config_of(kind, plain)) is KINDS[kind]
    for one, x, other, y in found.impossible:
        assert not possible(kind, {**plain, one: x, other: y}), f"{one}={x!r} and {other}={y!r} go together"
    for name, values in names.items():
        for value in values:
            assert any(row[name] == value for row in found.rows), f"{name}={value!r} stands nowhere"


@pytest.mark.parametrize("law", MODEL_LAWS, ids=law_name)
@pytest.mark.parametrize("kind", KINDS)
def test_the_last_row_of_every_kind(kind: str, law: Callable[..., None]) -> None:
    law(case(kind, models(kind).rows[-1]))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "number"), [(kind, n) for kind in KINDS for n in range(len(models(kind).rows))])
def test_every_row(kind: str, number: int) -> None:
    """All faults of a model are told."""
    row = models(kind).rows[number]
    it = case(kind, row)
    faults: list[str] = []
    for law in (*LAWS, *(CTC_LAWS if row["ctc"] else ())):
        try:
            law(it)
        except AssertionError as error:
            faults.append(f"{law_name(law)}: {str(error).splitlines()[0]}")
    assert not faults, f"{it.name}:\n" + "\n".join(faults)


# Training.

MODELS: dict[str, ModelConfig] = {
    "transformer": small(TransformerConfig(layer_drop=0.2)),
    "rnn": small(RNNConfig(cell="lstm")),
    "conv": small(ConvConfig()),
    "copying": small(RNNConfig(copy=True)),
}


def training(row: dict[str, Any], folder: Path) -> TrainingCase:
    """The toy task with these techniques on."""
    cfg = run_config(ToyConfig)(task=ToyConfig(train=200, held_out=30), model=MODELS[row["model"]])
    found = training_case(task_case(TOY, cfg))
    words = sorted({record.source for record in found.task.sources["few"](cfg.task, DataConfig(), "train")})
    (folder / "words.txt").write_text("".join(f"{word}\t{word}a|ab\n" for word in words if word != "ab"))
    lines = ({"id": str(n), "source": "ab" * (1 + n % 3), "target": "ba"} for n in range(8))
    (folder / "more.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    mix = (MixedSource(name="more", train=str(folder / "more.jsonl")),) if row["data.mix"] else ()
    own = {name.removeprefix("train."): value for name, value in row.items() if name.startswith("train.")}
    own["synonyms"] = str(folder / "words.txt") if row["train.synonyms"] else ""
    batch = replace(found.config.batch, easy_first=row["batch.easy_first"], workers=row["batch.workers"])
    return TrainingCase(
        found.task,
        replace(
            found.config,
            data=replace(found.config.data, mix=mix, temperature=2.0 if mix else 1.0),
            batch=batch,
            train=replace(found.config.train, **own, average_last=2, final=0.1, forcing_floor=0.3),
        ),
    )


def test_every_pair_of_techniques_stands_in_a_row() -> None:
    held(trainings(), dict(TRAINING))
    assert not trainings().impossible
    assert INPUT not in TRAINING


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(trainings().rows)))
def test_every_row_of_techniques_is_resumed_exactly(number: int, tmp_path: Path) -> None:
    interrupted_and_resumed_is_unbroken(training(trainings().rows[number], tmp_path))
