"""Translation: its data, its files, its floors. Nothing here needs a network."""

import json
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.config import Impossible
from core.data.config import DataConfig
from core.data.parallel import suspicious
from core.data.sources import read_records
from core.errors import BadRecord, ConfigError, DataError
from core.record import SPLITS, Hypothesis, Prediction, Record
from core.words import run_folder
from tasks.translation import TASK
from tasks.translation.data import TranslationConfig, clean, divide, read_pairs
from tasks.translation.metrics import say, tokeniser


def read(data: DataConfig, split: str = "train", **task: Any) -> list[Record]:
    return read_records(TASK, TranslationConfig(**task), data, split).records  # pyright: ignore[reportArgumentType]


PHRASES = {split: read(DataConfig(source="phrases"), split) for split in SPLITS}


def test_phrases_have_disjoint_splits_of_different_sentences() -> None:
    sources = [record.source for records in PHRASES.values() for record in records]
    assert len(set(sources)) == len(sources) > 3000
    assert min(len(PHRASES["dev"]), len(PHRASES["test"])) > 100
    assert read(DataConfig(source="phrases")) == PHRASES["train"]


@pytest.mark.parametrize(
    ("english", "german"),
    [
        ("Does the happy bird follow a woman?", "Verfolgt der fröhliche Vogel eine Frau?"),
        ("A horse helps the old bird.", "Ein Pferd unterstützt den alten Vogel."),
        ("Does the dog see a quick girl?", "Sieht der Hund ein schnelles Mädchen?"),
        (
            "The small teachers want to follow the happy girls.",
            "Die kleinen Lehrer wollen die fröhlichen Mädchen verfolgen.",
        ),
    ],
)
def test_phrases_agree_in_gender_case_and_number(english: str, german: str) -> None:
    known = {record.source: record.target for records in PHRASES.values() for record in records}
    assert known[english] == german


def test_phrases_are_german_only() -> None:
    with pytest.raises(ConfigError, match="has en-de and de-en, not en-fr"):
        read(DataConfig(source="phrases"), target_language="fr")


TABLES = {
    "lamp": (
        {"title": "Turn on  the lamp", "same": "LED", "host": "Connect to {host}", "lines": "One\ntwo"},
        {"title": "Lampe einschalten", "same": "LED", "host": "Mit {host} verbinden", "lines": "Eins\nzwei"},
    ),
    "door": (
        {"deep": {"er": "Turn on the lamp"}, "lost": "Host {host} lost", "only": "English", "web": "See https://x.y"},
        {"deep": {"er": "Lampe einschalten"}, "lost": "Host verloren", "web": "Siehe https://x.y"},
    ),
    "tank": ({"a": "Turn on the lamp", "b": "{host}"}, {"a": "Lampe anschalten", "b": "{host}"}),
}


@pytest.fixture
def wheel(tmp_path: Path) -> zipfile.ZipFile:
    path = tmp_path / "texts.whl"
    with zipfile.ZipFile(path, "w") as made:
        for component, (english, german) in TABLES.items():
            folder = f"homeassistant/components/{component}/translations"
            made.writestr(f"{folder}/en.json", json.dumps(english))
            made.writestr(f"{folder}/de.json", json.dumps(german))
        made.writestr("homeassistant/components/lamp/strings.json", "{}")
    return zipfile.ZipFile(path)


def test_pairs_are_joined_by_key_and_cleaned_with_the_reasons_counted(wheel: zipfile.ZipFile) -> None:
    from collections import Counter

    dropped: Counter[str] = Counter()
    kept = list(clean(read_pairs(wheel, "en", "de"), dropped))
    assert [(pair.component, pair.path, pair.source, pair.target) for pair in kept] == [
        ("door", "deep.er", "Turn on the lamp", "Lampe einschalten"),
        ("lamp", "host", "Connect to {host}", "Mit {host} verbinden"),
        ("tank", "a", "Turn on the lamp", "Lampe anschalten"),
    ]
    assert dropped == {
        "repeated": 1,
        "not translated": 1,
        "of several lines": 1,
        "with other placeholders": 1,
        "with references, addresses or markup": 1,
        "without words": 1,
    }


