"""Recipes: what is in the tree can be run, one trains, resumes and is compared, and the page is what was recorded."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.reproduce.__main__ import main
from benchmarks.reproduce.page import written
from benchmarks.reproduce.recipes import Recipe, published_of, read_recipes, recipe_of
from benchmarks.reproduce.results import compared, recorded, result_of
from benchmarks.reproduce.running import UNSEEN, Asked, against, grouped, parts_of
from benchmarks.reproduce.scores import beside, resampled, together
from core.config_toml import load
from core.errors import ConfigError, DataError
from core.idle import refuse_idle
from core.metrics.exact import ExactMatch
from core.metrics.resampling import bootstrap_interval
from core.record import Hypothesis, Prediction, Record
from core.run.scoring import score
from core.run.seen import seen_in
from core.settings import run_config
from tasks import TASKS
from tasks.roman import to_roman
from tests.conftest import ROOT

RECIPES = read_recipes()
ENTRY = """
[[published]]
data = "numerals"
system = "a Roman"
metric = "exact match"
value = 99.5
convention = "by hand"
citation = "nobody, 44 BC"

[[recipes]]
name = "few"
says = "Numbers to numerals."
goals = { "exact@1" = 90.0 }
minutes = 1
records = 30
search = ["search.beams=2"]
files = { "data.test" = "more.jsonl" }
published = ["numerals"]
"""
CONFIG = (
    (ROOT / "configs/roman/tiny.toml").read_text(encoding="utf-8").replace("steps = 750", "steps = 6\nlog_every = 2")
    + '\n[data]\nsource = "jsonl"\nholdout = 0.3\n'
).replace("every = 250", "every = 3")


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda one: one.title)
def test_a_recipe_is_whole(recipe: Recipe) -> None:
    task = TASKS[recipe.task]
    settings = [] if recipe.apart or "data.cache=FOLDER" in recipe.config.read_text("utf-8") else [f"data.path={ROOT}"]
    files = tuple(f"{key}={ROOT / 'Makefile'}" for key in recipe.files)
    loaded = load(run_config(task.config), recipe.config, (*settings, *files, *recipe.search))
    refuse_idle(loaded)
    assert loaded.config.data.source in ("jsonl", *task.sources)
    metrics = {one.name: one for one in task.metrics(loaded.config.task)}
    assert recipe.goals.keys() <= metrics.keys()
    assert not recipe.by or recipe.by in task.bins
    assert set(recipe.against) <= task.baselines.keys()
    assert len(published_of(recipe)) >= len(recipe.published) == len(set(recipe.published))
    assert loaded.config.train.minutes < recipe.minutes, "evaluation has its part of the time"
    head = recipe.config.read_text(encoding="utf-8").partition("seed = ")[0]
    assert re.search(
        rf"^#   python -m benchmarks.reproduce {recipe.title} data\.(path|cache)=FOLDER", head, re.MULTILINE
    )
    assert "On two cores: within" in head


def test_every_published_set_of_a_recipe_is_there_and_names_are_told_apart() -> None:
    assert len({one.title for one in RECIPES}) == len(RECIPES)
    assert recipe_of("scan-simple", RECIPES) is recipe_of("code_synthesis/scan-simple", RECIPES)
    assert [recipe_of(name, RECIPES).seeds for name in ("geoquery-sql", "aeslc")] == [3, 1]
    with pytest.raises(ConfigError, match="no such recipe; did you mean"):
        recipe_of("code_synthesis/scan-simpel", RECIPES)
    twice = [RECIPES[0], replace(RECIPES[0], task="roman")]
    with pytest.raises(ConfigError, match="several tasks have it; one of"):
        recipe_of(RECIPES[0].name, twice)


def test_the_page_is_what_was_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().err
    assert main(["--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == [one.title for one in RECIPES]


def test_what_was_recorded_is_of_the_recipes_as_they_are() -> None:
    for recipe in RECIPES:
        kept = recorded(recipe)
        assert kept is None or not compared(kept, kept, list(recipe.goals)).why_not


def predictions(right: int, count: int) -> list[Prediction]:
    return [
        Prediction(Record(str(n), str(n), "yes"), (Hypothesis("yes" if n < right else "no", 0.0),))
        for n in range(count)
    ]


def of_seed(right: int, count: int = 40) -> dict[str, Any]:
    answers = predictions(right, count)
    return resampled(score(answers, [ExactMatch()], intervals=False)["exact@1"], answers)


def test_one_seed_has_the_interval_of_its_records_and_several_have_room_for_each() -> None:
    one, metric = of_seed(30), ExactMatch()
    low, high = bootstrap_interval(metric, metric.statistics(predictions(30, 40)))
    assert together([one])["interval"] == pytest.approx([low, high])
    assert together([one])["deviation"] is None
    both = together([one, of_seed(36)])
    assert both["value"] == pytest.approx(100 * 33 / 40)
    assert both["interval"][0] == pytest.approx(low, abs=2.6)
    assert both["interval"][1] > high
    assert [beside(value, both) for value in (both["interval"][0], 0.0, 100.1)] == ["inside", "below", "above"]


def test_where_no_draw_differs_the_rule_of_three_leaves_room() -> None:
    assert together([of_seed(40)])["interval"] == pytest.approx([100 - 100 * 3 / 40, 100])
    assert together([of_seed(0)])["interval"] == pytest.approx([0, 100 * 3 / 40])
    assert np.ptp(of_seed(40)["resamples"]) == 0


def test_what_training_has_shown_is_told_apart() -> None:
    seen = seen_in([Record("1", "a", "x"), Record("2", "a", "y", {"references": ("z",)})])
    asked = [Record("3", "a", "x"), Record("4", "a", "z"), Record("5", "a", "w"), Record("6", "b", "x")]
    assert [seen(one) for one in asked] == ["seen", "seen", "new, of a known source", "new"]
    with pytest.raises(ConfigError, match="the sources of this task are no text"):
        seen(Record("7", 7, "x"))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Someone's recipe, its config and its data."""
    for name in ("own/roman", "data", "docs"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "own/roman.toml").write_text(ENTRY, "utf-8")
    (tmp_path / "own/roman/few.toml").write_text(CONFIG, "utf-8")
    lines = [json.dumps({"id": f"n{n}", "source": str(n % 90 + 1), "target": to_roman(n % 90 + 1)}) for n in range(200)]
    (tmp_path / "data/train.jsonl").write_text("\n".join(lines), "utf-8")
    (tmp_path / "data/more.jsonl").write_text(lines[7] + "\n", "utf-8")
    return tmp_path


