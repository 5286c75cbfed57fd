"""The verbs that look at trained runs: `report`, `compare`, `likelihood`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from core.errors import ConfigError
from core.flags import Flag, Words
from core.task import Task
from core.words import SIGNED, Verb, run_folder, settings, signed


@dataclass(frozen=True, slots=True)
class ReportArguments:
    """What `report` was told."""

    run: Path
    split: Literal["dev", "test"]
    records: int
    """Looked at closely, at most."""
    seconds: float
    """For the beams of the section on the search, all together."""
    output: Path | None
    """None: RUN/report.html."""
    overrides: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CompareArguments:
    """What `compare` was told."""

    runs: tuple[Path, ...]
    """Two or more; each is compared with the first."""
    split: Literal["dev", "test"]
    records: int | None
    """At most; None: all."""
    output: Path | None
    """None: the scores alone, no page."""
    overrides: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LikelihoodArguments:
    """What `likelihood` was told."""

    run: Path
    inputs: tuple[str, ...]
    """Files of sources with targets, or one file of sources where `targets` are given."""
    targets: Path | None
    """Plain lines, beside the lines of the one input."""
    output: Path | None
    format: Literal["text", "jsonl"]
    overrides: tuple[str, ...]


def split_of(words: Words) -> Literal["dev", "test"]:
    """Dev where nothing is said."""
    return "test" if words.flags.get("--split") == "test" else "dev"


def report(task: Task[Any], words: Words) -> int:
    """Read, check, and go."""
    overrides, rest = settings(words.plain)
    run = run_folder(task, rest, overrides)
    if len(rest) > 1:
        raise ConfigError(f"{rest[1]}: one RUN at a time; two are for compare")
    records = words.whole_number("--records", least=1) or 200
    seconds = words.whole_number("--seconds", least=1) or 90
    arguments = ReportArguments(run, split_of(words), records, seconds, words.path("--output"), overrides)
    from core.run.reporting import report

    return report(task, arguments)


def compare(task: Task[Any], words: Words) -> int:
    """Read, check, and go."""
    overrides, rest = settings(words.plain)
    runs = [run_folder(task, rest[n : n + 1], overrides) for n in range(max(len(rest), 1))]
    if len(rest) < 2:
        raise ConfigError(f"compare needs two runs or more, RUN_A and RUN_B, not {len(rest)}")
    records = words.whole_number("--records", least=1)
    arguments = CompareArguments(tuple(runs), split_of(words), records, words.path("--output"), overrides)
    from core.run.comparing import compare

    return compare(task, arguments)


def likelihood(task: Task[Any], words: Words) -> int:
    """Read, check, and go."""
    overrides, rest = settings(words.plain)
    run = run_folder(task, rest, overrides)
    inputs, targets = tuple(rest[1:]) or ("-",), words.path("--targets")
    if inputs.count("-") > 1:
        raise ConfigError("-: standard input can be read once")
    if targets is not None and (len(inputs) > 1 or inputs == ("-",)):
        raise ConfigError(f"--targets {targets}: goes with one file of sources, line by line")
    form: Literal["text", "jsonl"] = "jsonl" if words.flags.get("--format") == "jsonl" else "text"
    from core.run.likelihood import likelihood

    with signed(task, words, run, overrides) as (trusted, _):
        return likelihood(task, LikelihoodArguments(trusted, inputs, targets, words.path("--output"), form, overrides))


SPLIT = Flag("--split", "which part of the run's data; default: dev", "SPLIT", ("dev", "test"))
LOOKING: dict[str, Verb] = {
    "report": Verb(
        "Write one page about a run: curves, scores, answers, attention, diagnoses.",
        "RUN [key=value ...] [flags]",
        (
            SPLIT,
            Flag("--records", "look closely at so many records; default: 200", "N"),
            Flag("--seconds", "try ever wider beams, up to 32, for so long; default: 90", "N"),
            Flag("--output", "write the page there; default: RUN/report.html", "OUT"),
        ),
        ("The pictures of the page lie beside it, in a folder of their own. docs/report.md says how to read them.",),
        ("runs/first", "runs/first --split test --records 500 --output first.html"),
        report,
    ),
    "compare": Verb(
        "Compare runs on the same records: wins and losses, significance, beliefs, settings, cost.",
        "RUN_A RUN_B [RUN_C ...] [key=value ...] [flags]",
        (
            SPLIT,
            Flag("--records", "answer so many records, the first by a hash of their keys; default: all", "N"),
            Flag("--output", "write a page there as well", "OUT"),
        ),
        (
            "A difference is tested by paired approximate randomisation. All runs answer the data of RUN_A, and each",
            "is set against RUN_A; with --output also exposure bias and calibration of all, in one table each.",
        ),
        ("runs/first runs/second", "runs/first runs/second --split test --output compared.html"),
        compare,
    ),
    "likelihood": Verb(
        "Score given targets: the log-probability of each under the model.",
        "RUN [INPUT ... | -] [key=value ...] [flags]",
        (
            Flag("--targets", "plain targets, one a line, for the one INPUT of plain sources", "FILE"),
            Flag("--output", "write there, not to standard output", "OUT"),
            Flag("--format", "text: log-probability, tokens, per token", "FORMAT", ("text", "jsonl")),
            SIGNED,
        ),
        (
            'Inputs are JSONL with "source" and "target", or the task\'s own files that hold both.',
            "No rule of decoding has a say: this is what the model itself believes.",
        ),
        ("runs/first pairs.jsonl", "runs/first sources.txt --targets targets.txt --format jsonl"),
        likelihood,
    ),
}
