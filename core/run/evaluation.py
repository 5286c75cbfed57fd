"""`evaluate`: a run on a split it was not trained on, with intervals, beside the trivial systems."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.decode.predict import predict_records
from core.errors import ConfigError, DataError
from core.record import Prediction, Split
from core.run.folder import existing_run, write_json
from core.run.prepared import SplitRecords, read_split, source_name
from core.run.progress import progress_bar
from core.run.scoring import Floor, Score, floors, score, table
from core.run.stored import StoredRun, load_run
from core.settings import RunConfig
from core.task import Task

if TYPE_CHECKING:
    from core.cli import EvaluateArguments


def evaluate(task: Task[Any], arguments: EvaluateArguments) -> int:
    """Print the table, and write the result where asked."""
    run = load_run(task, existing_run(arguments.run), arguments.overrides)
    split: Split = "test" if arguments.split == "test" else "dev"
    own_data = arguments.data is not None
    cfg = with_data(task, run.config, arguments.data, split) if arguments.data is not None else run.config
    found = read_split(task, cfg, split)
    without = [record.key for record in found.records if record.target is None]
    if without:
        raise DataError(f"{len(without)} records have no target, the first is {without[0]}: nothing to score them by")
    predictions = decode(run, found)
    metrics = task.metrics(cfg.task)
    scores = score(predictions, metrics)
    trivial: dict[str, dict[str, Floor]] = {}
    if task.baselines and not own_data:
        trivial = floors(task.baselines, read_split(task, cfg, "train").records, predictions, metrics, scores)
    elif task.baselines:
        print("baselines need the training data: evaluate on the run's own split to see them", file=sys.stderr)
    print(
        f"{task.name}, {split}: {len(predictions)} records of {source_name(task, cfg)}, {run.folder.path} at step {run.step}"
    )
    print(table(scores, trivial))
    for one in scores.values():
        print(f"  {one.metric.name}: {one.metric.signature}")
    print_cut(predictions)
    if arguments.json is not None:
        write_json(Path(arguments.json), result(run, cfg, found, scores, trivial))
    return 0


def decode(run: StoredRun, found: SplitRecords) -> list[Prediction]:
    """With a bar where a person watches."""
    with progress_bar(len(found.records), f"decoding {found.split}") as advance:
        return predict_records(
            run.model,
            run.codecs,
            found.records,
            run.config.search,
            longest=run.config.batch.longest,
            rule=run.rule,
            seed=run.config.seed,
            progress=advance,
        )


def with_data(task: Task[Any], cfg: RunConfig, data: Path, split: Split) -> RunConfig:
    """The same config reading someone's file or folder: the JSONL layout, or a native format by its ending."""
    if not data.exists():
        raise ConfigError(f"--data {data}: no such file or folder")
    endings = tuple(ending for one in task.formats.values() if one.read for ending in one.endings)
    jsonl = data.is_dir() or data.name.endswith((".jsonl", ".jsonl.gz"))
    if data.is_dir() and not any(data.glob(f"{split}.jsonl*")):
        if not endings:
            raise DataError(f"--data {data}: holds no {split}.jsonl or {split}.jsonl.gz")
        jsonl = False
    if not jsonl and data.is_file() and not data.name.endswith(endings):
        raise ConfigError(f"--data {data}: unknown ending; one of {', '.join(('.jsonl', '.jsonl.gz', *endings))}")
    empty = replace(cfg.data, source="jsonl" if jsonl else "files", train="", dev="", test="", path=())
    if data.is_dir():
        return replace(cfg, data=replace(empty, path=(str(data),)))
    named = replace(empty, test=str(data)) if split == "test" else replace(empty, dev=str(data))
    return replace(cfg, data=named)


def result(
    run: StoredRun,
    cfg: RunConfig,
    found: SplitRecords,
    scores: dict[str, Score],
    trivial: dict[str, dict[str, Floor]],
) -> dict[str, Any]:
    """What `--json` writes."""
    return {
        "task": run.task.name,
        "run": run.folder.path.name,
        "data": source_name(run.task, cfg),
        "split": found.split,
        "sha256": found.sha256,
        "n": len(found.records),
        "metrics": {name: one.tree() for name, one in scores.items()},
        "skipped": {},
        "baselines": {
            name: {metric: {**floor.score.tree(), "p_value": floor.p_value} for metric, floor in own.items()}
            for name, own in trivial.items()
        },
    }


def print_cut(predictions: list[Prediction]) -> None:
    """Outputs that reached the length limit are no answers of the model's choosing: say how many."""
    cut = sum(one.hypotheses[0].finish == "length" for one in predictions if one.hypotheses)
    if cut:
        share = 100 * cut / len(predictions)
        print(
            f"  {cut} outputs ({share:.1f} %) were cut at the length limit (search.length_ratio, search.length_extra)"
        )
