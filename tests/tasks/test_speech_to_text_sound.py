"""Sound files, hostile ones too; resampling, features, silence. All is made here, and nothing needs a network."""

from __future__ import annotations

import io
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from core.config import Impossible
from core.errors import BadRecord, ConfigError, DataError
from tasks.speech_to_text import TASK
from tasks.speech_to_text.audio import read_sound, sound_of
from tasks.speech_to_text.features import SpeechFeatures, fitted, log_mel
from tasks.speech_to_text.keeping import Keeping
from tasks.speech_to_text.reading import read
from tasks.speech_to_text.recording import Recording, Varied
from tasks.speech_to_text.resampling import Resampler, resampled
from tasks.speech_to_text.settings import SpeechConfig
from tasks.speech_to_text.silences import is_silent, levels, pieces
from tasks.speech_to_text.variation import Masks, augment, augment_among, noisy

CFG = SpeechConfig()
RATE = CFG.rate


def tone(seconds: float, rate: int = RATE, pitch: float = 440.0, loud: float = 0.3) -> np.ndarray:
    return loud * np.sin(2 * np.pi * pitch * np.arange(int(seconds * rate)) / rate)


def wav(samples: np.ndarray, rate: int = RATE, subtype: str = "PCM_16", form: str = "WAV") -> bytes:
    out = io.BytesIO()
    soundfile.write(out, samples, rate, subtype=subtype, format=form)
    return out.getvalue()


def with_rate(raw: bytes, rate: int) -> bytes:
    return raw[:24] + struct.pack("<I", rate) + raw[28:]


GOOD = wav(tone(0.5))
HOSTILE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "an empty file"),
    "text": (b"turn on the light\n" * 50, "no sound that can be read"),
    "noise": (np.random.default_rng(0).bytes(5000), "no sound that can be read"),
    "truncated": (GOOD[:-4000], "truncated: the header promises 16,000 bytes of samples, 12,000 are there"),
    "header-only": (GOOD[:44], "truncated"),
    "half-a-header": (GOOD[:30], "truncated"),
    "zero-length": (wav(np.zeros(0)), "0 ms of sound; at least 25 are needed"),
    "one-sample": (wav(np.zeros(1)), "0.0625 ms of sound; at least 25"),
    "nan": (wav(np.r_[tone(0.1), [np.nan], tone(0.1)], subtype="FLOAT"), "no number"),
    "infinite": (wav(np.r_[tone(0.1), [np.inf], tone(0.1)], subtype="FLOAT"), "no number"),
    "wild": (wav(30_000 * tone(0.2), subtype="FLOAT"), "between -1 and 1"),
    "three-hertz": (with_rate(GOOD, 3), "a rate of 3 Hz; between 4000"),
    "no-rate": (with_rate(GOOD, 0), ""),
    "truncated-flac": (wav(np.random.default_rng(1).normal(0, 0.1, RATE), form="FLAC")[:9000], ""),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_sound_is_a_bad_record_with_its_path(name: str, tmp_path: Path) -> None:
    content, reason = HOSTILE[name]
    path = tmp_path / f"{name}.wav"
    path.write_bytes(content)
    with pytest.raises(BadRecord) as refused:
        read(CFG, path.name, tmp_path)
    assert str(refused.value).startswith(str(path)), refused.value
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


