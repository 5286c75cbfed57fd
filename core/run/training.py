"""`train`: from a config to a run folder, resumable at any step."""

from __future__ import annotations

import json
import shlex
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from core.codec.store import load_codecs
from core.config_text import to_toml
from core.errors import Interrupted
from core.record import Prediction, Record
from core.run.answering import Answerer, Stopped
from core.run.dry import dry_run
from core.run.ending import ended
from core.run.fallback import Fallback
from core.run.folder import RunFolder, claimed, read_json, write_json, write_text
from core.run.forgetting import after, before, told
from core.run.learning import make_batches, make_trainer, with_budget
from core.run.mixing import mixed_facts
from core.run.origin import Origin, begin, counted, origin_of, sizes
from core.run.prepared import TrainingData, choose_device, make_model, make_rule, source_name, training_data
from core.run.progress import progress_bar
from core.run.resuming import (
    Change,
    config_changes,
    data_changes,
    data_facts,
    forced_facts,
    machine_changes,
    open_run,
    refuse,
    refuse_unknown,
    vocabulary,
    vocabulary_changes,
)
from core.run.saving import Saver, checkpoint_of
from core.run.scoring import score
from core.run.sharing import answered_together, must_be_alike, only_first_speaks
from core.run.watched import watched_records
from core.settings import RunConfig
from core.task import Metric, Task
from core.train.budget import Budget
from core.train.checkpoint import Checkpoint, put_weights, read_checkpoint, sweep, weights_of, write_checkpoint
from core.train.durable import made
from core.train.environment import describe
from core.train.lock import alone
from core.train.log import Log
from core.train.parallel import refuse as refuse_parallel
from core.train.published import say, take_encoder
from core.train.ranks import Ranks, joined
from core.train.signals import StopSignals
from core.train.trainer import Trainer, choose_precision

if TYPE_CHECKING:
    from core.cli import TrainArguments

Judge = Callable[[int, float], bool]
"""(step, the first metric on dev, the higher the better) -> whether it is worth going on."""


def train(task: Task[Any], arguments: TrainArguments, *, judge: Judge | None = None) -> int:
    """Train, or go on training, or show what would be trained. Where `judge` says no, it ends as SIGUSR1 would have it end."""
    folder, cfg, going_on = open_run(task, arguments)
    refuse_unknown(arguments.force, cfg)
    if folder.finished:
        print(f"{folder.path} is finished: nothing to resume. Evaluate it, or train a new run", file=sys.stderr)
        return 0
    if cfg.train.threads:
        torch.set_num_threads(cfg.train.threads)
    device = choose_device(cfg.train.device)
    if arguments.dry_run:
        return dry_run(task, cfg, device)
    with ExitStack() as held:
        ranks = held.enter_context(joined(device, cfg.train.patience_seconds))
        held.enter_context(only_first_speaks(ranks))
        stored = None
        if going_on:
            with ranks.first_alone():
                if ranks.first:
                    held.enter_context(alone(folder.path))
                    sweep(folder.checkpoints)
            stored = read_checkpoint(folder.last)
        training = prepared(task, cfg, folder, device, stored, arguments.force, ranks)
        if not going_on:  # nothing is written before all of it could be built
            ranks.meet()
            if ranks.first:
                folder = claimed(folder, named=arguments.run is not None)
                held.enter_context(alone(folder.path))
            training.folder = RunFolder(Path(ranks.told(str(folder.path))[0]))
        training.judge = judge
        training.run()
    return 0


