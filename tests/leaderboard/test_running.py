"""`run`, `submit`, `score` and plugins, as typed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.leaderboard.__main__ import main
from benchmarks.leaderboard.cell import config_digest, train_cell
from benchmarks.leaderboard.matrix import Planner
from benchmarks.leaderboard.store import read_results
from benchmarks.leaderboard.systems import System, chosen, config_of, table
from core.config_toml import load
from core.errors import ConfigError
from core.run.prepared import read_split
from core.scaffold import scaffold
from core.settings import run_config
from tasks import TASKS
from tests.conftest import ROOT
from tests.leaderboard.results import write
from tests.test_plugin import install

SHORT = (
    (ROOT / "configs/roman/tiny.toml").read_text(encoding="utf-8").replace("steps = 750", "steps = 5\nlog_every = 2")
)


def board(*words: str | Path, folder: Path, site: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`python -m benchmarks.leaderboard WORDS` in a folder, with the packages in `site` installed."""
    path = os.pathsep.join(str(one) for one in (site, ROOT) if one is not None)
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.leaderboard", *map(str, words)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_system_of_the_table_has_a_config_on_every_task() -> None:
    budget = table()[0]["smoke"]
    for name in TASKS.names():
        for system in chosen([]):
            if system.name == "floors":
                continue
            if (name, system.name) == ("speech_to_text", "transformer-copy"):  # sound has no words to copy
                with pytest.raises(ConfigError, match="copy"):
                    config_of(TASKS[name], system, budget, 3)
                continue
            cfg = config_of(TASKS[name], system, budget, 3)
            assert cfg.seed == 3
            assert cfg.model.kind == ("rnn" if system.name.startswith("rnn") else "transformer")
            assert cfg.model.copy == ("copy" in system.name)


def test_seed_and_machine_are_no_part_of_what_is_compared() -> None:
    task, budget = TASKS["roman"], table()[0]["smoke"]
    (system,) = chosen(["transformer"])
    one, other = (config_of(task, system, budget, seed, device) for seed, device in ((1, ""), (2, "cuda:1")))
    assert config_digest(one) == config_digest(other)
    changed = config_of(task, System("x", overrides=("train.lr=1e-4",)), budget, 1)
    assert config_digest(changed) != config_digest(one)


def test_a_cell_says_what_it_scored_and_what_it_cost_and_goes_on_where_it_was_broken_off(tmp_path: Path) -> None:
    write(tmp_path / "short.toml", SHORT.replace("every = 250", "every = 2"))
    words = ["--task", "roman", "--system", f"quick={tmp_path / 'short.toml'}", "--budget", "full"]
    words += ["--results", str(tmp_path / "results"), "--runs", str(tmp_path / "runs")]
    assert main(["cell", *words]) == 0
    (found,) = read_results(tmp_path / "results")
    cost = found["cost"]
    assert (found["kind"], found["seed"], cost["steps"]) == ("trained", 1, 5)
    assert cost["decode_p95_ms"] >= cost["decode_p50_ms"] > 0
    assert cost["peak_memory_mib"] > 0
    assert cost["training_cpu_minutes"] > cost["decode_cpu_seconds"] / 60 > 0
    assert cost["flops"] == 6 * cost["parameters"] * cost["tokens"]
    (cell,) = Planner(TASKS, table()[0]["full"], tmp_path / "results", again=False).cells(
        ["roman"], chosen([f"quick={tmp_path / 'short.toml'}"]), 1
    )
    assert cell.state == "done"
    # as a kill leaves it: saved, and not finished
    (run,) = (tmp_path / "runs/roman").glob("full-quick-*/")
    (run / "metrics.json").unlink()
    shutil.rmtree(tmp_path / "results")
    log = (run / "log.jsonl").read_text(encoding="utf-8")
    assert main(["cell", *words]) == 0
    (resumed,) = read_results(tmp_path / "results")
    assert resumed["cost"]["training_cpu_minutes"] is None, "that of the first part is not known"
    assert resumed["metrics"]["exact@1"]["rows"] == found["metrics"]["exact@1"]["rows"]
    assert (run / "log.jsonl").read_text(encoding="utf-8").startswith(log.splitlines()[0])


