"""What a run loses when its sources are perturbed: the same records asked again, the same targets, tested in pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.data.noise import Chosen
from core.errors import ConfigError
from core.metrics.resampling import paired_bootstrap
from core.record import Prediction, Record
from core.run.answering import Answerer
from core.run.progress import progress_bar
from core.run.scoring import Score, cell, score


@dataclass(frozen=True, slots=True)
class Withstood:
    """A run under one noise."""

    noise: Chosen[Any]
    changed: int
    """Records whose source is another."""
    scores: Mapping[str, Score]
    difference: Mapping[str, float]
    """Noisy less clean."""
    p_value: Mapping[str, float]

    def tree(self) -> dict[str, Any]:
        """As results files hold it."""
        return {
            "changed": self.changed,
            "metrics": {
                name: {**one.tree(), "difference": self.difference[name], "p_value": self.p_value[name]}
                for name, one in self.scores.items()
            },
        }


def withstand(
    answer: Answerer,
    predictions: Sequence[Prediction],
    clean: Mapping[str, Score],
    noises: Sequence[Chosen[Any]],
    seed: int,
) -> list[Withstood]:
    """Noise by noise; `predictions` and `clean` are those of the sources as they are."""
    records = [one.record for one in predictions]
    groups = [record.meta.get("group") for record in records]
    grouped = groups if any(group is not None for group in groups) else None
    found: list[Withstood] = []
    for noise in noises:
        noisy = [perturbed(noise, answer.config.task, record, seed) for record in records]
        with progress_bar(len(noisy), f"decoding with {noise}") as advance:
            answers = answer(noisy, advance)
        known = [one.metric for one in clean.values()]
        scores = score([judged(one, record) for one, record in zip(answers, records, strict=True)], known, skipped={})
        found.append(
            Withstood(
                noise,
                sum(one.source != record.source for one, record in zip(noisy, records, strict=True)),
                scores,
                {name: one.value - clean[name].value for name, one in scores.items()},
                {
                    name: paired_bootstrap(one.metric, one.rows, clean[name].rows, groups=grouped)
                    for name, one in scores.items()
                },
            )
        )
    return found


def perturbed(noise: Chosen[Any], task_config: Any, record: Record, seed: int) -> Record:
    """Or a refusal that names the noise."""
    try:
        return noise.always(task_config, record, seed)
    except ConfigError as error:
        raise ConfigError(f"--noise {noise}: {error}") from None


def judged(answer: Prediction, clean: Record) -> Prediction:
    """Against the source as it was, for metrics that look at it, unless the target had to change with it."""
    if answer.record.target != clean.target:
        return answer
    return Prediction(replace(answer.record, source=clean.source), answer.hypotheses)


def noise_table(clean: Mapping[str, Score], withstood: Sequence[Withstood], seed: int) -> str:
    """What a person reads: a block a metric, a line a noise."""
    names = [str(one.noise) for one in withstood]
    width = max(len("as they are"), *map(len, names))
    lines = [f"with perturbed sources (noise seed {seed})"]
    for metric, before in clean.items():
        lines.append(f"{metric:<{width}}  {'score':>24}  {'difference':>10}  {'p':>6}  {'changed':>9}")
        lines.append(f"{'as they are':<{width}}  {cell(before):>24}")
        for one in withstood:
            if metric not in one.scores:
                continue
            lines.append(
                f"{one.noise!s:<{width}}  {cell(one.scores[metric]):>24}  {one.difference[metric]:>+10.3g}"
                f"  {one.p_value[metric]:>6.3f}  {one.changed:>9,}"
            )
    return "\n".join(lines)
