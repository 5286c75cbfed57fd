"""Several sources in one training: shares by temperature, every record in its turn, exactly resumed; and words replaced."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from core.cli import dispatch
from core.codec.subword import Sampled
from core.codec.types import Encoded
from core.config_toml import load, to_toml
from core.data.config import BatchConfig, DataConfig, MixedSource
from core.data.examples import Examples
from core.data.mixture import Mixture
from core.data.stream import Cursor, TrainBatches
from core.data.synonyms import read_synonyms
from core.errors import ConfigError, DataError
from core.model.config import RNNConfig
from core.record import Record
from core.run.folder import RunFolder, read_json
from core.run.mixing import limited
from core.run.prepared import read_split
from core.settings import run_config
from core.testing.task_case import task_case
from core.testing.tiny import small
from core.testing.toys import TOY, ToyConfig
from core.testing.training_laws import (
    TrainingCase,
    interrupted_and_resumed_is_unbroken,
    killed_and_resumed_is_unbroken,
    training_case,
)
from tasks import TASKS


@pytest.mark.parametrize(("temperature", "shares"), [(1.0, (0.9, 0.1)), (2.0, (0.75, 0.25)), (1e9, (0.5, 0.5))])
def test_shares_are_the_formula(temperature: float, shares: tuple[float, float]) -> None:
    mixture = Mixture((900, 100), temperature)
    assert mixture.shares == pytest.approx(shares, abs=1e-6)
    assert mixture.places == 1000
    assert (mixture.counts / 1000).tolist() == pytest.approx(shares, abs=1e-3)


@pytest.mark.parametrize("sizes", [(1, 1), (7, 3, 1), (1, 500), (5,)])
@pytest.mark.parametrize("temperature", [1.0, 3.0, 100.0])
def test_each_source_has_a_place_and_takes_turns(sizes: tuple[int, ...], temperature: float) -> None:
    mixture = Mixture(sizes, temperature)
    assert mixture.counts.min() >= 1
    assert mixture.places == max(sum(sizes), len(sizes))
    often = Counter[int]()
    for epoch in range(4):
        rows, turns = mixture.drawn(epoch, np.arange(mixture.places), seed=3)
        for row, turn in zip(rows.tolist(), turns.tolist(), strict=True):
            assert turn == often[row], "a record comes again only after all of its source have come"
            often[row] += 1
        again = mixture.drawn(epoch, np.arange(mixture.places)[::-1], seed=3)
        assert np.array_equal(again[0][::-1], rows), "a place says all"
    offset = 0
    for size, count in zip(sizes, mixture.counts.tolist(), strict=True):
        drawn = [often[offset + n] for n in range(size)]
        assert sum(drawn) == 4 * count
        assert max(drawn) - min(drawn) <= 1
        offset += size


def batches(mixture: Mixture, easy_first: int = 0) -> TrainBatches:
    n = sum(mixture.sizes)
    pairs = ((Encoded(np.full(1 + row % 5, 4, np.int32)), [4] * (1 + row % 3)) for row in range(n))
    cfg = BatchConfig(tokens=24, window=16, easy_first=easy_first)
    return TrainBatches(Examples.build(pairs), cfg, 1, mixture=mixture)


@pytest.mark.parametrize("easy_first", [0, 1])
def test_a_stream_draws_the_shares_and_goes_on_anywhere(easy_first: int) -> None:
    made = batches(Mixture((45, 5), 4.0), easy_first)
    stream, seen, cursors = made.batches(), list[tuple[int, ...]](), list[Cursor]()
    while not cursors or cursors[-1].epoch < 2:
        cursor, batch = next(stream)
        cursors.append(cursor)
        seen.append(batch.index)
    whole = [row for rows, cursor in zip(seen, cursors, strict=True) if cursor.epoch == 0 for row in rows]
    assert len(whole) == 50
    assert sum(row >= 45 for row in whole) == Mixture((45, 5), 4.0).counts[1]
    for at in (0, 3, len(cursors) // 2):
        assert next(made.batches(cursors[at]))[1].index == seen[at + 1]


# In a training.


@cache
def case(folder: Path) -> TrainingCase:
    """A toy with all that varies its records on: another source, noise, synonyms."""
    cfg = run_config(ToyConfig)(task=ToyConfig(train=200, held_out=30), model=small(RNNConfig()))
    found = training_case(task_case(TOY, cfg))
    words = sorted({record.source for record in found.task.sources["few"](cfg.task, DataConfig(), "train")})
    (folder / "words.txt").write_text("".join(f"{word}\t{word[::-1]}x|ab\n" for word in words if len(set(word)) > 2))
    lines = [{"id": str(n), "source": "ab" * (1 + n % 3), "target": "ba" * (1 + n % 3)} for n in range(8)]
    (folder / "more.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    mix = (MixedSource(name="more", train=str(folder / "more.jsonl"), tag="a"),)
    data = replace(found.config.data, mix=mix, temperature=3.0)
    train = replace(
        found.config.train,
        noise=("typos@0.3", "case"),
        noise_share=0.5,
        synonyms=str(folder / "words.txt"),
        synonym_share=0.5,
    )
    return TrainingCase(found.task, replace(found.config, data=data, train=train))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mixture")


@pytest.mark.parametrize(
    "law", [interrupted_and_resumed_is_unbroken, pytest.param(killed_and_resumed_is_unbroken, marks=pytest.mark.slow)]
)
def test_mixed_noisy_and_reworded_runs_are_resumed_to_the_bit(folder: Path, law: object) -> None:
    assert callable(law)
    law(case(folder))


def test_records_of_all_sources_are_read(folder: Path) -> None:
    it = case(folder)
    found = read_split(it.task, it.config, "train")
    assert found.sizes == (60, 8)
    assert found.records[60].key == "more/0"
    assert found.records[60].source == "a ab"
    assert read_split(it.task, it.config, "dev").sizes == ()
    few = replace(it.config.data, limit=7, mix=(replace(it.config.data.mix[0], limit=2),))
    assert [one.key for one in limited(found.records, found.sizes, few)[6:]] == [
        found.records[6].key,
        "more/0",
        "more/1",
    ]
    plain = replace(it.config, data=replace(it.config.data, mix=(), temperature=1.0))
    assert read_split(it.task, plain, "train").sha256 != found.sha256


def test_a_config_with_a_mixture_is_read_back(folder: Path) -> None:
    it = case(folder)
    kind = type(it.config)
    path = folder / "config.toml"
    path.write_text(to_toml(it.config))
    assert load(kind, path).config.data == it.config.data


SMALL = (
    *("task.largest=150", "batch.tokens=400", "model.kind=rnn", "model.width=8", "train.steps=2", "train.warmup=2"),
    *("train.evaluate_every=2", "train.report=false", "train.device=cpu", "train.precision=fp32", "search.beams=2"),
)


def trained(folder: Path, *words: str) -> int:
    return dispatch("train", lambda: TASKS["roman"], "roman", ["--run", str(folder / "run"), *SMALL, *words])


def test_a_run_says_what_it_mixes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "train.jsonl").write_text('{"id": 1, "source": "7", "target": "VII"}\n')
    mix = f'data.mix=[{{name = "mine", path = ["{tmp_path}"]}}]'
    assert trained(tmp_path, mix, "data.temperature=2") == 0
    found = read_json(RunFolder(tmp_path / "run").facts)["mix"]
    assert found["mine"]["records"] == 1
    assert found["main"]["share"] + found["mine"]["share"] == pytest.approx(1)
    assert "mixed at temperature 2: main " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (('data.mix=[{name = "x", source = "nubmers"}]',), 2, "data.mix, x: data.source = 'nubmers': no such source"),
        (('data.mix=[{name = "x", path = ["nowhere"]}]',), 3, "data.mix, x: data.path: nowhere: no such file"),
        (('data.mix=[{name = "x", tga = "<b>"}]',), 2, "did you mean"),
        (("train.synonyms=nowhere.txt",), 2, "train.synonyms: nowhere.txt: no such file"),
    ],
)
def test_what_cannot_be_mixed_is_said(
    words: tuple[str, ...], code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trained(tmp_path, *words) == code
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


# Words replaced.


def dictionary(folder: Path, text: str, share: float = 1.0):
    path = folder / "words.txt"
    path.write_text(text)
    return read_synonyms(path, share)


def test_words_are_replaced_and_keep_their_case(tmp_path: Path) -> None:
    known = dictionary(tmp_path, "# a comment\n\nbig\tlarge\nDOG\thound\n")
    record = Record("k", "A big Dog, the BIG dogs: big-hearted", "t")
    changed = known.varied(record, np.random.default_rng(1))
    assert changed.source == "A large Hound, the LARGE dogs: big-hearted"
    assert changed.target == "t"
    assert known.counted([record]) == (3, 7)
    assert dictionary(tmp_path, "big\tlarge\n", 0.0).varied(record, np.random.default_rng(1)).source == record.source
    anew = known.varied(Record("k", Sampled("big", 0.1, 3), "t"), np.random.default_rng(1)).source
    assert isinstance(anew, Sampled)
    assert anew == "large"


def test_as_many_are_replaced_as_asked(tmp_path: Path) -> None:
    known = dictionary(tmp_path, "a\tb|c\n", 0.3)
    words = known.varied(Record("k", "a " * 2000, "t"), np.random.default_rng(1)).source.split()
    assert 0.26 < sum(word != "a" for word in words) / 2000 < 0.34
    assert {"b", "c"} < set(words)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("big large", "no tab; a line is WORD, a tab, and synonyms"),
        ("very big\tlarge", "'very big' is not one word"),
        ("\tlarge", "'' is not one word"),
        ("big\tlarge||huge", "an empty synonym of 'big'"),
        ("big\tBig", "'big' is no synonym of itself"),
        ("ok\tfine", "'ok' stands at"),
    ],
)
def test_a_bad_line_is_named(line: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"words\.txt:2: ") as refused:
        dictionary(tmp_path, f"ok\tgood\n{line}\n")
    assert said in str(refused.value)


def test_an_empty_dictionary_and_one_of_other_words_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DataError, match="holds no words"):
        dictionary(tmp_path, "# nothing\n")
    with pytest.raises(ConfigError, match="no such file"):
        read_synonyms(tmp_path / "missing.txt", 0.1)
    (tmp_path / "words.txt").write_text("big\tlarge\n")
    assert trained(tmp_path, f"train.synonyms={tmp_path / 'words.txt'}") == 3
    assert "none of its words stands in a training source" in capsys.readouterr().err


def test_a_dictionary_that_changed_ends_the_resuming(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = tmp_path / "words.txt"
    words.write_text("".join(f"00{number}\t0020\n" for number in range(10, 20)))
    assert trained(tmp_path, f"train.synonyms={words}", "train.steps=2") == 0
    assert "train.synonyms: 10 words, which are " in capsys.readouterr().err
    (tmp_path / "run" / "metrics.json").unlink()
    words.write_text("0017\t0019\n0018\t0019\n")
    assert dispatch("train", lambda: TASKS["roman"], "roman", ["--run", str(tmp_path / "run"), "--resume"]) == 2
    assert "would not go on as it was: data.synonyms: " in capsys.readouterr().err
