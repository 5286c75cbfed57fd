"""Settings that say nothing: a value beside which another makes it without effect is refused, with the reason.

What cannot be is refused by the config classes themselves (`Impossible`), wherever a config is made. What merely has no effect
is refused when someone asks for it: in a config that is to be trained, and in `key=value` of every verb. Run folders that hold
such a value are read as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

from core.config_text import brief
from core.config_toml import Loaded
from core.config_tree import COMMAND_LINE
from core.errors import ConfigError
from core.settings import RunConfig


@dataclass(frozen=True, slots=True)
class Idle:
    """A rule: this key's value has no effect when."""

    key: str
    when: Callable[[RunConfig], bool]
    reason: str


def model(kind: str, when: Callable[[Any], bool]) -> Callable[[RunConfig], bool]:
    """Of one kind of model."""
    return lambda cfg: cfg.model.kind == kind and when(cfg.model)


def without(key: str, *values: Any) -> Callable[[RunConfig], bool]:
    """Where a key has one of these values; 0, empty or false where none is given."""
    return lambda cfg: value_of(cfg, key) in values if values else not value_of(cfg, key)


def drawn(cfg: RunConfig) -> bool:
    """Whether answers are samples."""
    return cfg.search.strategy not in ("beam", "greedy", "ctc")


def still(cfg: RunConfig) -> bool:
    """Whether two readings of a batch are the same."""
    randomly = (cfg.model.dropout, getattr(cfg.model, "layer_drop", 0.0), cfg.train.word_dropout)
    return not any((*randomly, cfg.train.target_word_dropout)) and cfg.train.forcing == "always"


