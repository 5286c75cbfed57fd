"""Settings that make no sense together, or say nothing beside each other: each is refused in one line, with its key and the reason."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from core.cli import train_arguments
from core.config import Impossible
from core.config_toml import load
from core.errors import ConfigError
from core.flags import Words
from core.idle import RULES, idle, refuse_idle
from core.model.build import build
from core.model.config import ConvConfig, RNNConfig, TransformerConfig
from core.run.prepared import make_model
from core.settings import run_config
from core.task import Task
from core.testing.tiny import TinyFrames, tiny_codecs
from core.testing.toys import TOY, ToyConfig

RNN, CONV = "model.kind=rnn", "model.kind=conv"

NONSENSE: dict[tuple[str, ...], str] = {
    # attention, and what lives on it
    (
        RNN,
        "model.positions=relative",
    ): "for cells know a place by what they have read before it; it needs model.kind = ",
    (RNN, "model.encoder_window=8"): 'its encoder has no attention to change; it needs model.kind = "transformer"',
    (RNN, "model.kv_heads=2"): "its encoder has no attention to change",
    (RNN, "model.heads=8"): "its attention has heads only as multi_head: model.attention_heads",
    (RNN, "model.layer_drop=0.1"): "what a cell carries goes through every layer",
    (RNN, "model.attention=none", "model.attention_window=3"): "there is no attention to narrow",
    (RNN, "model.attention=none", "model.copy=true"): "pointing at the source is attention",
    (RNN, "model.attention=none", "model.head=pointer"): "pointing at the source is attention",
    (RNN, "model.attention=none", "model.feeding=none", "model.bridge=zero"): "nothing tells the decoder of the source",
    (RNN, "model.attention=multi_head", "model.attention_heads=5"): "5 heads do not divide a width of 256",
    (RNN, "model.attention_heads=8"): 'this attention has one head: set model.attention = "multi_head"',
    (CONV, "model.positions=relative"): "must be one of sinusoidal, learned, none",
    (CONV, "model.attention=dot"): 'each of its layers has one attention; it needs model.kind = "rnn"',
    ("model.attention=none",): 'every block has attention: model.heads; it needs model.kind = "rnn"',
    ("model.cell=lstm",): 'it has no cells; it needs model.kind = "rnn"',
    ("model.global_symbols=4",): "all symbols see all others already",
    ("model.heads=3",): "3 heads do not divide a width of 256",
    ("model.width=36", "model.heads=4"): "rotary positions need an even width per head, not 9",
    ("model.kv_heads=3",): "3 heads of keys cannot serve 4 heads evenly",
    # encoders
    (RNN, "model.reverse_source=true"): "both directions are read anyway",
    (RNN, "model.encoder_width=128", "model.bridge=last"): "needs an encoder as wide as the decoder",
    (RNN, "model.width=255"): "255 cannot be halved between the two directions",
    ("model.encoder=conformer", "model.norm_place=post"): "a Conformer's blocks have their norms before each part",
    ("model.encoder=conformer", "model.kernel=4"): "4 has no middle; use 5",
    ("model.kernel=7",): "only a Conformer's blocks have a convolution",
    (CONV, "model.kernel=1"): "a window of 1 sees no neighbours",
    ("model.learned_positions=64",): 'places are not learned: set model.positions = "learned"',
    (CONV, "model.learned_positions=64"): "places are not learned",
    # heads
    ("model.copy=true", "model.ctc=0.3"): "it cannot copy them; use one of the two",
    ("model.head=pointer", "model.copy=true"): "says nothing but places of the source already",
    ("model.head=tags", "model.copy=true"): "says labels, which stand nowhere in the source",
    ("model.head=class", "model.ctc=0.3"): "says labels, CTC reads words off the source",
    ("model.head=tags", "model.tie=none"): "reads no words of the target",
    ("model.head=class", "model.coverage=true"): "looks at the source once",
    ("model.coverage=true",): "it follows one attention over the source",
    ("model.queries=9",): 'only model.head = "parallel" asks with queries',
    # training
    ("train.forcing_floor=0.2",): "all words read are true ones: choose train.forcing",
    ("train.r_drop=1", "model.dropout=0"): "two readings under no dropout are one",
    ("train.risk_samples=8",): "nothing is drawn: set train.risk above 0",
    ("train.teacher_weight=0.3",): "there is no teacher",
    ("train.teacher_temperature=2",): "there is no teacher",
    ("train.teacher=runs/x", "train.teacher_weight=0"): "does not listen to it",
    ("train.noise_share=0.2",): "there is no noise",
    ("train.noise=typos", "train.noise_share=0"): "perturbs nothing",
    ("train.synonym_share=0.2",): "there is no dictionary",
    ("train.synonyms=words.txt", "train.synonym_share=0"): "replaces nothing",
    ("train.average=last", "train.ema=0.9"): 'only train.average = "ema" has a decay',
    ("train.average_last=3",): 'set train.average = "last"',
    ("train.final=0.1",): "this schedule ends where it ends",
    ("train.optimizer=adafactor", "train.beta1=0.8"): "Adafactor keeps no mean of gradients",
    ("train.optimizer=adafactor", "train.beta2=0.9"): "Adafactor's decay follows the step",
    ("train.lora=4",): "adapters are for weights that a run has learned",
    ("train.lora_alpha=8",): "there are no adapters",
    ("train.init_codecs=data",): "there is no run to begin from",
    ("train.forgetting=false",): "there is no run to begin from",
    # data
    ("data.temperature=3",): "there is one source: name others in data.mix",
    ('data.mix=[{name = "a"}, {name = "a"}]',): "two sources are called 'a'",
    ('data.mix=[{name = "main"}]',): "a source needs a name of its own",
    ("data.shard=2",): "2 is not below data.shards = 1",
    ("data.path=mine",): "built-in data is not read from files of yours",
    ("data.train=mine.jsonl",): "built-in data is not read from files of yours",
    ("data.dev=mine.jsonl",): "built-in data is not read from files of yours",
    ("data.test=mine.jsonl",): "built-in data is not read from files of yours",
    ("data.holdout_source=x",): "built-in data is not read from files of yours",
    ("data.holdout_target=x",): "built-in data is not read from files of yours",
    ("data.holdout_longer=3",): "built-in data is not read from files of yours",
    ("data.holdout_source=(",): "no regular expression",
    ("data.holdout_source=(a*)*b",): "signs and classes, repeated or not",
    ("data.column_source=text",): "only data sets of the hub have it",
    ("data.column_target=text",): "only data sets of the hub have it",
    ("data.name=de",): "only data sets of the hub have it",
    ("data.streaming=true",): "only data sets of the hub have it",
    # the search
    ("search.n_best=9",): "9 answers need at least as many beams, not 5",
    ("search.strategy=greedy", "search.n_best=2"): "greedy search has one answer",
    ("search.temperature=0.7",): 'only samples are drawn: set search.strategy = "sample"',
    ("search.top_k=5",): "only samples are drawn",
    ("search.top_p=0.9",): "only samples are drawn",
    ("search.min_p=0.1",): "only samples are drawn",
    ("search.typical_p=0.9",): "only samples are drawn",
    ("search.groups=2",): "2 groups do not divide 5 beams",
    ("search.group_penalty=1",): "one group has none to avoid",
    ("search.ctc_weight=0.5",): "this model has no CTC head",
    ("search.length_form=gnmt", "search.length_penalty=0"): "divides by nothing",
    ("model.ctc=0.3", "search.strategy=ctc", "search.length_penalty=2"): "the sums of CTC are those of whole outputs",
    ("search.decide=utility", "search.strategy=greedy"): "among one answer there is nothing to decide",
}


def refusal(*settings: str) -> str:
    """What `train` says to them."""
    with pytest.raises(ConfigError) as refused:
        train_arguments(TOY, Words(settings, {"--show": ""}))
    return str(refused.value)


@pytest.mark.parametrize("settings", NONSENSE, ids=" ".join)
def test_nonsense_is_refused_with_its_reason(settings: tuple[str, ...]) -> None:
    said = refusal(*settings)
    assert NONSENSE[settings] in said
    assert said.startswith("command line: ")
    assert any(f"{one.partition('=')[0]}" in said for one in settings), "the key is named"
    assert "\n" not in said


def test_every_rule_is_tried() -> None:
    tried = {rule.key for settings in NONSENSE for rule in rules_of(settings)}
    assert tried == {rule.key for rule in RULES}


def rules_of(settings: tuple[str, ...]) -> list[Any]:
    try:
        return list(idle(load(run_config(ToyConfig), None, settings).config))
    except ConfigError:
        return []


def test_what_says_nothing_by_default_is_no_mistake() -> None:
    for kind in ("transformer", "rnn", "conv"):
        assert not rules_of((f"model.kind={kind}",))
    assert not rules_of(("train.forcing=linear", "train.forcing_floor=0.2", "search.strategy=sample", "search.top_k=5"))


def test_the_line_of_a_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "odd.toml"
    path.write_text("[train]\nsteps = 5\nema = 0.9\naverage = 'last'\n")
    with pytest.raises(ConfigError, match=r"odd\.toml:3: train\.ema = 0\.9: it would change nothing"):
        refuse_idle(load(run_config(ToyConfig), path))


def test_of_a_run_only_what_is_typed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[search]\nstrategy = 'sample'\ntop_k = 5\n")
    refuse_idle(load(run_config(ToyConfig), path, ("search.strategy=beam",)), typed_only=True)
    with pytest.raises(ConfigError, match=r"command line: search\.min_p"):
        refuse_idle(load(run_config(ToyConfig), path, ("search.strategy=beam", "search.min_p=0.1")), typed_only=True)


FRAMES = TinyFrames()


@pytest.mark.parametrize(
    ("cfg", "codecs", "key", "said"),
    [
        (TransformerConfig(tie="all"), tiny_codecs(), "tie", "needs one vocabulary for source and target"),
        (RNNConfig(tie="embeddings"), tiny_codecs(), "tie", "needs one vocabulary"),
        (ConvConfig(tie="all", encoder_width=128), tiny_codecs(shared=True), "tie", "needs one width"),
        (TransformerConfig(subsample=2), tiny_codecs(), "subsample", "only frames can be subsampled"),
        (TransformerConfig(copy=True), None, "copy", "the source is frames, which are no words"),
        (RNNConfig(copy=True), None, "copy", "the source is frames, which are no words"),
    ],
)
def test_what_the_data_forbids_is_refused(cfg: Any, codecs: Any, key: str, said: str) -> None:
    from core.codec.types import Codecs

    codecs = codecs or Codecs(source=FRAMES, target=tiny_codecs().target)
    with pytest.raises(Impossible, match=said) as refused:
        build(cfg, codecs)
    assert refused.value.field == key
    task: Task[Any] = TOY
    whole = run_config(ToyConfig)(task=ToyConfig(), model=cfg)
    with pytest.raises(Impossible, match=rf"^model\.{key}: "):
        make_model(task, whole, codecs)


def test_reasons_are_given_for_keys_that_are_elsewhere() -> None:
    kinds = (TransformerConfig, RNNConfig, ConvConfig)
    for kind in kinds:
        own = {field.name for field in fields(kind)}
        others = {field.name for other in kinds for field in fields(other)} - own
        assert set(kind.LACKS) <= others, "a reason for a key that is there, or nowhere"
