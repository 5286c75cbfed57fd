"""Every config file of every built-in task x every law of configs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import ConfigError
from core.testing.config_laws import CONFIG_LAWS, ConfigCase, the_file_loads
from core.testing.tiny import law_name
from core.testing.toys import TOY
from tasks import TASKS

CONFIGS = Path(__file__).parents[2] / "configs"
FILES = sorted(CONFIGS.glob("*/*.toml"))


@pytest.mark.parametrize("law", CONFIG_LAWS, ids=law_name)
@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_config_file(path: Path, law: Callable[[ConfigCase], None]) -> None:
    law(ConfigCase(TASKS[path.parent.name], path))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_config_says_what_it_is(path: Path) -> None:
    """Comments come first: what it trains, and the command."""
    header = path.read_text(encoding="utf-8").split("\n\n")[0]
    said = [line for line in header.splitlines() if line.startswith("#")]
    assert said, f"{path}: no comment at the top"
    task = path.parent.name
    commands = (f"{task}.train", f"train {task}", f"reproduce {task}/{path.stem} ")
    assert any(command in line for line in said for command in commands), f"{path}: its header names no command"


def test_every_task_has_configs() -> None:
    assert {path.parent.name for path in FILES} == set(TASKS.names())


@pytest.mark.parametrize(
    "text",
    [
        "[train]\nstepz = 3\n",
        "[train]\nsteps = 2.5\n",
        "[task]\nwhat = 'swap'\n",
        "[model]\nkind = 'rnn'\nheads = 2\n",
        "[model]\nwidth = 30\n",
    ],
)
def test_a_bad_file_is_caught(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        the_file_loads(ConfigCase(TOY, path))


@pytest.mark.parametrize("law", CONFIG_LAWS, ids=law_name)
def test_a_file_that_sets_many_things(tmp_path: Path, law: Callable[[ConfigCase], None]) -> None:
    path = tmp_path / "many.toml"
    path.write_text(
        'seed = 5\n[task]\nwhat = "sort"\nletters = 3\n[data]\npath = ["a b", "c\\"d\\\\é"]\ncache = "x=y"\n'
        '[model]\nkind = "rnn"\ncell = "lstm"\nwidth = 12\n[train]\nlr = 1e-05\nschedule = "cosine"\ntensorboard = true\n'
        "[search]\nlength_penalty = -1\nbeams = 3\n"
    )
    law(ConfigCase(TOY, path))
