"""Every built-in task x every law of tasks, and of models and search over its own records; and tasks that break them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from core.codec.regex import RegexTokenizer
from core.codec.types import Codecs
from core.config_toml import load
from core.data.batch import Batch
from core.data.config import DataConfig
from core.metrics.exact import ExactMatch
from core.model.state import State
from core.record import Prediction, Record, Split
from core.settings import run_config
from core.task import Format
from core.testing import task_laws
from core.testing.check import card_of, model_cases
from core.testing.model_laws import MODEL_LAWS
from core.testing.search_laws import SEARCH_LAWS
from core.testing.task_case import TaskCase, task_case
from core.testing.task_laws import TASK_LAWS
from core.testing.tiny import ModelCase, Moot, law_name
from core.testing.toys import TOY, ToyConfig, strings
from tasks import TASKS

# B batch, K hypotheses, V vocabulary

CONFIGS = Path(__file__).parents[2] / "configs"
NAMES = sorted(TASKS.names())
FIRST = ("default.toml", "rnn.toml")


@cache
def case_of(name: str) -> TaskCase:
    """On the data of its tiny config; read once for all tests."""
    task = TASKS[name]
    cfg = load(run_config(task.config), CONFIGS / name / "tiny.toml").config
    return task_case(task, cfg, card_of(task))


@cache
def models_of(name: str) -> list[ModelCase]:
    """The models of all its configs, each once: the default's and the recurrent one first."""
    task = TASKS[name]
    files = sorted((CONFIGS / name).glob("*.toml"), key=lambda path: (path.name not in FIRST, path.name))
    return model_cases(case_of(name), {path.name: load(run_config(task.config), path).config for path in files})


def hold(law: Callable[[TaskCase], None], case: TaskCase) -> None:
    """What a task gives nothing to hold against is shown as skipped."""
    try:
        law(case)
    except Moot as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("law", TASK_LAWS, ids=law_name)
@pytest.mark.parametrize("name", NAMES)
def test_every_task(name: str, law: Callable[[TaskCase], None]) -> None:
    hold(law, case_of(name))


@pytest.mark.parametrize("name", NAMES)
def test_every_task_has_a_card(name: str) -> None:
    assert case_of(name).card is not None


@pytest.mark.parametrize("law", [*MODEL_LAWS, *SEARCH_LAWS], ids=law_name)
@pytest.mark.parametrize("name", NAMES)
def test_two_models_of_every_task(name: str, law: Callable[[ModelCase], None]) -> None:
    for case in models_of(name)[: len(FIRST)]:
        law(case)


@pytest.mark.slow
@pytest.mark.parametrize("law", [*MODEL_LAWS, *SEARCH_LAWS], ids=law_name)
@pytest.mark.parametrize("name", NAMES)
def test_the_other_models_of_every_task(name: str, law: Callable[[ModelCase], None]) -> None:
    for case in models_of(name)[len(FIRST) :]:
        law(case)


# Tasks that break a law, each by one part of a task that keeps them all.


@cache
def toy() -> TaskCase:
    cfg = run_config(ToyConfig)(task=ToyConfig(train=300, held_out=40, longest=6))
    card = {"name": "toy", "summary": "letters", "data": "generated", "metric": "exact@1"}
    return task_case(TOY, cfg, card)


@pytest.mark.parametrize("law", TASK_LAWS, ids=law_name)
def test_the_toy_task(law: Callable[[TaskCase], None]) -> None:
    hold(law, toy())


def with_task(**parts: Any) -> TaskCase:
    """The toy task with other parts, read anew."""
    return task_case(dataclasses.replace(TOY, **parts), toy().config)


def one_key_twice(cfg: ToyConfig, data: DataConfig, split: Split) -> Iterator[Record]:
    """The first test record is called like the first training record."""
    first = next(strings(cfg, data, "train")).key
    for number, record in enumerate(strings(cfg, data, split)):
        yield dataclasses.replace(record, key=first) if split == "test" and not number else record


def leaking(cfg: ToyConfig, data: DataConfig, split: Split) -> Iterator[Record]:
    """A test record stands in train under another name."""
    yield from strings(cfg, data, split)
    if split == "train":
        yield dataclasses.replace(next(strings(cfg, data, "test")), key="leak")


class Restless:
    """Another order each time."""

    def __init__(self) -> None:
        self.draw = np.random.default_rng(0)

    def __call__(self, cfg: ToyConfig, data: DataConfig, split: Split) -> Iterator[Record]:
        records = list(strings(cfg, data, split))
        return iter([records[n] for n in self.draw.permutation(len(records))])


def without_test(cfg: ToyConfig, data: DataConfig, split: Split) -> Iterator[Record]:
    return iter(()) if split == "test" else strings(cfg, data, split)


class Stutter(RegexTokenizer):
    """Reads back what it did not write."""

    def decode(self, ids: Sequence[int], extra: Sequence[str] = ()) -> str:
        return super().decode(ids, extra) + "a"


class Deaf(RegexTokenizer):
    """Everything is the same word."""

    def encode(self, value: Any) -> list[int]:
        return [4] * len(value)


