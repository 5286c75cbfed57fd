"""Speech to text: answers, subtitles, streams, all verbs. All is made here, and nothing needs a network."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import soundfile

from core.codec.types import Codecs
from core.errors import DataError
from core.record import Hypothesis, Prediction, Record
from core.run.written import choose_format, destination
from tasks.speech_to_text import TASK
from tasks.speech_to_text.codec import codecs
from tasks.speech_to_text.listening import Layout, listen
from tasks.speech_to_text.recording import Recording
from tasks.speech_to_text.settings import SpeechConfig
from tasks.speech_to_text.solving import cost, solve
from tasks.speech_to_text.words import Segment, Word, timed_words

CFG = SpeechConfig()
RATE = CFG.rate


def tone(seconds: float, loud: float = 0.3) -> np.ndarray:
    return loud * np.sin(2 * np.pi * 440 * np.arange(int(seconds * RATE)) / RATE)


def held(samples: np.ndarray, name: str = "held") -> Recording:
    data = np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16)
    return Recording(name, end=len(data) / RATE, held=data, rate=RATE)


def speech(seconds: float) -> np.ndarray:
    return tone(seconds) * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * np.arange(int(seconds * RATE)) / RATE))


@pytest.fixture(scope="module")
def trained() -> Codecs:
    return codecs(SpeechConfig(bands=40), [Record("0", held(speech(2.0)), "one two")])


def searched(trained: Codecs, asked: list[Record]) -> Callable[[Sequence[Record]], list[Prediction]]:
    """A search that hears "one two" in everything, a token every 100 ms from 0.3 s on."""

    def search(records: Sequence[Record]) -> list[Prediction]:
        asked.extend(records)
        tokens = tuple(trained.target.encode("one two"))
        frames = tuple((30 + 10 * n, 40 + 10 * n) for n in range(len(tokens)))
        one = Hypothesis("one two", -1.0, tokens, (-0.1,) * len(tokens), "end", frames)
        return [Prediction(record, (one, Hypothesis("one", -2.0))) for record in records]

    return search


def test_silence_is_not_searched(trained: Codecs) -> None:
    random = np.random.default_rng(0)
    asked: list[Record] = []
    records = [
        Record("zeros", held(np.zeros(3 * RATE))),
        Record("noise", held(random.normal(0, 1e-3, 3 * RATE))),
        Record("speech", held(speech(1.0))),
        Record("endless silence", held(np.zeros(60 * RATE))),
    ]
    found = solve(CFG, trained, searched(trained, asked), records)
    assert [one.output for one in found] == ["", "", "one two", ""]
    assert [one.record.key for one in found] == [one.key for one in records]
    assert len(asked) == 1
    assert solve(CFG, trained, searched(trained, asked), records[:1])[0].hypotheses == (Hypothesis("", 0.0),)


def test_a_long_recording_is_cut_and_put_together_with_its_times(trained: Codecs) -> None:
    asked: list[Record] = []
    whole = np.concatenate([np.zeros(RATE), speech(1.5), np.zeros(RATE), speech(1.5), np.zeros(RATE)])
    (one,) = solve(CFG, trained, searched(trained, asked), [Record("long", held(whole))])
    assert [(round(part.source.begin, 2), round(part.source.end, 2)) for part in asked] == [
        (pytest.approx(0.85, abs=0.03), pytest.approx(2.65, abs=0.03)),
        (pytest.approx(3.35, abs=0.03), pytest.approx(5.15, abs=0.03)),
    ]
    assert one.output == "one two one two"
    first, second = one.record.meta["segments"]
    begin = asked[1].source.begin
    assert [word.text for word in second.words] == ["one", "two"]
    assert second.words[0].begin == pytest.approx(begin + 0.3)
    assert second.words[1].end == pytest.approx(begin + 1.0)
    assert second.words[0].probability == pytest.approx(np.exp(-0.1))
    assert first.begin < first.end <= second.begin
    best = one.hypotheses[0]
    assert len(best.tokens) == len(best.frames) == 14
    assert best.frames[7][0] == round(begin / 0.01) + 30


def test_a_short_recording_keeps_all_its_answers(trained: Codecs) -> None:
    asked: list[Record] = []
    (one,) = solve(CFG, trained, searched(trained, asked), [Record("short", held(speech(2.0)))])
    assert [answer.output for answer in one.hypotheses] == ["one two", "one"]
    assert len(asked) == 1


def test_the_cost_is_a_real_time_factor() -> None:
    rows = [Prediction(Record("a", held(tone(2.0))), ())] * 3
    assert cost(rows, 1.5) == "6.0 s of sound in 1.5 s: real-time factor 0.250"
    assert cost([], 0.0) == "0.0 s of sound in 0.0 s"


def test_words_are_timed_for_tokens_of_any_length(trained: Codecs) -> None:
    none = Hypothesis("one two", 0.0, tuple(trained.target.encode("one two")))
    assert timed_words(none, trained.target, 0.0) == ()
    tokens = tuple(trained.target.encode("a  b"))
    one = Hypothesis(
        "o  n", 0.0, tuple(trained.target.encode("o  n")), (0.0,) * 4, "end", ((1, 2), (2, 2), (2, 3), (5, 9))
    )
    assert len(tokens) == 4
    assert [(word.text, word.begin, word.end) for word in timed_words(one, trained.target, 1.0)] == [
        ("o", 1.01, 1.02),
        ("n", 1.05, 1.09),
    ]


# --- what is written ---


def heard(text: str, begin: float = 1.0) -> Prediction:
    words = tuple(Word(word, begin + n, begin + n + 0.5, 0.9) for n, word in enumerate(text.split()))
    meta = {"segments": (Segment(begin, begin + len(words), text, words),) if words else ()}
    record = Record("talk", Recording("talk.wav", end=60.0), meta=meta)
    return Prediction(record, (Hypothesis(text, -1.0),))


def written(name: str, *given: Prediction) -> str:
    from contextlib import redirect_stdout

    class Out(io.StringIO):
        def reconfigure(self, **settings: str) -> None: ...

    with redirect_stdout(Out()) as out, destination(choose_format(TASK, name), None, folder=False) as write:
        for one in given:
            write(one, 1)
    return out.getvalue()


def test_subtitles() -> None:
    many = heard("one two three four five six seven eight nine")
    assert written("srt", many) == (
        "1\n00:00:01,000 --> 00:00:07,500\none two three four five six seven\n\n"
        "2\n00:00:08,000 --> 00:00:09,500\neight nine\n"
    )
    assert written("vtt", heard("a < b & c"), heard("d")) == (
        "WEBVTT\n\n00:00:01.000 --> 00:00:05.500\na &lt; b &amp; c\n\n00:00:01.000 --> 00:00:01.500\nd\n"
    )
    long = " ".join(["word"] * 12)
    assert max(map(len, written("srt", heard(long, 0.0)).splitlines())) <= 42
    assert written("srt", heard("late", 3725.5)).splitlines()[1] == "01:02:05,500 --> 01:02:06,000"


def test_text_tables_and_json() -> None:
    assert written("txt", heard("one two"), heard(""), heard("three")) == "one two\n\nthree\n"
    write = TASK.formats["txt"].write
    assert write is not None
    assert write(heard("one"), 3) == "one\n\n"
    rows = list(csv.reader(written("tsv", heard("one two")).splitlines(), delimiter="\t"))
    assert rows == [
        ["recording", "start", "end", "probability", "word"],
        ["talk", "1.000", "1.500", "0.9000", "one"],
        ["talk", "2.000", "2.500", "0.9000", "two"],
    ]
    tree = json.loads(written("json", heard("one")))
    assert tree["segments"] == [
        {
            "start": 1.0,
            "end": 2.0,
            "text": "one",
            "words": [{"word": "one", "start": 1.0, "end": 1.5, "probability": 0.9}],
        }
    ]
    assert (tree["id"], tree["audio"], tree["seconds"], tree["text"]) == ("talk", "talk.wav", 60.0, "one")


def test_formats_with_times_ask_for_the_alignment() -> None:
    asking = {name for name, form in TASK.formats.items() if "search.align=true" in form.overrides}
    assert asking == {"json", "srt", "vtt", "tsv"}


# --- streams ---


def pcm(samples: np.ndarray) -> bytes:
    return np.round(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


TWO = np.concatenate([np.zeros(RATE // 2), speech(1.0), np.zeros(RATE), speech(0.7), np.zeros(RATE // 4)])


class Arriving(io.BytesIO):
    """Gives little at a time, odd numbers of bytes included, and remembers how much it gave."""

    def read1(self, size: int | None = -1, /) -> bytes:
        return self.read(min(size or 1, 777))


def test_a_stream_is_answered_at_its_pauses() -> None:
    stream = Arriving(pcm(TWO))
    found: list[tuple[Record, int]] = [(record, stream.tell()) for record in listen(CFG, stream)]
    assert [(round(record.source.begin, 2), round(record.source.end, 2)) for record, _ in found] == [
        (pytest.approx(0.35, abs=0.05), pytest.approx(1.65, abs=0.05)),
        (pytest.approx(2.35, abs=0.05), pytest.approx(3.35, abs=0.05)),
    ]
    assert found[0][1] / (2 * RATE) < 2.1, "the first answer waited for more than its pause"
    assert len({record.key for record, _ in found}) == 2


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_a_stream_may_have_a_wav_header(subtype: str) -> None:
    out = io.BytesIO()
    soundfile.write(out, np.stack([TWO, TWO], 1), RATE, subtype=subtype, format="WAV")
    found = list(listen(CFG, Arriving(out.getvalue())))
    assert len(found) == 2
    loudest = [int(np.abs(record.source.held).max()) for record in found]
    assert all(abs(one - 0.3 * 32767) < 400 for one in loudest)


def test_a_stream_without_pauses_is_cut_in_time() -> None:
    cfg = SpeechConfig(stream_longest=2.0)
    found = list(listen(cfg, Arriving(pcm(np.r_[np.zeros(RATE // 2), speech(7.0)]))))
    assert len(found) >= 4
    assert all(record.source.seconds <= 2.4 for record in found)
    ends = [(one.source.end, other.source.begin) for one, other in itertools.pairwise(found)]
    assert all(abs(end - begin) < 0.16 for end, begin in ends), "nothing is lost between two cuts"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"RIFF....AVI ", "no WAVE"),
        (b"RIFF\0\0\0\0WAVEdata\0\0\0\0", "without a format"),
        (b"RIFF\0\0\0\0WAVEfmt \x04\0\0\0abcd", "cut off"),
        (b"RIFF\0\0\0\0WAVEjunk\xff\xff\xff\x7f", "bytes of b'junk'"),
        (b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x55\0\x01\0\x80\x3e\0\0\0\0\0\0\x02\0\x10\0", "kind 85"),
        (b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x03\0\0\0\0\0\0\0\x02\0\x10\0", "a rate of 3 Hz"),
        (b"RIFF\0\0\0\0WAVE", "without samples"),
    ],
)
def test_a_stream_that_is_no_sound_is_refused(raw: bytes, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        list(listen(CFG, Arriving(raw)))


def test_silent_and_empty_streams_say_nothing() -> None:
    noise = np.random.default_rng(0).normal(0, 3e-4, 5 * RATE)
    for samples in (np.zeros(0), np.zeros(5 * RATE), noise):
        assert list(listen(CFG, Arriving(pcm(samples)))) == []
    assert list(listen(CFG, Arriving(b"\1"))) == []
    assert Layout(RATE).samples(b"\0\x80\xff\x7f").tolist() == [-32767, 32766]
