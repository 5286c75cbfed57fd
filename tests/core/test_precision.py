"""A precision is refused until it was measured on dev, and where it moved a metric."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from core.cli import dispatch
from core.metrics.exact import ExactMatch
from core.native import build
from core.record import Hypothesis, Prediction, Record
from core.run.precision import FILE, verdict
from core.run.scoring import Score
from core.testing.tiny import model_case, tiny_codecs, tiny_models, tiny_pairs
from tasks.roman import TASK

LOW = ("search.engine=native", "search.precision=int8")
Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hardly trained model."""
    try:
        build.library()
    except build.CannotBuild as error:
        pytest.skip(f"no native step here: {error}")
    folder = tmp_path_factory.mktemp("roman") / "run"
    config = folder.parent / "small.toml"
    config.write_text(
        '[model]\nkind = "transformer"\nwidth = 16\nheads = 2\ninner = 16\nencoder_layers = 1\ndecoder_layers = 1\n'
    )
    short = (
        "search.length_extra=4",
        "search.length_ratio=0",
        "train.steps=2",
        "train.evaluate_every=2",
        "train.evaluate_records=4",
        "save.every=2",
    )
    assert dispatch("train", lambda: TASK, "roman", [str(config), *short, "--run", str(folder)]) == 0
    return folder


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Exit code, standard output, standard error."""

    def run_it(verb: str, *words: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"12\n")))
        capsys.readouterr()
        code = dispatch(verb, lambda: TASK, TASK.name, [str(word) for word in words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run_it


def test_a_run_has_to_be_measured(run: Path, typed: Typed) -> None:
    for verb in (("predict", run, "-"), ("evaluate", run, "--split", "test")):
        code, out, err = typed(*verb, *LOW)
        assert (code, out) == (2, "")
        assert f"not measured on this run; first `evaluate {run} --split dev search.engine=native" in err
        assert err.count("\n") == 1

    code, out, err = typed("evaluate", run, "--split", "dev", *LOW)
    assert code == 0, err
    assert "int8 against float32: " in out
    known = json.loads((run / FILE).read_text())
    assert known["int8"]["permitted"]
    assert known["int8"]["records"] > 0
    assert typed("predict", run, "-", *LOW)[0] == 0

    (run / FILE).write_text(json.dumps({"int8": {**known["int8"], "permitted": False, "moved": 0.31}}))
    code, _, err = typed("predict", run, "-", *LOW)
    assert (code, "on dev a metric moved by 0.31 points, more than 0.2" in err) == (2, True)
    (run / FILE).write_text(json.dumps({"int8": {**known["int8"], "weights": "0"}}))
    code, _, err = typed("predict", run, "-", *LOW)
    assert (code, "is of other weights" in err) == (2, True)
    assert typed("predict", run, "-")[0] == 0  # float32 needs no leave


@pytest.mark.parametrize(("wrong", "permitted"), [(0, True), (2, True), (3, False)])
def test_how_far_a_metric_may_move(wrong: int, permitted: bool) -> None:
    """Of 1,000 records; two wrong ones are 0.2 points."""
    full, low = predictions(0), predictions(wrong)
    model = model_case("any", tiny_models()["rnn-gru-1"], tiny_codecs(), tiny_pairs(tiny_codecs())).make()
    found = verdict(model, full, low, scores(full), scores(low))
    assert found.permitted is permitted
    assert found.same == pytest.approx(1 - wrong / 1000)
    assert ("refused" in found.said("int8")) is not permitted
    with torch.no_grad():
        next(model.parameters()).add_(1.0)
    assert verdict(model, full, low, scores(full), scores(low)).weights != found.weights


def predictions(wrong: int) -> list[Prediction]:
    return [
        Prediction(Record(str(n), "x", "right"), (Hypothesis("wrong" if n < wrong else "right", 0.0),))
        for n in range(1000)
    ]


def scores(given: list[Prediction]) -> dict[str, Score]:
    metric = ExactMatch()
    rows = np.array(metric.statistics(given))
    return {"exact": Score(metric, rows, metric.score(rows), None)}
