"""`compare`: runs on the same records, record by record: who wins where, and is the difference more than chance?"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.config_tree import differences
from core.errors import ConfigError, DataError
from core.metrics.resampling import paired_randomisation
from core.record import Prediction
from core.report.beliefs import Belief, belief_sections, calibration_rows, exposure_rows
from core.report.charts import Chart, Series
from core.report.examples import as_text, listed, marked
from core.report.exposure import READINGS
from core.report.facts import interval, number, shown
from core.report.page import Section, charts, page, table, text
from core.run.answering import Answerer
from core.run.evaluation import with_targets
from core.run.folder import existing_run, read_json, write_text
from core.run.measuring import calibrated, exposed, judgings
from core.run.prepared import SplitRecords, read_split
from core.run.progress import progress_bar
from core.run.scoring import Score, alone, score
from core.run.stored import StoredRun, load_run
from core.run.watched import watched_records
from core.task import Task

if TYPE_CHECKING:
    from core.looking import CompareArguments

SHOWN = 5
"""Records where each run wins most."""
BELIEVED = 100
"""Records on which exposure bias and calibration are measured."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the runs."""

    name: str
    run: StoredRun
    predictions: list[Prediction]
    scores: Mapping[str, Score]
    seconds: float
    facts: Mapping[str, Any]
    result: Mapping[str, Any]

    @property
    def first(self) -> Score:
        """By which records are won and lost."""
        return next(iter(self.scores.values()))


@dataclass(frozen=True, slots=True)
class Difference:
    """B - A of one metric."""

    name: str
    value: float
    p_value: float
    better: str
    """A, B or neither."""


def compare(task: Task[Any], arguments: CompareArguments) -> int:
    """Print the table; write a page where asked."""
    output = arguments.output
    if output is not None and not output.parent.is_dir():
        raise ConfigError(f"--output {output}: no such folder {output.parent}")
    runs = [load_run(task, existing_run(path), arguments.overrides) for path in arguments.runs]
    found = with_targets(read_split(task, runs[0].config, arguments.split))
    whole, names = len(found.records), names_of(arguments.runs)
    if arguments.records is not None:
        found = replace(found, records=watched_records(found.records, arguments.records))
    count = f"{whole:,}" if len(found.records) == whole else f"{len(found.records):,} of {whole:,}"
    sides = [answered(task, run, name, found) for run, name in zip(runs, names, strict=True)]
    print(f"{task.name}, {arguments.split}: {count} records of {arguments.runs[0]}'s data")
    sections: list[Section] = []
    for other in sides[1:]:
        pair = [sides[0], other]
        unequal, measured = unequal_signatures(pair), tested(pair)
        pair = [replace(side, scores={one.name: side.scores[one.name] for one in measured}) for side in pair]
        print("\n".join(plain_table(pair, measured)))
        wins = won(pair)
        counts = ", ".join(f"{name} {len(rows)}" for name, rows in wins.items())
        print(f"{pair[0].first.metric.name}, record by record: {counts}")
        for reason in unequal:
            print(reason)
        which = f": {names[0]} and {other.name}" if len(sides) > 2 else ""
        sections += [scores_section(pair, measured, unequal, which), items_section(pair, wins, which)]
    if output is not None:
        beliefs = [believed(side, arguments.split) for side in sides]
        for head, rows in (exposure_rows(beliefs), calibration_rows(beliefs)):
            print("\n".join(columns(head, rows)))
        sections += [*belief_sections(beliefs, len(asked(sides[0]))), config_section(sides), cost_section(sides)]
        said = f"{task.name}, the same {count} {arguments.split} records of the data of {names[0]}."
        title = ", ".join(names[:-1]) + f" and {names[-1]}"
        write_text(output, page(title, [text(said, "facts")], sections, style=task.present_style))
        print(f"{output}: written")
    return 0


def names_of(paths: Sequence[Path]) -> list[str]:
    """The folders' names where they differ, else the whole paths, else with a letter."""
    names = [path.resolve().name for path in paths]
    if len(set(names)) == len(names):
        return names
    whole = [str(path) for path in paths]
    return whole if len(set(whole)) == len(whole) else [f"{name} ({chr(65 + n)})" for n, name in enumerate(names)]


def asked(side: Side) -> list[Prediction]:
    """Those whose beliefs are measured, the same of each run."""
    keys = {one.key for one in watched_records([one.record for one in side.predictions], BELIEVED)}
    return [one for one in side.predictions if one.record.key in keys]