def prepared(
    task: Task[Any],
    cfg: RunConfig,
    folder: RunFolder,
    device: torch.device,
    stored: Checkpoint | None,
    forced: Sequence[str],
    ranks: Ranks,
) -> Training:
    """Data, model and state; refused where an exact resume is not possible, unless that is forced."""
    facts = describe(device, choose_precision(cfg.train.precision, device))
    changes: list[Change] = []
    if stored is not None:
        changes = [*config_changes(stored, cfg), *machine_changes(stored.facts["environment"], facts)]
        refuse(folder.path, changes, forced)
    origin = origin_of(task, cfg) if stored is None else None
    codecs = load_codecs(stored.codecs, task.codec_types) if stored else origin.codecs(task, cfg) if origin else None
    with ranks.first_alone():
        data = training_data(task, cfg, codecs)
    if stored is not None:
        changes += data_changes(stored.facts["data"], data_facts(task, cfg, data))
        changes += vocabulary_changes(stored, data.codecs)
        refuse(folder.path, changes, forced)
    for one in changes:
        print(f"warning: {one}, as forced: from here on this is not the run that it would have been", file=sys.stderr)
    facts["forced"] = forced_facts(stored, changes)
    facts["processes"] = ranks.world
    must_be_alike(
        ranks,
        cfg,
        **data_facts(task, cfg, data),
        vocabulary=vocabulary(data.codecs),
        precision=facts["precision"],
        torch=facts["versions"]["torch"],
        step=0 if stored is None else stored.step,
    )
    cfg, budget = with_budget(task, cfg, data, device, ranks)
    training = Training(task, cfg, folder, data, device, facts, stored, origin, ranks)
    training.budget = budget
    return training


