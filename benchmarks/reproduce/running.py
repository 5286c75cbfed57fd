"""One seed of a recipe: an ordinary training in a run folder, resumed where it was broken off; then its answers, scored."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
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
from core.record import Prediction, Record, Split
from core.run.folder import RunFolder, existing_run, read_json, write_json, write_text
from core.settings import RunConfig, run_config
from core.task import Baseline, Metric, Task
from core.train.durable import made

ALL, UNSEEN = "all", "unseen in training"
MACHINE = ("train.device", "train.threads", "train.tensorboard", "train.report")
"""Keys that make no other recipe."""

WHICH = "data.path=FOLDER, which holds its files (train.jsonl or train.jsonl.gz, dev.jsonl, ...)"


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
        settings = [one for one in self.settings if not (self.recipe.apart and one.startswith("data.path="))]
        settings += [] if seed is None else [f"seed={seed}"]
        kind = run_config(self.task.config)
        found = load(kind, self.recipe.config, settings)
        refuse_idle(found)
        if found.config.data.source in ("jsonl", "files") and not found.config.data.path:
            raise ConfigError(f"{self.recipe.title}: which data? {WHICH}")
        beside = self.beside(found.config.data.path)
        return load(kind, self.recipe.config, [*beside, *settings]) if beside else found

    @property
    def asked_alone(self) -> Path | None:
        """The folder of a set that is only asked."""
        if not self.recipe.apart:
            return None
        given = [one.partition("=")[2].strip() for one in self.settings if one.startswith("data.path=")]
        if not given:
            raise ConfigError(f"{self.recipe.title}: which data? {WHICH}")
        folder = Path(given[-1].strip("\"'")).expanduser()
        if not folder.is_dir():
            raise ConfigError(f"data.path = {str(folder)!r}: no such folder")
        return folder

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
    recipe, alone = asked.recipe, asked.asked_alone
    key: list[Any] = [recipe.records, recipe.group, recipe.by, [*recipe.search], [*recipe.against], str(alone)]
    key.append(read_json(folder / "metrics.json")["step"])
    kept = folder / f"reproduced-{asked.split}.json"
    if kept.is_file() and (known := read_json(kept))["key"] == key:
        return known
    found = {"key": key, **scored(asked, folder)}
    write_json(kept, found)
    return found


def scored(asked: Asked, folder: Path) -> dict[str, Any]:
    """A finished run's answers, by all metrics, on all records and on parts of them, beside trivial systems."""
    from core.run.answering import Answerer
    from core.run.evaluation import with_data, with_targets
    from core.run.prepared import read_split
    from core.run.progress import progress_bar
    from core.run.scoring import score
    from core.run.stored import load_run
    from core.run.watched import watched_records

    recipe, task = asked.recipe, asked.task
    run = load_run(task, existing_run(folder), recipe.search)
    found = with_targets(read_split(task, with_data(task, run.config, asked.asked_alone, asked.split), asked.split))
    records = [grouped(one, recipe.group) for one in watched_records(found.records, recipe.records)]
    answer = Answerer(task, run.config, run.codecs, run.model, run.rule)
    begun = time.perf_counter()
    with progress_bar(len(records), f"decoding {asked.split}") as advance:
        predictions = answer(records, advance)
    seconds = time.perf_counter() - begun
    facts, metrics = read_json(folder / "run.json"), read_json(folder / "metrics.json")
    skipped: dict[str, str] = {}
    scores = score(predictions, task.metrics(run.config.task), intervals=False, skipped=skipped)
    known = [one.metric for one in scores.values()]
    train = read_split(task, run.config, "train").records if isinstance(records[0].source, str) else []
    parts = parts_of(asked, train, predictions)
    answers = {name: task.baselines[name](train, records) for name in recipe.against}
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
        "parts": {part: all_resampled(own, known) for part, own in parts.items()},
        "against": {
            part: against(answers, records, own, [one for one in known if one.name in recipe.goals])
            for part, own in {ALL: predictions, **parts}.items()
            if answers
        },
        "skipped": skipped,
        "minutes": {"train": metrics["minutes"], "watch": watched(folder), "evaluate": seconds / 60},
        "steps": metrics["step"],
        "best_step": metrics["best_step"],
        "parameters": facts["parameters"],
        "environment": facts["environment"],
    }


def grouped(record: Record, key: str) -> Record:
    """With the group that a key of `meta` says."""
    if not key or "group" in record.meta or record.meta.get(key) is None:
        return record
    return replace(record, meta={**record.meta, "group": record.meta[key]})


def parts_of(asked: Asked, train: Sequence[Record], predictions: Sequence[Prediction]) -> dict[str, list[Prediction]]:
    """What training has not shown, where it has shown some; and the parts of the recipe's breakdown."""
    from core.run.seen import SEEN, seen_in

    found: dict[str, list[Prediction]] = {}
    if train:
        seen = seen_in(train)
        new = [one for one in predictions if seen(one.record) != SEEN]
        if 0 < len(new) < len(predictions):
            found[UNSEEN] = new
    if asked.recipe.by:
        bin_of = asked.task.bins[asked.recipe.by]
        for one in predictions:
            found.setdefault(f"{asked.recipe.by} {bin_of(one.record)}", []).append(one)
    return dict(sorted(found.items()))


def all_resampled(predictions: Sequence[Prediction], metrics: Sequence[Metric]) -> dict[str, Any]:
    """A part's scores."""
    from core.run.scoring import score

    return {name: resampled(one, predictions) for name, one in score(predictions, metrics, intervals=False).items()}


def against(
    answers: Mapping[str, Sequence[str]],
    records: Sequence[Record],
    predictions: Sequence[Prediction],
    metrics: Sequence[Metric],
) -> dict[str, Any]:
    """Trivial systems on the records of a part: their scores, and how likely chance makes such a difference."""
    from core.run.scoring import floors, score

    said = {name: {one.key: text for one, text in zip(records, own, strict=True)} for name, own in answers.items()}
    baselines: dict[str, Baseline] = {
        name: lambda train, asked, own=own: [own[one.key] for one in asked] for name, own in said.items()
    }
    found = floors(baselines, [], predictions, metrics, score(predictions, metrics, intervals=False))
    return {
        name: {metric: {"value": one.score.value, "p_value": one.p_value} for metric, one in own.items()}
        for name, own in found.items()
    }


def watched(folder: Path) -> float:
    """Minutes that the evaluations during training took."""
    lines = (json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines())
    return sum(one["seconds"] for one in lines if one["event"] == "evaluate") / 60


def say(line: str) -> None:
    """To whoever waits."""
    print(line, file=sys.stderr, flush=True)
