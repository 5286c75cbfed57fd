"""A study: trial after trial, each an ordinary run folder, remembered by Optuna in OUTPUT/study.db.

Whatever stops it, the same command goes on. Each trial draws from a generator of its own, made of the study's seed and the trial's
number, so that a study that was broken off chooses what an unbroken one would have chosen; a trial that was broken off goes on
from its last checkpoint.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.tune.space import Dimension, Range, with_values
from core.cli import TrainArguments
from core.config_text import to_toml
from core.config_toml import Loaded, load
from core.config_tree import Given, leaves
from core.data.order import mixed
from core.errors import ConfigError, DataError, Interrupted, UserError
from core.report.facts import read_log
from core.run.folder import RunFolder, read_json, write_json, write_text
from core.settings import RunConfig, run_config
from core.task import Task

NAME = "study"
WHY, STEP = "why", "step"
"""What a study notes of a trial: why it failed, at which step it was pruned."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a study is of; the same for all its trials."""

    task: Task[Any]
    kind: type
    base: Given
    """The tree of the base config."""
    space: Sequence[Dimension]
    output: Path
    trials: int
    """In all, those of earlier calls included."""
    seed: int
    pruner: str
    first: int
    """So many trials end before any is pruned."""

    def folder(self, number: int) -> RunFolder:
        """Of a trial."""
        return RunFolder(self.output / "trials" / f"{number:03d}")

    def values(self, params: dict[str, Any]) -> dict[str, Any]:
        """Keys of the config, from what the study keeps."""
        return {one.key: one.value(params[one.key]) for one in self.space}

    def config(self, params: dict[str, Any]) -> RunConfig:
        """Of a trial."""
        return with_values(self.kind, self.base, self.values(params), "trial")


def library() -> Any:
    """Optuna, silent; or a plain message."""
    try:
        import optuna
    except ImportError:
        raise ConfigError("a study needs the library optuna: pip install 'transduce[tune]'") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def opened(plan: Plan, *, higher_is_better: bool) -> Any:
    """The study, new or as it was left; one of another config, space, seed or pruner is refused."""
    optuna = library()
    same_as_before(plan)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=plan.first)
    return optuna.create_study(
        storage=f"sqlite:///{(plan.output / 'study.db').resolve()}",
        sampler=optuna.samplers.RandomSampler(seed=plan.seed),
        pruner=pruner if plan.pruner == "median" else optuna.pruners.NopPruner(),
        study_name=NAME,
        direction="maximize" if higher_is_better else "minimize",
        load_if_exists=True,
    )


def same_as_before(plan: Plan) -> None:
    """What makes trials comparable is written once; later calls must agree with it."""
    path = plan.output / "study.json"
    asked = json.loads(
        json.dumps(
            {
                "task": plan.task.name,
                "config": leaves(with_values(plan.kind, plan.base, {}, "")),
                "space": {one.key: one.tree() for one in plan.space},
                "seed": plan.seed,
                "pruner": plan.pruner,
                "first": plan.first,
            },
            default=str,
        )
    )
    if not path.is_file():
        if plan.output.is_dir() and any(plan.output.iterdir()):
            raise ConfigError(f"--output {plan.output}: neither empty nor a study; name another folder")
        plan.output.mkdir(parents=True, exist_ok=True)
        write_json(path, asked)
        return
    before = read_json(path)
    for part in asked:
        old, new = before.get(part), asked[part]
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            key = next(key for key in {**old, **new} if old.get(key) != new.get(key))
            part, old, new = f"{part}, {key}", old.get(key), new.get(key)
        raise ConfigError(
            f"{plan.output} is a study of another {part}: {old!r} -> {new!r}; name another folder with --output"
        )


def search(plan: Plan, study: Any) -> None:
    """Until the study has so many trials; raises Interrupted where a signal came."""
    for trial in trials(plan, study):
        run(plan, study, trial)


def trials(plan: Plan, study: Any) -> Iterator[Any]:
    """Those that were broken off, then new ones."""
    optuna = library()
    running = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))
    for one in running:
        if one.params.keys() == {dimension.key for dimension in plan.space}:
            yield optuna.trial.Trial(study, one._trial_id)
        else:  # it was stopped between two draws, before its folder
            study.tell(one.number, state=optuna.trial.TrialState.FAIL)
    while (number := len(study.get_trials(deepcopy=False))) < plan.trials:
        study.sampler = optuna.samplers.TPESampler(seed=mixed(plan.seed, number) % 2**32)
        yield study.ask({one.key: distribution(one) for one in plan.space})


def distribution(one: Dimension) -> Any:
    """As Optuna has it."""
    kinds = library().distributions
    if not isinstance(one, Range):
        return kinds.CategoricalDistribution([one.label(value) for value in one.values])
    if one.whole:
        return kinds.IntDistribution(one.low, one.high, log=one.log, step=one.step or 1)
    return kinds.FloatDistribution(one.low, one.high, log=one.log, step=one.step)