class Training:
    """One run of the loop, with what happens around it."""

    def __init__(
        self,
        task: Task[Any],
        cfg: RunConfig,
        folder: RunFolder,
        data: TrainingData,
        device: torch.device,
        facts: dict[str, Any],
        stored: Checkpoint | None,
        origin: Origin | None,
        ranks: Ranks,
    ) -> None:
        self.ranks = ranks
        self.task, self.cfg, self.folder, self.data, self.facts = task, cfg, folder, data, facts
        self.rule = make_rule(task, cfg, data.codecs)
        self.model = make_model(task, cfg, data.codecs).to(device)
        self.origin = origin
        self.begun = begin(origin, stored.facts.get("begun") if stored else None, task, cfg, self.model, data)
        self.encoder_from: dict[str, Any] | None = None
        if cfg.train.init_encoder and stored is not None:
            self.encoder_from = read_json(folder.facts).get("encoder_from")
        elif cfg.train.init_encoder:
            self.encoder_from = say(take_encoder(self.model, data.codecs, cfg.train.init_encoder), data.codecs)
        self.metrics: Sequence[Metric] = task.metrics(cfg.task)
        if ranks.world > 1:
            refuse_parallel(cfg.train, getattr(cfg.model, "layer_drop", 0.0))
        batches = make_batches(cfg, data, ranks)
        self.trainer = make_trainer(
            task, cfg, data, self.model, self.rule, batches, self.metrics, device=device, ranks=ranks
        )
        self.reader = (
            make_model(task, cfg, data.codecs).to(device) if self.trainer.gradients.engine.sharded else self.model
        )
        """What answers: the model, or all of it in one place."""
        self.watched = watched_records(data.dev.records, cfg.train.evaluate_records)
        self.started = time.time()
        self.judge: Judge | None = None
        self.budget: Budget | None = None
        """What `batch.tokens = "auto"` found."""
        if stored is not None:
            put_weights(self.model, stored.weights, str(folder.last))
            self.trainer.restore(stored.trainer, stored.facts)

    def run(self) -> None:
        """Until the steps, the minutes or the patience are used up, or a signal comes."""
        self.begin()
        if self.origin is not None and self.begun is not None:
            self.look_back(self.origin, self.begun)
        begun = {"from_step": self.trainer.step, "evaluated": self.trainer.evaluated}
        written = Log(self.folder.log, self.cfg.train, **begun) if self.ranks.first else nullcontext()
        with StopSignals() as signals, written as log:
            self.signals, self.log = signals, log
            self.saver = Saver(log.say, self.cfg.save.shard_mib) if log else None
            if self.cfg.train.nonfinite == "rollback":
                whole = partial(self.checkpoint, None)
                self.trainer.good = Fallback(self.folder.good, self.model, whole, self.saver, self.ranks)
            self.trainer.gradients.say = log.say if log else lambda text: None
            if log and self.budget is not None:
                log.say(str(self.budget))
            self.trainer.rehearse()
            outcome = self.trainer.fit(
                log=log.training if log else lambda stats: None,
                evaluate=self.evaluate,
                save=self.save_last,
                save_every=self.cfg.save.every,
                stop=signals.received,
                warn=log.left_out if log else lambda one: None,
            )
            if self.saver is not None and self.saver.missed is not None:
                raise self.saver.missed  # to end now would lose what was learned since the last save
            if outcome.signal is not None:
                print(f"\nsaved at step {self.trainer.step}; go on with: {self.resume_command()}", file=sys.stderr)
                raise Interrupted(outcome.signal)
        self.finish(outcome.reason)

    def begin(self) -> None:
        """The folder and its records, written before the first step; what a newcomer wants to know, said."""
        if not self.ranks.first:
            return
        write_text(self.folder.config, to_toml(self.cfg))  # first: without it nobody knows the folder for a run
        made(self.folder.checkpoints)
        refused = [one for split in (self.data.train, self.data.dev) for one in split.refused]
        if refused and self.cfg.data.bad == "quarantine":
            lines = (json.dumps({"error": one.message, "raw": one.raw}, ensure_ascii=False) for one in refused)
            write_text(self.folder.path / "quarantine.jsonl", "".join(line + "\n" for line in lines))
        size = sizes(self.model)
        counts = {"train": len(self.data.train.records), "dev": len(self.data.dev.records)}
        write_json(
            self.folder.facts,
            {
                "task": self.task.name,
                "refused": len(refused),
                "data": data_facts(self.task, self.cfg, self.data),
                "records": counts,
                **mixed_facts(self.cfg.data, self.data.mixture),
                **size,
                "begun": self.begun,
                "encoder_from": self.encoder_from,
                **({"budget": self.budget.tree()} if self.budget else {}),
                "seed": self.cfg.seed,
                "environment": self.facts,
            },
        )
        where = f"{self.trainer.device}, {self.trainer.precision}, {torch.get_num_threads()} threads"
        print(
            f"{self.task.name}: {counts['train']:,} training and {counts['dev']:,} dev records of"
            f" {source_name(self.task, self.cfg)}; {self.cfg.model.kind}, {counted(size)}; {where}; run {self.folder.path}",
            file=sys.stderr,
        )

    def look_back(self, origin: Origin, begun: dict[str, Any]) -> None:
        """How good the run begun from is at its own, unless that is not asked; and a first checkpoint, so that it may go."""
        if self.cfg.train.forgetting:
            with StopSignals() as self.signals:
                found = before(origin.run, self.cfg.train.evaluate_records, self.answers)
                if (signal := self.signals.received()) is not None:
                    raise Interrupted(signal)
            begun["forgetting"] = found
            print(told(found), file=sys.stderr)
        self.origin = None
        first = self.checkpoint(None)
        if self.ranks.first:
            write_checkpoint(self.folder.last, first, shard_mib=self.cfg.save.shard_mib)

    def evaluate(self, trainer: Trainer) -> float | None:
        """Decode the watched part of dev with the averaged weights; the first metric, or None if a signal came between."""
        before = time.perf_counter()
        with trainer.averaged():
            predictions = self.decode(self.watched)
            if predictions is None:
                return None
            values: dict[str, float] = {}
            if self.log is not None:
                with self.ranks.resting():
                    scores = score(predictions, self.metrics, intervals=False)
                values = {name: one.value for name, one in scores.items()}
                self.log.evaluation(trainer.step, values, time.perf_counter() - before)
            values = self.ranks.told(values)[0]  # of one process: programs that are run may end otherwise elsewhere
            first = next(one for one in self.metrics if one.name in values)
            value = values[first.name] if first.higher_is_better else -values[first.name]
            best = trainer.is_best(value)
            trainer.note(value)
            if best:
                self.hold(self.folder.best, {first.name: values[first.name]})
        if self.judge is not None and not self.judge(trainer.step, value):
            self.signals.ask(signal.SIGUSR1)
        return value

    def decode(self, records: Sequence[Record]) -> list[Prediction] | None:
        """None if a signal asked to stop."""
        if self.reader is not self.model:
            put_weights(self.reader, weights_of(self.model), "weights")
        answerer = Answerer(self.task, self.cfg, self.data.codecs, self.reader, self.rule)
        return answered_together(self.ranks, records, lambda part: self.answers(answerer, part))

    def answers(self, answerer: Answerer, records: Sequence[Record]) -> list[Prediction] | None:
        """The same of any model."""
        answer = replace(answerer, stop=lambda: self.signals.received() is not None)
        with progress_bar(len(records), "evaluating") as advance, self.ranks.working():

            def moved(done: int) -> None:
                advance(done)
                self.ranks.moved()

            try:
                return answer(records, moved)
            except Stopped:
                return None

    def save_last(self, trainer: Trainer) -> bool:
        """The raw weights and all that an exact resume needs; False where there was no room."""
        checkpoint = self.checkpoint(None)
        if self.saver is None or self.log is None:
            return True
        return self.saver.save(self.folder.last, checkpoint, before=self.log.settle)

    def hold(self, path: Path, first: dict[str, float] | None) -> None:
        """Write it now, or with the next save."""
        checkpoint = self.checkpoint(first)
        if self.saver is not None:
            self.saver.hold(path, checkpoint)

    def checkpoint(self, first: dict[str, float] | None) -> Checkpoint:
        """Of now; `first` is the score that made it the best. All processes come here, and the first one writes."""
        return checkpoint_of(
            task=self.task.name,
            config=self.cfg,
            codecs=self.data.codecs,
            model=self.model,
            trainer=self.trainer,
            score=first,
            environment=self.facts,
            data=data_facts(self.task, self.cfg, self.data),
            vocabulary=vocabulary(self.data.codecs),
            begun=self.begun,
        )

    def finish(self, reason: str) -> None:
        """Score the best weights on dev, or the part of it that is asked for, with intervals; then the run is whole."""
        self.ranks.meet()
        best = read_checkpoint(self.folder.best) or read_checkpoint(self.folder.last)
        assert best is not None
        put_weights(self.model, best.weights, str(self.folder.best))
        begun = time.perf_counter()
        with StopSignals() as self.signals:
            predictions = self.decode(watched_records(self.data.dev.records, self.cfg.train.final_records))
            forgetting = None
            if self.begun is not None and "forgetting" in self.begun and predictions is not None:
                forgetting = after(self.begun, self.task, self.data.codecs, self.reader, self.answers)
            if (signal := self.ranks.signalled(self.signals.received())) is not None or predictions is None:
                print(f"\nstopped before the last evaluation; go on with: {self.resume_command()}", file=sys.stderr)
                raise Interrupted(signal or 2)
        if not self.ranks.first:
            return
        ended(
            self.task,
            self.cfg,
            self.folder,
            self.data,
            self.reader,
            self.metrics,
            predictions,
            reason=reason,
            step=self.trainer.step,
            best_step=best.step,
            minutes=self.trainer.seconds / 60,
            seconds=time.perf_counter() - begun,
            forgetting=None if forgetting is None or self.begun is None else {"run": self.begun["run"], **forgetting},
        )

    def resume_command(self) -> str:
        """What to type."""
        return f"python -m tasks train {self.task.name} --run {shlex.quote(str(self.folder.path))} --resume"
