"""What every task keeps: records, codecs, metrics, rules and formats that can be trusted."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from functools import partial
from pathlib import Path

import numpy as np
import torch

from core.codec.store import dump_codecs, load_codecs
from core.codec.types import EOS, PAD, UNK, Featurizer, as_encoded
from core.data.batch import collate
from core.data.sources import source_reader
from core.decode.constraints import teacher_forced
from core.decode.search import limits
from core.errors import DataError
from core.record import SPLITS, Hypothesis, Prediction, Record, Split
from core.task import Metric
from core.testing.task_case import SAMPLE, TaskCase, read
from core.testing.tiny import Moot, same_arrays, spread

# B batch, T target, V vocabulary


def every_split_has_records(case: TaskCase) -> None:
    """Train, dev and test, each with targets."""
    for split in SPLITS:
        assert case.records[split], f"{case.config.data.source} has no {split} records"
        for record in case.records[split]:
            assert record.target is not None, f"{split} record {record.key!r} has no target"


def keys_are_unique(case: TaskCase) -> None:
    """Non-empty strings, none twice, within and across splits: results are joined on them."""
    seen: dict[str, Split] = {}
    for split in SPLITS:
        for record in case.records[split]:
            key: object = record.key
            assert isinstance(key, str) and key, f"a {split} record's key is {key!r}"
            assert key not in seen, f"key {key!r} stands in {seen[key]} and again in {split}"
            seen[key] = split


def splits_are_disjoint(case: TaskCase) -> None:
    """No pair of source and target (as the task tells outputs apart) stands in two splits."""
    same = case.task.canonical(case.config.task) if case.task.canonical else None
    seen: dict[str, tuple[Split, str]] = {}
    for split in SPLITS:
        for record in case.records[split]:
            target = record.target
            if same is not None and isinstance(target, str):
                target = same(target) or target
            pair = json.dumps([record.source, target], ensure_ascii=False, default=repr)
            where, key = seen.setdefault(pair, (split, record.key))
            assert where == split, f"{key!r} of {where} and {record.key!r} of {split} are the same pair: {pair[:200]}"


def records_are_the_same_each_time(case: TaskCase) -> None:
    """Reading a split again yields equal records in the same order."""
    for split in SPLITS:
        again = read(case.task, case.config, split)
        for number, record in enumerate(case.records[split]):
            other = next(again, None)
            assert other is not None, f"{split}: {number} records the second time, {len(case.records[split])} the first"
            assert as_text(other) == as_text(record), (
                f"{split} record {number}: {as_text(other)}, at first {as_text(record)}"
            )
        assert next(again, None) is None, f"{split}: more than {len(case.records[split])} records the second time"


def decoding_undoes_encoding(case: TaskCase) -> None:
    """decode(encode(target)) is the target. Where a codec normalises: the same when repeated, and as good an answer."""
    codec = case.codecs.target
    back: list[str] = []
    for record in case.sample:
        output = codec.decode(codec.encode(record.target))
        back.append(output)
        if output == record.target:
            continue
        again = codec.decode(codec.encode(output))
        assert again == output, f"{record.key!r}: {record.target!r} becomes {output!r}, and that becomes {again!r}"
    if back != [record.target for record in case.sample]:
        metric = case.metrics[0]
        best = value(metric, answered(case.sample, gold(case, case.sample)))
        found = value(metric, answered(case.sample, back))
        near = abs(found - best) <= 0.02 * max(1.0, abs(best))
        wrong = next((one, two) for one, two in zip(back, case.sample, strict=True) if one != two.target)
        assert near, (
            f"targets read back score {found:g} on {metric.name}, themselves {best:g}:"
            f" {wrong[1].target!r} comes back as {wrong[0]!r}"
        )


def sources_can_be_read_back(case: TaskCase) -> None:
    """Where sources are text: decode(encode(source)) settles after one pass, and hardly differs from the source."""
    codec = case.codecs.source
    records = [record for record in case.sample if isinstance(record.source, str)]
    if isinstance(codec, Featurizer) or len(records) < len(case.sample):
        raise Moot("sources are no text")
    ratios: list[float] = []
    for record in records:
        output = codec.decode(codec.encode(record.source))
        again = codec.decode(codec.encode(output))
        assert again == output, f"{record.key!r}: {record.source!r} becomes {output!r}, and that becomes {again!r}"
        known, found = ("".join(text.casefold().split()) for text in (record.source, output))
        ratios.append(1.0 if known == found else SequenceMatcher(None, known, found, autojunk=False).ratio())
    worst = records[int(np.argmin(ratios))]
    assert np.mean(ratios) >= 0.9, (
        f"sources lose {100 * (1 - np.mean(ratios)):.0f} % of themselves, {worst.source!r} most"
    )


def ids_are_words(case: TaskCase) -> None:
    """Encoded targets hold neither PAD nor BOS nor EOS and stay below `size`; training targets hold nothing unknown."""
    codec = case.codecs.target
    train = {record.key for record in case.records["train"]}
    for record in case.sample:
        ids = list(codec.encode(record.target))
        wrong = [token for token in ids if not EOS < token < codec.size]
        assert not wrong, f"{record.key!r}: ids {wrong} where {EOS + 1} to {codec.size - 1} are words"
        assert record.key not in train or UNK not in ids, f"{record.key!r}: a training target holds the unknown symbol"
        for token in set(ids):
            label: object = codec.label(token)
            assert isinstance(label, str), f"the label of token {token} is {label!r}, not text"
    for (source, _), record in zip(case.pairs(case.sample), case.sample, strict=True):
        assert len(source.values), f"{record.key!r}: its source is empty once encoded"


def codecs_survive_storing(case: TaskCase) -> None:
    """load(dump(codecs)), through JSON, encodes and decodes the same, and what is shared stays shared."""
    tree = dump_codecs(case.codecs)
    stored = json.loads(json.dumps(tree, allow_nan=False))
    codecs = load_codecs(stored, case.task.codec_types)
    assert dump_codecs(codecs) == stored, "codecs dumped, loaded and dumped again are not what was dumped at first"
    assert codecs.shared == case.codecs.shared, f"shared is {codecs.shared} after loading, {case.codecs.shared} before"
    for record in case.sample:
        one, other = (as_encoded(both.source.encode(record.source)) for both in (codecs, case.codecs))
        assert same_arrays(one, other), f"{record.key!r}: its source is encoded otherwise after loading"
        ids = list(case.codecs.target.encode(record.target))
        assert list(codecs.target.encode(record.target)) == ids, f"{record.key!r}: its target is encoded otherwise"
        assert codecs.target.decode(ids) == case.codecs.target.decode(ids), f"{record.key!r}: decoded otherwise"


def fitting_again_gives_the_same_codecs(case: TaskCase) -> None:
    """Equal records, equal codecs: or equal seeds would not give equal runs."""
    again = case.task.codecs(case.config.task, case.records["train"])
    assert dump_codecs(again) == dump_codecs(case.codecs), "codecs fitted twice on the same records differ"


def gold_scores_best(case: TaskCase) -> None:
    """References as answers beat the references of other records and empty answers, on the first metric clearly."""
    records = case.records["test"][:SAMPLE]
    right = gold(case, records)
    answers = {
        "the right answers": right,
        "other records' answers": right[1:] + right[:1],
        "empty answers": [""] * len(right),
    }
    for number, metric in enumerate(case.metrics):
        scores = {name: value(metric, answered(records, outputs)) for name, outputs in answers.items()}
        best, *others = (score if metric.higher_is_better else -score for score in scores.values())
        shown = ", ".join(f"{name} {score:g}" for name, score in scores.items())
        assert best >= max(others), f"{metric.name}: {shown}"
        assert number or best > max(others), f"{metric.name}, the first metric, does not tell: {shown}"


def a_score_is_of_rows(case: TaskCase) -> None:
    """Statistics have one row a record, each its own record's alone; any resample of rows has a score; order means nothing."""
    records = case.records["test"][:SAMPLE]
    outputs = gold(case, records)
    mixed = [output if n % 3 else outputs[n - 1] for n, output in enumerate(outputs)]
    predictions = answered(records, mixed)
    draw = np.random.default_rng(0)
    for metric in case.metrics:
        rows = metric.statistics(predictions)
        assert rows.ndim == 2 and len(rows) == len(records), (
            f"{metric.name}: rows {rows.shape} for {len(records)} records"
        )
        assert rows.dtype == np.float64, f"{metric.name}: rows are {rows.dtype}, not float64"
        score = metric.score(rows)
        assert np.isfinite(score), f"{metric.name}: {score}"
        for _ in range(3):
            resampled = metric.score(rows[draw.integers(len(rows), size=len(rows))])
            assert np.isfinite(resampled), f"{metric.name} of resampled rows: {resampled}"
        order = draw.permutation(len(rows))
        shuffled = metric.score(rows[order])
        assert np.isclose(shuffled, score, rtol=1e-9), (
            f"{metric.name}: {shuffled} in another order, {score} in this one"
        )
        half = metric.statistics(predictions[::2])
        same = np.allclose(half, rows[::2], rtol=1e-9, atol=1e-9, equal_nan=True)
        assert same, f"{metric.name}: a record's row depends on the other records"