def test_a_language_that_is_not_there_is_refused(wheel: zipfile.ZipFile) -> None:
    with pytest.raises(ConfigError, match=r"task\.target_language = 'dee': .*did you mean de\?; it has de en"):
        list(read_pairs(wheel, "en", "dee"))


def test_a_component_is_in_one_split_and_no_test_source_is_in_train() -> None:
    from collections import Counter

    from tasks.translation.data import Pair

    pairs = [Pair(f"c{c}", str(n), f"Text {n + 7 * c}", f"Wort {n} {c}") for c in range(300) for n in range(10)]
    splits = divide(pairs, Counter())
    groups = {split: {record.meta["group"] for record in splits[split]} for split in SPLITS}
    assert all(groups.values())
    assert not groups["train"] & groups["dev"]
    assert not groups["train"] & groups["test"]
    assert not groups["dev"] & groups["test"]
    sources = {split: [record.source for record in splits[split]] for split in SPLITS}
    assert not set(sources["train"]) & {*sources["dev"], *sources["test"]}
    assert not set(sources["dev"]) & set(sources["test"])
    assert len(set(sources["test"])) == len(sources["test"])


def test_further_translations_are_references() -> None:
    from collections import Counter

    from core.data.split import split_of
    from tasks.translation.data import Pair

    tested = next(f"c{n}" for n in range(1000) if split_of(f"c{n}") == "test")
    (record,) = divide(
        [Pair(tested, str(n), "Open", answer) for n, answer in enumerate(("Offen", "Öffnen"))], Counter()
    )["test"]
    assert record.references == ("Offen", "Öffnen")


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / name.replace("_", ".")).write_text(text, encoding="utf-8")


def test_parallel_files_are_joined_line_by_line(tmp_path: Path) -> None:
    write(tmp_path, train_en="One.\n\nTwo.\n", train_de="Eins.\n\nZwei.\n", dev_en="Three.\n", dev_de="Drei.\n")
    data = DataConfig(source="files", path=(str(tmp_path),))
    assert [(record.key, record.source, record.target) for record in read(data)] == [
        ("train-1", "One.", "Eins."),
        ("train-3", "Two.", "Zwei."),
    ]
    assert len(read(data, "dev")) == 1
    single = DataConfig(source="files", train=str(tmp_path / "train.en"), dev=str(tmp_path / "dev.en"))
    assert read(single) == read(data)


