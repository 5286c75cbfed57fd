"""Perturbed sources: what each noise does, that it is always the same, and what a run is said to lose."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.cli import dispatch
from core.codec.subword import Sampled
from core.config_toml import load
from core.data.noise import Noise, chosen, listed, parsed
from core.data.sources import read_records
from core.data.text_noise import NEIGHBOURS, TEXT_NOISES, text_noises
from core.errors import ConfigError
from core.record import Record
from core.settings import run_config
from tasks import TASKS

TEXT = "The Quick brown fox, {name}, jumps over 3 lazy dogs. It does so often, and well!"
TASK_NAMES = sorted(TASKS.names())


def noised(name: str, text: str = TEXT, *, key: str = "k", seed: int = 1, known: Any = TEXT_NOISES) -> str:
    return parsed(name, known, "--noise", "toy").always(None, Record(key, text, "target"), seed).source


def test_letters_are_mistyped_as_often_as_asked() -> None:
    long = "a quite ordinary sentence of some words " * 200
    changed = noised("typos@0.1", long)
    letters = sum(letter.isalpha() for letter in long)
    # each is exchanged (twice seen as different), lost, doubled or another
    assert 0.05 * letters < sum(a != b for a, b in zip(long[:400], changed[:400], strict=False)) * letters / 400
    assert abs(len(changed) - len(long)) < 0.05 * len(long)
    assert noised("typos@0") == TEXT
    assert "3" in noised("typos@1")
    assert all("a" <= key <= "z" and near for key, near in NEIGHBOURS.items())
    assert set(NEIGHBOURS["g"]) == set("rtyfhvbn")


@pytest.mark.parametrize("text", ["x", "Straße ändern", "你好 世界", "a b", "...", "x y {name}"])
@pytest.mark.parametrize("name", sorted(TEXT_NOISES))
def test_any_text_stays_a_text(name: str, text: str) -> None:
    for seed in range(20):
        assert noised(f"{name}@1", text, seed=seed).strip()


def test_words_are_lost_and_one_is_left() -> None:
    words = TEXT.split()
    kept = noised("drop@0.5").split()
    assert 0 < len(kept) < len(words)
    left = iter(words)
    assert all(word in left for word in kept), "in their order"
    assert len(noised("drop@1").split()) == 1


def test_words_change_places() -> None:
    assert noised("swap@1", "a b c d e") == "b a d c e"
    assert sorted(noised("swap@0.5").split()) == sorted(TEXT.split())


def test_words_change_case() -> None:
    changed = noised("case@1")
    assert changed.lower() == TEXT.lower()
    assert all(a != b for a, b in zip(changed.split(), TEXT.split(), strict=True) if b.isalpha())


def test_signs_and_spaces_are_lost() -> None:
    assert noised("punctuation", "Well, then... go!") == "Well then go"
    assert noised("spaces@1", "a b  c") == "abc"


@pytest.mark.parametrize("name", sorted(TEXT_NOISES))
def test_what_is_to_be_kept_is_kept(name: str) -> None:
    known = text_noises(r"\{\w+\}|'[^']*'")
    for seed in range(30):
        changed = noised(f"{name}@0.7", "say 'Two words' to {name}, twice", seed=seed, known=known)
        assert "{name}" in changed
        assert "'Two words'" in changed


def test_the_key_and_the_seed_say_all() -> None:
    assert noised("typos@0.3") == noised("typos@0.3")
    assert noised("typos@0.3") != noised("typos@0.3", seed=2)
    assert noised("typos@0.3") != noised("typos@0.3", key="other")


def test_what_is_segmented_anew_still_is() -> None:
    record = Record("k", Sampled(TEXT, 0.3, 7), "target")
    changed = parsed("case@1", TEXT_NOISES, "--noise", "toy").always(None, record, 1).source
    assert isinstance(changed, Sampled)
    assert (changed.share, changed.seed) == (0.3, 7)


DB = {"loud": Noise(meaning="", change=lambda cfg, record, strength, random: record, strength=10, high=60, unit="dB")}
PLAIN = {"plain": Noise(meaning="does nothing", change=lambda cfg, record, strength, random: record)}


@pytest.mark.parametrize(
    ("text", "known", "said"),
    [
        ("tpyos", TEXT_NOISES, "--noise tpyos: no such noise; did you mean typos?; toy has typos, drop, swap, case"),
        ("typos@2", TEXT_NOISES, "the strength of typos is 0 to 1, such as typos@0.05"),
        ("typos@10dB", TEXT_NOISES, "the strength of typos is 0 to 1"),
        ("typos@much", TEXT_NOISES, "behind @ stands a number, 0 to 1"),
        ("loud@70dB", DB, "the strength of loud is 0 to 60 dB, such as loud@10dB"),
        ("plain@1", PLAIN, "plain has no strength; write plain"),
        ("typos", {}, "toy has no noises"),
    ],
)
def test_a_wrong_noise_is_refused_in_one_line(text: str, known: Any, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parsed(text, known, "--noise", "toy")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_strengths_are_read() -> None:
    assert str(parsed("loud@5DB", DB, "--noise", "toy")) == "loud@5dB"
    assert str(parsed("typos@20%", TEXT_NOISES, "--noise", "toy")) == "typos@0.2"
    assert str(parsed("plain", PLAIN, "--noise", "toy")) == "plain"
    with pytest.raises(ConfigError, match="given twice"):
        chosen(["loud", "loud@10"], DB, "--noise", "toy")
    assert list(listed(PLAIN)) == ["plain    does nothing"]


def test_other_sources_are_refused() -> None:
    with pytest.raises(ConfigError, match="sources that are text"):
        parsed("typos", TEXT_NOISES, "--noise", "toy").always(None, Record("k", ("a", "b")), 1)


def molecules() -> Iterator[Record]:
    """Without the toy reactions, which take seconds."""
    for number, smiles in enumerate(("CCOC(C)=O", "c1ccc(CN)cc1", "CC(=O)Cl.NCc1ccccc1", "Cc1ccncc1", "O=C(O)c1ccco1")):
        yield Record(str(number), smiles, "CCO")


def sounds() -> Iterator[Record]:
    """A few of the toy recordings."""
    from tasks.speech_to_text.recording import Recording
    from tasks.speech_to_text.tones import RATE, sung

    for number in range(4):
        held = sung([number, 7], 1.0, np.random.default_rng(number))
        yield Record(str(number), Recording(str(number), end=len(held) / RATE, held=held, rate=RATE), "one seven")


SOURCES = {"reaction_prediction": molecules, "speech_to_text": sounds}


@pytest.mark.parametrize("name", TASK_NAMES)
def test_every_task_has_two_noises_of_its_records(name: str) -> None:
    task = TASKS[name]
    noises = TEXT_NOISES if task.noises is None else task.noises
    assert len(noises) >= 2
    cfg = load(run_config(task.config), Path(__file__).parents[2] / "configs" / name / "tiny.toml").config
    records = list(SOURCES[name]() if name in SOURCES else read_records(task, cfg.task, cfg.data, "dev").records[:12])
    before = [repr((one.key, one.source, one.target)) for one in records]
    for noise in noises:
        asked = parsed(noise, noises, "--noise", name)
        once = [asked.always(cfg.task, one, 1) for one in records]
        again = asked.always(cfg.task, records[3], 1)
        assert same(again.source, once[3].source), f"{noise}: another in other company"
        changed = sum(not same(one.source, record.source) for one, record in zip(once, records, strict=True))
        assert changed >= 1, f"{noise} changes none of 12 records"
        for one, record in zip(once, records, strict=True):
            assert one.key == record.key
            assert one.target == record.target or name == "protein_alignment", f"{noise} changes what is right"
    assert before == [repr((one.key, one.source, one.target)) for one in records], "the records themselves"


def same(one: Any, other: Any) -> bool:
    """Recordings that hold samples, by these."""
    held = [getattr(source, "held", None) for source in (one, other)]
    if held[0] is None or held[1] is None:
        return one == other
    return np.array_equal(held[0], held[1])


SMALL = (
    *(
        "task.largest=150",
        "batch.tokens=400",
        "model.kind=rnn",
        "model.width=8",
        "train.steps=3",
        "train.warmup=2",
        "train.evaluate_every=3",
    ),
    *("train.report=false", "train.device=cpu", "train.precision=fp32", "search.beams=2", "data.holdout=0.05"),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("noise") / "run"
    words = ["--run", str(folder), *SMALL, "train.noise=unpadded,lookalikes@0.5"]
    assert dispatch("train", lambda: TASKS["roman"], "roman", words) == 0
    return folder


def typed(*words: str) -> int:
    return dispatch("evaluate", lambda: TASKS["roman"], "roman", words)


def test_evaluate_says_what_is_lost(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed(str(run), "--noise", "unpadded,lookalikes@0.5", "--json", str(tmp_path / "out.json")) == 0
    printed = capsys.readouterr().out
    assert "with perturbed sources (noise seed 1)" in printed
    assert printed.count("as they are") == 2, "once for each metric"
    tree = json.loads((tmp_path / "out.json").read_text())
    assert set(tree["noise"]) == {"seed", "unpadded", "lookalikes@0.5"}
    found = tree["noise"]["lookalikes@0.5"]["metrics"]["exact@1"]
    assert found["difference"] == pytest.approx(found["value"] - tree["metrics"]["exact@1"]["value"])
    assert 0 < found["p_value"] <= 1
    assert len(found["interval"]) == 2
    assert tree["noise"]["unpadded"]["changed"] == tree["n"], "all these numbers begin with zeros"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--noise", "unpaded"), "--noise unpaded: no such noise; did you mean unpadded?"),
        (("--noise", "unpadded", "--predictions", "x.txt"), "--noise asks a run again"),
        (("--noise-seed", "3"), "--noise-seed: goes with --noise"),
    ],
)
def test_mistakes_are_said(run: Path, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed(str(run), *words) == 2
    assert said in capsys.readouterr().err


def test_the_list_needs_no_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert typed("--noise", "list") == 0
    assert "lookalikes@0.2  0 to 1  O for 0, l for 1, S for 5, B for 8" in capsys.readouterr().out


@pytest.mark.parametrize("noise", ["unpaded", "lookalikes@7"])
def test_training_refuses_what_evaluation_does(noise: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--run", str(tmp_path / "run"), *SMALL, f"train.noise={noise}"]
    assert dispatch("train", lambda: TASKS["roman"], "roman", words) == 2
    assert "error: train.noise: " in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_the_page_shows_what_was_measured() -> None:
    root = Path(__file__).parents[2]
    page = (root / "docs" / "robustness.md").read_text()
    for name in ("plain", "hardened"):
        tree = json.loads((root / "benchmarks" / "results" / "robustness" / f"roman-{name}.json").read_text())
        for noise in ("unpadded", "lookalikes@0.2", "lookalikes@0.5"):
            found = tree["noise"][noise]["metrics"]["exact@1"]
            low, high = found["interval"]
            shown = (
                f"{found['value']:.1f} [{low:.1f}, {high:.1f}], {found['difference']:+.1f}, p = {found['p_value']:.3f}"
            )
            (line,) = (line for line in page.splitlines() if line.startswith(f"| `{noise}`"))
            assert shown in line