def signatures_are_stable(case: TaskCase) -> None:
    """Names are unique; name and signature are the same from a fresh metric and after scoring."""
    metrics = case.metrics
    assert metrics, "a task needs a metric"
    names = [metric.name for metric in metrics]
    assert len(set(names)) == len(names), f"two metrics of one name: {names}"
    records = case.records["test"][:4]
    for metric, other in zip(metrics, case.metrics, strict=True):
        before = metric.signature
        assert before, f"{metric.name} has an empty signature"
        value(metric, answered(records, gold(case, records)))
        for later in (metric.signature, other.signature):
            assert later == before, f"{metric.name}: signature {later!r}, at first {before!r}"
        assert metric.name == other.name, f"a metric is {metric.name!r} once and {other.name!r} once"


def canonical_form_is_its_own(case: TaskCase) -> None:
    """Every reference has a canonical form, and the canonical form of that is itself."""
    if case.task.canonical is None:
        raise Moot("the task has no canonical form")
    canonical = case.task.canonical(case.config.task)
    for record, output in zip(case.sample, gold(case, case.sample), strict=True):
        form = canonical(output)
        assert form is not None, f"{record.key!r}: the reference {output!r} counts as invalid"
        assert canonical(form) == form, f"{record.key!r}: {form!r} is canonical, yet becomes {canonical(form)!r}"


