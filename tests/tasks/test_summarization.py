"""Summarization: its data, its splits, its floors, its scores. Nothing here needs a network, but for the slow tests."""

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast
from zipfile import ZipFile

import pytest

from core.config import Impossible
from core.data.config import DataConfig
from core.data.sources import read_records
from core.errors import DataError
from core.record import SPLITS, Hypothesis, Prediction, Record, Split
from core.task import Task
from tasks.summarization import TASK, sources
from tasks.summarization.metrics import Compression, Novelty, Rouge
from tasks.summarization.pairs import MOST_SUMMARIES, Pair, clean, divide, folded, split_pairs, telling
from tasks.summarization.sentences import sentences
from tasks.summarization.settings import SummarizationConfig
from tasks.summarization.sources import ansible_pairs, plain

SUMMARIES = cast(Task[SummarizationConfig], TASK)


def read(data: DataConfig, split: Split = "train", **task: Any) -> list[Record]:
    return read_records(TASK, SummarizationConfig(**task), data, split).records


TOY = {split: read(DataConfig(source="toy"), split) for split in SPLITS}


def answered(*pairs: tuple[str, str, str], references: Sequence[str] = ()) -> list[Prediction]:
    """(article, summary, output) each."""
    meta = {"references": tuple(references)} if references else {}
    return [
        Prediction(Record(str(number), article, summary, meta), (Hypothesis(output, 0.0),))
        for number, (article, summary, output) in enumerate(pairs)
    ]


# data ---------------------------------------------------------------------------------------------


def test_toy_names_are_in_one_split_and_in_text_and_summary() -> None:
    names = {split: {record.target.split()[0] for record in records} for split, records in TOY.items()}
    assert not names["train"] & names["test"]
    assert not names["train"] & names["dev"]
    assert not names["dev"] & names["test"]
    assert len(TOY["train"]) > 2000
    assert min(len(TOY["dev"]), len(TOY["test"])) > 100
    for record in TOY["test"]:
        words = set(record.source.replace(",", "").replace(".", "").split())
        assert words.issuperset(set(record.target.split()) - {"-", "for"})


def test_white_space_is_single_and_what_teaches_nothing_is_counted() -> None:
    pairs = [
        Pair("a", "a", "A tool  that\nfinds files by name.", "find files"),
        Pair("b", "b", "A TOOL that finds files by name.", "Find files"),
        Pair("c", "c", "One two", "one two three"),
        Pair("d", "d", "12 + 30 = 42", "sum"),
        Pair("e", "e", "word " * 50, "many words"),
    ]
    dropped: Counter[str] = Counter()
    kept = list(clean(pairs, 40, dropped))
    assert [(pair.key, pair.body) for pair in kept] == [("a", "A tool that finds files by name.")]
    assert dropped == {
        "repeated": 1,
        "not longer than their summary": 1,
        "without a body or a summary": 1,
        "of more than 40 words": 1,
    }
    assert len(list(clean(pairs, 0, Counter()))) == 2


def test_boilerplate_bodies_are_left_out() -> None:
    many = [Pair(f"m{n}", "g", "This module configures the device.", f"configure {n * 'x'}") for n in range(1, 7)]
    few = [Pair(f"f{n}", "g", "Tools that make pictures smaller.", f"smaller {n * 'y'}") for n in range(1, 3)]
    dropped: Counter[str] = Counter()
    assert list(telling(many + few, dropped)) == few
    assert list(dropped.values()) == [6]
    assert len(many) > MOST_SUMMARIES >= len(few)


def test_no_body_is_in_two_splits_whatever_its_case_and_numbers() -> None:
    groups = [f"group{n}" for n in range(200)]
    pairs = [
        Pair(group, group, f"The compiler in version {n}. Part {'ab'[n % 2]}.", f"compiler {group}")
        for n, group in enumerate(groups)
    ]
    own = [Pair(f"{group}/own", group, f"A program named {group * 2} only.", "program") for group in groups]
    own = [
        Pair(pair.key, pair.group, pair.body.translate(str.maketrans("0123456789", "abcdefghij")), pair.summary)
        for pair in own
    ]
    dropped: Counter[str] = Counter()
    splits = divide(pairs + own, dropped, dev=0.2, test=0.2)
    bodies = {split: {folded(record.source) for record in records} for split, records in splits.items()}
    assert not bodies["train"] & bodies["test"]
    assert not bodies["dev"] & (bodies["train"] | bodies["test"])
    assert sum(dropped.values()) > 40
    assert min(map(len, splits.values())) > 20
    members = {split: {record.meta["group"] for record in records} for split, records in splits.items()}
    assert not members["train"] & members["test"]
    assert not members["train"] & members["dev"]