def test_mismatched_files_name_both_counts_and_the_line(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    lines = ["x" * int(length) for length in random.integers(5, 200, size=300)]
    german = [line + "yy" for line in lines]
    del german[180]
    write(tmp_path, train_en="\n".join(lines) + "\n", train_de="\n".join(german) + "\n")
    with pytest.raises(DataError) as error:
        read(DataConfig(source="files", path=(str(tmp_path),)))
    assert f"{tmp_path / 'train.en'} has 300 lines, {tmp_path / 'train.de'} has 299; " in str(error.value)
    assert str(error.value).endswith("about line 181")


def test_the_suspicious_line_is_found_on_either_side_and_at_either_end() -> None:
    lengths = [int(length) for length in np.random.default_rng(4).integers(5, 200, size=100)]
    for at in (0, 50, 99):
        lost = lengths[:at] + lengths[at + 1 :]
        assert abs(suspicious(lengths, lost) - at - 1) <= 1
        assert abs(suspicious(lost, lengths) - at - 1) <= 1
    assert suspicious([], [3]) == 1


def test_a_missing_half_and_an_empty_line_are_refused(tmp_path: Path) -> None:
    write(tmp_path, train_en="One.\nTwo.\n")
    data = DataConfig(source="files", path=(str(tmp_path),), holdout=0)
    with pytest.raises(DataError, match=r"train\.en has no train\.de beside it"):
        read(data)
    write(tmp_path, train_de="Eins.\n\n")
    with pytest.raises(BadRecord, match=r"train\.de:2: empty, but .*train\.en:2 is not"):
        read(data)
    assert len(read(DataConfig(source="files", path=(str(tmp_path),), holdout=0, bad="skip"))) == 1


def test_tab_separated_pairs(tmp_path: Path) -> None:
    write(tmp_path, train_tsv="One.\tEins.\nTwo.\tZwei.\textra\nThree.\nFour.\tVier.\n")
    data = DataConfig(source="files", path=(str(tmp_path),), holdout=0)
    with pytest.raises(BadRecord, match=r"train\.tsv:2: 3 columns; two \(source, target\) are right"):
        read(data)
    found = read_records(
        TASK, TranslationConfig(), DataConfig(source="files", path=(str(tmp_path),), holdout=0, bad="skip"), "train"
    )
    assert [record.target for record in found.records] == ["Eins.", "Vier."]
    assert "train.tsv:3: no target" in str(found.refused[1])


@pytest.mark.parametrize("name", ["train.tsv", "train.tmx"])
def test_half_a_pair_is_refused_with_its_place_and_goes_to_the_quarantine(name: str, tmp_path: Path) -> None:
    unit = '<tu><tuv xml:lang="en"><seg>{}</seg></tuv><tuv xml:lang="de"><seg>{}</seg></tuv></tu>'
    pairs = [("One.", "Eins."), ("Two.", ""), ("", "Drei.")]
    lines = ["\t".join(pair) for pair in pairs] + ["Four."]
    if name.endswith("tmx"):
        lines = [unit.format(*pair) for pair in pairs]
        lines = [
            "<tmx><body>" + lines[0],
            *lines[1:],
            '<tu><tuv xml:lang="en"><seg>Four.</seg></tuv></tu></body></tmx>',
        ]
    (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    data = DataConfig(source="files", path=(str(tmp_path),), holdout=0, bad="quarantine")
    found = read_records(TASK, TranslationConfig(), data, "train")
    assert [record.target for record in found.records] == ["Eins."]
    place = tmp_path / name
    assert [(one.message, one.raw) for one in found.refused] == [
        (f"{place}:2: an empty target", "Two.\t"),
        (f"{place}:3: an empty source", "\tDrei."),
        (f"{place}:4: no target; training and scoring need one", "Four."),
    ]


def test_text_files_keep_their_empty_lines(tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_bytes("One.\n\nTwo\u2028still two.\r\n".encode())
    reader = TASK.formats["text"].read
    assert reader is not None
    assert [record.source for record in reader(TranslationConfig(), path)] == ["One.", "", "Two\u2028still two."]


def test_what_is_written_has_as_many_lines_as_answers() -> None:
    prediction = Prediction(Record("1", "a\tb"), (Hypothesis("one\ntwo", 0.0), Hypothesis("three", -1.0)))
    text, tsv = TASK.formats["text"].write, TASK.formats["tsv"].write
    assert text is not None
    assert tsv is not None
    assert text(prediction, 2) == "one two\nthree"
    assert text(Prediction(Record("1", ""), ()), 1) == ""
    assert tsv(prediction, 1) == "a b\tone two"
    assert text(Prediction(Record("1", ""), (Hypothesis("", 0.0),)), 3) == "\n\n"
    assert tsv(Prediction(Record("1", "a"), ()), 2) == "a\t\na\t"


def test_codecs_see_the_training_pairs_alone_and_spell_all_others() -> None:
    codecs = TASK.codecs(TranslationConfig(vocabulary=400), PHRASES["train"][:200])
    assert codecs.shared
    assert codecs.target.size <= 400
    for record in PHRASES["test"]:
        assert codecs.target.decode(codecs.target.encode(record.target)) == record.target


def test_the_translation_memory_answers_with_the_nearest_source() -> None:
    train = [Record("1", "the door is open", "A"), Record("2", "the window", "B"), Record("3", "the window", "C")]
    asked = [Record("x", "the window!"), Record("y", "door is open")]
    assert TASK.baselines["translation-memory"](train, asked) == ["B", "A"]
    assert TASK.baselines["copy"](train, asked) == ["the window!", "door is open"]


def test_the_metric_follows_the_target_language() -> None:
    assert tokeniser("zh-Hans") == "zh"
    assert tokeniser("de") == tokeniser("pt-BR") == "13a"
    assert [metric.name for metric in TASK.metrics(TranslationConfig(ter=True))] == ["bleu", "chrf", "ter"]
    assert "tok:zh" in TASK.metrics(TranslationConfig(target_language="zh-Hans"))[0].signature


MECAB = bool(find_spec("MeCab") and find_spec("mecab_ko"))


@pytest.mark.skipif(MECAB, reason="MeCab is installed")
@pytest.mark.parametrize("code", ["ja", "ko"])
def test_without_mecab_characters_are_counted_which_is_said(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    say.cache_clear()
    assert "tok:char" in TASK.metrics(TranslationConfig(target_language=code))[0].signature
    assert f"without MeCab the characters of {code} are counted" in capsys.readouterr().err
    with pytest.raises(ConfigError, match=rf"pip install 'sacrebleu\[{code}\]'"):
        TASK.metrics(TranslationConfig(target_language=code, bleu_tokens=f"{code}-mecab"))  # pyright: ignore[reportArgumentType]


@pytest.mark.skipif(not MECAB, reason="needs MeCab: pip install 'transduce[mecab]'")
@pytest.mark.parametrize(("code", "text"), [("ja", "今日は良い天気です。"), ("ko", "오늘은 날씨가 좋습니다.")])
def test_with_mecab_words_are_counted(code: str, text: str) -> None:
    bleu = TASK.metrics(TranslationConfig(target_language=code))[0]
    assert f"tok:{code}-mecab" in bleu.signature
    gold = Prediction(Record("1", "x", text), (Hypothesis(text, 0.0),))
    assert bleu.score(bleu.statistics([gold])) == pytest.approx(100)


@pytest.mark.parametrize("told", ["bleu_tokens='none'", "bleu_lowercase=true", "bleu_tokenised=true", "ter=false"])
def test_how_a_trained_run_is_scored_may_change_but_not_what_it_reads(told: str, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[data]\nsource = "phrases"\n')
    assert run_folder(TASK, [str(tmp_path)], [f"task.{told}"]) == tmp_path
    with pytest.raises(ConfigError, match=r"a trained run keeps its \[task\]"):
        run_folder(TASK, [str(tmp_path)], ["task.vocabulary=500"])


def test_gold_scores_best() -> None:
    gold = [Prediction(record, (Hypothesis(record.target, 0.0),)) for record in PHRASES["test"]]
    for metric in TASK.metrics(TranslationConfig(ter=True)):
        assert metric.score(metric.statistics(gold)) == pytest.approx(100 if metric.higher_is_better else 0)


def test_impossible_settings_are_refused() -> None:
    from core.config import Impossible

    with pytest.raises(Impossible, match="source language too"):
        TranslationConfig(source_language="de")
    with pytest.raises(Impossible, match="not between 400 and 65000"):
        TranslationConfig(vocabulary=10)


TMX = """<?xml version="1.0" encoding="UTF-8"?>
<tmx version="1.4"><header srclang="en" datatype="plaintext" segtype="sentence" adminlang="en" o-tmf="x"
 creationtool="x" creationtoolversion="1"/>
<body>
<tu tuid="a"><tuv xml:lang="en-GB"><seg>Turn <bpt i="1">&lt;b&gt;</bpt>on<ept i="1">&lt;/b&gt;</ept> the
 lamp</seg></tuv><tuv xml:lang="de"><seg>Schalte die Lampe ein</seg></tuv></tu>
<tu><tuv xml:lang="fr"><seg>Bonjour</seg></tuv></tu>
<tu><tuv xml:lang="en"><seg>Salt &amp; pepper</seg></tuv></tu>
</body></tmx>
"""


def test_a_translation_memory_is_read(tmp_path: Path) -> None:
    path = tmp_path / "train.tmx"
    path.write_text(TMX)
    reader = TASK.formats["tmx"].read
    assert reader is not None
    found = reader(TranslationConfig(), path)
    first = next(found)
    assert (first.key, first.source, first.target) == ("a", "Turn on the lamp", "Schalte die Lampe ein")
    with pytest.raises(BadRecord, match=r"train\.tmx:7: no 'en' in this unit; there is fr"):
        next(found)
    last = next(found)
    assert (last.source, last.target, last.meta["place"]) == ("Salt & pepper", None, f"{path}:8")
    assert next(found, None) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TMX[:300], r"x\.tmx:6: not XML"),
        ('<!DOCTYPE tmx [<!ENTITY a "aaaa">]><tmx><body/></tmx>', r"x\.tmx:1: it declares the entity 'a'"),
        ("", r"x\.tmx:1: not XML"),
    ],
)
def test_a_damaged_translation_memory_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "x.tmx").write_text(text)
    reader = TASK.formats["tmx"].read
    assert reader is not None
    with pytest.raises(DataError, match=said):
        list(reader(TranslationConfig(source_language="fr"), tmp_path / "x.tmx"))


def test_the_older_convention_tokenises_and_lowers_both_sides() -> None:
    metric = TASK.metrics(TranslationConfig(bleu_tokenised=True))[2]
    record = Record("1", "x", "Ein Hund läuft über das „grüne“ Gras.")
    same = Prediction(record, (Hypothesis('ein hund LÄUFT über das "grüne" Gras .', 0.0),))
    assert metric.score(metric.statistics([same])) == pytest.approx(100)
    plain = TASK.metrics(TranslationConfig())[0]
    assert plain.score(plain.statistics([same])) < 50
    assert "sacremoses" in metric.signature


def test_bpe_dropout_segments_anew_and_spells_the_same() -> None:
    records = [Record(str(n), f"the lamp number {n} is on", f"die Lampe Nummer {n} ist an") for n in range(300)]
    made = TASK.codecs(TranslationConfig(vocabulary=400), records)
    assert TASK.augment is not None
    assert TASK.augment(TranslationConfig()) is None
    vary = TASK.augment(TranslationConfig(bpe_dropout=0.5))
    assert vary is not None
    random = np.random.default_rng(1)
    seen = {tuple(made.target.encode(vary(records[7], random).target)) for _ in range(20)}
    assert len(seen) > 5
    assert {made.target.decode(ids) for ids in seen} == {records[7].target}
    with pytest.raises(Impossible, match="it needs subwords = 'bpe'"):
        TranslationConfig(bpe_dropout=0.1, subwords="unigram")


@pytest.mark.parametrize(
    ("source", "form", "placeholders"),
    [
        ("Turn on the lamp.", "sentence", "without"),
        ("Turn on {name}?", "sentence", "with placeholders"),
        ("Living room lamp", "title or label", "without"),
        ("He said “no.” ", "sentence", "without"),
        ("打开灯。", "sentence", "without"),
        ("{count} (of {total})", "title or label", "with placeholders"),
    ],
)
def test_texts_are_told_apart_by_what_they_are(source: str, form: str, placeholders: str) -> None:
    record = Record("1", source)
    assert {name: bin_of(record) for name, bin_of in TASK.bins.items()} == {"form": form, "placeholders": placeholders}
