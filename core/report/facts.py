"""The sections that need no model: settings, data, learning, scores, cost."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from core.config_text import to_toml
from core.config_tree import differences
from core.errors import DataError
from core.report.charts import Chart, Series, histogram
from core.report.page import Section, charts, folded, table, text


def read_log(path: Path) -> list[dict[str, Any]]:
    """The events of log.jsonl; a last line that was cut off is left out."""
    if not path.is_file():
        return []
    lines = path.read_bytes().splitlines(keepends=True)
    whole = [line for line in lines if line.endswith(b"\n")]
    try:
        return [json.loads(line) for line in whole]
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: {error}") from None


def settings_section(cfg: Any, defaults: Any | None) -> Section:
    """The whole config, folded, and what in it is not as built in."""
    whole = folded("the whole config, as RUN/config.toml has it", f"<pre><code>{escape(to_toml(cfg))}</code></pre>")
    if defaults is None:
        return Section(
            "Settings",
            (text("This task has no default for every key, so there is nothing to compare with.", "note"), whole),
        )
    changed = [(key, shown(old), shown(new)) for key, old, new in differences(defaults, cfg)]
    parts = [text(f"{len(changed)} keys differ from the built-in defaults.", "note")]
    parts += [table(("key", "default", "this run"), changed)] if changed else []
    return Section("Settings", (*parts, whole))


def shown(value: object) -> str:
    """In a table; what is not there is a dash."""
    return "–" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def data_section(
    facts: Mapping[str, Any], lengths: Mapping[str, Mapping[str, Sequence[int]]], unit: Mapping[str, str], note: str
) -> Section:
    """`lengths`: split -> side -> one number a record; `unit`: side -> what is counted."""
    rows = [(name, f"{count:,}", facts["data"].get(name, "")[:16]) for name, count in facts["records"].items()]
    parts = [
        text(f"Source: {facts['data']['source']}. {facts['refused']:,} records were refused while reading."),
        table(("split", "records", "sha256 begins"), rows),
    ]
    made = [
        histogram(f"length-{split}-{side}", f"{split}: length of the {side}", unit[side], values)
        for split, sides in lengths.items()
        for side, values in sides.items()
    ]
    summary = [
        (split, side, unit[side], *map(str, quantiles(values)))
        for split, sides in lengths.items()
        for side, values in sides.items()
        if len(values)
    ]
    parts.append(table(("split", "side", "in", "shortest", "median", "95 %", "longest"), summary))
    return Section("Data", (*parts, charts(made), text(note, "note")), charts=made)


def quantiles(values: Sequence[int]) -> tuple[int, int, int, int]:
    """Shortest, median, 95 %, longest."""
    ordered = sorted(values)
    return ordered[0], ordered[len(ordered) // 2], ordered[int(0.95 * (len(ordered) - 1))], ordered[-1]


def learning_section(events: Sequence[Mapping[str, Any]], best_step: int | None) -> Section:
    """Loss, dev metrics, learning rate and throughput over steps."""
    training = [one for one in events if one.get("event") == "train"]
    evaluated = [one for one in events if one.get("event") == "evaluate"]
    if not training:
        return Section("Learning", missing="log.jsonl holds no training step")

    def over_steps(key: str) -> tuple[list[int], list[float]]:
        found = [(one["step"], one[key]) for one in training if one.get(key) is not None]
        return [step for step, _ in found], [value for _, value in found]

    made = [
        Chart(
            "loss", "Loss per target token", "step", "nats, smoothing included", (Series("loss", *over_steps("loss")),)
        )
    ]
    for name in dict.fromkeys(name for one in evaluated for name in one["metrics"]):
        points = [(one["step"], one["metrics"][name]) for one in evaluated if name in one["metrics"]]
        line = Series(name, [step for step, _ in points], [value for _, value in points])
        made.append(Chart(f"dev-{file_name(name)}", f"Dev: {name}", "step", name, (line,)))
    made += [
        Chart(
            "throughput",
            "Throughput",
            "step",
            "target tokens a second",
            (Series("tokens/s", *over_steps("tokens_per_second")),),
            from_zero=True,
        ),
        Chart(
            "learning-rate",
            "Learning rate",
            "step",
            "learning rate",
            (Series("lr", *over_steps("lr")),),
            from_zero=True,
        ),
        Chart(
            "gradient-norm",
            "Norm of the gradient, before clipping",
            "step",
            "norm",
            (Series("norm", *over_steps("norm")),),
            from_zero=True,
        ),
    ]
    passes = training[-1]["epoch"] + 1
    said = f"{training[-1]['step']:,} steps, {passes:,} {'pass' if passes == 1 else 'passes'} over the data begun."
    if best_step is not None:
        said += f" The best evaluation, whose weights were kept, was at step {best_step:,}."
    few = "Dev is decoded on the part of it that train.evaluate_records allows; the scores of this page are not."
    return Section("Learning", (text(said), charts(made), text(few, "note") if evaluated else ""), charts=made)


def file_name(name: str) -> str:
    """Of a metric, for a file."""
    return "".join(one if one.isalnum() or one in "-_" else "-" for one in name)


def scores_section(
    result: Mapping[str, Any] | None,
    here: Mapping[str, Mapping[str, Any]],
    floors: Mapping[str, Mapping[str, Mapping[str, Any]]],
    said: str,
    skipped: Mapping[str, str],
    no_floors: str = "",
) -> Section:
    """The run's own result on dev, then the same system and the trivial ones on the records of this page."""
    parts: list[str] = []
    if result is not None:
        whole = result.get("of", result["n"])
        size = f"{result['n']:,} of {whole:,}" if whole > result["n"] else f"all {whole:,}"
        parts.append(text(f"On {size} {result['split']} records, as metrics.json has it:"))
        rows = [
            (name, number(one["value"]), interval(one["interval"]), one["signature"])
            for name, one in result["metrics"].items()
        ]
        parts.append(table(("metric", "value", "95 % interval", "signature"), rows))
        parts.append(text("Checkpoints were chosen on dev, so expect a little less elsewhere.", "note"))
    if here:
        parts.append(text(said))
        rows = [
            (
                metric,
                f"{number(one['value'])} {interval(one['interval'])}",
                *(
                    f"{number(own[metric]['value'])} (p = {own[metric]['p_value']:.3f})" if metric in own else ""
                    for own in floors.values()
                ),
            )
            for metric, one in here.items()
        ]
        parts.append(table(("metric", "the model", *floors), rows))
        parts.append(text("p: paired bootstrap against the model.", "note") if floors else text(no_floors, "note"))
    parts += [text(f"{name}: skipped, {why}", "note") for name, why in skipped.items()]
    return Section("Scores", parts, missing="" if parts else "the run has no metrics.json yet")


