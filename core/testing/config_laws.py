"""What every config file keeps: it loads, it is what it says after writing it out, and a slip in it is found."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.config_toml import differences, load, to_toml, to_tree
from core.errors import ConfigError
from core.settings import RunConfig, run_config
from core.task import Task


@dataclass(frozen=True)
class ConfigCase:
    """A config file of a task."""

    task: Task[Any]
    path: Path

    def load(self, *overrides: str) -> RunConfig:
        """As the command line would."""
        return load(run_config(self.task.config), self.path, overrides).config


def the_file_loads(case: ConfigCase) -> None:
    """Strictly; the result is a whole run config, with the task's own table."""
    cfg = case.load()
    assert isinstance(cfg.task, case.task.config), f"{case.path}: [task] is a {type(cfg.task).__name__}"


def loading_what_was_written_gives_the_same(case: ConfigCase) -> None:
    """load(to_toml(config)) == config, and writing that gives the same text."""
    cfg = case.load()
    text = to_toml(cfg)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.toml"
        path.write_text(text, encoding="utf-8")
        again = ConfigCase(case.task, path).load()
    assert again == cfg, f"{case.path}: differs after writing and loading: {differences(cfg, again)}"
    assert not differences(cfg, again), f"{case.path}: equal configs said to differ: {differences(cfg, again)}"
    assert to_toml(again) == text, f"{case.path}: written again, the text differs"


def a_value_overridden_by_itself_stays(case: ConfigCase) -> None:
    """key=value for every key of the resolved config changes nothing."""
    cfg = case.load()
    told = [f"{key}={spelled(value)}" for key, value in leaves(to_tree(cfg))]
    again = case.load(*told)
    assert again == cfg, f"{case.path}: overriding values by themselves changes {differences(cfg, again)}"


def a_slip_is_refused(case: ConfigCase) -> None:
    """A misspelt key, a wrong type and a missing table, one by one: each a ConfigError that names the key, on one line."""
    for slip, names in (
        ("train.stepz=3", "steps"),
        ("seeed=3", "seed"),
        ("trian.steps=3", "train"),
        ('train.steps="many"', "train.steps"),
        ("train.steps=2.5", "train.steps"),
        ("train.steps=-1", "train.steps"),
        ("model.kind=perceptron", "model"),
    ):
        try:
            case.load(slip)
        except ConfigError as error:
            text = str(error)
            assert names in text, f"{case.path}, {slip}: the message does not name {names}: {text}"
            assert "\n" not in text, f"{case.path}, {slip}: the message is not one line: {text!r}"
        else:
            raise AssertionError(f"{case.path}: {slip} is accepted")


def leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and their values, `kind` first, for it decides which others there are."""
    for name in sorted(tree, key=lambda name: name != "kind"):
        here = f"{path}.{name}" if path else name
        if isinstance(tree[name], dict):
            yield from leaves(tree[name], here)
        else:
            yield here, tree[name]


def spelled(value: Any) -> str:
    """As one writes it after `key=`."""
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case str():
            escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
            return f'"{escaped}"'
        case list() | tuple():
            return f"[{', '.join(spelled(one) for one in value)}]"  # pyright: ignore[reportUnknownVariableType]
        case _:
            return repr(value)


CONFIG_LAWS: tuple[Callable[[ConfigCase], None], ...] = (
    the_file_loads,
    loading_what_was_written_gives_the_same,
    a_value_overridden_by_itself_stays,
    a_slip_is_refused,
)
