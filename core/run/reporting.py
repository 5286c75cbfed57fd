"""`report`: one page about a run, with its pictures beside it; a part that costs little is written when training ends."""

from __future__ import annotations

import re
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.codec.types import Codecs, Featurizer, as_encoded
from core.data.examples import Examples
from core.errors import ConfigError
from core.record import Prediction
from core.report.attended import attention_section, entropy_section
from core.report.attention import attend_to
from core.report.charts import Chart, HeatMap
from core.report.diagnoses import calibration_section, errors_section, exposure_section
from core.report.examples import ALIGNED, choose, example
from core.report.exposure import READINGS
from core.report.facts import (
    cost_section,
    data_section,
    interval,
    learning_section,
    number,
    read_log,
    scores_section,
    settings_section,
)
from core.report.figures import figure
from core.report.forgetting import forgetting_section
from core.report.page import Section, page, text
from core.report.search import search_section
from core.report.svg import svg
from core.run.answering import Answerer
from core.run.beams import beams
from core.run.confidence import keep_temperature
from core.run.evaluation import with_targets
from core.run.folder import RunFolder, existing_run, read_json, write_text
from core.run.lengths import MEASURED, length_bin, lengths_of, unit_of
from core.run.measuring import ATTENDED, attentions, calibrated, exposed, judgings, own_tokens, tried
from core.run.prepared import read_split
from core.run.progress import progress_bar
from core.run.scoring import Floor, Score, alone, by_bin, floors, score
from core.run.stored import StoredRun, load_run
from core.run.watched import watched_records
from core.settings import RunConfig, run_config
from core.task import OfOne, Task

if TYPE_CHECKING:
    from core.looking import ReportArguments

MOST_BYTES = 3_500_000
"""Of all examples together: the page stays below 5 MB."""
ZEROS = re.compile(r"\b0+(?=\d)")
"""By which names of bins sort, and nobody reads."""
SEARCHED = 40
"""Records that beams are compared on."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What every page shows."""

    task: Task[Any]
    config: RunConfig
    folder: RunFolder
    split: str
    predictions: Sequence[Prediction]
    of: int
    """Records that the split has."""
    scores: Mapping[str, Score]
    skipped: Mapping[str, str]
    lengths: Mapping[str, Mapping[str, Sequence[int]]]
    decoding: str
    sizes: Sequence[int]
    """Of the sources of `predictions`, as the model reads them; none where that would take long."""
    unit: str
    """Of those: tokens or frames."""
    trivial: Mapping[str, Mapping[str, Floor]] = field(default_factory=dict[str, "dict[str, Floor]"])
    no_floors: str = ""


def report(task: Task[Any], arguments: ReportArguments) -> int:
    """Measure everything, write the page and its pictures, say where."""
    run = load_run(task, existing_run(arguments.run), arguments.overrides)
    output = arguments.output or run.folder.path / "report.html"
    if not output.parent.is_dir():
        raise ConfigError(f"--output {output}: no such folder {output.parent}")
    found = with_targets(read_split(task, run.config, arguments.split))
    train = read_split(task, run.config, "train").records
    records = watched_records(found.records, arguments.records)
    longest = run.config.batch.longest
    if arguments.split == "dev" and not run.folder.calibration.is_file():  # of a run older than this file
        keep_temperature(run.folder, run.model, run.codecs, found.records, longest=longest, sha256=found.sha256)
    answer = Answerer(task, run.config, run.codecs, run.model, run.rule)
    begun = time.perf_counter()
    with progress_bar(len(records), "decoding") as advance:
        predictions = answer(records, advance)
    seconds = time.perf_counter() - begun
    decoding = f"{len(records)} records in {seconds:.1f} s, {1000 * seconds / len(records):.0f} ms each, all together"
    if task.cost is not None:
        decoding += f" ({task.cost(predictions, seconds)})"
    metrics, skipped = task.metrics(run.config.task), dict[str, str]()
    with progress_bar(4, "scores") as advance:
        scores = score(predictions, metrics, skipped=skipped)
        advance(1)
        trivial = floors(task.baselines, train, predictions, metrics, scores) if task.baselines else {}
        advance(1)
        lengths = {"train": lengths_of(train, run.codecs)}
        advance(1)
        lengths[arguments.split] = lengths_of(found.records, run.codecs)
        advance(1)
    seen = Seen(
        task,
        run.config,
        run.folder,
        arguments.split,
        predictions,
        len(found.records),
        scores,
        skipped,
        lengths,
        decoding,
        [len(as_encoded(run.codecs.source.encode(record.source)).values) for record in records],
        unit_of(run.codecs),
        trivial,
        "" if task.baselines else "This task has no trivial systems to stand beside it.",
    )
    sections = [*plain_sections(seen, run), *asked(run, seen, arguments.seconds), errors(seen), cost(seen)]
    write(seen, sections, output)
    return 0


