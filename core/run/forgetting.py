"""What training on new data costs on the old: the same dev records of the run begun from, answered before and after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from core.codec.types import Codecs
from core.config_tree import from_tree
from core.errors import DataError, UserError
from core.model.seq2seq import Seq2Seq
from core.record import Prediction
from core.registry import installed_tasks
from core.run.answering import Answerer
from core.run.prepared import make_rule, read_split, source_name
from core.run.scoring import score
from core.run.stored import StoredRun
from core.run.watched import watched_records
from core.settings import run_config
from core.task import Task

Answers = Callable[[Answerer, Sequence[Any]], list[Prediction] | None]
"""Decodes with a bar; None if a signal asked to stop, which the caller then hears of."""


def before(old: StoredRun, most: int, answers: Answers) -> dict[str, Any]:
    """The old run as it is, on its own dev records; where they cannot be read, `skipped` says why."""
    answerer = Answerer(old.task, old.config, old.codecs, old.model, old.rule)
    return measured(answerer, most, answers, "before")


def after(begun: dict[str, Any], task: Task[Any], codecs: Codecs, model: Seq2Seq, answers: Answers) -> dict[str, Any]:
    """The same records and search, by what became of the model; with `before`, what metrics.json says of it."""
    known: dict[str, Any] = begun["forgetting"]
    if "skipped" in known:
        return known
    if reason := strange(begun, task, model):
        return {**known, "skipped": reason}
    try:
        old = task if begun["task"] == task.name else installed_tasks()[begun["task"]]
        old_cfg = from_tree(run_config(old.config), begun["config"], begun["run"])
        answerer = Answerer(old, old_cfg, codecs, model, make_rule(old, old_cfg, codecs))
    except UserError as reason:
        return {**known, "skipped": str(reason)}
    found = measured(answerer, known["n"], answers, "after")
    if "skipped" not in found and found["sha256"] != known["sha256"]:
        return {**known, "skipped": "its dev records have changed while this run was training"}
    return {**known, **found}


def strange(begun: dict[str, Any], task: Task[Any], model: Seq2Seq) -> str:
    """Why the trained model cannot answer what the old one could, or nothing."""
    if begun["task"] == task.name:
        return ""
    if not begun["same_codecs"]:
        return f"it reads and writes other symbols now than {begun['task']} did (train.init_codecs)"
    if begun["features"] or model.features is not None:
        return f"a decoder of {begun['task']} and one of {task.name} are not told the same of their prefix"
    return ""


def measured(answerer: Answerer, most: int, answers: Answers, when: str) -> dict[str, Any]:
    """Scores on dev, never on test."""
    task, cfg = answerer.task, answerer.config
    try:
        found = read_split(task, cfg, "dev")
        records = watched_records([one for one in found.records if one.target is not None], most)
        if not records:
            raise DataError("its dev records have no targets")
        predictions = answers(answerer, records)
        if predictions is None:
            raise DataError("stopped by a signal")
        scores = score(predictions, task.metrics(cfg.task))
    except UserError as reason:
        return {"task": task.name, "data": source_name(task, cfg), "skipped": str(reason)}
    return {
        "task": task.name,
        "data": source_name(task, cfg),
        "split": "dev",
        "sha256": found.sha256,
        "n": len(records),
        when: {name: one.tree() for name, one in scores.items()},
    }


def told(forgetting: dict[str, Any]) -> str:
    """One line for a person."""
    where = f"{forgetting['task']}, dev of {forgetting['data']}"
    if "skipped" in forgetting:
        had = "".join(f"; {name} {one['value']:.4g} before" for name, one in forgetting.get("before", {}).items())
        return f"What it knew ({where}): not measured: {forgetting['skipped']}{had}"
    later = forgetting.get("after", {})
    said = (
        f"{name} {one['value']:.4g} before" + (f", {later[name]['value']:.4g} after" if name in later else "")
        for name, one in forgetting["before"].items()
    )
    return f"What it knew ({where}, {forgetting['n']:,} records): {'; '.join(said)}"
