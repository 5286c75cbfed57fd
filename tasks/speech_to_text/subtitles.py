"""What was heard, as text, JSON, SubRip, WebVTT and tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from core.record import Prediction
from core.task import Format
from tasks.speech_to_text.audio import ENDINGS
from tasks.speech_to_text.manifests import read_kaldi, read_manifest, read_sound_file, read_table
from tasks.speech_to_text.recording import FEATURES, Recording
from tasks.speech_to_text.settings import SpeechConfig
from tasks.speech_to_text.words import Segment, Word

LETTERS = 84
"""Two lines of 42, as subtitles have them."""
LINE = 42
SECONDS = 7.0
"""The longest that one subtitle stays."""
ALIGNED = ("search.align=true",)


def segments(prediction: Prediction) -> tuple[Segment, ...]:
    """What the task's own solving left, else the whole answer over the whole recording."""
    found = prediction.record.meta.get("segments")
    if found is not None:
        return found
    source = prediction.record.source
    begin, end = (source.begin, source.end) if isinstance(source, Recording) else (0.0, 0.0)
    return (Segment(begin, end, prediction.output),) if prediction.output.strip() else ()


def write_text(prediction: Prediction, n_best: int) -> str:
    """The best texts, one a line; an empty one where nothing was said."""
    return "\n".join(prediction.lines(n_best))


def write_json(prediction: Prediction, n_best: int) -> str:
    """One object: text, segments with their words, and the further answers where more than one was asked for."""
    record = prediction.record
    tree: dict[str, Any] = {"id": record.key, "audio": str(record.source), "text": prediction.output}
    if error := record.meta.get("error"):
        tree["error"] = error
    if isinstance(record.source, Recording):
        tree["seconds"] = round(record.source.seconds, 3)
    tree["segments"] = [
        {
            **times(one),
            "text": one.text,
            "words": [
                {"word": word.text, **times(word), "probability": round(word.probability, 4)} for word in one.words
            ],
        }
        for one in segments(prediction)
    ]
    if n_best > 1:
        best = prediction.hypotheses[:n_best]
        tree["hypotheses"] = [{"output": one.output, "score": one.score, "logp": one.total} for one in best]
    return json.dumps(tree, ensure_ascii=False)


def times(one: Segment | Word) -> dict[str, float]:
    """To the millisecond."""
    return {"start": round(one.begin, 3), "end": round(one.end, 3)}


def write_srt(prediction: Prediction, n_best: int) -> str:
    """Numbered subtitles with a blank line between them."""
    return "\n\n".join(
        f"{number}\n{clock(cue.begin, ',')} --> {clock(cue.end, ',')}\n{lines(cue.text)}"
        for number, cue in enumerate(cues(prediction), start=1)
    )


def write_vtt(prediction: Prediction, n_best: int) -> str:
    """Cues; `WEBVTT` stands in the head."""
    return "\n\n".join(
        f"{clock(cue.begin, '.')} --> {clock(cue.end, '.')}\n{lines(escaped(cue.text))}" for cue in cues(prediction)
    )


def write_tsv(prediction: Prediction, n_best: int) -> str:
    """A row a word: recording, begin, end, probability, word; a row a segment where words are not aligned."""
    key = " ".join(prediction.record.key.split())
    rows: list[str] = []
    for one in segments(prediction):
        if not one.words:
            rows.append(f"{key}\t{one.begin:.3f}\t{one.end:.3f}\t\t{' '.join(one.text.split())}")
        rows.extend(
            f"{key}\t{word.begin:.3f}\t{word.end:.3f}\t{word.probability:.4f}\t{word.text}" for word in one.words
        )
    return "\n".join(rows) or f"{key}\t\t\t\t"


def escaped(text: str) -> str:
    """WebVTT has tags and entities."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def clock(seconds: float, point: str) -> str:
    """00:00:01,500"""
    milliseconds = round(max(seconds, 0.0) * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}{point}{rest % 1000:03d}"


def cues(prediction: Prediction) -> Iterator[Segment]:
    """Segments, those with timed words cut to what fits a screen."""
    for one in segments(prediction):
        if not one.words:
            yield one
            continue
        held: list[Word] = []
        for word in one.words:
            if held and (word.end - held[0].begin > SECONDS or letters([*held, word]) > LETTERS):
                yield Segment(held[0].begin, held[-1].end, spelled(held))
                held = []
            held.append(word)
        yield Segment(held[0].begin, held[-1].end, spelled(held))


def spelled(words: Sequence[Word]) -> str:
    """With spaces between."""
    return " ".join(word.text for word in words)


def letters(words: Sequence[Word]) -> int:
    """Of the words as spelled."""
    return len(spelled(words))


def lines(text: str) -> str:
    """Two lines of about equal length where one would be too long."""
    text = " ".join(text.split())
    if len(text) <= LINE:
        return text
    spaces = [at for at, letter in enumerate(text) if letter == " "]
    if not spaces:
        return text
    middle = min(spaces, key=lambda at: abs(at - len(text) / 2))
    return f"{text[:middle]}\n{text[middle + 1 :]}"


FORMATS: dict[str, Format[SpeechConfig]] = {
    "txt": Format(write=write_text, suffix=".txt"),
    "json": Format(endings=(".json",), read=read_manifest, write=write_json, suffix=".json", overrides=ALIGNED),
    "srt": Format(write=write_srt, suffix=".srt", overrides=ALIGNED, between="\n"),
    "vtt": Format(write=write_vtt, suffix=".vtt", overrides=ALIGNED, head="WEBVTT\n\n", between="\n"),
    "tsv": Format(
        endings=(".tsv",),
        read=read_table,
        write=write_tsv,
        suffix=".tsv",
        overrides=ALIGNED,
        head="recording\tstart\tend\tprobability\tword\n",
    ),
    "manifest": Format(endings=(".jsonl", ".jsonl.gz"), read=read_manifest),
    "csv": Format(endings=(".csv",), read=read_table),
    "kaldi": Format(endings=(".scp",), read=read_kaldi),
    "sound": Format(endings=(*ENDINGS, FEATURES), read=read_sound_file, single=True),
}