def test_a_recipe_trains_goes_on_is_recorded_and_compared(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = [f"--{name}={place / folder}" for name, folder in (("runs", "runs"), ("results", "kept"), ("docs", "docs"))]
    words = ["few", f"data.path={place / 'data'}", f"--references={place / 'own'}", *flags]
    assert main(words) == 5
    said = capsys.readouterr().out
    assert said.startswith("roman/few, dev: 30 records of ")
    assert "published: 99.5 exact match, a Roman (numerals; by hand; nobody, 44 BC)" in said
    assert said.endswith("not compared: nothing is recorded for this recipe yet\n")
    (run,) = (place / "runs/roman/few").glob("seed1-*/")
    trained = (run / "metrics.json").stat().st_mtime_ns
    result = json.loads((place / "runs/roman/few.json").read_text("utf-8"))
    assert result["data"]["n"] == 30
    assert result["parts"]["unseen in training"]["exact@1"]["n"] < 30
    (seed,) = result["seeds"]
    assert (seed["seed"], seed["steps"]) == (1, 6)
    assert set(seed["minutes"]) == {"train", "watch", "evaluate"}
    assert {"git", "hardware", "threads"} <= seed["environment"].keys()
    assert "resamples" not in result["metrics"]["exact@1"]

    (run / "metrics.json").unlink()  # as a kill leaves it
    assert main([*words, "--record", "--seeds=2"]) == 0
    assert (run / "metrics.json").stat().st_mtime_ns > trained, "the last evaluation was made up for"
    trained = (run / "metrics.json").stat().st_mtime_ns
    assert main(words) == 0
    assert (run / "metrics.json").stat().st_mtime_ns == trained, "what is there is not trained again"
    assert capsys.readouterr().out.endswith("exact@1: inside the recorded interval\n")

    assert main([*words, "train.lr=1e-3", "train.steps=2", "--record", "--seeds=1"]) == 0
    page = (place / "docs/results.md").read_text("utf-8") if main([*words[2:], "--page"]) == 0 else ""
    assert "| `train.steps=2`, `train.lr=0.001` | seed 1 |" in page
    assert "seeds 1, 2" in page
    assert main([*words[2:], "--check"]) == 0

    kept = place / "kept/roman/few.json"
    tree = json.loads(kept.read_text("utf-8"))
    tree["metrics"]["exact@1"]["interval"] = [99.0, 100.0]
    kept.write_text(json.dumps(tree), "utf-8")
    assert main([*words[2:], "--check"]) == 1
    assert main(words) == 1
    assert "exact@1: below the recorded interval" in capsys.readouterr().out
    with (place / "data/train.jsonl").open("a", encoding="utf-8") as file:
        file.write('\n{"id": "new", "source": "3999", "target": "MMMCMXCIX"}\n')
    assert main([*words, f"--runs={place / 'again'}"]) == 5
    assert "not compared: other data: " in capsys.readouterr().out


def test_what_makes_no_sense_is_refused_before_anything_is_trained(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = [f"--references={place / 'own'}", f"--runs={place / 'runs'}"]
    data = f"data.path={place / 'data'}"
    for words, code, reason in (
        ([], 2, "which recipe?"),
        (["few", "fewer", data], 2, "fewer: one recipe at a time"),
        (["fem", data], 2, "fem: no such recipe; did you mean"),
        (["few"], 2, "roman/few: which data? data.path=FOLDER"),
        (["few", data, "--seeds=0"], 2, "--seeds 0: at least 1"),
        (["few", data, "train.stesp=3"], 2, "train.stesp"),
        (["few", data, f"--output={place / 'no/where.json'}"], 2, "no such folder"),
        (["few", f"data.path={place}"], 2, "more.jsonl: no such file; it is data.test"),
    ):
        assert main([*words, *own]) == code, words
        assert reason in capsys.readouterr().err
    assert main(["few", data, f"--references={place / 'nowhere'}"]) == 2
    assert not (place / "runs").exists()
    (place / "own/roman.toml").write_text("[[recipes]]\nname = 'few'\nwrong = 1\n", "utf-8")
    with pytest.raises(DataError, match=r"roman\.toml: "):
        read_recipes(place / "own")


def test_a_set_that_is_only_asked_is_no_part_of_training(place: Path) -> None:
    recipe = replace(read_recipes(place / "own")[0], apart=True, files={})
    (place / "own/roman/few.toml").write_text(CONFIG.partition("[data]")[0], "utf-8")
    asked = Asked(TASKS["roman"], recipe, (f"data.path={place / 'data'}", "train.steps=3"), "dev", place / "runs")
    assert asked.asked_alone == place / "data"
    assert asked.config().config.data.path == ()
    assert asked.changes() == ["train.steps=3"]
    other = replace(asked, settings=("data.path='elsewhere'", "train.steps=3"))
    assert other.digest() == asked.digest() != replace(asked, settings=(asked.settings[0],)).digest()
    with pytest.raises(ConfigError, match="no such folder"):
        assert other.asked_alone
    with pytest.raises(ConfigError, match=r"roman/few: which data\?"):
        assert replace(asked, settings=()).asked_alone
    assert replace(asked, recipe=replace(recipe, apart=False)).asked_alone is None


def test_parts_are_scored_apart_beside_trivial_systems(place: Path) -> None:
    task = replace(TASKS["roman"], bins={"size": lambda record: "small" if int(record.key) < 10 else "large"})
    recipe = replace(read_recipes(place / "own")[0], by="size")
    asked, answers = Asked(task, recipe, (), "dev", place), predictions(30, 40)
    parts = parts_of(asked, [Record("x", "3", "yes"), Record("y", "4", "other")], answers)
    assert {name: len(own) for name, own in parts.items()} == {"size small": 10, "size large": 30, UNSEEN: 39}
    assert UNSEEN not in parts_of(asked, [], answers)
    records = [one.record for one in answers]
    texts = {"says yes": ["yes"] * 40, "says no": ["no"] * 40}
    whole, small = (against(texts, records, own, [ExactMatch()]) for own in (answers, parts["size small"]))
    assert whole["says yes"]["exact@1"]["value"] == 100
    assert whole["says yes"]["exact@1"]["p_value"] < 0.01
    assert small["says yes"]["exact@1"]["p_value"] == 1
    assert small["says no"]["exact@1"] == {"value": 0, "p_value": pytest.approx(0, abs=0.01)}
    assert grouped(Record("1", "a", "b", {"family": "f"}), "family").meta["group"] == "f"
    assert grouped(Record("1", "a", "b", {"family": "f", "group": "g"}), "family").meta["group"] == "g"
    assert "group" not in grouped(Record("1", "a", "b"), "family").meta


def test_results_compare_on_the_same_records_by_the_same_convention_alone(place: Path) -> None:
    recipe = read_recipes(place / "own")[0]
    facts = {"seed": 1, "minutes": {"train": 1.0, "watch": 0.5, "evaluate": 0.1}, "steps": 3, "best_step": 3}
    facts |= {"parameters": 10, "environment": {"git": "abc", "hardware": "x", "device": "cpu", "threads": 1}}
    data = {"split": "dev", "sha256": "d", "n": 40, "of": 40, "train": "t", "training records": 9}
    seed = {**facts, "data": data, "metrics": {"exact@1": of_seed(30)}, "parts": {}, "skipped": {}, "against": {}}
    one = result_of(recipe, [seed], changes=[], digest="c")
    assert compared(one, one, ["exact@1"]).inside
    other = {**one, "metrics": {"exact@1": {**one["metrics"]["exact@1"], "signature": "exact|v:2"}}}
    for new, kept, reason in (
        (one, None, "nothing is recorded"),
        ({**one, "changes": ["a=1"]}, one, "another recipe than the recorded one: a=1"),
        ({**one, "config_sha256": "e"}, one, "the recipe has changed since it was recorded"),
        ({**one, "data": {**data, "train": "u"}}, one, "other data: train was t, now u"),
        (other, one, "exact@1 by another convention"),
        ({**one, "metrics": {}}, one, "exact@1 was not measured"),
    ):
        assert reason in compared(new, kept, ["exact@1"]).why_not
    assert "not recorded yet" in written([recipe], place / "none")