def believed(side: Side, split: str) -> Belief:
    """Exposure bias and calibration, or why they could not be measured."""
    train, some = side.run.config.train, asked(side)
    if side.run.model.ctc_weight == 1:
        why = "model.ctc = 1 leaves the decoder untrained"
        return Belief(side.name, train.forcing, train.label_smoothing, None, why, None, why)
    total = READINGS * len(some) + judgings(len(some), split)
    with progress_bar(total, f"beliefs of {side.name}") as advance:
        exposure, no_exposure = exposed(side.run, some, side.first.metric, advance)
        found, no_calibration = calibrated(side.run, some, split, progress=advance)
    reads = "true words" if train.forcing == "always" else f"own words too ({train.forcing} to {train.forcing_floor:g})"
    return Belief(side.name, reads, train.label_smoothing, exposure, no_exposure, found, no_calibration)


def columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Plain text, each column as wide as it needs, numbers to the right."""
    wide = [max(len(row[n]) for row in (head, *rows)) for n in range(len(head))]
    lines = [
        "  ".join(
            cell.rjust(size) if n else cell.ljust(size) for n, (cell, size) in enumerate(zip(row, wide, strict=True))
        )
        for row in (head, *rows)
    ]
    return [line.rstrip() for line in lines]


def answered(task: Task[Any], run: StoredRun, name: str, found: SplitRecords) -> Side:
    """Decode and score."""
    answer = Answerer(task, run.config, run.codecs, run.model, run.rule)
    begun = time.perf_counter()
    with progress_bar(len(found.records), f"decoding with {name}") as advance:
        predictions = answer(found.records, advance)
    seconds = time.perf_counter() - begun
    folder = run.folder
    result = read_json(folder.metrics) if folder.metrics.is_file() else {}
    scores = score(predictions, task.metrics(run.config.task))
    return Side(name, run, predictions, scores, seconds, read_json(folder.facts), result)


def unequal_signatures(sides: Sequence[Side]) -> list[str]:
    """Metrics that are not the same computation in both runs, and so are not compared."""
    one, other = (side.scores for side in sides)
    return [
        f"{name} is not compared: its signatures differ"
        for name in one
        if name in other and one[name].metric.signature != other[name].metric.signature
    ]


def tested(sides: Sequence[Side]) -> list[Difference]:
    """By paired approximate randomisation (Noreen 1989), whole groups where records are not independent."""
    one, other = (side.scores for side in sides)
    groups = [prediction.record.meta.get("group") for prediction in sides[0].predictions]
    grouped = groups if any(group is not None for group in groups) else None
    found: list[Difference] = []
    for name in one:
        if name not in other or one[name].metric.signature != other[name].metric.signature:
            continue
        metric = one[name].metric
        value = other[name].value - one[name].value
        p = paired_randomisation(metric, one[name].rows, other[name].rows, groups=grouped)
        gain = value if metric.higher_is_better else -value
        better = "neither" if p >= 0.05 or not gain else sides[1].name if gain > 0 else sides[0].name
        found.append(Difference(name, value, p, better))
    if not found:
        raise DataError("the two runs have no metric of the same signature: nothing can be compared")
    return found


def plain_table(sides: Sequence[Side], measured: Sequence[Difference]) -> list[str]:
    """What a person reads."""
    width = max(len("metric"), *(len(one.name) for one in measured))
    wide = [max(22, len(side.name)) for side in sides]
    head = f"{'metric':<{width}}" + "".join(f"  {side.name:>{size}}" for side, size in zip(sides, wide, strict=True))
    lines = [f"{head}  {'difference':>10}  {'p':>6}  better"]
    for one in measured:
        cells = [f"{number(side.scores[one.name].value)} {interval(side.scores[one.name].interval)}" for side in sides]
        row = "".join(f"  {cell:>{size}}" for cell, size in zip(cells, wide, strict=True))
        lines.append(f"{one.name:<{width}}{row}  {one.value:>+10.3g}  {one.p_value:>6.3f}  {one.better}")
    return lines


def signed(side: Side) -> list[float]:
    """The first metric of each record, the higher the better."""
    sign = 1 if side.first.metric.higher_is_better else -1
    return [sign * value for value in alone(side.first)]


def won(sides: Sequence[Side]) -> dict[str, list[int]]:
    """Rows that each run answers better, the largest difference first; then the ties."""
    one, other = (signed(side) for side in sides)
    gain = [b - a for a, b in zip(one, other, strict=True)]
    order = sorted(range(len(gain)), key=lambda row: (-abs(gain[row]), row))
    return {
        sides[0].name: [row for row in order if gain[row] < 0],
        sides[1].name: [row for row in order if gain[row] > 0],
        "ties": [row for row in order if gain[row] == 0],
    }


def scores_section(
    sides: Sequence[Side], measured: Sequence[Difference], unequal: Sequence[str], which: str
) -> Section:
    """Values, intervals, p."""
    rows = [
        (
            one.name,
            *(f"{number(side.scores[one.name].value)} {interval(side.scores[one.name].interval)}" for side in sides),
            f"{one.value:+.3g}",
            f"{one.p_value:.3f}",
            one.better,
        )
        for one in measured
    ]
    said = (
        "p: how often a difference at least as large appears when answers are swapped by chance, record by record or group by "
        "group (1,000 times). Below 0.05 one is called better; with several metrics one such p is less than it seems."
    )
    head = ("metric", *(side.name for side in sides), "difference", "p", "better")
    return Section(f"Scores{which}", (table(head, rows), text(said, "note"), *(text(one, "note") for one in unequal)))


def items_section(sides: Sequence[Side], wins: Mapping[str, Sequence[int]], which: str) -> Section:
    """How many records each wins, and those that it wins by most."""
    total = len(sides[0].predictions)
    rows = [(name, f"{len(found):,}", f"{100 * len(found) / total:.1f} %") for name, found in wins.items()]
    made = Chart(
        "wins",
        f"Records by who answers better ({sides[0].first.metric.name})",
        "",
        "records",
        (Series("records", (0.0, 1.0, 2.0), [len(found) for found in wins.values()]),),
        "bars",
        x_ticks=[(float(n), name) for n, name in enumerate(wins)],
    )
    parts = [table(("better", "records", "share"), rows), charts((made,))]
    scores = [signed(side) for side in sides]
    for side in sides:
        found = wins[side.name][:SHOWN]
        parts.append(f"<h3>{escape(side.name)} is better by most</h3>")
        if not found:
            parts.append(text("nowhere", "note"))
        parts.append(f'<div class="examples wide">{"".join(item(sides, row, scores) for row in found)}</div>')
    return Section(f"Wins and losses{which}", parts, charts=(made,))


def item(sides: Sequence[Side], row: int, scores: Sequence[Sequence[float]]) -> str:
    """One record with both answers."""
    record = sides[0].predictions[row].record
    target = as_text(record.target)
    present = sides[0].run.task.present
    rows = [] if present else [("source", escape(as_text(record.source)))]
    present_target = sides[0].run.task.present_target
    drawn = present_target(sides[0].predictions[row]) if present_target and record.target is not None else ""
    rows.append(("reference", f'<div class="domain">{drawn}</div>' if drawn else escape(target)))
    for side, own in zip(sides, scores, strict=True):
        answer = side.predictions[row]
        shown_ = f'<div class="domain">{present(answer)}</div>' if present else marked(answer.output, target)
        rows.append((f"{side.name}: {number(abs(own[row]))}", shown_ or "<em>(empty)</em>"))
    return f'<div class="example"><h3>{escape(record.key)}</h3>{listed(rows, stacked=present is not None)}</div>'


def config_section(sides: Sequence[Side]) -> Section:
    """Where they were told otherwise."""
    first = sides[0].run.config
    found = [{key: (old, new) for key, old, new in differences(first, side.run.config)} for side in sides[1:]]
    keys = list(dict.fromkeys(key for one in found for key in one))
    if not keys:
        return Section("Settings", (text("The configs are equal."),))
    rows: list[tuple[str, ...]] = []
    for key in keys:
        own = next(one[key][0] for one in found if key in one)
        rows.append((key, shown(own), *(shown(one[key][1]) if key in one else shown(own) for one in found)))
    return Section("Settings", (table(("key", *(side.name for side in sides)), rows),))


def cost_section(sides: Sequence[Side]) -> Section:
    """What each took; hardware is named, since minutes on two machines do not compare."""
    rows = [
        ("parameters", *(f"{side.facts['parameters']:,}" for side in sides)),
        ("training records", *(f"{side.facts['records']['train']:,}" for side in sides)),
        ("training data, sha256 begins", *(str(side.facts["data"]["train"])[:16] for side in sides)),
        ("training minutes", *(f"{side.result['minutes']:.1f}" if side.result else "not finished" for side in sides)),
        ("steps", *(f"{side.result['step']:,}" if side.result else "not finished" for side in sides)),
        ("seconds to decode, here", *(f"{side.seconds:.1f}" for side in sides)),
        ("trained on", *(str(side.facts["environment"].get("hardware")) for side in sides)),
    ]
    return Section("Cost", (table(("what", *(side.name for side in sides)), rows),))