def test_dev_and_test_have_a_body_once_with_all_its_summaries() -> None:
    pairs = [
        Pair(
            f"{g}/{n}", f"g{g}", f"Body of {'abcdefghij'[g % 10] * (1 + g // 10)} here and there.", f"summary {'xy'[n]}"
        )
        for g in range(60)
        for n in range(2)
    ]
    splits = divide(pairs, Counter(), dev=0.3, test=0.3)
    assert all(record.references == ("summary x", "summary y") for split in SPLITS[1:] for record in splits[split])
    assert all(len(record.references) == 1 for record in splits["train"])


def test_what_was_left_out_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    pairs = [
        Pair(str(n), f"g{n}", f"A text about {'abcdefghij'[n % 10] * (1 + n // 10)} and more.", "a text")
        for n in range(99)
    ]
    split_pairs([*pairs, pairs[0]], longest=0, dev=0.1, test=0.1, name="made up")
    said = capsys.readouterr().err
    assert said.startswith("made up: ")
    assert "left out: 1 repeated" in said


def test_module_documentation_is_read_out_of_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = '''
#!/usr/bin/python
raise SystemExit("read, not run")
DOCUMENTATION = r"""
---
module: lamp
short_description: Switch lamps
version_added: 1.0.0
description:
  - Turns B(lamps) on with O(state=on), see M(acme.home.fuse).
  - "Needs L(the hub, https://hub.example)."
options:
  description:
    type: str
"""
'''
    path = tmp_path / "made-up.whl"
    with ZipFile(path, "w") as made:
        made.writestr("ansible_collections/acme/home/plugins/modules/light/lamp.py", module)
        made.writestr("ansible_collections/acme/home/plugins/modules/none.py", "x = 1\n")
        made.writestr("ansible_collections/acme/home/plugins/lookup/other.py", module)
    monkeypatch.setattr(type(sources.ANSIBLE), "open", lambda self, data: ZipFile(path))
    assert list(ansible_pairs("")) == [
        Pair(
            "acme/home/light/lamp",
            "acme/home",
            "Turns lamps on with state=on, see acme.home.fuse.\nNeeds the hub.",
            "Switch lamps",
        )
    ]
    assert plain("Uses V(1), E(HOME) and RV(result).") == "Uses 1, HOME and result."


def test_the_default_source_says_what_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    for name in ("debian", "ansible"):
        monkeypatch.setattr(sources, name, lambda cfg, data, split, name=name: asked.append(name))
    for tool, wanted in (("/usr/bin/apt-get", "debian"), (None, "ansible")):
        sources.say.cache_clear()
        monkeypatch.setattr(sources.shutil, "which", lambda name, tool=tool: tool)
        for split in SPLITS:
            sources.debian_or_ansible(SummarizationConfig(), DataConfig(), split)
        assert asked == 3 * [wanted]
        assert capsys.readouterr().err.count(f"({wanted})") == 1
        asked.clear()
    sources.say.cache_clear()


def test_without_apt_get_the_other_source_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        DataError, match=r"has no apt-get; use a source that needs no apt-get .*, such as data\.source=ansible"
    ):
        read(DataConfig(source="debian", cache=str(tmp_path)))


# sentences and leads ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("One is here. Two is there! Three?", ["One is here.", "Two is there!", "Three?"]),
        ("Tools, e.g. Perl, i.e. scripts. More", ["Tools, e.g. Perl, i.e. scripts.", "More"]),
        ("Made by J. R. Smith et al. in 1999. Fine.", ["Made by J. R. Smith et al. in 1999.", "Fine."]),
        (
            "Version 1.2.3 of foo.bar is out. (See below.) Done.",
            ["Version 1.2.3 of foo.bar is out.", "(See below.)", "Done."],
        ),
        ("A title\nA text. Ends", ["A title", "A text.", "Ends"]),
        ("  \n ", []),
        ("no end", ["no end"]),
    ],
)
def test_sentences(text: str, wanted: list[str]) -> None:
    assert sentences(text) == wanted


