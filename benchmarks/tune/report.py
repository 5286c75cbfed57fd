"""OUTPUT/report.md and OUTPUT/report.html: the best trial, the course of the study, what mattered, the config to run (best.toml)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from benchmarks.leaderboard.markdown import table as markdown_table
from benchmarks.tune.space import Range
from benchmarks.tune.study import STEP, WHY, Plan, best_config, first_metric, library, short
from core.report.charts import Chart, Series
from core.report.page import Section, charts, page, table, text
from core.run.folder import write_text

LEAST = 4
"""Trials from which on importance is worth a figure."""
HEAD = ("trial", "state", "value", "last step", "settings", "run folder")
NOTE = "The best of several trials is chosen on dev, so its dev score flatters it: score the config on test, once."


@dataclass(frozen=True, slots=True)
class Story:
    """What both pages say."""

    title: str
    facts: Sequence[str]
    best: Sequence[str]
    rows: Sequence[Sequence[str]]
    importance: Sequence[tuple[str, float]]
    why_not: str
    """Why there is no importance, or nothing."""
    pictures: Sequence[Chart]
    config: str | None


def write(plan: Plan, study: Any) -> str:
    """Both pages and best.toml; returns what to print."""
    story = told(plan, study)
    write_text(plan.output / "report.md", markdown(story))
    write_text(plan.output / "report.html", html(story))
    if story.config is not None:
        write_text(plan.output / "best.toml", story.config)
    return "\n".join([*story.best, f"report: {plan.output / 'report.html'}"])


def told(plan: Plan, study: Any) -> Story:
    """From the study alone."""
    metric = first_metric(plan)
    found = study.get_trials(deepcopy=False)
    config = best_config(plan, study)
    counts = {state: sum(one.state.name.lower() == state for one in found) for state in states()}
    facts = [
        f"{plan.task.name}: {metric.name} on dev, {'more' if metric.higher_is_better else 'less'} is better.",
        f"{len(found)} trials: " + ", ".join(f"{count} {state}" for state, count in counts.items() if count) + ".",
        f"Optuna's TPE sampler, seed {plan.seed}; "
        + (f"median pruning after {plan.first} trials." if plan.pruner == "median" else "no pruning."),
    ]
    importance, why_not = importances(study)
    return Story(
        f"Study of {plan.task.name}",
        facts,
        best_lines(plan, study, metric.name, found=config is not None),
        [row(plan, one) for one in found],
        importance,
        why_not,
        drawn(plan, study, metric.name, more=metric.higher_is_better),
        config,
    )


def states() -> Sequence[str]:
    """As a study has them."""
    return ("complete", "pruned", "fail", "running")


def best_lines(plan: Plan, study: Any, metric: str, *, found: bool) -> list[str]:
    """The trial, its settings, and how to run it again."""
    if not found:
        return ["no trial came to its end"]
    best = study.best_trial
    settings = ", ".join(f"{key} = {short(value)}" for key, value in plan.values(best.params).items())
    return [
        f"best: trial {best.number}, {metric} {best.value:.4g} on dev: {settings}",
        f"run: {plan.folder(best.number).path}",
        f"again: python -m tasks.{plan.task.name}.train {plan.output / 'best.toml'}",
    ]


def row(plan: Plan, one: Any) -> list[str]:
    """One trial."""
    value = "" if one.value is None else f"{one.value:.4g}"
    steps = f"{max(one.intermediate_values):,}" if one.intermediate_values else ""
    complete = one.params.keys() == {dimension.key for dimension in plan.space}
    settings = ", ".join(f"{key}={short(own)}" for key, own in plan.values(one.params).items()) if complete else ""
    state = one.state.name.lower()
    if WHY in one.user_attrs:
        state += f": {one.user_attrs[WHY]}"
    if one.state.name == "PRUNED":
        state += f" at step {one.user_attrs.get(STEP, 0):,}"
    return [str(one.number), state, value, steps, settings, str(plan.folder(one.number).path)]


def importances(study: Any) -> tuple[list[tuple[str, float]], str]:
    """PED-ANOVA's shares (Watanabe et al., 2023) over the trials that ended, the greatest first."""
    optuna = library()
    done = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    if len(done) < LEAST:
        return [], f"of {len(done)} trials that ended nothing can be said; {LEAST} are the least"
    if len({one.value for one in done}) == 1:
        return [], "all trials came out alike"
    with warnings.catch_warnings(action="ignore"):
        shares = optuna.importance.get_param_importances(
            study, evaluator=optuna.importance.PedAnovaImportanceEvaluator()
        )
    found = [(key, float(share)) for key, share in shares.items()]
    return (found, "") if all(math.isfinite(share) for _, share in found) else ([], "the trials are too much alike")


