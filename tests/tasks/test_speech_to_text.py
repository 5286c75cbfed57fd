"""Speech to text: manifests, built-in data, scores. All is made here, and nothing needs a network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from core.config import Impossible
from core.data.config import DataConfig
from core.data.sources import read_records
from core.errors import BadRecord, ConfigError, DataError
from core.record import SPLITS, Hypothesis, Prediction, Record
from tasks.speech_to_text import TASK
from tasks.speech_to_text.baselines import empty, most_frequent
from tasks.speech_to_text.features import samples_of
from tasks.speech_to_text.metrics import ErrorRate, canonical, metrics, utility
from tasks.speech_to_text.normaliser import basic
from tasks.speech_to_text.sentences import sentence
from tasks.speech_to_text.settings import SpeechConfig
from tasks.speech_to_text.synthetic import TEXT_SHARE, UTTERANCES, VARIANTS, script

CFG = SpeechConfig()
RATE = CFG.rate


def tone(seconds: float, loud: float = 0.3) -> np.ndarray:
    return loud * np.sin(2 * np.pi * 440 * np.arange(int(seconds * RATE)) / RATE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, seconds in (("a", 0.5), ("b", 1.0)):
        soundfile.write(tmp_path / f"{name}.wav", tone(seconds), RATE)
    return tmp_path


def read(folder: Path, split: str = "train", source: str = "files", **data: Any) -> Any:
    cfg = DataConfig(source=source, path=(str(folder),), **data)
    return read_records(TASK, CFG, cfg, split)  # pyright: ignore[reportArgumentType]


def shown(records: Sequence[Record]) -> list[tuple[str, str, str]]:
    return [(record.key, str(record.source), record.target) for record in records]


# --- manifests ---


def test_nemo_json_lines(folder: Path) -> None:
    lines = [
        {"audio_filepath": "a.wav", "text": "One, two!", "duration": 0.5, "speaker": "anna"},
        {"audio_filepath": str(folder / "b.wav"), "text": "three", "offset": 0.25, "duration": 0.5},
        {"id": "own", "source": {"path": "b.wav", "end": 0.4}, "target": "four"},
    ]
    (folder / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for source in ("files", "jsonl"):
        records = read(folder, source=source, holdout=0.0).records
        assert shown(records) == [
            ("train-1", "a.wav", "one two"),
            ("train-2", f"{folder}/b.wav#t=0.250,0.750", "three"),
            ("own", "b.wav#t=0.000,0.400", "four"),
        ]
    assert records[0].meta["group"] == "anna"


def test_tables(folder: Path) -> None:
    (folder / "train.csv").write_text('path,text,start,end\na.wav,"yes, no",,\nb.wav,maybe,0.2,0.6\n')
    (folder / "dev.tsv").write_text("path\ttext\tspeaker\na.wav\tyes\tanna\n")
    assert shown(read(folder).records) == [
        ("train-2", "a.wav", "yes no"),
        ("train-3", "b.wav#t=0.200,0.600", "maybe"),
    ]
    assert read(folder, "dev").records[0].meta["group"] == "anna"


def kaldi(folder: Path, files: str, text: str, **more: str) -> None:
    folder.mkdir(exist_ok=True)
    for name, content in {"wav.scp": files, "text": text, **more}.items():
        (folder / name).write_text(content)


def test_kaldi_folders(folder: Path) -> None:
    kaldi(folder / "train", "u1 ../a.wav\nu2 ../b.wav\n", "u1 YES\nu2 no way\n", utt2spk="u1 anna\nu2 bob\n")
    kaldi(folder / "dev", "r ../b.wav\n", "r-1 yes\nr-2 no\n", segments="r-1 r 0.0 0.4\nr-2 r 0.5 1.0\n")
    assert shown(read(folder).records) == [("u1", "../a.wav", "yes"), ("u2", "../b.wav", "no way")]
    assert [record.meta["group"] for record in read(folder).records] == ["anna", "bob"]
    assert [str(record.source) for record in read(folder, "dev").records] == [
        "../b.wav#t=0.000,0.400",
        "../b.wav#t=0.500,1.000",
    ]


@pytest.mark.parametrize(
    ("name", "content", "line", "reason"),
    [
        ("train.jsonl", '{"audio_filepath": "c.wav", "text": "x"}', 1, "no such file"),
        ("train.jsonl", '{"audio_filepath": 3, "text": "x"}', 1, "`audio_filepath` is the number 3"),
        ("train.jsonl", '{"audio_filepath": "a.wav", "text": ["x"]}', 1, "`text` is a list"),
        ("train.jsonl", '{"audio_filepath": "a.wav", "text": "x", "offset": 0, "duration": 3}', 1, "to 3 seconds, but"),
        ("train.jsonl", '{"audio_filepath": "a.wav", "text": "x", "offset": -1}', 1, "seconds from 0 on"),
        ("train.jsonl", '{"audio_filepath": "a.wav"}', 1, "no text"),
        ("train.jsonl", "a.wav", 1, "not JSON"),
        ("train.csv", "path,text\na.wav\n", 2, "1 cells; the first row names 2"),
        ("train.csv", "path,text,start,end\na.wav,x,one,2\n", 2, "a number of seconds is right"),
        ("train.csv", "path,text\n,x\n", 2, "an empty `path`"),
        ("train.csv", 'path,text\n"a.wav,x\n', 2, "not CSV"),
    ],
)
def test_a_bad_line_is_named_and_the_others_go_on(
    folder: Path, name: str, content: str, line: int, reason: str
) -> None:
    rest = {"train.jsonl": '{"audio_filepath": "a.wav", "text": "good"}\n', "train.csv": "a.wav,good\n"}[name]
    if "start" in content and name == "train.csv":
        rest = "a.wav,good,,\n"
    (folder / name).write_text(content.rstrip("\n") + "\n" + rest)
    with pytest.raises(BadRecord) as refused:
        read(folder)
    assert str(refused.value).startswith(f"{folder / name}:{line}: "), refused.value
    assert reason in str(refused.value)
    found = read(folder, bad="skip")
    assert [record.target for record in found.records] == ["good"]
    assert len(found.refused) == 1


@pytest.mark.parametrize(
    ("files", "text", "segments", "reason"),
    [
        ("u1 sox a.wav -t wav - |\n", "u1 yes\n", "", "a command"),
        ("u1 | cat a.wav\n", "u1 yes\n", "", "a command"),
        ("u1 sound.ark:123\n", "u1 yes\n", "", "archive"),
        ("u1\n", "u1 yes\n", "", "an utterance and a file"),
        ("u1 ../a.wav\n", "u2 yes\n", "", "text has no 'u1'"),
        ("u1 ../a.wav\n", "s yes\n", "s u2 0 1\n", "the recording 'u2' is not in"),
        ("u1 ../a.wav\n", "s yes\n", "s u1 0\n", "3 fields"),
        ("u1 ../a.wav\n", "s yes\n", "s u1 0 -1\n", "seconds from 0 on"),
    ],
)
def test_kaldi_commands_are_not_run_and_faults_are_named(
    folder: Path, files: str, text: str, segments: str, reason: str
) -> None:
    kaldi(folder / "train", files, text, **({"segments": segments} if segments else {}))
    with pytest.raises(BadRecord, match=reason) as refused:
        read(folder)
    place = folder / "train" / ("segments" if segments else "wav.scp")
    assert str(refused.value).startswith(f"{place}:1: ") or reason == "a command"


def test_a_table_without_names_is_refused(folder: Path) -> None:
    (folder / "train.csv").write_text("a.wav,yes\n")
    with pytest.raises(DataError, match=r"train\.csv:1: the first row must name the columns"):
        read(folder)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("typed", [False, True])
def test_a_parquet_data_set_may_hold_the_sound_itself(
    folder: Path, tmp_path: Path, streaming: bool, typed: bool
) -> None:
    pytest.importorskip("datasets").disable_progress_bars()
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    good = (folder / "a.wav").read_bytes()
    rows = [
        {"audio": {"bytes": good, "path": "a.wav"}, "sentence": "One, two."},
        {"audio": {"bytes": good[:200], "path": "half.wav"}, "sentence": "three"},
        {"audio": {"bytes": None, "path": str(folder / "a.wav")}, "sentence": "four"},
    ]
    table = pyarrow.Table.from_pylist(rows)
    if typed:  # as published ones are: the column says that it is sound
        features = {"audio": {"_type": "Audio"}, "sentence": {"dtype": "string", "_type": "Value"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    parquet.write_table(table, tmp_path / "train.parquet")
    data = DataConfig(
        source="hf",
        path=(str(tmp_path),),
        cache=str(tmp_path / "cache"),
        column_source="audio",
        column_target="sentence",
        streaming=streaming,
        bad="skip",
        holdout=0.0,
    )
    found = read_records(TASK, SpeechConfig(), data, "train")
    assert [(one.source.name, one.target) for one in found.records] == [
        ("a.wav", "one two"),
        (str(folder / "a.wav"), "four"),
    ]
    first, last = (one.source for one in found.records)
    assert first.seconds == last.seconds
    assert (samples_of(first, 16_000) == samples_of(last, 16_000)).all()
    assert first.identity != last.identity
    (refused,) = found.refused
    assert "[train]:2: `audio`: half.wav: truncated: " in refused.message
    assert len(refused.raw) < 200


def test_sound_files_are_inputs(folder: Path) -> None:
    reader = TASK.formats["sound"].read
    assert reader is not None
    (record,) = reader(CFG, folder / "a.wav")
    assert (record.key, str(record.source), record.target) == ("a", "a.wav", None)


# --- built-in data ---


def test_synthetic_scripts_hold_out_voices_and_texts() -> None:
    scripts = {split: script(split, 300) for split in SPLITS}
    for field in ("text", "voice"):
        sets = [{getattr(line, field) for line in scripts[split]} for split in SPLITS]
        assert not sets[0] & sets[1]
        assert not sets[0] & sets[2]
        assert not sets[1] & sets[2]
    assert not set(VARIANTS["train"]) & set(VARIANTS["dev"] + VARIANTS["test"])
    assert script("dev", 300) == scripts["dev"]
    assert len({line.voice for line in scripts["train"]}) > 100
    assert UTTERANCES["train"] > 10 * TEXT_SHARE


def test_sentences_have_no_open_slots() -> None:
    from random import Random

    random = Random(0)
    said = {sentence(random) for _ in range(2000)}
    assert not any(letter in text for text in said for letter in "{}|")
    assert all(text == basic(text) for text in said)


def test_an_unknown_voice_is_refused() -> None:
    pytest.importorskip("espeakng_loader")
    from tasks.speech_to_text.synthetic import spoken

    line = script("dev", 1)[0]
    (samples,) = spoken("en-us+m1", [line])
    assert samples.dtype == np.int16
    assert np.abs(samples).max() > 500
    for voice, reason in (("xx-nowhere", "has no voice 'xx-nowhere'"), ("en+nobody", "no variant 'nobody'")):
        with pytest.raises(DataError, match=reason):
            spoken(voice, [line])


def test_the_voices_sound_the_same_each_time() -> None:
    pytest.importorskip("espeakng_loader")
    from tasks.speech_to_text.synthetic import spoken

    lines = script("dev", 3)
    for variant in ("m3", "f4", "klatt"):
        one, other = (spoken(f"en-gb-scotland+{variant}", lines) for _ in range(2))
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_tones_have_their_own_texts_and_pitches() -> None:
    records = {split: list(TASK.sources["tones"](CFG, DataConfig(), split)) for split in SPLITS}
    texts = {split: {record.target for record in own} for split, own in records.items()}
    groups = {split: {record.meta["group"] for record in own} for split, own in records.items()}
    for one, other in (("train", "dev"), ("train", "test"), ("dev", "test")):
        assert not texts[one] & texts[other]
        assert not groups[one] & groups[other]
    assert len(groups["test"]) >= 10  # voices enough to resample


def test_debian_sources_know_their_languages() -> None:
    for name in ("fillets", "tuxpaint", "asterisk"):
        with pytest.raises(ConfigError, match=rf"task\.language = 'zz': {name} has no such language"):
            list(TASK.sources[name](SpeechConfig(language="zz"), DataConfig(), "dev"))


# --- scores ---


def predictions(*pairs: tuple[str, str]) -> list[Prediction]:
    return [
        Prediction(Record(str(n), None, target), (Hypothesis(output, 0.0),)) for n, (target, output) in enumerate(pairs)
    ]


def test_word_errors_are_counted_over_all_references() -> None:
    rows = predictions(("one two three", "one to three four"), ("yes", ""), ("", "hm hm"))
    scores = {one.name: one.score(one.statistics(rows)) for one in metrics(SpeechConfig(character_parts=True))}
    assert list(scores) == ["wer", "cer", "wer_sub", "wer_del", "wer_ins", "cer_sub", "cer_del", "cer_ins"]
    assert scores["wer"] == pytest.approx(100 * (1 + 1 + 3) / 4)
    assert (scores["wer_sub"], scores["wer_del"], scores["wer_ins"]) == (25.0, 25.0, 75.0)
    assert scores["cer"] == pytest.approx(scores["cer_sub"] + scores["cer_del"] + scores["cer_ins"])
    assert ErrorRate("words", "all", "basic").signature.startswith("S+D+I/words|norm:basic-1|refs:1|jiwer:")


def test_the_normaliser_is_in_the_signature_and_does_what_it_says() -> None:
    rows = predictions(("Don’t  stop!", "don't stop"))
    scores = [
        ErrorRate("words", "all", name).score(ErrorRate("words", "all", name).statistics(rows))
        for name in ("basic", "none")
    ]
    assert scores == [0.0, 100.0]
    assert ErrorRate("words", "all", "none").signature != ErrorRate("words", "all", "basic").signature
    assert basic(" «ČÍSLO 5», to’s rock 'n' roll… ") == "číslo 5 to's rock n roll"
    assert canonical(CFG)("A, b") == canonical(CFG)("a b") == "a b"
    assert utility("a b c d", "a b x d") == 0.75


def test_baselines() -> None:
    train = [Record(str(n), None, text) for n, text in enumerate(("b", "a", "a", "b", "c"))]
    assert most_frequent(train, train[:2]) == ["b", "b"]
    assert empty(train, train[:2]) == ["", ""]


@pytest.mark.parametrize(
    "wrong",
    [{"rate": 100}, {"bands": 2}, {"speeds": ()}, {"speeds": (9.0,)}, {"longest": 0.5}, {"vocabulary": 3}],
)
def test_what_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(Impossible):
        SpeechConfig(**wrong)
