"""Speech to text: the verbs on files, folders and streams, with runs of a few steps on tones. Nothing needs a network."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from core.cli import main
from tasks.speech_to_text import TASK

ROOT = Path(__file__).parents[2]
RATE = 16_000
SHORT = ("train.steps=3", "train.evaluate_every=3", "train.evaluate_records=4", "train.threads=1", "data.limit=50")
KINDS = {
    "characters": (),
    "subwords": ("task.tokens=subwords", "task.subwords=bpe", "task.vocabulary=400", "model.subsample=8"),
}


def speech(seconds: float) -> np.ndarray:
    at = np.arange(int(seconds * RATE)) / RATE
    return 0.3 * np.sin(2 * np.pi * 440 * at) * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * at))


TWO = np.concatenate([np.zeros(RATE // 2), speech(1.0), np.zeros(RATE), speech(0.7), np.zeros(RATE // 4)])


def pcm(samples: np.ndarray) -> bytes:
    return np.round(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


@pytest.fixture(scope="module", params=KINDS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few steps: enough to see that all parts fit each other."""
    folder = tmp_path_factory.mktemp(f"speech-{request.param}") / "run"
    tiny = str(ROOT / "configs" / "speech_to_text" / "tiny.toml")
    assert main("train", TASK, [tiny, "--run", str(folder), *SHORT, *KINDS[request.param]]) == 0
    return folder


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """Two utterances, silence, half a file, and stereo at another rate."""
    folder = tmp_path / "inputs"
    (folder / "more").mkdir(parents=True)
    soundfile.write(folder / "a.wav", TWO, RATE)
    soundfile.write(folder / "b.flac", np.zeros(RATE), RATE)
    (folder / "c.wav").write_bytes((folder / "a.wav").read_bytes()[:9000])
    soundfile.write(folder / "more" / "d.ogg", np.stack([speech(1.0), 0.5 * speech(1.0)], 1), 44_100)
    return folder


def predicted(words: Sequence[str | Path], capsys: pytest.CaptureFixture[str], code: int = 0) -> tuple[str, str]:
    capsys.readouterr()
    assert main("predict", TASK, list(map(str, words))) == code
    out, err = capsys.readouterr()
    return out, err


def test_a_folder_is_answered_in_order_and_what_is_broken_keeps_its_place(
    run: Path, inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = inputs / "missing.wav"
    np.save(inputs / "e.npy", np.zeros((50, 40), np.float32))  # features, of which a model for sound knows nothing
    out, err = predicted([run, inputs, missing, inputs / "a.wav", "--format", "json"], capsys, 3)
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["id"] for row in rows] == ["a", "b", "c", "e", "d", "missing", "a"]
    assert "real-time factor" in err
    assert f"error: {inputs}/c.wav: truncated: the header promises" in err
    assert f"error: {missing}: no such file" in err
    assert "error: e.npy: this model was trained on sound, and these are features (.npy)\n" in err
    assert "truncated" in rows[2]["error"]
    assert "trained on sound" in rows[3]["error"]
    assert "error" not in rows[4], "those around it are answered"
    assert "no such file" in rows[5]["error"]
    assert (rows[1]["text"], rows[1]["segments"]) == ("", [])
    assert rows[0]["text"] == rows[6]["text"]
    words = [word for row in rows for one in row["segments"] for word in one["words"]]
    assert words, "three steps say something"
    times = [(word["start"], word["end"]) for one in rows[0]["segments"] for word in one["words"]]
    assert all(0 <= begin < end <= rows[0]["seconds"] + 0.01 for begin, end in times)
    assert [begin for begin, _ in times] == sorted(begin for begin, _ in times)


@pytest.mark.parametrize("settings", [(), ("search.strategy=ctc", "search.beams=1")], ids=["joint", "ctc"])
def test_every_format_is_written_file_by_file(
    run: Path, inputs: Path, settings: Sequence[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for form in ("txt", "json", "srt", "vtt", "tsv"):
        out = tmp_path / "out"
        predicted([run, inputs, "--format", form, "--output", f"{out}/", *settings], capsys, 3)
        assert [(out / f"{name}.{form}").is_file() for name in "abcd"] == [True] * 4
    assert (out / "b.txt").read_text() == "\n"
    assert (out / "a.vtt").read_text().startswith("WEBVTT\n")
    tree = json.loads((out / "a.json").read_text())
    assert [word["word"] for one in tree["segments"] for word in one["words"]] == tree["text"].split()
    rows = [line.split("\t") for line in (out / "a.tsv").read_text().splitlines()]
    assert rows[0] == ["recording", "start", "end", "probability", "word"]
    assert [row[4] for row in rows[1:]] == (tree["text"].split() or [""])
    assert (out / "a.srt").read_text().count(" --> ") == (out / "a.vtt").read_text().count(" --> ")


def test_a_stream_gives_a_line_a_segment(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(pcm(TWO))))
    out, _ = predicted([run, "-", "--stream"], capsys)
    assert len(out.splitlines()) == 2


@pytest.mark.slow
def test_a_stream_is_answered_while_it_goes_on(run: Path) -> None:
    """The rest of the sound is fed only after the first answer has come: one that waited for the end would hang."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tasks.speech_to_text.predict", str(run), "-", "--stream", "--format", "tsv"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        assert process.stdout.readline() == b"recording\tstart\tend\tprobability\tword\n"
        half = int(2.2 * RATE)
        process.stdin.write(pcm(TWO[:half]))
        process.stdin.flush()
        first = process.stdout.readline().decode().split("\t")
        process.stdin.write(pcm(TWO[half:]))
        process.stdin.close()
        rest = process.stdout.read().decode().splitlines()
    assert process.returncode == 0
    assert int(first[0]) < 1000
    assert int(rest[-1].split("\t")[0]) > 2000
