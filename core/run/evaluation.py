"""`evaluate`: a run (or anyone's outputs) on a split it was not trained on, with intervals, beside the trivial systems."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import ConfigError, DataError
from core.record import Prediction, Split
from core.run.answering import Answerer
from core.run.cut import Cut
from core.run.folder import RunFolder, existing_run, write_json
from core.run.outputs import read_outputs
from core.run.precision import keep, verdict
from core.run.prepared import SplitRecords, read_split, source_name
from core.run.progress import progress_bar
from core.run.reranking import judges
from core.run.robustness import Withstood, noise_table, withstand
from core.run.scoring import GIVEN, Floor, Score, bin_table, by_bin, floors, score, table
from core.run.seen import NAME, seen_in
from core.run.stored import load_run, others_of, stored_config
from core.run.varying import noises_of
from core.settings import RunConfig
from core.task import Task

if TYPE_CHECKING:
    from core.cli import EvaluateArguments


@dataclass(frozen=True, slots=True)
class System:
    """Whose outputs are scored."""

    name: str
    """In the result file."""
    said: str
    """For a person."""
    config: RunConfig
    predictions: list[Prediction]
    found: SplitRecords
    answer: Answerer | None = None
    """None for outputs in a file, which cannot be asked again."""
    folder: RunFolder | None = None
    """Of the run whose precision is to be measured."""


def evaluate(task: Task[Any], arguments: EvaluateArguments) -> int:
    """Print the table, and write the result where asked."""
    split: Split = "test" if arguments.split == "test" else "dev"
    if arguments.by is not None and arguments.by not in (*task.bins, NAME):
        choices = ", ".join((*task.bins, NAME))
        raise ConfigError(f"--by {arguments.by}: {task.name} can be broken down by {choices}")
    if arguments.by == NAME and NAME not in task.bins and arguments.data is not None:
        raise ConfigError(f"--by {NAME}: the training data are not told by --data; evaluate on the run's own split")
    if arguments.json is not None and not arguments.json.parent.is_dir():
        raise ConfigError(f"--json {arguments.json}: no such folder {arguments.json.parent}")
    if arguments.json is not None and arguments.json.is_dir():
        raise ConfigError(f"--json {arguments.json}: a folder; name a file")
    system = (
        given(task, arguments, split, arguments.predictions) if arguments.predictions else ran(task, arguments, split)
    )
    cfg, predictions = system.config, system.predictions
    metrics = task.metrics(cfg.task)
    skipped: dict[str, str] = {}
    noises = noises_of(task, arguments.noise, "--noise")
    scores = score(predictions, metrics, skipped=skipped)
    trivial: dict[str, dict[str, Floor]] = {}
    if task.baselines and (arguments.data is None or not task.baselines_learn):
        known = read_split(task, cfg, "train").records if task.baselines_learn else []
        trivial = floors(task.baselines, known, predictions, metrics, scores)
    elif task.baselines:
        print("baselines need the training data: evaluate on the run's own split to see them", file=sys.stderr)
    print(f"{task.name}, {split}: {len(predictions)} records of {source_name(task, cfg)}, {system.said}")
    print(table(scores, trivial, row=GIVEN if arguments.predictions else "the model"))
    for one in scores.values():
        print(f"  {one.metric.name}: {one.metric.signature}")
    for name, reason in skipped.items():
        print(f"  {name}: skipped, {reason}")
    print_cut(predictions)
    withstood: list[Withstood] = []
    if system.answer is not None and noises:
        withstood = withstand(system.answer, predictions, scores, noises, arguments.noise_seed)
        print(noise_table(scores, withstood, arguments.noise_seed))
    bin_of = dict(task.bins)
    if arguments.by == NAME and NAME not in bin_of:
        bin_of[NAME] = seen_in(read_split(task, cfg, "train").records)
    bins = {name: by_bin(one, predictions, scores, trivial) for name, one in bin_of.items()}
    if arguments.by is not None:
        print(bin_table(arguments.by, bins[arguments.by]))
    permitted = measured_precision(system, scores)
    if arguments.json is not None:
        noise = {"noise": {"seed": arguments.noise_seed, **{str(one.noise): one.tree() for one in withstood}}}
        tree = result(task, system, scores, trivial, skipped) | {"bins": bins} | (noise if withstood else {})
        write_json(Path(arguments.json), tree)
    return 0 if permitted else 1


def measured_precision(system: System, scores: dict[str, Score]) -> bool:
    """Whether the precision of a run's answers may be used from now on; measured where it is not float32."""
    if system.folder is None or system.answer is None:
        return True
    precision = system.config.search.precision
    cfg = replace(system.config, search=replace(system.config.search, precision="float32"))
    with progress_bar(len(system.predictions), "in float32") as advance:
        full = replace(system.answer, config=cfg)(system.found.records, advance)
    found = verdict(
        system.answer.model,
        full,
        system.predictions,
        score(full, [one.metric for one in scores.values()], intervals=False),
        scores,
    )
    keep(system.folder, precision, found)
    print(found.said(precision))
    return found.permitted


