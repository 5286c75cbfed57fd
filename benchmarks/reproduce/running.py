"""One seed of a recipe: an ordinary training in a run folder, resumed where it was broken off; then its answers, scored."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.leaderboard.store import digest_of
from benchmarks.leaderboard.systems import comparable
from benchmarks.reproduce.recipes import Recipe
from benchmarks.reproduce.scores import resampled
from core.cli import dispatch
from core.config_text import to_toml
from core.config_toml import Loaded, load
from core.config_tree import differences
from core.errors import ConfigError
from core.idle import refuse_idle
from core.record import Split
from core.run.folder import RunFolder, existing_run, read_json, write_json, write_text
from core.settings import RunConfig, run_config
from core.task import Task
from core.train.durable import made

MACHINE = ("train.device", "train.threads", "train.tensorboard", "train.report")
"""Keys that make no other recipe."""


class TrainingEnded(Exception):
    """Otherwise than well; what was wrong has been said."""

    def __init__(self, code: int) -> None:
        super().__init__(f"training ended with exit code {code}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Asked:
    """A recipe with what the command line says."""

    task: Task[Any]
    recipe: Recipe
    settings: tuple[str, ...]
    """key=value."""
    split: Split
    runs: Path

    def config(self, seed: int | None = None) -> Loaded[RunConfig]:
        """Resolved; files beside the data are looked for there."""
        more = [] if seed is None else [f"seed={seed}"]
        found = load(run_config(self.task.config), self.recipe.config, (*self.settings, *more))
        refuse_idle(found)
        if found.config.data.source in ("jsonl", "files") and not found.config.data.path:
            raise ConfigError(
                f"{self.recipe.title}: which data? data.path=FOLDER, which holds train.jsonl or train.jsonl.gz"
            )
        beside = self.beside(found.config.data.path)
        return (
            load(run_config(self.task.config), self.recipe.config, (*beside, *self.settings, *more))
            if beside
            else found
        )

    def beside(self, folders: Sequence[str]) -> list[str]:
        """key=value of the recipe's files, where nothing else was said of a key."""
        found: list[str] = []
        for key, name in self.recipe.files.items():
            if any(one.startswith(f"{key}=") for one in self.settings):
                continue
            places = [Path(folder).expanduser() / name for folder in folders]
            path = next((one for one in places if one.is_file()), None)
            if path is None:
                raise ConfigError(f"{self.recipe.title}: {places[0]}: no such file; it is {key}")
            found.append(f"{key}={json.dumps(str(path))}")
        return found

    def changes(self) -> list[str]:
        """What the command line has made another recipe by, as key=value."""
        plain = load(run_config(self.task.config), self.recipe.config, ()).config
        left = (*self.recipe.places, *MACHINE, "seed")
        found = differences(plain, self.config().config)
        return [f"{key}={json.dumps(new, ensure_ascii=False)}" for key, _, new in found if key not in left]

    def digest(self) -> str:
        """Of all that makes the recipe: equal wherever its data lie, for all seeds and machines."""
        tree = comparable(self.config().config)
        for key in (*self.recipe.places, *MACHINE):
            table, _, name = key.rpartition(".")
            tree[table].pop(name, None)
        return digest_of([tree, list(self.recipe.search), self.recipe.records])


def one_seed(asked: Asked, seed: int) -> dict[str, Any]:
    """Train and score; what is there already is taken as it is."""
    cfg = asked.config(seed).config
    folder = asked.runs / asked.recipe.task / asked.recipe.name / f"seed{seed}-{digest_of(comparable(cfg))[:8]}"
    if not RunFolder(folder).finished:
        made(folder.parent)
        config = folder.with_suffix(".toml")
        write_text(config, to_toml(cfg))
        words = [str(config), "--run", str(folder), "--resume"]
        with redirect_stdout(sys.stderr):  # what training prints is for whoever waits; the result is what was asked for
            code = dispatch("train", lambda: asked.task, asked.task.name, words)
        if code:
            raise TrainingEnded(code)
    key = [asked.split, asked.recipe.records, list(asked.recipe.search), read_json(folder / "metrics.json")["step"]]
    kept = folder / f"reproduced-{asked.split}.json"
    if kept.is_file() and (known := read_json(kept))["key"] == key:
        return known
    found = {"key": key, **scored(asked, folder)}
    write_json(kept, found)
    return found


def scored(asked: Asked, folder: Path) -> dict[str, Any]:
    """A finished run's answers, by all metrics; those to what training has seen apart from those to what it has not."""
    from core.run.answering import Answerer
    from core.run.evaluation import with_targets
    from core.run.prepared import read_split
    from core.run.progress import progress_bar
    from core.run.scoring import score
    from core.run.seen import SEEN, seen_in
    from core.run.stored import load_run
    from core.run.watched import watched_records

    run = load_run(asked.task, existing_run(folder), asked.recipe.search)
    found = with_targets(read_split(asked.task, run.config, asked.split))
    records = watched_records(found.records, asked.recipe.records)
    answer = Answerer(asked.task, run.config, run.codecs, run.model, run.rule)
    begun = time.perf_counter()
    with progress_bar(len(records), f"decoding {asked.split}") as advance:
        predictions = answer(records, advance)
    seconds = time.perf_counter() - begun
    facts, metrics = read_json(folder / "run.json"), read_json(folder / "metrics.json")
    skipped: dict[str, str] = {}
    scores = score(predictions, asked.task.metrics(run.config.task), intervals=False, skipped=skipped)
    parts: dict[str, dict[str, Any]] = {}
    if isinstance(records[0].source, str):
        seen = seen_in(read_split(asked.task, run.config, "train").records)
        new = [one for one in predictions if seen(one.record) != SEEN]
        if 0 < len(new) < len(predictions):
            some = score(new, [one.metric for one in scores.values()], intervals=False)
            parts["unseen in training"] = {name: resampled(one, new) for name, one in some.items()}
    return {
        "seed": run.config.seed,
        "data": {
            "split": found.split,
            "sha256": found.sha256,
            "n": len(records),
            "of": len(found.records),
            "train": facts["data"]["train"],
            "training records": facts["records"]["train"],
        },
        "metrics": {name: resampled(one, predictions) for name, one in scores.items()},
        "parts": parts,
        "skipped": skipped,
        "minutes": {"train": metrics["minutes"], "watch": watched(folder), "evaluate": seconds / 60},
        "steps": metrics["step"],
        "best_step": metrics["best_step"],
        "parameters": facts["parameters"],
        "environment": facts["environment"],
    }


def watched(folder: Path) -> float:
    """Minutes that the evaluations during training took."""
    lines = (json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines())
    return sum(one["seconds"] for one in lines if one["event"] == "evaluate") / 60


def say(line: str) -> None:
    """To whoever waits."""
    print(line, file=sys.stderr, flush=True)
