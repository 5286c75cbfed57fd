"""`check` itself: what it says and counts."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from core.testing.check import check
from core.testing.config_laws import CONFIG_LAWS
from core.testing.model_laws import MODEL_LAWS
from core.testing.search_laws import SEARCH_LAWS
from core.testing.task_laws import TASK_LAWS
from core.testing.toys import TOY

TINY = '[task]\ntrain = 300\nheld_out = 40\nlongest = 6\n[model]\nkind = "rnn"\n'


def test_a_good_task_passes(tmp_path: Path) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    said: list[str] = []
    assert check(TOY, [path], report=said.append, quick=True) == 0
    ran = len(CONFIG_LAWS) + 1 + len(TASK_LAWS) + 1 + len(MODEL_LAWS) + len(SEARCH_LAWS)
    moot = sum(line.startswith("moot ") for line in said)
    assert len(said) == ran + 1
    assert said[-1].startswith(f"toy: {ran - moot} laws hold, 0 fail; {moot} speak of parts")
    assert 0 < moot < 10
    assert all(line.startswith(("ok ", "moot ")) for line in said[:-1])


def test_a_faulty_task_fails_by_name(tmp_path: Path) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    said: list[str] = []
    faulty = dataclasses.replace(TOY, canonical=lambda cfg: lambda text: text + "a")
    assert check(faulty, [path], report=said.append, quick=True) == 1
    (line,) = (line for line in said if line.startswith("FAILED"))
    assert "canonical form is its own (tiny.toml)" in line
    assert " laws hold, 1 fail; " in said[-1]


def test_what_cannot_be_read_is_a_failure_and_not_a_traceback(tmp_path: Path) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text("[train]\nstepz = 3\n")
    said: list[str] = []
    assert check(TOY, [path], report=said.append) == 4
    assert any("toy has no config file that loads" in line for line in said)
    assert any("did you mean train.steps" in line for line in said)
    assert check(TOY, [], report=said.append) == 1

    def unreadable(*_: object) -> None:
        raise ValueError("this source\nis broken")

    path.write_text(TINY)
    assert check(dataclasses.replace(TOY, sources={"broken": unreadable}), [path], report=said.append) == 1  # pyright: ignore[reportArgumentType]
    assert "ValueError: this source is broken at " in said[-2]