def report_early(
    task: Task[Any],
    cfg: RunConfig,
    folder: RunFolder,
    *,
    predictions: Sequence[Prediction],
    scores: Mapping[str, Score],
    skipped: Mapping[str, str],
    codecs: Codecs,
    train: Examples,
    seconds: float,
) -> None:
    """What is known when training ends, without another run of the model: RUN/report.html, its pictures in it alone."""
    quick = not isinstance(codecs.source, Featurizer)
    sizes = [len(as_encoded(codecs.source.encode(one.record.source)).values) for one in predictions] if quick else []
    lengths = {"train": {"source": train.source.lengths.tolist()}}
    if train.target is not None:
        lengths["train"]["target"] = train.target.lengths.tolist()
    decoding = f"{len(predictions)} records in {seconds:.1f} s, all together"
    seen = Seen(
        task,
        cfg,
        folder,
        "dev",
        predictions,
        len(predictions),
        scores,
        skipped,
        lengths,
        decoding,
        sizes,
        unit_of(codecs),
    )
    why = f"this page was written when training ended; `python -m tasks report {task.name} {folder.path}` measures it"
    write_text(
        folder.path / "report.html",
        page(
            title(seen),
            lead(seen),
            [*plain_sections(seen), *later(why), errors(seen), cost(seen)],
            style=task.present_style,
        ),
    )


def write(seen: Seen, sections: Sequence[Section], output: Path) -> None:
    """The page, and each chart as SVG and, where matplotlib is, as PNG."""
    made = [one for section in sections for one in section.charts if isinstance(one, HeatMap) or not one.empty]
    folder = output.with_suffix("")
    folder = folder if folder != output else output.with_name(output.name + "-pictures")
    folder.mkdir(exist_ok=True)
    write_text(output, page(title(seen), lead(seen), sections, style=seen.task.present_style))
    without = pictures(made, folder)
    print(f"{output}: {output.stat().st_size / 1e6:.2f} MB; {len(made)} pictures in {folder}/")
    if without:
        print(without, file=sys.stderr)


def pictures(made: Sequence[Chart | HeatMap], folder: Path) -> str:
    """Why there are no PNG, or nothing."""
    without = ""
    with progress_bar(len(made), "pictures") as advance:
        for one in made:
            write_text(folder / f"{one.name}.svg", svg(one, alone=True) + "\n")
            advance(1)
            if without:
                continue
            try:
                with warnings.catch_warnings(action="ignore", category=UserWarning):  # letters that its font lacks
                    figure(one).savefig(folder / f"{one.name}.png", dpi=110, metadata={"Software": None})
            except ConfigError as reason:
                without = f"no PNG beside the SVG: {reason}"
    return without


def title(seen: Seen) -> str:
    """Of the page."""
    return f"{seen.task.name}: {seen.folder.path.resolve().name}"


def lead(seen: Seen) -> list[str]:
    """What one wants to know first."""
    facts = read_json(seen.folder.facts)
    name, one = next(iter(seen.scores.items()))
    shown, interval_, count = one.value, one.interval, len(seen.predictions)
    result: Mapping[str, Any] = read_json(seen.folder.metrics) if seen.folder.metrics.is_file() else {}
    if result.get("split") == seen.split and result["n"] > count and name in result["metrics"]:  # of more records
        kept: Mapping[str, Any] = result["metrics"][name]
        shown, interval_, count = kept["value"], kept["interval"], result["n"]
    said = (
        f"{seen.config.model.kind}, {facts['parameters']:,} parameters, trained on {facts['records']['train']:,} records of "
        f"{facts['data']['source']}. {name} {number(shown)} {interval(interval_)}".rstrip()
        + f" on {count:,} {seen.split} records."
    )
    return [text(said, "facts")]


def plain_sections(seen: Seen, run: StoredRun | None = None) -> list[Section]:
    """Those that need no further run of the model, but for the words of examples, which `run` aligns."""
    facts, events = read_json(seen.folder.facts), read_log(seen.folder.log)
    result = read_json(seen.folder.metrics) if seen.folder.metrics.is_file() else None
    sides = {"source": seen.unit, "target": "tokens"}
    here = {name: one.tree() for name, one in seen.scores.items()}
    beside = {
        name: {metric: {**floor.score.tree(), "p_value": floor.p_value} for metric, floor in own.items()}
        for name, own in seen.trivial.items()
    }
    part = "all" if len(seen.predictions) == seen.of else f"{len(seen.predictions)} of the {seen.of:,}"
    chosen = "" if part == "all" else " (the first by a hash of their keys)"
    return [
        scores_section(
            result,
            here if result is None or part != "all" or seen.trivial or seen.split != result["split"] else {},
            beside,
            f"On {part} {seen.split} records{chosen}, which this page looks at:",
            seen.skipped,
            seen.no_floors,
        ),
        *([forgetting_section(result["forgetting"])] if result and "forgetting" in result else []),
        examples(seen, run),
        settings_section(seen.config, built_in(seen.task)),
        data_section(
            facts,
            seen.lengths,
            sides,
            f"Lengths are of at most {MEASURED:,} records of a split, as the model reads them.",
        ),
        learning_section(events, None if result is None else result["best_step"]),
    ]