def number(value: float) -> str:
    """Four digits."""
    return f"{value:.4g}"


def interval(ends: Sequence[float] | None) -> str:
    """[low, high]"""
    return f"[{ends[0]:.4g}, {ends[1]:.4g}]" if ends else ""


def cost_section(
    result: Mapping[str, Any] | None, facts: Mapping[str, Any], events: Sequence[Mapping[str, Any]], decoding: str
) -> Section:
    """What it took."""
    environment = facts["environment"]
    machine = f"{environment.get('hardware')}; {environment.get('device')}, {environment.get('precision')}"
    machine += f", {environment.get('threads')} threads"
    training = [one["tokens_per_second"] for one in events if one.get("event") == "train"]
    rows = [
        (
            "parameters",
            f"{facts['parameters']:,}, of which {facts.get('trainable', facts['parameters']):,} are trained",
        ),
        (
            "training",
            f"{result['minutes']:.1f} minutes, {result['step']:,} steps; {result['reason']}"
            if result
            else "not finished",
        ),
        (
            "throughput",
            f"{sorted(training)[len(training) // 2]:,.0f} target tokens a second (median)"
            if training
            else "not logged",
        ),
        ("decoding", decoding),
        ("hardware", machine),
        ("versions", ", ".join(f"{name} {version}" for name, version in environment["versions"].items())),
        ("code", f"git revision {environment.get('git') or 'unknown'}"),
    ]
    return Section("Cost", (table(("what", "how much"), rows),))
