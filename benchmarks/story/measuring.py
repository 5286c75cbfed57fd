"""A finished rung on the test split, looked at once: scores, scores by length, the words that should stay, curve, cost, attention."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from benchmarks.leaderboard.arrays import pack
from benchmarks.leaderboard.resamples import SEED, groups_of
from benchmarks.story import bleu
from benchmarks.story.rungs import BINS, Rung
from benchmarks.story.training import begun_at, processor_minutes
from core.config_text import to_tree
from core.data.split import hashed_share
from core.metrics.resampling import draws
from core.metrics.sacre import SacreMetric
from core.record import Prediction, Record
from core.report.attention import attend_to
from core.report.facts import read_log
from core.report.forced import forced
from core.run.answering import Answerer
from core.run.evaluation import with_targets
from core.run.folder import RunFolder, read_json
from core.run.prepared import read_split, source_name
from core.run.progress import progress_bar
from core.run.scoring import score
from core.run.stored import StoredRun, load_run
from core.task import Task

RESAMPLES = 1000
ASKED = 2000
"""Records of the test split, or all where it has no more: those of the lowest hashes, so that nobody chose them."""
SMOKE = 16
"""Records and resamples where it is only to be seen that all stands."""
SHOWN = 3
"""Answers that the page prints."""
DRAWN = (6, 10)
"""Words of the source whose attention is drawn."""
WORD = re.compile(r"\{\w+\}|\w[\w./:-]*\w|\w")


def measured(task: Task[Any], rung: Rung, folder: RunFolder, *, smoke: bool = False) -> dict[str, Any]:
    """Everything that the page says of a rung."""
    run = load_run(task, folder)
    found = with_targets(read_split(task, run.config, "test"))
    train = read_split(task, run.config, "train").records
    records = sorted(found.records, key=lambda one: hashed_share(one.key))  # so that nobody chose what is shown
    records, resamples = (records[:SMOKE], SMOKE) if smoke else (records[:ASKED], RESAMPLES)
    answer = Answerer(task, run.config, run.codecs, run.model, run.rule)
    begun = time.perf_counter()
    with progress_bar(len(records), f"{rung.name}: test") as advance:
        predictions = answer(records, advance)
    seconds = time.perf_counter() - begun
    scores = score(predictions, task.metrics(run.config.task))
    metric = next(one.metric for one in scores.values() if isinstance(one.metric, SacreMetric))
    facts, outcome = read_json(folder.facts), read_json(folder.metrics)
    rows: dict[str, tuple[Scored, np.ndarray]] = {name: (one.metric, one.rows) for name, one in scores.items()}
    rows["bits"] = BitsPerWord(), surprises(run, records)
    groups = groups_of(predictions)
    return {
        "rung": rung.name,
        "keys": list(rung.keys),
        "config": to_tree(run.config),
        "data": {
            "name": source_name(task, run.config),
            "split": "test",
            "sha256": found.sha256,
            "n": len(records),
            "of": len(found.records),
            "train": facts["records"]["train"],
            "dev": facts["records"]["dev"],
        },
        "parameters": facts["parameters"],
        "steps": outcome["step"],
        "best_step": outcome["best_step"],
        "ended": outcome["reason"],
        "minutes": outcome["minutes"],
        "processor_minutes": processor_minutes(folder),
        "begun": begun_at(folder),
        "scored": round(time.time()),
        "decode_seconds": seconds,
        "environment": facts["environment"],
        "metrics": {name: resampled(*one, groups, resamples) for name, one in rows.items()},
        "by_length": by_length(predictions, rows, resamples),
        "kept": kept(predictions, train),
        "curve": curve(folder),
        "bleu": {"corpus": bleu.corpus(metric, predictions), "examples": bleu.examples(predictions)},
        "answers": [
            {"source": str(one.record.source), "target": str(one.record.target), "output": one.output}
            for one in predictions[:SHOWN]
        ],
        "attention": attention(run, read_split(task, run.config, "dev").records),
    }


class Scored(Protocol):
    """Something to say of any choice of records, from a row of numbers a record."""

    @property
    def signature(self) -> str: ...
    def score(self, rows: np.ndarray) -> float: ...


class BitsPerWord:
    """How much of the reference a model has to be told: its bits by the words that it has. Search plays no part in it."""

    signature = "-log2 p(reference, end | source) / words of the reference"

    def score(self, rows: np.ndarray) -> float:
        """Summed before they are divided."""
        return float(rows[:, 0].sum() / rows[:, 1].sum())


def surprises(run: StoredRun, records: Sequence[Record]) -> np.ndarray:
    """[N, 2]: bits of each reference, and its words."""
    found = forced(run.model, run.codecs, records, longest=run.config.batch.longest)
    return np.array(
        [
            [-one.total / math.log(2), len(str(record.target).split())]
            for one, record in zip(found, records, strict=True)
        ]
    )


def resampled(metric: Scored, rows: np.ndarray, groups: Sequence[Any] | None, resamples: int) -> dict[str, Any]:
    """A score with its 95 % interval, and its value in each resample of the records: rungs compare draw by draw (Koehn, 2004)."""
    values_R = np.array([metric.score(rows[at]) for at in draws(len(rows), groups, SEED, resamples)])
    low, high = (float(edge) for edge in np.nanpercentile(values_R, [2.5, 97.5]))
    return {
        "value": metric.score(rows),
        "interval": [low, high],
        "signature": metric.signature,
        "resamples": pack(values_R.astype(np.float32)),
    }


def length_of(record: Record) -> int:
    """In words."""
    return len(str(record.source).split())


def by_length(
    predictions: Sequence[Prediction], rows: Mapping[str, tuple[Scored, np.ndarray]], resamples: int
) -> list[dict[str, Any]]:
    """Each bin that has records: how many, how long, and each metric over them with its interval."""
    lengths_N = np.array([length_of(one.record) for one in predictions])
    found: list[dict[str, Any]] = []
    for low, high in BINS:
        chosen_N = (lengths_N >= low) & (lengths_N <= (high or np.inf))
        if not chosen_N.any():
            continue
        groups = groups_of([one for one, chosen in zip(predictions, chosen_N, strict=True) if chosen])
        row: dict[str, Any] = {
            "bin": f"{low}-{high}" if high else f"{low}+",
            "n": int(chosen_N.sum()),
            "mean_words": float(lengths_N[chosen_N].mean()),
        }
        for name, (metric, rows_N) in rows.items():
            row[name] = resampled(metric, rows_N[chosen_N], groups, resamples)
        found.append(row)
    return found


def kept(predictions: Sequence[Prediction], train: Sequence[Record]) -> dict[str, Any]:
    """Of the words that source and reference share (names, numbers, {places}), those that the output has too.

    Beside all of them, those alone that no training target has.
    """
    known = {word for record in train for word in words_of(str(record.target))}
    shared, said, new, new_said = 0, 0, 0, 0
    for one in predictions:
        both = words_of(str(one.record.source)) & words_of(str(one.record.target))
        output = words_of(one.output)
        shared, said = shared + len(both), said + len(both & output)
        new, new_said = new + len(both - known), new_said + len((both - known) & output)
    return {"shared": shared, "said": said, "new": new, "new_said": new_said}


def words_of(text: str) -> set[str]:
    """As they are written."""
    return set(WORD.findall(text))


def curve(folder: RunFolder) -> dict[str, Any]:
    """Loss by step, and dev's scores at each evaluation."""
    events = read_log(folder.log)
    return {
        "train": [[one["step"], round(one["loss"], 4)] for one in events if one["event"] == "train"],
        "dev": [
            {"step": one["step"], **{name: round(value, 4) for name, value in one["metrics"].items()}}
            for one in events
            if one["event"] == "evaluate"
        ],
    }


def attention(run: StoredRun, dev: Sequence[Record]) -> dict[str, Any] | None:
    """Where the decoder looks while the reference is spelled to it: the first dev sentence of middling length by hashed key.

    The mean over layers and heads; None without attention. The reference is spelled to all rungs alike, so that pictures compare.
    """
    low, high = DRAWN
    middling = [record for record in dev if low <= length_of(record) <= high] or list(dev)
    record = min(middling, key=lambda one: hashed_share(one.key))
    wanted = run.codecs.target.encode(record.target)
    found = attend_to(run.model, run.codecs, record, wanted, longest=run.config.batch.longest)
    if found is None:
        return None
    return {
        "key": record.key,
        "source": list(found.source),
        "target": list(found.target),
        "weights": [[round(float(value), 3) for value in row] for row in found.together()],
        "layers": found.weights_LHTS.shape[0],
        "heads": found.weights_LHTS.shape[1],
    }
