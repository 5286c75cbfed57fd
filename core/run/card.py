"""card.md: what a run is, for someone who did not train it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.config_text import toml_value
from core.config_tree import leaves
from core.decode.config import SearchConfig
from core.run.forgetting import told
from core.run.origin import counted
from core.run.prepared import source_name
from core.settings import RunConfig
from core.task import Task

FOREIGN = "It was trained on records of which this program knows nothing: what they leave out, it has not learned."


def card(task: Task[Any], cfg: RunConfig, result: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """Facts only, each taken from the run's own records."""
    environment = facts["environment"]
    rows = [
        f"| {name} | {one['value']:.4g} | {interval(one['interval'])} | {escaped(one['signature'])} |"
        for name, one in result["metrics"].items()
    ]
    return "\n".join(
        [
            f"# {task.name}: a trained run",
            "",
            f"A {cfg.model.kind} of {counted(facts)}, trained on {facts['records']['train']:,} records of"
            f" `{facts['data']['source']}` for {result['step']:,} steps ({result['minutes']:.1f} minutes; {result['reason']}).",
            "",
            f"Scores of the best checkpoint (step {result['best_step']:,}) on {share(result)}dev records:",
            "",
            "| metric | value | 95 % interval | signature |",
            "|---|---|---|---|",
            *rows,
            "",
            *([f"{told(result['forgetting'])}.", ""] if "forgetting" in result else []),
            "Checkpoints were chosen on these same dev records, so expect a little less elsewhere; `evaluate --split test` says how much.",
            "",
            f"* settings of the task: {settings(cfg.task)}",
            f"* answers: {decoding(cfg.search)}",
            f"* licence of the data: {licence(task, cfg)}",
            f"* data: sha256 of train `{facts['data']['train']}`, of dev `{facts['data']['dev']}`",
            f"* seed {facts['seed']}; git revision {environment.get('git') or 'unknown'}",
            "* versions: " + ", ".join(f"{name} {version}" for name, version in environment["versions"].items()),
            f"* hardware: {environment.get('hardware')}; {environment.get('threads')} threads",
            f"* cost: {result['minutes']:.1f} minutes of training there, {result['step']:,} steps",
            "",
            "What it is not good for: " + " ".join(limits(task, cfg, result)),
            "",
            "To reproduce, with the `config.toml` beside this file:",
            "",
            f"    python -m tasks train {task.name} config.toml",
            "",
            "At that revision and with those versions. Another machine, or another number of threads, rounds otherwise: expect scores",
            "within the intervals, not the same digits.",
            "",
        ]
    )


def settings(cfg: Any) -> str:
    """What the records are and how they are read: languages, a direction, how much was generated."""
    found = [(name, value) for name, value in leaves(cfg).items() if value not in ("", (), [])]
    return ", ".join(f"`{name} = {toml_value(value)}`" for name, value in found) or "it has none"


def decoding(search: SearchConfig) -> str:
    """How the answers that were scored were found."""
    wide = f" of {search.beams}" if search.strategy == "beam" else ""
    return f"{search.strategy}{wide}, length penalty {search.length_penalty:g}, chosen by {search.decide}"


def sources(task: Task[Any], cfg: RunConfig) -> list[str]:
    """What the training records came from; `builtin` by its own name."""
    mixed = (replace(cfg, data=replace(cfg.data, source=one.source)) for one in cfg.data.mix)
    return list(dict.fromkeys(source_name(task, one) for one in (cfg, *mixed)))


def licence(task: Task[Any], cfg: RunConfig) -> str:
    """Of the records, which the weights were made of."""
    names = sources(task, cfg)
    unknown = "not known to this program; whoever gave you `{}` data says what may be passed on"
    found = [task.licences.get(name, unknown.format(name)) for name in names]
    return found[0] if len(names) == 1 else "; ".join(f"{name}: {one}" for name, one in zip(names, found, strict=True))


def limits(task: Task[Any], cfg: RunConfig, result: Mapping[str, Any]) -> list[str]:
    """Of its data, where they are the task's own, and of every model."""
    own = all(name in task.licences for name in sources(task, cfg))
    said = [task.limits if own else FOREIGN] if task.limits or not own else []
    said += ["Sources unlike the training records get answers all the same, and nothing in an answer says so."]
    said += [f"Not measured here: {', '.join(result['skipped'])}."] if result.get("skipped") else []
    return said


def share(result: Mapping[str, Any]) -> str:
    """How many of all there are."""
    whole = result.get("of", result["n"])
    return f"{result['n']:,} " + (f"of {whole:,} " if whole > result["n"] else "")


def interval(ends: list[float] | None) -> str:
    """[low, high], or a dash."""
    return f"[{ends[0]:.4g}, {ends[1]:.4g}]" if ends else "-"


def escaped(signature: str) -> str:
    """As code in a cell of a table."""
    return "`" + signature.replace("|", "\\|") + "`"