def test_every_prefix_of_a_file_is_read_or_refused(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    for form, subtype in (("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS")):
        raw = wav(tone(0.2), subtype=subtype, form=form)
        for length in random.integers(0, len(raw), 40):
            path = tmp_path / "prefix.bin"
            path.write_bytes(raw[:length])
            try:
                sound = read_sound(path, RATE)
            except BadRecord:
                continue
            assert form == "OGG", f"{form}: {length} of {len(raw)} bytes were taken for all of it"
            assert len(sound.samples) > 0


@pytest.mark.parametrize("value", ["nowhere.wav", ".", "\0.wav", "x" * 5000, "/dev/zero"])
def test_what_is_no_file_is_refused(value: str, tmp_path: Path) -> None:
    with pytest.raises(BadRecord):
        read(CFG, value, tmp_path)


@pytest.mark.parametrize(
    "value",
    [
        {"path": "a.wav", "start": 0.3, "end": 0.2},
        {"path": "a.wav", "end": 9},
        {"path": "a.wav", "start": 0.499},
        {"path": "a.wav", "start": float("nan")},
        {"path": "a.wav", "start": True},
        {"path": "a.wav", "begin": 0},
        {"start": 1},
        "",
        " ",
    ],
)
def test_a_stretch_lies_within_its_file(value: Any, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(GOOD)
    with pytest.raises(BadRecord):
        read(CFG, value, tmp_path)


@pytest.mark.parametrize(
    ("rate", "channels", "form", "subtype"),
    [
        (8_000, 1, "WAV", "PCM_U8"),
        (44_100, 2, "FLAC", "PCM_24"),
        (48_000, 8, "WAV", "PCM_32"),
        (22_050, 1, "OGG", "VORBIS"),
        (44_100, 1, "MP3", "MPEG_LAYER_III"),
        (11_025, 2, "WAV", "FLOAT"),
        (96_000, 1, "AIFF", "PCM_16"),
        (192_000, 1, "WAV", "DOUBLE"),
        (47_999, 1, "WAV", "PCM_16"),
    ],
)
def test_any_rate_and_number_of_channels(rate: int, channels: int, form: str, subtype: str, tmp_path: Path) -> None:
    path = tmp_path / "sound.bin"
    path.write_bytes(wav(np.stack([tone(0.5, rate)] * channels, 1), rate, subtype, form))
    samples = read_sound(path, RATE).samples
    assert abs(len(samples) - RATE // 2) < 0.06 * RATE  # mp3 has padding
    middle = samples[2000:6000] / 32767
    strength = np.abs(np.fft.rfft(middle * np.hanning(4000)))
    assert abs(float(strength.argmax()) * RATE / 4000 - 440) < 5
    assert 0.27 < np.abs(middle).max() < 0.33


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 47_999, 16_000, 15_999])
def test_resampling_block_by_block_is_resampling_at_once(rate: int) -> None:
    torchaudio = pytest.importorskip("torchaudio")
    import torch

    random = np.random.default_rng(rate)
    samples = random.normal(0, 0.1, rate + 17).astype(np.float32)
    one = Resampler(rate, RATE)
    parts: list[np.ndarray] = []
    begin = 0
    while begin < len(samples):
        size = int(random.integers(1, 9000))
        parts.append(one.push(samples[begin : begin + size]))
        begin += size
    whole = torchaudio.functional.resample(torch.from_numpy(samples), one.into, one.out_of).numpy()
    np.testing.assert_allclose(np.concatenate([*parts, one.end()]), whole, atol=1e-6)
    np.testing.assert_allclose(resampled(samples, rate, RATE), whole, atol=1e-6)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("ModuleNotFoundError('torchaudio')", r"speech needs torchaudio: pip install 'transduce\[speech_to_text\]'"),
        (
            "OSError('undefined symbol')",
            r"torch \d+\.\d+ with torchaudio \d+\.\d+; pip install 'torchaudio==\d+\.\d+\.\*'",
        ),
        ("ImportError('torchaudio.lib')", "must be of one release"),
    ],
)
def test_a_torchaudio_that_cannot_be_loaded_is_told_where_sound_is_resampled(
    fault: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torchaudio.py").write_text(f"raise {fault}\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ConfigError, match=reason):
        resampled(np.zeros(1000, np.float32), 8_000, 16_000)


def test_what_was_kept_is_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(GOOD)
    first = sound_of(path, RATE)
    assert sound_of(path, RATE) is first
    path.write_bytes(wav(tone(0.7)))
    assert len(sound_of(path, RATE).samples) > len(first.samples)