def the_rule_admits_every_reference(case: TaskCase) -> None:
    """Teacher-forced, each token of each reference is legal, without a limit and well within the search's."""
    rule = None if case.task.rule is None else case.task.rule(case.config.task, case.codecs)
    if rule is None:
        raise Moot("the task has no rule")
    pairs = case.pairs(case.sample)
    for begin in range(0, len(pairs), 16):
        part = pairs[begin : begin + 16]
        batch = collate([source for source, _ in part], [target for _, target in part], range(len(part)))
        bound_B = torch.tensor(limits(batch, case.config.search, [()] * batch.size))
        roomy_B = torch.maximum(bound_B, 2 * torch.tensor([len(target) + 1 for _, target in part]))
        for how, limit_B in (("without a limit", None), ("within the search's limit", roomy_B)):
            legal_BTV = teacher_forced(rule, batch, limit_B)
            V = legal_BTV.shape[-1]
            judged_BT = (batch.wanted_BT != PAD) & (batch.wanted_BT < V)  # ids beyond are copied words
            legal_BT = legal_BTV.gather(-1, batch.wanted_BT.clamp(max=V - 1)[..., None])[..., 0]
            for row, t in (judged_BT & ~legal_BT).nonzero().tolist():
                token, record = int(batch.wanted_BT[row, t]), case.sample[begin + row]
                label = "the end" if token == EOS else repr(case.codecs.target.label(token))
                raise AssertionError(
                    f"{record.key!r}: the rule forbids {label} as token {t} of {record.target!r}, {how}"
                )


def augmentation_is_drawn_from_its_generator(case: TaskCase) -> None:
    """Equal generators give equal variants; a variant keeps its record's key and can be encoded."""
    among = case.task.augment_among(case.config.task) if case.task.augment_among else None
    vary = case.task.augment(case.config.task) if case.task.augment else None
    if among is not None:
        vary = lambda record, random: among(record, case.records["train"], random)  # noqa: E731
    if vary is None:
        raise Moot("the task varies no records")
    for record in spread(case.records["train"], SAMPLE):
        before = as_text(record)
        one, other = (vary(record, np.random.default_rng(6)) for _ in range(2))
        assert as_text(one) == as_text(other), f"{record.key!r}: equal generators gave two variants"
        assert one.key == record.key, f"{record.key!r}: its variant is called {one.key!r}"
        assert as_text(record) == before, f"{record.key!r}: augmentation changed the record itself"
        case.pairs([one])


def bad_values_are_bad_records(case: TaskCase) -> None:
    """What can be no source is refused with BadRecord or DataError, or accepted; never with another exception."""
    if case.task.read is None and case.task.read_target is None:
        raise Moot("the task reads strings as they are")
    target = case.task.read_target and partial(case.task.read_target, case.config.task)
    for side, read_value in (("source", source_reader(case.task, case.config.task, Path())), ("target", target)):
        for wrong in (None, 3.5, True, {}, [], {"nonsense": [1]}, [None]) if read_value else ():
            try:
                read_value(wrong)  # pyright: ignore[reportOptionalCall]
            except DataError:
                continue
            except Exception as error:
                raise AssertionError(f"a {side} {wrong!r} raises {type(error).__name__}: {error}") from error


def baselines_answer_every_record(case: TaskCase) -> None:
    """One output a record, text, the same each time."""
    if not case.task.baselines:
        raise Moot("the task has no baselines")
    train, records = spread(case.records["train"], 200), case.records["dev"][:8]
    for name, baseline in case.task.baselines.items():
        outputs: list[object] = list(baseline(train, records))
        assert len(outputs) == len(records), f"{name}: {len(outputs)} answers to {len(records)} records"
        assert all(isinstance(output, str) for output in outputs), f"{name}: an answer is no text"
        assert list(baseline(train, records)) == outputs, f"{name}: other answers the second time"