@pytest.mark.parametrize("text", ["a. ", ".", '."', ". (", "e.g. ", " ", "\n"])
def test_sentences_take_time_in_proportion(text: str) -> None:
    begun = time.process_time()
    sentences(text * 100_000)
    assert time.process_time() - begun < 3, (
        "100,000 of them take a fraction of a second; squared they would take minutes"
    )


def test_leads() -> None:
    train = [Record("1", "x", "three words here"), Record("2", "x", "one two three four five")]
    asked = [Record("a", "First of all. Second of all. Third. Fourth."), Record("b", "Alone")]
    leads = {name: baseline(train, asked) for name, baseline in TASK.baselines.items()}
    assert leads == {
        "lead-1": ["First of all.", "Alone"],
        "lead-3": ["First of all.\nSecond of all.\nThird.", "Alone"],
        "lead-words": ["First of all.", "Alone"],
    }


# scores -------------------------------------------------------------------------------------------


def test_rouge_by_hand() -> None:
    predictions = answered(("an article", "the cat sat on the mat", "the cat on a mat"))
    value = {kind: Rouge(kind, stemmer=False) for kind in ("rouge1", "rouge2", "rougeL")}
    scores = {kind: metric.score(metric.statistics(predictions)) for kind, metric in value.items()}
    assert scores["rouge1"] == pytest.approx(100 * 2 * (4 / 5) * (4 / 6) / (4 / 5 + 4 / 6))
    assert scores["rouge2"] == pytest.approx(100 * 2 * (1 / 4) * (1 / 5) / (1 / 4 + 1 / 5))
    assert scores["rougeL"] == pytest.approx(scores["rouge1"])


def test_rouge_is_rouge_scores_own() -> None:
    from rouge_score.rouge_scorer import RougeScorer

    kinds = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
    records = TOY["test"][:60]
    predictions = [
        Prediction(one, (Hypothesis(other.target + "\n" + one.target[:30], 0.0),))
        for one, other in zip(records, records[1:] + records[:1], strict=True)
    ]
    scorer = RougeScorer(kinds, use_stemmer=True)
    for kind in kinds:
        metric = Rouge(kind, split=False)
        mean = sum(scorer.score(one.record.target, one.output)[kind].fmeasure for one in predictions) / len(predictions)
        assert metric.score(metric.statistics(predictions)) == pytest.approx(100 * mean)


def test_the_best_of_several_references_counts() -> None:
    article = ("An article.", "nothing alike", "fast map editor")
    metric = Rouge("rougeL")
    assert metric.score(metric.statistics(answered(article))) == 0
    assert metric.score(metric.statistics(answered(article, references=["x", "fast map editors"]))) == pytest.approx(
        100
    )
    plain = Rouge("rougeL", stemmer=False)
    assert plain.score(plain.statistics(answered(article, references=["fast map editors"]))) == pytest.approx(200 / 3)


def test_the_first_reference_alone_counts_where_that_is_asked_for() -> None:
    article = answered(("An article.", "other words", "fast map editors"), references=["fast map editors"])
    best, first = (
        next(one for one in SUMMARIES.metrics(SummarizationConfig(rouge_references=which)) if one.name == "rougeL")
        for which in ("all", "first")
    )
    assert best.score(best.statistics(article)) == pytest.approx(100)
    assert first.score(first.statistics(article)) == 0
    assert "refs:max" in best.signature
    assert "refs:first" in first.signature


def test_rouge_lsum_finds_sentences_unless_lines_are_asked_for() -> None:
    swapped = answered(("x", "Cats sleep all day. Dogs run far.", "Dogs run far. Cats sleep all day."))
    found, lines, whole = (Rouge("rougeLsum"), Rouge("rougeLsum", split=False), Rouge("rougeL"))
    assert found.score(found.statistics(swapped)) == pytest.approx(100)
    assert lines.score(lines.statistics(swapped)) == whole.score(whole.statistics(swapped)) < 100
    assert "sentences:lines+stops:1" in found.signature
    assert "sentences:lines|" in lines.signature