def test_keeping_forgets_what_was_unused_longest() -> None:
    kept: Keeping[str] = Keeping(10)
    kept.put("a", "A", 4)
    kept.put("b", "B", 4)
    assert kept.get("a") == "A"
    kept.put("c", "C", 4)
    assert (kept.get("a"), kept.get("b"), kept.get("c")) == ("A", None, "C")
    assert kept.put("huge", "H", 11) == "H"
    assert kept.get("huge") is None


def test_mel_bands_see_their_frequency_and_nothing_is_nan() -> None:
    quiet = log_mel(np.zeros(1600, np.float32), RATE, 80)
    assert quiet.shape == (11, 80)
    assert np.isfinite(quiet).all()
    peaks = [int(log_mel(tone(0.3, pitch=f).astype(np.float32), RATE, 80)[10].argmax()) for f in (300, 1000, 3000)]
    assert peaks == sorted(set(peaks))
    assert log_mel(np.zeros(3, np.float32), RATE, 80).shape == (2, 80)  # shorter than what is reflected at its ends


def test_features_do_not_depend_on_loudness_and_can_be_stored(tmp_path: Path) -> None:
    hiss = np.random.default_rng(0).normal(0, 0.1, RATE // 2)
    speech = (hiss * np.linspace(0.1, 1, RATE // 2)).astype(np.float32)
    sources: list[Recording] = []
    for number, gain in enumerate((1.0, 0.1)):
        (tmp_path / f"{number}.wav").write_bytes(wav(gain * speech, subtype="FLOAT"))
        sources.append(read(CFG, f"{number}.wav", tmp_path))
    codec = fitted(sources, rate=RATE, bands=40, normalise="utterance", masks=Masks())
    loud, quiet = (codec.encode(source).values for source in sources)
    assert loud.shape == (51, 40)
    assert loud.dtype == np.float32
    assert np.abs(loud - quiet).mean() < 0.05
    np.testing.assert_allclose(loud.mean(0), 0, atol=1e-4)
    assert codec.longest == 0.5
    assert SpeechFeatures.load(codec.dump()) == codec


def test_global_statistics_are_those_of_train(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    frames = [random.normal(3, 2, (length, 13)).astype(np.float16) for length in (50, 80)]
    sources: list[Recording] = []
    for number, one in enumerate(frames):
        np.save(tmp_path / f"{number}.npy", one)
        sources.append(read(CFG, f"{number}.npy", tmp_path))
    codec = fitted(sources, rate=RATE, bands=80, normalise="global", masks=Masks())
    assert (codec.width, codec.rate) == (13, 0)
    values = np.concatenate([codec.encode(source).values for source in sources])
    np.testing.assert_allclose(values.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(values.std(0), 1, atol=1e-3)
    assert SpeechFeatures.load(codec.dump()) == codec


@pytest.mark.parametrize(
    "content",
    [
        np.zeros((3, 4, 5)),
        np.zeros(7),
        np.zeros((0, 13)),
        np.array([["a", "b"]]),
        np.full((4, 13), np.nan),
        np.full((4, 13), 1e300),
        np.zeros((4, 5), complex),
    ],
)
def test_features_that_are_none_are_refused(content: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", content)
    with pytest.raises(BadRecord, match=r"a\.npy"):
        read(CFG, "a.npy", tmp_path)


def test_a_pickle_in_a_feature_file_is_not_run(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(BadRecord, match=r"a\.npy"):
        read(CFG, "a.npy", tmp_path)
    whole = io.BytesIO()
    np.save(whole, np.zeros((100, 13), np.float32))
    for length in range(0, len(whole.getvalue()) - 1, 97):
        (tmp_path / "b.npy").write_bytes(whole.getvalue()[:length])
        with pytest.raises(BadRecord, match=r"b\.npy"):
            read(CFG, "b.npy", tmp_path)


def test_sound_and_features_do_not_mix(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(GOOD)
    np.save(tmp_path / "a.npy", np.zeros((9, 13)))
    np.save(tmp_path / "b.npy", np.zeros((9, 14)))
    sound, thirteen, fourteen = (read(CFG, name, tmp_path) for name in ("a.wav", "a.npy", "b.npy"))
    fit = lambda *sources: fitted(sources, rate=RATE, bands=40, normalise="utterance", masks=Masks())  # noqa: E731
    with pytest.raises(DataError, match="mixed"):
        fit(sound, thirteen)
    with pytest.raises(DataError, match="trained on features"):
        fit(thirteen).encode(sound)
    with pytest.raises(DataError, match=r"b\.npy: 14 features a frame; the model was trained on 13"):
        fit(thirteen).encode(fourteen)


def test_a_file_that_changed_since_it_was_listed_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(GOOD)
    one = read(CFG, "a.wav", tmp_path)
    codec = fitted([one], rate=RATE, bands=40, normalise="utterance", masks=Masks())
    (tmp_path / "a.wav").write_bytes(wav(tone(0.6)))
    other = Recording(one.name, one.path, 0.1, 0.4, False, one.sha256)
    with pytest.raises(DataError, match=r"a\.wav: its sha256 is"):
        codec.encode(other)


def held(samples: np.ndarray, name: str = "held") -> Recording:
    data = np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16)
    return Recording(name, end=len(data) / RATE, held=data, rate=RATE)


def test_variants_have_other_speeds_noise_and_masks() -> None:
    one, other = held(tone(0.6)), held(tone(0.4, pitch=700))
    codec = fitted([one], rate=RATE, bands=40, normalise="utterance", masks=Masks(2, 0.2, 4.0, 0.1))
    plain = fitted([one], rate=RATE, bands=40, normalise="utterance", masks=Masks())
    lengths = [len(plain.encode(Varied((one,), (speed,), False, 0)).values) for speed in (0.9, 1.0, 1.1)]
    assert lengths == [67, 61, 55]
    both = plain.encode(Varied((one, other), (1.0, 1.0), False, 0)).values
    assert len(both) == 61 + 41
    masked = codec.encode(Varied((one,), (1.0,), False, 5)).values
    assert (masked == 0).mean() > 0.03
    assert (plain.encode(Varied((one,), (1.0,), False, 5)).values == 0).mean() < 0.03
    again = codec.encode(Varied((one,), (1.0,), False, 5)).values
    np.testing.assert_array_equal(masked, again)
    assert not np.array_equal(masked, codec.encode(Varied((one,), (1.0,), False, 6)).values)
    frames = log_mel(tone(0.5).astype(np.float32), RATE, 40)
    louder = noisy(frames, np.random.default_rng(1)) - frames
    assert louder.min() >= -1e-5
    assert louder.max() > 1


def test_augmentation_puts_utterances_together_and_keeps_their_texts() -> None:
    from core.record import Record

    cfg = SpeechConfig(speeds=(0.9, 1.0, 1.1), concatenated=1.0, noise=0.5)
    records = [Record(str(n), held(tone(0.3), str(n)), f"text {n}") for n in range(5)]
    among, alone = augment_among(cfg), augment(cfg)
    assert among is not None
    assert alone is not None
    random = np.random.default_rng(0)
    made = [among(records[2], records, random) for _ in range(40)]
    assert all(one.target.startswith("text 2 text ") and one.key == "2" for one in made)
    assert len({one.target for one in made}) == 5
    assert {speed for one in made for speed in one.source.speeds} == {0.9, 1.0, 1.1}
    assert {one.source.noise for one in made} == {True, False}
    assert alone(records[2], random).target == "text 2"
    assert augment_among(SpeechConfig()) is None
    assert augment(SpeechConfig(masked_bands=0, masked_times=0.0)) is None


def test_several_utterances_of_one_speaker_are_put_together() -> None:
    from core.record import Record

    cfg = SpeechConfig(concatenated=1.0, concatenated_most=3, concatenated_voice="same")
    said = [("ann", "one"), ("bob", "two"), ("ann", "three"), ("bob", ""), ("", "five")]
    records = [
        Record(str(n), held(tone(0.3), str(n)), text, {"speaker": who} if who else {})
        for n, (who, text) in enumerate(said)
    ]
    among = augment_among(cfg)
    assert among is not None
    random = np.random.default_rng(0)
    ann = [among(records[0], records, random) for _ in range(60)]
    assert {len(one.source.parts) for one in ann} == {2, 3, 4}
    assert {word for one in ann for word in one.target.split()} == {"one", "three"}
    assert all(len(one.target.split()) == len(one.source.parts) for one in ann)
    bob = {among(records[3], records, random).target for _ in range(60)}
    assert "two two" in bob
    assert bob >= {"", "two"}, "a silent recording adds no space"
    nobody = [among(records[4], records, random) for _ in range(60)]
    assert {word for one in nobody for word in one.target.split()} == {"one", "two", "three", "five"}
    for key, value in (("concatenated_most", 2), ("concatenated_voice", "same")):
        with pytest.raises(Impossible, match=f"{key}: nothing is put behind another"):
            SpeechConfig(**{key: value})  # pyright: ignore[reportArgumentType]


def silence_of(samples: np.ndarray) -> bool:
    data = np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16)
    return is_silent(levels(data, RATE), CFG.silence, CFG.dynamics)


def test_silence_is_told_from_speech() -> None:
    random = np.random.default_rng(0)
    noise = random.normal(0, 1, 2 * RATE)
    assert silence_of(np.zeros(RATE))
    assert silence_of(np.full(RATE, 0.3))  # a constant offset
    for loud in (1e-4, 1e-3, 3e-3):
        assert silence_of(loud * noise), loud
    syllables = tone(2.0) * (np.sin(2 * np.pi * 4 * np.arange(2 * RATE) / RATE) > 0)
    assert not silence_of(syllables)
    assert not silence_of(0.02 * syllables)  # faint speech
    assert not silence_of(0.02 * syllables + 1e-4 * noise)


def test_long_sound_is_cut_at_pauses_and_no_piece_is_too_long() -> None:
    spoken = [np.r_[tone(1.5), np.zeros(int(RATE * 0.8))] for _ in range(4)]
    data = np.round(np.concatenate([np.zeros(RATE), *spoken]) * 32767).astype(np.int16)
    level_S = levels(data, RATE)
    found = pieces(level_S, longest=2.0, pause=0.4, silence=-60)
    assert [(round(one.begin, 1), round(one.end, 1)) for one in found] == [
        (pytest.approx(begin - 0.15, abs=0.06), pytest.approx(begin + 1.65, abs=0.06)) for begin in (1, 3.3, 5.6, 7.9)
    ]
    assert pieces(level_S, longest=5.0, pause=0.4, silence=-60) == found  # a model knows no pauses as long as these
    assert len(pieces(level_S, longest=10.0, pause=1.0, silence=-60)) == 1
    endless = levels(np.round(tone(30) * 32767).astype(np.int16), RATE)
    endless[1500] = -50
    parts = pieces(endless, longest=7.0, pause=0.4, silence=-60)
    assert all(one.end - one.begin <= 7.0 + 1e-9 for one in parts)
    assert [one.begin for one in parts[1:]] == [one.end for one in parts[:-1]]
    assert pieces(levels(np.zeros(RATE, np.int16), RATE), longest=7.0, pause=0.4, silence=-60) == []


def test_a_recording_is_named_wherever_it_lies(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.wav").write_bytes(GOOD)
    one, other = (read(CFG, {"path": "x.wav", "start": 0.1, "end": 0.3}, tmp_path / folder) for folder in "ab")
    assert str(one) == "x.wav#t=0.100,0.300"
    assert one.identity == other.identity
    (tmp_path / "b" / "x.wav").write_bytes(wav(tone(0.5, pitch=300)))
    assert read(CFG, {"path": "x.wav", "start": 0.1, "end": 0.3}, tmp_path / "b").identity != one.identity
    assert TASK.read is read