def formats_write_every_prediction(case: TaskCase) -> None:
    """Text without a final newline but those of missing answers' lines, for one, several and none; endings begin with a dot."""
    if not case.task.formats:
        raise Moot("the task has no formats of its own")
    records = case.records["dev"][:4]
    outputs = gold(case, records)
    for name, form in case.task.formats.items():
        assert form.read or form.write, f"format {name} neither reads nor writes"
        assert not form.read or form.endings, f"format {name} reads, but no ending says which files"
        assert all(ending.startswith(".") for ending in form.endings), f"format {name}: endings {form.endings}"
        if form.write is None:
            continue
        for record, output in zip(records, outputs, strict=True):
            for number in (0, 1, 3):
                hypotheses = tuple(Hypothesis(output, -float(n)) for n in range(number))
                first, again = (form.write(Prediction(record, hypotheses), max(number, 1)) for _ in range(2))
                text: object = first
                if isinstance(text, bytes):
                    assert form.suffix, f"format {name} writes bytes, but has no suffix to name files by"
                    assert again == text, f"format {name} writes other bytes the second time"
                    continue
                assert isinstance(text, str), f"format {name} writes {type(text).__name__}, not text"
                filled = text.count("\n") == max(number, 1) - 1
                assert filled or text[-1:] != "\n", f"format {name} ends {number} answers with a newline of its own"
                assert again == text, f"format {name} writes {again!r} the second time, {text!r} the first"


def bins_and_utility_are_defined(case: TaskCase) -> None:
    """Every record has a bin in every breakdown; no output is of more use than the right one."""
    if not case.task.bins and case.task.utility is None and case.task.utilities is None:
        raise Moot("the task has neither")
    for name, bin_of in case.task.bins.items():
        for record in case.sample:
            found: object = bin_of(record)
            assert isinstance(found, str), f"{record.key!r}: its bin by {name} is {found!r}, not text"
    records = case.records["test"][:8]
    outputs = gold(case, records)
    for utility in case.utilities(records, outputs):
        for one in outputs:
            use = [utility(one, other) for other in outputs]
            assert np.isfinite(use).all(), f"the utility of {one!r} against others is {use}"
            own = utility(one, one)
            assert own >= max(use) - 1e-9, f"{one!r} is of use {own} where it is the answer, elsewhere {max(use)}"


def the_card_agrees_with_the_task(case: TaskCase) -> None:
    """card.toml, which is read without importing the task, agrees with it."""
    if case.card is None:
        raise Moot("no card.toml lies beside the task")
    for field in ("name", "summary", "data", "metric"):
        text = case.card.get(field)
        assert isinstance(text, str) and text and "\n" not in text, (
            f"card.toml: {field} is {text!r}, not a line of text"
        )
    assert case.card["name"] == case.task.name, (
        f"card.toml calls the task {case.card['name']!r}, it is {case.task.name!r}"
    )
    first = case.metrics[0].name
    assert case.card["metric"] == first, f"card.toml: metric is {case.card['metric']!r}, the task's first is {first!r}"


def gold(case: TaskCase, records: Sequence[Record]) -> list[str]:
    """The references as outputs: spelled by the codec where targets are no text."""
    codec = case.codecs.target
    return [one.target if isinstance(one.target, str) else codec.decode(codec.encode(one.target)) for one in records]


def answered(records: Sequence[Record], outputs: Sequence[str]) -> list[Prediction]:
    """Each record with one answer."""
    return [Prediction(record, (Hypothesis(output, 0.0),)) for record, output in zip(records, outputs, strict=True)]


def value(metric: Metric, predictions: Sequence[Prediction]) -> float:
    """Over all of them."""
    return metric.score(metric.statistics(predictions))


def as_text(record: Record) -> str:
    """All of a record, to compare by."""
    source = record.source.tolist() if isinstance(record.source, np.ndarray) else record.source
    fields = [record.key, source, record.target, dict(record.meta)]
    return json.dumps(fields, ensure_ascii=False, sort_keys=True, default=repr)


TASK_LAWS: tuple[Callable[[TaskCase], None], ...] = (
    every_split_has_records,
    keys_are_unique,
    splits_are_disjoint,
    records_are_the_same_each_time,
    decoding_undoes_encoding,
    sources_can_be_read_back,
    ids_are_words,
    codecs_survive_storing,
    fitting_again_gives_the_same_codecs,
    gold_scores_best,
    a_score_is_of_rows,
    signatures_are_stable,
    canonical_form_is_its_own,
    the_rule_admits_every_reference,
    augmentation_is_drawn_from_its_generator,
    bad_values_are_bad_records,
    baselines_answer_every_record,
    formats_write_every_prediction,
    bins_and_utility_are_defined,
    the_card_agrees_with_the_task,
)