def drawn(plan: Plan, study: Any, metric: str, *, more: bool) -> list[Chart]:
    """Scores by trial, by step, and by each setting."""
    found = [one for one in study.get_trials(deepcopy=False) if one.value is not None]
    done = [one for one in found if one.state.name == "COMPLETE"]
    pruned = [one for one in found if one.state.name == "PRUNED"]
    if not done:
        return []
    best, course = None, list[float]()
    for one in done:
        best = one.value if best is None else (max if more else min)(best, one.value)
        course.append(best)
    history = [
        Series("ended", [one.number for one in done], [one.value for one in done]),
        Series("pruned", [one.number for one in pruned], [one.value for one in pruned]),
        Series("best so far", [one.number for one in done], course, dashed=True),
    ]
    history = [one for one in history if one.x]
    pictures = [Chart("history", "Trials", "trial", metric, history, kind="points")]
    learning = [
        Series(f"trial {one.number}", list(one.intermediate_values), list(one.intermediate_values.values()))
        for one in found
        if one.intermediate_values
    ]
    if learning:
        pictures.append(Chart("learning", "Learning, trial by trial", "step", metric, learning))
    return [*pictures, *(by_setting(plan, one, done, metric) for one in plan.space)]


def by_setting(plan: Plan, one: Any, done: Sequence[Any], metric: str) -> Chart:
    """Scores against one setting; a logarithmic range by its exponent, choices side by side."""
    values = [plan.values(each.params)[one.key] for each in done]
    scores = [each.value for each in done]
    name = f"by-{one.key.replace('.', '-')}"
    if not isinstance(one, Range):
        places = [float(one.values.index(value)) for value in values]
        ticks = [(float(place), short(value)) for place, value in enumerate(one.values)]
        return Chart(name, one.key, one.key, metric, [Series("trials", places, scores)], kind="points", x_ticks=ticks)
    if one.log:
        places = [math.log10(value) for value in values]
        ends = range(math.floor(min(places)), math.ceil(max(places)) + 1)
        ticks = [(float(power), f"1e{power}") for power in ends if min(places) <= power <= max(places)]
        ticks = ticks or [(place, short(value)) for place, value in zip(places, values, strict=True)]
        return Chart(name, one.key, one.key, metric, [Series("trials", places, scores)], kind="points", x_ticks=ticks)
    return Chart(name, one.key, one.key, metric, [Series("trials", values, scores)], kind="points")


def markdown(story: Story) -> str:
    """For a terminal or a repository."""
    parts = [f"# {story.title}\n", *(f"{fact}\n" for fact in story.facts), "## Best\n"]
    parts += ["".join(f"* {line}\n" for line in story.best), f"{NOTE}\n", "## Importance\n"]
    if story.importance:
        parts.append(markdown_table(["setting", "share"], [[key, f"{share:.3f}"] for key, share in story.importance]))
    else:
        parts.append(f"Not measured: {story.why_not}.\n")
    parts += ["## Trials\n", markdown_table(HEAD, story.rows)]
    if story.config is not None:
        parts += ["## The config to run\n", f"```toml\n{story.config}```\n"]
    return "\n".join(parts)


def html(story: Story) -> str:
    """One page, nothing loaded."""
    sections = [Section("Best", [*(text(line) for line in story.best), text(NOTE, "note")])]
    sections.append(Section("Course", [charts(story.pictures)], missing="" if story.pictures else "no trial has ended"))
    shares = [(key, f"{share:.3f}") for key, share in story.importance]
    about = text("PED-ANOVA (Watanabe et al., 2023) over the trials that ended; of few trials a hint at most.", "note")
    sections.append(
        Section("Importance", [table(("setting", "share"), shares), about] if shares else [], missing=story.why_not)
    )
    sections.append(Section("Trials", [table(HEAD, story.rows)]))
    if story.config is not None:
        sections.append(Section("The config to run", [f"<pre><code>{escape(story.config)}</code></pre>"]))
    return page(story.title, [text(fact, "facts") for fact in story.facts], sections)