@pytest.mark.slow
def test_a_finished_cell_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path / "short.toml", SHORT)
    words = ("run", "--tasks", "roman", "--systems", "quick=short.toml", "--budget", "full", "--seeds", "2")
    words += ("--jobs", "2", "--results", "results", "--runs", "runs")
    done = board(*words, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "[2/2] roman, quick, seed " in done.stderr
    again = board(*words, folder=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "2 cells, 2 of them done already" in again.stderr
    assert len(read_results(tmp_path / "results")) == 2


def test_what_cannot_be_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, code, said in (
        (("run", "--tasks", "romn"), 2, "did you mean roman?"),
        (("run", "--tasks", "roman", "--systems", "transformr"), 2, "did you mean transformer?"),
        (("run", "--tasks", "roman", "--systems", "nowhere.toml"), 2, "no such file nowhere.toml"),
        (("run", "--tasks", "roman", "--seeds", "0"), 2, "at least 1"),
        (("submit", "--task", "roman", "--system", "transformer", "--predictions", "x"), 2, "choose another"),
        (("submit", "--task", "roman", "--system", "a b", "--predictions", "x"), 2, "letters, digits"),
        (("score", "--task", "roman", "--predictions", str(tmp_path / "none.txt")), 3, "no such file"),
    ):
        assert main([*words, "--results", str(tmp_path)]) == code
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert error.startswith("error: ")
        assert said in error


def test_anyones_outputs_are_scored_and_wrong_ones_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = TASKS["roman"]
    records = read_split(task, load(run_config(task.config), ROOT / "configs/roman/tiny.toml").config, "test").records
    right = [str(record.target) for record in records]
    half = [text if at % 2 else "I" for at, text in enumerate(right)]
    lines = write(tmp_path / "outputs.txt", "\n".join(half) + "\n")
    jsonl = write(
        tmp_path / "outputs.jsonl",
        "".join(
            json.dumps({"id": record.key, "output": text}) + "\n"
            for record, text in reversed(list(zip(records, half, strict=True)))
        ),
    )
    places = ("--results", str(tmp_path / "results"))
    asked = ("--task", "roman", "--system", "theirs", *places, "--predictions")
    assert main(["score", *asked, str(lines)]) == 0
    assert read_results(tmp_path / "results") == []
    assert main(["submit", *asked, str(lines)]) == 0
    (row,) = read_results(tmp_path / "results")
    assert row["kind"] == "submitted"
    assert row["metrics"]["exact@1"]["value"] == pytest.approx(50, abs=1)
    assert main(["submit", *asked, str(jsonl)]) == 0
    assert len(read_results(tmp_path / "results")) == 2, "other bytes are another submission"
    values = {one["metrics"]["exact@1"]["value"] for one in read_results(tmp_path / "results")}
    assert len(values) == 1, "by id or in order, the same answers have the same score"
    capsys.readouterr()
    lines.write_text("\n".join(half[:-1]) + "\n", encoding="utf-8")
    assert main(["submit", *asked, str(lines)]) == 3
    assert f"{len(right) - 1} outputs for {len(right)} records" in capsys.readouterr().err
    jsonl.write_text('{"id": "1", "output": "I"}\n{"id": 2}\n', encoding="utf-8")
    assert main(["submit", *asked, str(jsonl)]) == 3
    assert "outputs.jsonl:2: no `output`" in capsys.readouterr().err


@pytest.mark.xdist_group("plugin")
def test_a_plugin_has_its_row_without_our_tree_being_touched(tmp_path: Path) -> None:
    scaffold("chords", tmp_path / "package", taken=())
    for config in (tmp_path / "package/chords_task/configs").glob("*.toml"):
        text = config.read_text(encoding="utf-8")
        config.write_text(text.replace("[train]\n", "[train]\nminutes = 0.001\n"), encoding="utf-8")
    install(tmp_path / "package", tmp_path / "site")
    words = ("run", "--tasks", "chords", "--systems", "transformer", "--results", "results", "--runs", "runs")
    done = board(*words, folder=tmp_path, site=tmp_path / "site")
    assert done.returncode == 0, done.stderr
    (row,) = read_results(tmp_path / "results")
    assert (row["task"], row["system"]) == ("chords", "transformer")
    shown = board("show", "--results", "results", "--docs", "docs", folder=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "## chords, " in (tmp_path / "docs/leaderboard.md").read_text(encoding="utf-8")
    page = (tmp_path / "docs/leaderboard/index.html").read_text(encoding="utf-8")
    assert 'data-task="chords"' in page


def test_two_processes_do_not_train_one_cell(tmp_path: Path) -> None:
    from benchmarks.leaderboard.cell import CellTaken, only_one

    task = TASKS["roman"]
    cfg = config_of(task, System("quick", file=write(tmp_path / "short.toml", SHORT)), table()[0]["full"], 1)
    name = f"full-quick-seed1-{config_digest(cfg)[:8]}"
    (tmp_path / "runs/roman").mkdir(parents=True)
    with only_one(tmp_path / "runs/roman" / f".{name}.lock"), pytest.raises(CellTaken):
        train_cell(task, cfg, system="quick", budget="full", runs=tmp_path / "runs", results=tmp_path / "results")
    assert read_results(tmp_path / "results") == []
