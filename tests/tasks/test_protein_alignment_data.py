"""Protein alignment: simulated pairs, and (slow, from the network) the real V genes; and that a small model learns."""

from itertools import islice
from pathlib import Path

import pytest

from core.data.config import DataConfig
from core.record import SPLITS, Hypothesis, Prediction, Record
from tasks.protein_alignment import TASK
from tasks.protein_alignment.alignment import fault, rows_of
from tasks.protein_alignment.config import AlignmentConfig

CONFIGS = Path(__file__).parents[2] / "configs" / "protein_alignment"


def some(source: str, split: str, count: int, **task: object) -> list[Record]:
    cfg = AlignmentConfig(**task)  # pyright: ignore[reportArgumentType]
    return list(islice(TASK.sources[source](cfg, DataConfig(), split), count))  # pyright: ignore[reportArgumentType]


def score(name: str, records: list[Record]) -> float:
    (metric,) = (one for one in TASK.metrics(AlignmentConfig()) if one.name == "sp")
    outputs = TASK.baselines[name]([], records)
    answers = [Prediction(one, (Hypothesis(text, 0.0),)) for one, text in zip(records, outputs, strict=True)]
    return metric.score(metric.statistics(answers))


def test_a_simulated_pair_is_the_same_in_any_pool() -> None:
    pytest.importorskip("msasim")
    few, many = some("simulated", "train", 20, simulated=5), some("simulated", "train", 20, simulated=20)
    assert len(few) == 5
    assert few == many[:5]
    assert all(fault(rows_of(one.target), one.source) == "" for one in many)
    assert len({one.source for one in many}) == 20
    assert not {one.source for one in many} & {one.source for one in some("simulated", "dev", 20)}


def test_far_pairs_are_harder_for_needleman_wunsch() -> None:
    pytest.importorskip("msasim")
    records = some("simulated", "dev", 80)
    at = {
        d: score("needleman-wunsch", [one for one in records if one.meta["distance"] == d])
        for d in ("0.3", "0.7", "2.0")
    }
    assert at["0.3"] > 0.97
    assert at["0.3"] > at["0.7"] > at["2.0"]
    assert score("ungapped", records) < 0.6


def test_toy_pairs_are_valid_and_differ_by_split() -> None:
    splits = [some("toy", split, 100) for split in SPLITS]
    assert [len(one) for one in splits] == [100, 100, 100]
    assert all(fault(rows_of(one.target), one.source) == "" for split in splits for one in split)
    assert len({one.source for split in splits for one in split}) == 300


@pytest.mark.slow
def test_v_genes_are_read_from_their_wheel(tmp_path: Path) -> None:
    splits = {split: some("vgenes", split, 10**6, simulated=0, pairs=500) for split in SPLITS}
    assert {name: len(records) for name, records in splits.items()} == {"train": 500, "dev": 400, "test": 800}
    sequences = {name: {one for record in records for one in record.source} for name, records in splits.items()}
    assert not sequences["test"] & (sequences["train"] | sequences["dev"])
    assert 0.6 < score("needleman-wunsch", splits["dev"]) < 0.8


@pytest.mark.slow
def test_the_tiny_config_learns(tmp_path: Path) -> None:
    import json

    from core.cli import main

    assert main("train", TASK, [str(CONFIGS / "tiny.toml"), "--run", str(tmp_path / "run")]) == 0
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())["metrics"]
    assert metrics["validity"]["value"] == 100
    assert metrics["sp"]["value"] > score("needleman-wunsch", some("toy", "dev", 100))