def ran(task: Task[Any], arguments: EvaluateArguments, split: Split) -> System:
    """A trained run's answers."""
    if arguments.run is None:
        raise ConfigError("which RUN? Name a run folder, or outputs to score with --predictions FILE")
    own_dev = split == "dev" and arguments.data is None and not arguments.others
    run = load_run(task, existing_run(arguments.run), arguments.overrides, measuring=own_dev)
    cfg = with_data(task, run.config, arguments.data, split)
    found = with_targets(read_split(task, cfg, split))
    others = others_of(run, arguments.others)
    answer = Answerer(
        task,
        cfg,
        run.codecs,
        run.model,
        run.rule,
        others=others,
        ranked_by=judges(task, run.config.search, arguments.overrides),
    )
    begun = time.perf_counter()
    with progress_bar(len(found.records), f"decoding {split}") as advance:
        predictions = answer(found.records, advance)
    seconds = time.perf_counter() - begun
    together = "".join(f" with {path}" for path in arguments.others)
    said = f"{run.folder.path} at step {run.step}{together}; decoded in {seconds:.1f} s"
    if task.cost is not None:
        said += f" ({task.cost(predictions, seconds)})"
    lowered = own_dev and cfg.search.precision != "float32"
    return System(run.folder.path.name, said, cfg, predictions, found, answer, run.folder if lowered else None)


def given(task: Task[Any], arguments: EvaluateArguments, split: Split, file: Path) -> System:
    """Anyone's outputs, from a file."""
    if arguments.run is not None:
        cfg = load_run_config(task, arguments)
    else:
        if arguments.config is None:
            raise ConfigError("--predictions without RUN needs the task's default config, and there is none")
        cfg = arguments.config.config
    cfg = with_data(task, cfg, arguments.data, split)
    found = with_targets(read_split(task, cfg, split))
    predictions = read_outputs(task, cfg.task, file, found.records)
    return System(file.name, f"outputs of {file}", cfg, predictions, found)


def load_run_config(task: Task[Any], arguments: EvaluateArguments) -> RunConfig:
    """Of a run whose data and settings are wanted, not its model."""
    if arguments.run is None:
        raise ConfigError("which RUN?")
    return stored_config(task, existing_run(arguments.run), arguments.overrides)


def with_targets(found: SplitRecords) -> SplitRecords:
    """Scoring needs what is right."""
    without = [record.key for record in found.records if record.target is None]
    if without:
        raise DataError(f"{len(without)} records have no target, the first is {without[0]}: nothing to score them by")
    return found


def with_data(task: Task[Any], cfg: RunConfig, data: Path | None, split: Split) -> RunConfig:
    """The same config reading someone's file or folder: the JSONL layout, or a native format by its ending."""
    if data is None:
        return cfg
    if not data.exists():
        raise ConfigError(f"--data {data}: no such file or folder")
    endings = tuple(ending for one in task.formats.values() if one.read for ending in one.endings)
    jsonl = data.is_dir() or data.name.endswith((".jsonl", ".jsonl.gz"))
    if data.is_dir() and not any(data.glob(f"{split}.jsonl*")):
        if not endings and "files" not in task.sources:
            raise DataError(f"--data {data}: holds no {split}.jsonl or {split}.jsonl.gz")
        jsonl = False
    if not jsonl and data.is_file() and not data.name.endswith(endings):
        raise ConfigError(f"--data {data}: unknown ending; one of {', '.join(('.jsonl', '.jsonl.gz', *endings))}")
    own = {
        "train": "",
        "dev": "",
        "test": "",
        "path": (),
        "holdout_source": "",
        "holdout_target": "",
        "holdout_longer": 0,
    }
    empty = replace(cfg.data, source="jsonl" if jsonl else "files", **own)
    if data.is_dir():
        return replace(cfg, data=replace(empty, path=(str(data),)))
    named = replace(empty, test=str(data)) if split == "test" else replace(empty, dev=str(data))
    return replace(cfg, data=named)


def result(
    task: Task[Any],
    system: System,
    scores: dict[str, Score],
    trivial: dict[str, dict[str, Floor]],
    skipped: dict[str, str],
) -> dict[str, Any]:
    """What `--json` writes."""
    return {
        "task": task.name,
        "run": system.name,
        "data": source_name(task, system.config),
        "split": system.found.split,
        "sha256": system.found.sha256,
        "n": len(system.found.records),
        "metrics": {name: one.tree() for name, one in scores.items()},
        "skipped": skipped,
        "baselines": {
            name: {metric: {**floor.score.tree(), "p_value": floor.p_value} for metric, floor in own.items()}
            for name, own in trivial.items()
        },
    }


def print_cut(predictions: Sequence[Prediction]) -> None:
    """Where there is something to say."""
    cut = Cut()
    cut.count(predictions)
    if cut.words:
        print(f"  {cut.words}")
