"""`benchmarks.speed`: turns, the work that all engines share, ratios, the page. The peers themselves: slow, where they are installed."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.speed.__main__ import main
from benchmarks.speed.decode import summary
from benchmarks.speed.growth import exponent
from benchmarks.speed.turns import Fallen, race, racing
from benchmarks.speed.workload import VOCABULARY, model, work
from core.codec.types import BOS, EOS, UNK
from core.decode.config import SearchConfig
from core.decode.search import search
from core.testing.markov import batch_of

RACER = """
import sys
from benchmarks.speed.turns import serve
def make():
    print("noise of a library")
    return act
def act(request):
    print("more noise")
    if request == "fall":
        sys.exit(3)
    total = sum(range(request * int(sys.argv[1])))
    return [sys.argv[1], total]
serve(make)
"""


def commands(**sizes: int) -> dict[str, list[str]]:
    return {name: [sys.executable, "-c", RACER, str(size)] for name, size in sizes.items()}


def test_programs_take_turns() -> None:
    with racing(commands(slow=3000, quick=30), {}) as racers:
        ran = race(racers, 1000, seconds=0.0, clock="processor", least=3)
        assert ran.rounds == 3
        assert ran.answers == {"slow": ["3000", sum(range(3_000_000))], "quick": ["30", sum(range(30_000))]}
        assert ran.ratio("quick", "slow") > 1 > ran.ratio("slow", "quick")
        with pytest.raises(Fallen, match="quick ended with status 3"):
            racers["quick"].turn("fall")
        held = [one.process for one in racers.values()]
    assert all(one.poll() is not None for one in held)


def test_all_engines_say_the_same_number_of_tokens() -> None:
    """Which takes words that cannot be said, and sources that a peer's vocabulary holds."""
    asked = work(3, 4, batches=2)
    assert work(3, 4, batches=2) == asked
    assert asked.lengths == [max(map(len, rows)) for rows in asked.sources]
    assert asked.tokens == sum(4 * length for length in asked.lengths)
    assert all(
        row[-1] == EOS and min(row[:-1]) > UNK and max(row) < VOCABULARY - 1 for rows in asked.sources for row in rows
    )
    own = model("tiny")
    assert torch.equal(own.get_parameter("embedding.weight"), model("tiny").get_parameter("embedding.weight"))
    assert not own.get_parameter("embedding.weight")[BOS].any()
    cfg = SearchConfig(beams=3, length_ratio=0.0, length_extra=asked.lengths[0])
    for (found,) in search(own, batch_of(asked.sources[0]), cfg):
        assert (len(found.tokens), found.finish) == (asked.lengths[0], "length")
        assert VOCABULARY - 1 not in found.tokens


def test_a_peer_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert main(["decode", "--against", "hf"]) == 2
    assert (
        capsys.readouterr().err == "error: --against hf needs the package transformers, which `make bench` installs\n"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--against", "fairseq"], "--against fairseq: known are hf, ctranslate2"),
        (["--cells", "5by16"], "--cells 5by16: beams x batch, such as 5x16, is right"),
        (["--minutes", "16"], "--minutes 16: above 0 and at most 15 is right"),
        (["--own", "fp4"], "--own fp4: known are torch, native, int8"),
    ],
)
def test_what_cannot_be_asked(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", *words]) == 2
    assert capsys.readouterr().err == f"error: {said}\n"


def test_the_slope_of_a_power_is_its_exponent() -> None:
    assert exponent([1, 2, 4, 8], [3.0, 12.0, 48.0, 192.0]) == pytest.approx(2.0)


def cell(ratio: float) -> dict[str, Any]:
    names = ("torch", "int8", "ct2-int8")
    return {
        "cell": "beam 5, batch 16",
        "beams": 5,
        "batch": 16,
        "rounds": 3,
        "tokens_per_second": dict.fromkeys(names, 1234.5),
        "ratios": {"torch": {"ct2-int8": ratio}, "int8": {"ct2-int8": 2 * ratio}},
    }


def test_the_page_says_what_the_results_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results, docs = tmp_path / "results", tmp_path / "docs"
    results.mkdir()
    environment = {
        "hardware": "a machine",
        "device": "cpu",
        "precision": "fp32",
        "threads": 1,
        "versions": {"torch": "9"},
    }
    decoded = {
        "size": "S",
        "model": {"encoder_layers": 3, "decoder_layers": 3, "width": 256, "inner": 1024},
        "threads": 1,
        "clock": "processor",
        "own": ["torch", "int8"],
        "peers": ["ct2-int8"],
        "cells": [cell(0.75)],
        "seconds": 600.0,
        "environment": environment | {"peers": {"ctranslate2": "4.8"}},
    }
    points = [{"beams": n, "batch": 8, "length": 32, "seconds": 0.1 * n} for n in (1, 2, 4)]
    grown = {"size": "S", "engine": "native", "rounds": 3, "environment": environment}
    grown["sweeps"] = [{"name": "beams", "points": points, "exponent": 1.0}]
    (results / "decode_S_1.json").write_text(json.dumps(decoded))
    (results / "growth_S.json").write_text(json.dumps(grown))
    where = ["--results", str(results), "--docs", str(docs)]
    assert main(["page", "--check", *where]) == 1
    assert main(["page", *where]) == 0
    text = (docs / "speed.md").read_text(encoding="utf-8")
    assert "| beam 5, batch 16 | CTranslate2 int8 | 1.15 | 0.75 | 1.50 |" in text
    assert "seconds ~ beams^1.00" in text
    assert (docs / "speed" / "growth_S.svg").read_text(encoding="utf-8").startswith("<svg")
    assert main(["page", "--check", *where]) == 0
    assert summary(decoded["cells"]) == "beam 5, batch 16: torch 0.75x ct2-int8; beam 5, batch 16: int8 1.50x ct2-int8"


def test_our_page_is_up_to_date() -> None:
    assert main(["page", "--check"]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("threads", ["1", "2"])
def test_the_peers_say_what_we_say(tmp_path: Path, capsys: pytest.CaptureFixture[str], threads: str) -> None:
    """Greedily and by beams, in float32 token by token; eight bits may differ, but not in length."""
    for package in ("transformers", "ctranslate2"):
        pytest.importorskip(package, reason=f"the package {package} is not installed (the `bench` extra)")
    target = tmp_path / "found.json"
    words = ["--size", "tiny", "--cells", "5x4,1x1", "--minutes", "1", "--threads", threads, "--output", str(target)]
    assert main(["decode", *words]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.count("x ct2-int8") == last.count("x hf") == 6
    for one in json.loads(target.read_text())["cells"]:
        assert one["right_length"]
        assert all(one["same_as_first"][name] == 1.0 for name in ("torch", "native", "hf", "ct2-float32"))