def built_in(task: Task[Any]) -> Any | None:
    """The config with nothing said; None where some key has no default."""
    kind: Any = run_config(task.config)
    try:
        return kind()
    except TypeError:
        return None


def examples(seen: Seen, run: StoredRun | None) -> Section:
    """Best, median and worst by the first metric, and some at random."""
    first = next(iter(seen.scores.values()))
    own = alone(first)
    ordered = own if first.metric.higher_is_better else [-value for value in own]
    said = f"Ordered by {first.metric.name} of the record alone, then by how sure the model was."
    said += f" {seen.task.present_legend}" if seen.task.present_legend else ""
    if seen.task.present is None:
        said += " In outputs, underlined: what the reference has not; dotted: what it has and the output lacks."
    parts = [text(said, "note")]
    left = MOST_BYTES
    for name, rows in choose(seen.predictions, ordered).items():
        wide = " wide" if seen.task.present else ""
        parts.append(f'<h3>{name}</h3><div class="examples{wide}">')
        for row in rows:
            prediction, what = seen.predictions[row], f"{first.metric.name} {number(own[row])}"
            made = example(with_words(run, prediction), what, seen.task.present, seen.task.present_target)
            if len(made.encode()) > left:  # a page that is too large to be sent is none
                made = example(prediction, f"{what}; too large to be drawn", None)
            left -= len(made.encode())
            parts.append(made)
        parts.append("</div>")
    return Section("Examples", parts)


def with_words(run: StoredRun | None, prediction: Prediction) -> Prediction:
    """With its words aligned by attention, where there is a model to ask, the field has no rendering of its own, and both are texts."""
    if run is None or run.task.present is not None or not own_tokens([prediction]):
        return prediction
    longest, best = run.config.batch.longest, prediction.hypotheses[0]
    found, _ = tried(lambda: attend_to(run.model, run.codecs, prediction.record, best, longest=longest))
    if found is None or found.words is None:
        return prediction
    record = prediction.record
    return replace(prediction, record=replace(record, meta={**record.meta, ALIGNED: found.words}))


def asked(run: StoredRun, seen: Seen, seconds: float) -> list[Section]:
    """Those that run the model again."""
    if run.model.ctc_weight == 1:
        why = "model.ctc = 1 leaves the decoder untrained: only the CTC head answers"
        return later(why)
    count, first = len(seen.predictions), next(iter(seen.scores.values())).metric
    with progress_bar(min(ATTENDED, count), "attention") as advance:
        looked, no_attention = attentions(run, seen.predictions, advance)
    with progress_bar(READINGS * count, "exposure bias") as advance:
        exposed_, no_exposure = exposed(run, seen.predictions, first, advance)
    with progress_bar(judgings(count, seen.split), "calibration") as advance:
        calibrated_, no_calibration = calibrated(run, seen.predictions, seen.split, first, advance)
    some = seen.predictions[:SEARCHED]
    found = beams(run, some, first, seconds, progress_bar)
    return [
        attention_section(looked, no_attention),
        entropy_section(looked, no_attention),
        exposure_section(exposed_, no_exposure),
        calibration_section(calibrated_, no_calibration),
        search_section(
            found.rows,
            first.name,
            len(some),
            found.note,
            found.missing,
            exact=found.exact,
            no_exact=found.no_exact,
        ),
    ]


def later(why: str) -> list[Section]:
    """The same headings, with the reason why there is nothing."""
    return [
        attention_section((), why),
        entropy_section((), why),
        exposure_section(None, why),
        calibration_section(None, why),
        search_section((), "", 0, "", why),
    ]


def errors(seen: Seen) -> Section:
    """By the length of the source, and by what the task tells apart."""
    first = next(iter(seen.scores.values())).metric.name
    bins: dict[str, dict[str, dict[str, Any]]] = {}
    if seen.sizes:
        by_length = length_bin(seen.predictions, seen.sizes)
        found = by_bin(by_length, seen.predictions, seen.scores)
        bins[f"source length in {seen.unit}"] = {ZEROS.sub("", name): row for name, row in found.items()}
    bins |= {name: by_bin(bin_of, seen.predictions, seen.scores) for name, bin_of in seen.task.bins.items()}
    said = f"Of the {len(seen.predictions)} {seen.split} records that this page looks at."
    if isinstance(next(iter(seen.scores.values())).metric, OfOne):
        said += (
            f" {first} is one of many records: where all outputs are short, its formula may give 0 to right ones too."
        )
    return errors_section(bins, first, said)


def cost(seen: Seen) -> Section:
    """What it took."""
    result = read_json(seen.folder.metrics) if seen.folder.metrics.is_file() else None
    return cost_section(result, read_json(seen.folder.facts), read_log(seen.folder.log), seen.decoding)