class Amnesiac(RegexTokenizer):
    """Forgets a symbol when stored."""

    def dump(self) -> dict[str, Any]:
        return {"symbols": list(self.symbols[1:]), "pattern": self.pattern}


def coded(kind: type[RegexTokenizer]) -> TaskCase:
    """The toy task with this tokenizer."""
    one = kind(tuple("abcdefgh"))
    return dataclasses.replace(toy(), codecs=Codecs(one, one))


def few_letters(cfg: ToyConfig, train: Any) -> Codecs:
    one = RegexTokenizer.fit(["abcdefg"])
    return Codecs(one, one)


class Backwards(ExactMatch):
    """Right is wrong."""

    def score(self, rows: np.ndarray) -> float:
        return 100 - super().score(rows)


class Company(ExactMatch):
    """Every row knows of the others."""

    def statistics(self, predictions: Sequence[Prediction]) -> np.ndarray:
        return super().statistics(predictions) + len(predictions)


class Total(ExactMatch):
    """One row for all."""

    def statistics(self, predictions: Sequence[Prediction]) -> np.ndarray:
        return super().statistics(predictions).mean(0, keepdims=True)


class Moody(ExactMatch):
    """Signs otherwise each time."""

    @property
    def signature(self) -> str:
        return f"exact|{np.random.default_rng().integers(2**60)}"


class NoRepeats:
    """No letter twice in a row, which strings do not know of."""

    def start(self, batch: Batch, beams: int = 1) -> State:
        return {"none": torch.zeros((batch.size, beams, 1))}

    def step(self, state: State, token_BK: Tensor, remaining_BK: Tensor) -> tuple[State, Tensor]:
        legal_BKV = torch.ones((*token_BK.shape, 12), dtype=torch.bool)
        return state, legal_BKV.scatter_(-1, token_BK[..., None], False)


def drifting(cfg: ToyConfig) -> Callable[[Record, np.random.Generator], Record]:
    draw = np.random.default_rng(0)
    return lambda record, random: dataclasses.replace(record, source=record.source + "abc"[draw.integers(3)])


def broken_tasks() -> dict[str, tuple[Callable[[], TaskCase], Callable[[TaskCase], None]]]:
    """By name: what is wrong, and the law that says so."""
    laws = task_laws
    source = lambda one: lambda: with_task(sources={"broken": one})  # noqa: E731
    metric = lambda one: lambda: with_task(metrics=lambda cfg: (one(1),))  # noqa: E731
    return {
        "a key twice": (source(one_key_twice), laws.keys_are_unique),
        "a leak": (source(leaking), laws.splits_are_disjoint),
        "no test": (source(without_test), laws.every_split_has_records),
        "another order": (source(Restless()), laws.records_are_the_same_each_time),
        "stutter": (lambda: coded(Stutter), laws.decoding_undoes_encoding),
        "deaf to targets": (lambda: coded(Deaf), laws.decoding_undoes_encoding),
        "deaf to sources": (lambda: coded(Deaf), laws.sources_can_be_read_back),
        "amnesia": (lambda: coded(Amnesiac), laws.codecs_survive_storing),
        "a letter unknown": (lambda: with_task(codecs=few_letters), laws.ids_are_words),
        "backwards": (metric(Backwards), laws.gold_scores_best),
        "company": (metric(Company), laws.a_score_is_of_rows),
        "total": (metric(Total), laws.a_score_is_of_rows),
        "moody": (metric(Moody), laws.signatures_are_stable),
        "longer each time": (
            lambda: with_task(canonical=lambda cfg: lambda text: text + "a"),
            laws.canonical_form_is_its_own,
        ),
        "nothing is valid": (
            lambda: with_task(canonical=lambda cfg: lambda text: None),
            laws.canonical_form_is_its_own,
        ),
        "too strict a rule": (
            lambda: with_task(rule=lambda cfg, codecs: NoRepeats()),
            laws.the_rule_admits_every_reference,
        ),
        "drift": (lambda: with_task(augment=drifting), laws.augmentation_is_drawn_from_its_generator),
        "a traceback": (
            lambda: with_task(read=lambda cfg, value, folder: value["source"]),
            laws.bad_values_are_bad_records,
        ),
        "too few answers": (
            lambda: with_task(baselines={"none": lambda train, records: [""]}),
            laws.baselines_answer_every_record,
        ),
        "a newline": (
            lambda: with_task(formats={"lines": Format(write=lambda one, n: one.output + "\n")}),
            laws.formats_write_every_prediction,
        ),
        "no use": (
            lambda: with_task(utility=lambda one, other: float(one != other)),
            laws.bins_and_utility_are_defined,
        ),
        "another card": (
            lambda: dataclasses.replace(toy(), card={**(toy().card or {}), "metric": "bleu"}),
            laws.the_card_agrees_with_the_task,
        ),
    }


@pytest.mark.parametrize("fault", broken_tasks())
def test_a_broken_task_is_caught(fault: str) -> None:
    case, law = broken_tasks()[fault]
    with pytest.raises(AssertionError):
        law(case())