def run(plan: Plan, study: Any, trial: Any) -> None:
    """Train and tell the study; what cannot be trained fails with its reason, and the study goes on."""
    states, folder = library().trial.TrialState, plan.folder(trial.number)
    said = ", ".join(f"{key}={short(value)}" for key, value in plan.values(trial.params).items())
    print(f"trial {trial.number}: {said}", file=sys.stderr, flush=True)
    try:
        outcome = trained(plan, trial, folder)
    except UserError as error:
        trial.set_user_attr(WHY, str(error))
        study.tell(trial, state=states.FAIL)
        print(f"trial {trial.number}: failed: {error}", file=sys.stderr)
        return
    if outcome is None:
        study.tell(trial, state=states.PRUNED)
        print(f"trial {trial.number}: pruned at step {trial.user_attrs[STEP]:,}; {folder.path}", file=sys.stderr)
        return
    study.tell(trial, outcome)
    best = study.best_trial
    print(f"trial {trial.number}: {outcome:.4g}; best so far {best.value:.4g} (trial {best.number})", file=sys.stderr)


def trained(plan: Plan, trial: Any, folder: RunFolder) -> float | None:
    """The first metric on dev of a run that is finished; None where it was pruned."""
    from core.run.training import train

    cfg = plan.config(trial.params)
    judge = Judge(trial, cfg.train.steps, sign(plan))
    if judge.replayed(folder):
        return None
    if not folder.finished:
        if not folder.config.exists():
            with suppress(OSError):  # killed before its config was written
                folder.checkpoints.rmdir()
        folder.path.parent.mkdir(parents=True, exist_ok=True)
        arguments = TrainArguments(
            Loaded(cfg, {}), folder.path, resume=True, show=False, dry_run=False, config_path=None
        )
        try:
            train(plan.task, arguments, judge=judge)
        except Interrupted:
            if judge.pruned:
                return None
            raise
    judge.same_records(plan, folder)
    outcome = read_json(folder.metrics)
    return float(next(iter(outcome["metrics"].values()))["value"])


def sign(plan: Plan) -> float:
    """Of the first metric: -1 where less is better."""
    return 1.0 if first_metric(plan).higher_is_better else -1.0


def first_metric(plan: Plan) -> Any:
    """What a study goes by."""
    metrics = plan.task.metrics(with_values(plan.kind, plan.base, {}, "").task)
    if not metrics:
        raise ConfigError(f"{plan.task.name}: has no metric")
    return metrics[0]


class Judge:
    """Tells the study each score on dev as it comes, and asks it whether the trial is worth going on."""

    def __init__(self, trial: Any, steps: int, sign: float) -> None:
        self.trial, self.steps, self.sign = trial, steps, sign
        self.known: set[int] = set(trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values)
        self.pruned = False

    def __call__(self, step: int, value: float) -> bool:
        """`value` is the higher the better, as training has it; a trial that is at its end is let end."""
        if step not in self.known:
            self.known.add(step)
            self.trial.report(self.sign * value, step)
        if step < self.steps and self.trial.should_prune():
            self.pruned = True
            self.trial.set_user_attr(STEP, step)
        return not self.pruned

    def replayed(self, folder: RunFolder) -> bool:
        """Whether a trial that was broken off had been pruned; scores that the study had not heard of are told."""
        scores = [
            (one["step"], next(iter(one["metrics"].values())))
            for one in read_log(folder.log)
            if one["event"] == "evaluate"
        ]
        if folder.finished or not scores:
            return False
        for step, value in scores[:-1]:
            if step not in self.known:
                self.known.add(step)
                self.trial.report(value, step)
        step, value = scores[-1]
        state = folder.last / "trainer.json"
        counted = state.is_file() and step <= read_json(state)["evaluated"]  # else training looks again, and asks again
        return counted and not self(step, self.sign * value)

    def same_records(self, plan: Plan, folder: RunFolder) -> None:
        """A setting that changes what dev is leaves nothing to compare."""
        digest = read_json(folder.metrics)["sha256"]
        path = plan.output / "dev.sha256"
        if not path.is_file():
            write_text(path, digest + "\n")
        elif path.read_text(encoding="utf-8").strip() != digest:
            raise DataError(f"{folder.path}: its dev records are not those of the study's other trials")


def short(value: Any) -> str:
    """In a line."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def best_config(plan: Plan, study: Any) -> str | None:
    """The config to run, as TOML; None where no trial ended."""
    done = study.get_trials(deepcopy=False, states=(library().trial.TrialState.COMPLETE,))
    return to_toml(plan.config(study.best_trial.params)) if done else None


def base_tree(task: Task[Any], path: Path) -> tuple[type, Given]:
    """The config's class, and its file as a tree with places, what it extends included."""
    from core.config_toml import read_file

    kind = run_config(task.config)
    load(kind, path, ())
    return kind, read_file(kind, path)
