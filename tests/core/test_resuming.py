"""What has changed is named with both values, refused, or forced by its name and written down."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from core.cli import dispatch
from core.codec.regex import RegexTokenizer
from core.codec.types import Codecs
from core.config_text import to_tree
from core.errors import ConfigError
from core.model.config import RNNConfig, TransformerConfig
from core.run.resuming import (
    Change,
    config_changes,
    data_changes,
    forced_facts,
    refuse,
    refuse_unknown,
    vocabulary,
    vocabulary_changes,
)
from core.settings import RunConfig, run_config
from core.testing.tiny import tiny_codecs
from core.testing.toys import TOY, ToyConfig
from core.train.checkpoint import Checkpoint, read_checkpoint
from tasks.roman import TASK as ROMAN
from tests.conftest import ROOT

CFG: RunConfig = run_config(ToyConfig)(task=ToyConfig(), model=TransformerConfig())


def stored(cfg: RunConfig = CFG, **facts: object) -> Checkpoint:
    tree = json.loads(json.dumps(to_tree(cfg)))
    return Checkpoint({"task_name": "toy", **tree}, {}, {}, {}, {"step": 7, "environment": {}, **facts})


def texts(changes: Sequence[Change]) -> list[str]:
    return list(map(str, changes))


def test_keys_of_the_config_are_named_with_both_values() -> None:
    assert config_changes(stored(), CFG) == []
    other = replace(CFG, seed=2, train=replace(CFG.train, schedule="cosine", freeze=("encoder",)))
    assert sorted(texts(config_changes(stored(), other))) == [
        "seed: 1 -> 2",
        'train.freeze: [] -> ["encoder"]',
        'train.schedule: "inverse-sqrt" -> "cosine"',
    ]


def test_of_another_kind_of_model_the_kind_alone_is_named() -> None:
    assert texts(config_changes(stored(), replace(CFG, model=RNNConfig()))) == ['model.kind: "transformer" -> "rnn"']


def test_what_an_older_version_did_not_know_is_not_asked() -> None:
    old = stored()
    del old.config["train"]["nonfinite"]
    assert config_changes(old, CFG) == []


def test_data_and_vocabulary_are_named() -> None:
    assert texts(data_changes({"source": "a", "train": "1"}, {"source": "a", "train": "2"})) == [
        'data.train: "1" -> "2"'
    ]
    one, other = tiny_codecs(), Codecs(source=RegexTokenizer.fit(["abc"]), target=RegexTokenizer.fit(["abcdef"]))
    before = stored(vocabulary=vocabulary(one))
    assert vocabulary_changes(before, one) == []
    assert vocabulary_changes(stored(), other) == [], "an older version did not say"
    (change,) = vocabulary_changes(before, other)
    assert (change.field, change.old == change.new) == ("vocabulary", False)


def test_refused_unless_forced_by_name(tmp_path: Path) -> None:
    changes = [Change("threads", 1, 2), Change("seed", 1, 3)]
    with pytest.raises(ConfigError) as caught:
        refuse(tmp_path, changes, ["threads"])
    assert str(caught.value).endswith("would not go on as it was: seed: 1 -> 3; all the same: --force threads,seed")
    refuse(tmp_path, changes, ["threads", "seed"])
    refuse(tmp_path, [], [])
    facts = forced_facts(stored(environment={"forced": [{"step": 1}]}), changes)
    assert facts == [
        {"step": 1},
        *({"step": 7, "field": name, "old": 1, "new": new} for name, new in (("threads", 2), ("seed", 3))),
    ]


def test_a_slip_in_a_name_is_said() -> None:
    refuse_unknown(["threads", "cpu", "vocabulary", "data.train", "train.lr", "model.width", "model.cell"], CFG)
    with pytest.raises(ConfigError, match=r"--force train\.lrr: no such field; did you mean train\.lr\?"):
        refuse_unknown(["train.lrr"], CFG)
    assert TOY.name == "toy"


def typed(*words: str | Path) -> int:
    return dispatch("train", lambda: ROMAN, "roman", [str(word) for word in words])


def test_a_run_goes_on_with_what_was_forced_and_tells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    config = ROOT / "configs" / "roman" / "tiny.toml"
    short = ("train.evaluate_every=2", "train.evaluate_records=2", "train.final_records=2", "search.beams=1")
    short = (*short, "train.report=false", "train.minutes=1e-9", "data.limit=40")
    assert typed(config, *short, "train.steps=4", "--run", run) == 0
    (run / "metrics.json").unlink()  # as if it had been killed at the end
    assert typed("--run", run, "--resume", "train.steps=1", "--force", "seed") == 2
    said = capsys.readouterr().err
    assert "train.steps: 4 -> 1; all the same: --force train.steps" in said.splitlines()[-1]
    text = (run / "config.toml").read_text()
    (run / "config.toml").write_text(text.replace("\nwarmup = ", "\nwarmup = 1", 1))
    assert typed("--run", run, "--resume") == 2
    assert "train.warmup: " in capsys.readouterr().err
    assert typed("--run", run, "--resume", "--force", "train.warmup") == 0
    assert "warning: train.warmup: " in capsys.readouterr().err
    assert typed("--run", run, "--force", "seed") == 2
    assert "--force goes with --resume" in capsys.readouterr().err
    assert json.loads((run / "run.json").read_text())["environment"]["forced"][0]["field"] == "train.warmup"
    assert read_checkpoint(run / "checkpoints" / "last") is not None
