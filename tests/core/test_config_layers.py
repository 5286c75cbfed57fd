"""Where values come from: overrides, kinds, `extends`, and what is told of it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from core.config_toml import (
    differences,
    from_tree,
    is_override,
    load,
    show,
    to_toml,
)
from core.errors import ConfigError
from core.model.config import RNNConfig, TransformerConfig
from tests.core.config_examples import SMALL, Everything, mistake, read

ROOT = Path(__file__).parents[2]


# overrides


def over(*words: str, kind: type = SMALL) -> Any:
    """A config from overrides alone."""
    return load(kind, None, words).config


def test_overrides_are_toml_or_text() -> None:
    cfg = over(
        "train.steps=7", "train.lr=1", "data.source=7", "data.path=a b=c", "train.tensorboard=true", "task.alphabet='x'"
    )
    assert (cfg.train.steps, cfg.train.lr, cfg.data.source, cfg.data.path) == (7, 1.0, "7", ("a b=c",))
    assert cfg.train.tensorboard is True
    assert cfg.task.alphabet == "x"
    assert over('data.path=["a", "b"]').data.path == ("a", "b")
    assert over("data.source=").data.source == ""
    assert over("train.steps=1", "train.steps=2").train.steps == 2
    assert over("perhaps=3", "budget=auto", kind=Everything).perhaps == 3
    assert over("perhaps=none", kind=Everything).perhaps is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train.stepz=3"], "command line: train.stepz = 3: no such key; did you mean train.steps?"),
        (["modle.kind=rnn"], 'command line: modle.kind = "rnn": no such key; did you mean model.kind?'),
        (["optimizer.lr=3"], "command line: optimizer.lr = 3: no such key; did you mean train.lr?"),
        (['train.steps="7"'], 'command line: train.steps = "7": must be an integer, at least 1'),
        (["train.tensorboard=True"], 'command line: train.tensorboard = "True": must be true or false'),
        (["model=rnn"], 'command line: model = "rnn": a table, so set its keys, such as model.kind'),
        (["train.steps"], "command line: 'train.steps': write key=value, such as train.steps=1000"),
        (["=3"], "command line: '=3': write key=value, such as train.steps=1000"),
        (["search.n_best=9"], "command line: search.n_best = 9: 9 answers need at least as many beams, not 5"),
        (["task.alphabet=\udcff"], 'command line: task.alphabet = "\udcff": must be text in valid UTF-8'),
    ],
)
def test_mistaken_overrides(words: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        over(*words)
    assert str(caught.value) == said


def test_is_override() -> None:
    assert is_override("train.steps=3")
    assert is_override("model.kind=")
    assert not any(map(is_override, ["a/b=c", "train.toml", "-x=3", "=3", "a.=3", "--run=x"]))


# kinds, extends, origins


def test_a_kind_that_changes_replaces_its_table(tmp_path: Path) -> None:
    text = '[model]\nkind = "rnn"\ncell = "lstm"\nwidth = 32\n[train]\nsteps = 5\n'
    assert read(text, tmp_path, "model.kind=transformer").config.model == TransformerConfig()
    assert read(text, tmp_path, "model.width=64", "model.kind=transformer").config.model == TransformerConfig(width=64)
    assert read(text, tmp_path, "model.kind=rnn").config.model == RNNConfig(cell="lstm", width=32)
    assert read(text, tmp_path, 'model={kind="transformer"}', "model.inner=8").config.model == TransformerConfig(
        inner=8
    )
    assert read("[model]\nwidth = 64\n", tmp_path, "model.kind=rnn").config.model == RNNConfig()
    assert read("[model]\nwidth = 64\n", tmp_path, "model.kind=transformer").config.model == TransformerConfig(width=64)


def test_extends_merges_one_level(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text("seed = 3\n[model]\nheads = 8\n[train]\nlr = 0.5\nsteps = 9\n")
    loaded = read('extends = "base.toml"\n[model]\nkind = "rnn"\n[train]\nsteps = 5\n', tmp_path, "search.beams=2")
    cfg = loaded.config
    assert (cfg.seed, cfg.model, cfg.train.lr, cfg.train.steps) == (3, RNNConfig(), 0.5, 5)
    assert loaded.origin["seed"] == f"{tmp_path}/base.toml:1"
    assert loaded.origin["train.lr"] == f"{tmp_path}/base.toml:5"
    assert loaded.origin["train.steps"] == f"{tmp_path}/x.toml:5"
    assert loaded.origin["search.beams"] == "command line"
    assert loaded.origin["model.width"] == "default"
    assert loaded.origin.keys() == {line.split(" = ")[0] for line in flat(cfg)}


def flat(cfg: Any) -> list[str]:
    """`key = value` with dotted keys."""
    found: list[str] = []
    table = ""
    for line in to_toml(cfg).splitlines():
        if line.startswith("["):
            table = line.strip("[]") + "."
        elif line:
            found.append(table + line)
    return found


@pytest.mark.parametrize(
    ("base", "text", "said"),
    [
        (
            'extends = "x.toml"',
            'extends = "base.toml"',
            "base.toml extends another file itself; only one level is followed",
        ),
        ("", 'extends = "bse.toml"', "bse.toml: no such file; did you mean"),
        ("", "extends = 3", 'extends: must be the name of a file, such as extends = "default.toml"'),
        ("", 'extends = "a\\u0000b"', "embedded null byte"),
        ("[train]\nsteps = 0", 'extends = "base.toml"', "base.toml:2: train.steps = 0: must be an integer, at least 1"),
        ("[train", 'extends = "base.toml"', "base.toml:1: not TOML"),
    ],
)
def test_mistakes_of_extends(base: str, text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text(base)
    assert said in mistake(text, tmp_path)


def test_extends_is_relative_to_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "base.toml").write_text("seed = 3\n")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert read('extends = "base.toml"\n', tmp_path).config.seed == 3


def test_show_tells_where_each_value_came_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.toml").write_text('seed = 2\n[model]\nkind = "rnn"\n')
    loaded = load(SMALL, Path("x.toml"), ["train.steps=5"])
    shown = {line.split(" = ")[0]: line for line in show(loaded).splitlines() if " = " in line}
    assert shown["seed"].split() == ["seed", "=", "2", "#", "x.toml:1"]
    assert shown["steps"].endswith("# command line")
    assert shown["warmup"].endswith("# default")
    assert from_tree(SMALL, tomllib.loads(show(loaded)), "shown") == loaded.config


def test_differences_name_the_keys() -> None:
    assert differences(over(), over("train.steps=5", "task.alphabet=c")) == [
        ("task.alphabet", "ab", "c"),
        ("train.steps", 10_000, 5),
    ]
    assert differences(over(), over("model.kind=rnn", "seed=2")) == [
        ("seed", 1, 2),
        ("model.kind", "transformer", "rnn"),
    ]