def test_other_alphabets_need_unicode_words() -> None:
    greek = answered(("x", "γάτα και σκύλος", "γάτα και σκύλος"))
    ascii_words, all_words = Rouge("rouge1", stemmer=False), Rouge("rouge1", stemmer=False, unicode=True)
    assert ascii_words.score(ascii_words.statistics(greek)) == 0
    assert all_words.score(all_words.statistics(greek)) == pytest.approx(100)
    assert ascii_words.signature != all_words.signature
    with pytest.raises(Impossible, match="rouge_stemmer = false"):
        SummarizationConfig(rouge_words="unicode")


def test_signatures_name_library_versions_and_directions_are_stated() -> None:
    from importlib.metadata import version

    metrics = {metric.name: metric for metric in SUMMARIES.metrics(SummarizationConfig())}
    assert list(metrics) == ["rougeL", "rouge1", "rouge2", "rougeLsum", "novelty2", "compression"]
    rouge = metrics["rougeL"].signature
    assert f"rouge-score:{version('rouge-score')}" in rouge
    assert f"porter-nltk:{version('nltk')}" in rouge
    assert "stem:no" in SUMMARIES.metrics(SummarizationConfig(rouge_stemmer=False))[0].signature
    assert [metric.higher_is_better for metric in metrics.values()] == [True, True, True, True, False, False]
    assert all("describes" in metrics[name].signature for name in ("novelty2", "compression"))


def test_novelty_and_compression_by_hand() -> None:
    article = "The quick brown fox jumps over the lazy dog."
    predictions = answered((article, "fox", "quick brown cat"), (article, "fox", "Brown FOX jumps"))
    for metric, wanted in (
        (Novelty(1), 100 * (1 / 3 + 0) / 2),
        (Novelty(2), 100 * (1 / 2 + 0) / 2),
        (Compression(), 18 / 6),
    ):
        assert metric.score(metric.statistics(predictions)) == pytest.approx(wanted)
    empty = answered((article, "fox", ""), (article, "fox", "fox"))
    assert Novelty(2).score(Novelty(2).statistics(empty)) == 50
    assert Compression().score(Compression().statistics(empty)) == 18
    assert Novelty(3).statistics(empty)[1] == 0, "a summary of one word is its own n-gram"


def test_records_are_told_apart_by_how_much_can_be_copied() -> None:
    share = TASK.bins["reference-in-text"]
    text = "A fast map editor for cities."
    wanted = {
        "Fast map editor": "all",
        "map viewer": "half or more",
        "one of many maps": "less than half",
        "": "less than half",
    }
    assert {target: share(Record("1", text, target)) for target in wanted} == wanted


# codecs and settings ------------------------------------------------------------------------------


def test_codecs_are_shared_and_spell_what_they_never_saw() -> None:
    codecs = SUMMARIES.codecs(SummarizationConfig(vocabulary=500), TOY["train"][:200])
    assert codecs.shared
    assert codecs.target.size <= 500
    for record in TOY["test"]:
        assert codecs.target.decode(codecs.target.encode(record.source)) == record.source


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vocabulary": 10}, "not between 400 and 65000"),
        ({"article_column": "a", "summary_column": "a"}, "the text's column too"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(Impossible, match=message):
        SummarizationConfig(**settings)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["debian", "ansible"])
def test_built_in_data_has_clean_splits(name: str) -> None:
    splits = {split: read(DataConfig(source=name), split, longest_body=40) for split in SPLITS}
    bodies = {split: {folded(record.source) for record in records} for split, records in splits.items()}
    groups = {split: {record.meta["group"] for record in records} for split, records in splits.items()}
    for one, other in (("train", "dev"), ("train", "test"), ("dev", "test")):
        assert not bodies[one] & bodies[other]
        assert not groups[one] & groups[other]
    for records in splits.values():
        assert len(records) > 200
        assert all(len(record.target.split()) < len(record.source.split()) <= 40 for record in records)
