"""The end of a training: the best weights' scores, the card and the report are written, and a newcomer is told where they are."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from core.model.seq2seq import Seq2Seq
from core.record import Prediction
from core.run.card import card
from core.run.confidence import keep_temperature
from core.run.folder import RunFolder, read_json, write_json, write_text
from core.run.forgetting import told
from core.run.prepared import TrainingData, source_name
from core.run.reporting import report_early
from core.run.scoring import score, table
from core.settings import RunConfig
from core.task import Metric, Task


def ended(
    task: Task[Any],
    cfg: RunConfig,
    folder: RunFolder,
    data: TrainingData,
    model: Seq2Seq,
    metrics: Sequence[Metric],
    predictions: Sequence[Prediction],
    *,
    reason: str,
    step: int,
    best_step: int,
    minutes: float,
    seconds: float,
    forgetting: dict[str, Any] | None,
) -> None:
    """`seconds` is what the predictions took; once metrics.json is there the run is whole."""
    keep_temperature(folder, model, data.codecs, data.dev.records, longest=cfg.batch.longest, sha256=data.dev.sha256)
    skipped: dict[str, str] = {}
    scores = score(predictions, metrics, skipped=skipped)
    tree: dict[str, Any] = {
        "finished": True,
        "reason": reason,
        "task": task.name,
        "split": "dev",
        "data": source_name(task, cfg),
        "sha256": data.dev.sha256,
        "n": len(predictions),
        "of": len(data.dev.records),
        "step": step,
        "best_step": best_step,
        "minutes": minutes,
        "metrics": {name: one.tree() for name, one in scores.items()},
        "skipped": skipped,
    }
    if forgetting is not None:
        tree["forgetting"] = forgetting
    write_text(folder.card, card(task, cfg, tree, read_json(folder.facts)))
    write_json(folder.metrics, tree)
    if cfg.train.report:
        report_early(
            task,
            cfg,
            folder,
            predictions=predictions,
            scores=scores,
            skipped=skipped,
            codecs=data.codecs,
            train=data.encoded.examples,
            seconds=seconds,
        )
    whole = len(data.dev.records)
    part = f"{len(predictions):,} of {whole:,} records, " if len(predictions) < whole else ""
    print(f"\n{task.name}, dev, {part}best checkpoint (step {best_step}); {reason}", file=sys.stderr)
    print(table(scores))
    for name, why in skipped.items():
        print(f"  {name}: skipped, {why}")
    if forgetting is not None:
        print(told(forgetting))
    for prediction in predictions[:3]:
        print(sample(prediction))
    print(f"run: {folder.path}")


def sample(prediction: Prediction) -> str:
    """One answer beside its reference."""
    record = prediction.record
    shown = (("source", record.source), ("target", record.target), ("output", prediction.output))
    return "\n".join(f"  {name}  {short(value)}" for name, value in shown) + "\n"


def short(value: Any, most: int = 160) -> str:
    """On one line."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"