SAMPLES = 'only samples are drawn: set search.strategy = "sample"'
HUB = 'only data sets of the hub have it: set data.source = "hf"'
FILES = 'built-in data is not read from files of yours: data.source = "jsonl", "files" or "hf" is'
BEGUN = "there is no run to begin from: name it with train.init_from"
TAUGHT = "there is no teacher: name its run folder with train.teacher"
PLACES = 'places are not learned: set model.positions = "learned"'
RULES: tuple[Idle, ...] = (
    Idle(
        "model.kernel",
        model("transformer", lambda m: m.encoder != "conformer"),
        'only a Conformer\'s blocks have a convolution: set model.encoder = "conformer"',
    ),
    Idle(
        "model.learned_positions",
        model("transformer", lambda m: m.positions != "learned" and m.encoder != "bert"),
        PLACES,
    ),
    Idle("model.learned_positions", model("conv", lambda m: m.positions != "learned"), PLACES),
    Idle(
        "model.attention_heads",
        model("rnn", lambda m: m.attention != "multi_head" and m.head != "parallel"),
        'this attention has one head: set model.attention = "multi_head"',
    ),
    Idle("model.queries", lambda cfg: cfg.model.head != "parallel", 'only model.head = "parallel" asks with queries'),
    Idle(
        "train.forcing_floor", without("train.forcing", "always"), "all words read are true ones: choose train.forcing"
    ),
    Idle(
        "train.r_drop",
        still,
        "two readings under no dropout are one: set model.dropout, model.layer_drop or train.word_dropout above 0",
    ),
    Idle("train.risk_samples", without("train.risk"), "nothing is drawn: set train.risk above 0"),
    Idle("train.teacher_weight", without("train.teacher"), TAUGHT),
    Idle("train.teacher_temperature", without("train.teacher"), TAUGHT),
    Idle("train.teacher", without("train.teacher_weight"), "train.teacher_weight = 0 does not listen to it"),
    Idle("train.noise_share", without("train.noise"), "there is no noise: name some with train.noise"),
    Idle("train.noise", without("train.noise_share"), "train.noise_share = 0 perturbs nothing"),
    Idle("train.synonym_share", without("train.synonyms"), "there is no dictionary: name it with train.synonyms"),
    Idle("train.synonyms", without("train.synonym_share"), "train.synonym_share = 0 replaces nothing"),
    Idle("train.ema", lambda cfg: cfg.train.average != "ema", 'only train.average = "ema" has a decay'),
    Idle("train.average_last", lambda cfg: cfg.train.average != "last", 'set train.average = "last"'),
    Idle(
        "train.final",
        without("train.schedule", "inverse-sqrt", "constant"),
        'this schedule ends where it ends: train.schedule = "cosine" or "linear" goes down to it',
    ),
    Idle("train.beta1", without("train.optimizer", "adafactor"), "Adafactor keeps no mean of gradients"),
    Idle("train.beta2", without("train.optimizer", "adafactor"), "Adafactor's decay follows the step"),
    Idle("train.lora_alpha", without("train.lora"), "there are no adapters: set train.lora above 0"),
    Idle("train.init_codecs", without("train.init_from"), BEGUN),
    Idle("train.forgetting", without("train.init_from"), BEGUN),
    Idle("search.temperature", lambda cfg: not drawn(cfg), SAMPLES),
    Idle("search.top_k", lambda cfg: not drawn(cfg), SAMPLES),
    Idle("search.top_p", lambda cfg: not drawn(cfg), SAMPLES),
    Idle("search.min_p", lambda cfg: not drawn(cfg), SAMPLES),
    Idle("search.typical_p", lambda cfg: not drawn(cfg), SAMPLES),
    Idle("search.group_penalty", without("search.groups", 1), "one group has none to avoid: set search.groups above 1"),
    Idle("search.ctc_weight", without("model.ctc"), "this model has no CTC head: set model.ctc above 0"),
    Idle("search.length_penalty", without("search.strategy", "ctc"), "the sums of CTC are those of whole outputs"),
    Idle("search.length_form", without("search.length_penalty"), "search.length_penalty = 0 divides by nothing"),
    Idle(
        "search.decide",
        lambda cfg: cfg.search.width == 1,
        "among one answer there is nothing to decide: set search.beams above 1, without greedy search",
    ),
    Idle("data.column_source", lambda cfg: cfg.data.source != "hf", HUB),
    Idle("data.column_target", lambda cfg: cfg.data.source != "hf", HUB),
    Idle("data.name", lambda cfg: cfg.data.source != "hf", HUB),
    Idle("data.streaming", lambda cfg: cfg.data.source != "hf", HUB),
    Idle("data.path", without("data.source", "builtin"), FILES),
    Idle("data.train", without("data.source", "builtin"), FILES),
    Idle("data.dev", without("data.source", "builtin"), FILES),
    Idle("data.test", without("data.source", "builtin"), FILES),
    Idle("data.holdout_source", without("data.source", "builtin"), FILES),
    Idle("data.holdout_target", without("data.source", "builtin"), FILES),
    Idle("data.holdout_longer", without("data.source", "builtin"), FILES),
)


def idle(cfg: RunConfig) -> Iterator[Idle]:
    """Rules that a config breaks: the key has another value than where nothing is said, and it has no effect."""
    for rule in RULES:
        table, _, name = rule.key.rpartition(".")
        part: Any = getattr(cfg, table)
        known = {field.name: field.default for field in fields(part)}
        if name in known and getattr(part, name) != known[name] and rule.when(cfg):
            yield rule


def value_of(cfg: RunConfig, key: str) -> Any:
    """Of a dotted key."""
    table, _, name = key.rpartition(".")
    return getattr(getattr(cfg, table), name)


def refuse_idle(loaded: Loaded[RunConfig], *, typed_only: bool = False) -> None:
    """Raises with the place of the first; `typed_only`: of what the command line says, the rest being a run's own."""
    for rule in idle(loaded.config):
        place = loaded.origin.get(rule.key, "")
        if typed_only and place != COMMAND_LINE:
            continue
        value = brief(value_of(loaded.config, rule.key))
        raise ConfigError(f"{place}: {rule.key} = {value}: it would change nothing; {rule.reason}")
