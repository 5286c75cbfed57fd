"""`predict --attention`, confidence by a fitted temperature, and what stands behind the sections of a report."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core import load
from core.cli import dispatch
from core.notebook import Answer
from core.record import Hypothesis, Prediction, Record
from core.report.attention import Attention, attend_to
from core.report.examples import choose
from core.report.forced import distribution, encoded
from core.report.rollout import rollout
from core.report.saliency import agreement, gradient_x_input, shares
from core.report.words import Aligned, aligned, words_of
from core.run.beams import BEAMS, apart, beams, copied, distinct, oracle
from core.run.folder import RunFolder
from core.run.measuring import attentions
from core.run.stored import load_run
from core.testing.toys import TOY
from tasks import TASKS

# L layers, H heads, T target (with its end), S source

CONFIG = """
[task]
longest = 4
train = 40
held_out = 22
[batch]
tokens = 512
[model]
kind = "{kind}"
width = 16
heads = 2
inner = 16
encoder_layers = 1
decoder_layers = 2
[train]
steps = 4
evaluate_every = 4
log_every = 2
warmup = 2
report = false
[search]
beams = 2
length_ratio = 1.0
length_extra = 2
"""
Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hardly trained model."""
    folder = tmp_path_factory.mktemp("toy")
    (folder / "toy.toml").write_text(CONFIG.format(kind="transformer"))
    words = [str(folder / "toy.toml"), "--run", str(folder / "run")]
    assert dispatch("train", lambda: TOY, "toy", words) == 0
    return folder / "run"


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str]) -> Typed:
    """Exit code, standard output, standard error."""

    def run_it(verb: str, *words: str | Path) -> tuple[int, str, str]:
        capsys.readouterr()
        code = dispatch(verb, lambda: TOY, "toy", [str(word) for word in words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run_it


def test_where_it_looked_for_every_input(run: Path, typed: Typed, tmp_path: Path) -> None:
    (tmp_path / "inputs.txt").write_text("abc\n\nca\n")
    code, out, said = typed("predict", run, tmp_path / "inputs.txt", "--attention", tmp_path / "out")
    assert code == 0
    outputs = out.split("\n")[:-1]
    assert len(outputs) == 3
    folder = tmp_path / "out"
    assert f"{folder}/index.html: where the model looked, for 3 inputs" in said.splitlines()
    lines = (folder / "alignment.tokens.txt").read_text().splitlines()
    assert [bool(line) for line in lines] == [bool(output) for output in outputs]
    assert lines[1] == "", "a blank input keeps its line"
    index = (folder / "index.html").read_text()
    for name, source, output in (("1", "abc", outputs[0]), ("3", "ca", outputs[2])):
        assert (f'<a href="{name}.html">' in index) == bool(output)
        if not output:
            continue
        tree = json.loads((folder / f"{name}.json").read_text())
        with np.load(folder / f"{name}.npz", allow_pickle=False) as raw:
            weights_LHTS = raw["weights_LHTS"]
        T, S = len(tree["target"]), len(tree["source"])
        assert "".join(tree["source"]) == source
        assert weights_LHTS.shape == (2, 2, T, S)
        np.testing.assert_allclose(weights_LHTS.sum(-1), 1, atol=1e-5)
        np.testing.assert_allclose(tree["mean"], weights_LHTS.mean((0, 1)), atol=2e-5)
        np.testing.assert_allclose(tree["max"], weights_LHTS.max((0, 1)), atol=2e-5)
        for how in ("rollout", "saliency"):
            np.testing.assert_allclose(np.sum(tree[how], -1), 1, atol=1e-3)
        assert sum(tree["coverage"]) == pytest.approx(T, abs=1e-3)
        assert np.array(tree["entropy"]).shape == (2, 2, T)
        assert np.max(tree["entropy"]) <= tree["entropy_uniform"] + 1e-4
        pairs = [tuple(map(int, one.split("-"))) for one in lines[int(name) - 1].split()]
        assert [t for _, t in pairs] == list(range(T - 1))
        assert all(np.array(tree["mean"])[t].argmax() == s for s, t in pairs)
        pictures = {path.stem for path in (folder / name).glob("*.svg")}
        heads = {f"layer-{layer}-head-{head}" for layer in (1, 2) for head in (1, 2)}
        assert pictures == {"mean", "max", "rollout", "saliency", *heads}
        page = (folder / f"{name}.html").read_text()
        assert "log S: all alike" in page
        assert "gradient x input" in page


def test_attention_wants_a_folder_and_a_model_that_looks(typed: Typed, run: Path, tmp_path: Path) -> None:
    (tmp_path / "inputs.txt").write_text("ab\n")
    here = (run, tmp_path / "inputs.txt", "--attention")
    code, _, said = typed("predict", *here, tmp_path / "inputs.txt")
    assert (code, said) == (2, f"error: --attention {tmp_path}/inputs.txt: a file; name a folder\n")
    code, _, said = typed("predict", *here, tmp_path / "no" / "out")
    assert (code, said) == (2, f"error: --attention {tmp_path}/no/out: no such folder {tmp_path}/no\n")


def test_a_decoder_that_looks_nowhere_says_so(typed: Typed, tmp_path: Path) -> None:
    """An RNN that reads its source into one vector has no map, which its page says in place of one."""
    (tmp_path / "rnn.toml").write_text(
        CONFIG.format(kind="rnn").replace("heads = 2\ninner = 16\n", 'attention = "none"\n')
    )
    (tmp_path / "inputs.txt").write_text("ab\n")
    run = tmp_path / "rnn"
    assert typed("train", tmp_path / "rnn.toml", "--run", run)[0] == 0
    code, _, said = typed("predict", run, tmp_path / "inputs.txt", "--attention", tmp_path / "out")
    assert (code, said) == (2, "error: --attention: the decoder of this run has no attention into the source\n")
    stored = load_run(TOY, RunFolder(run))
    answers = load(run, task=TOY).predict(["ab"], attention=True)
    assert answers[0].attention is None
    assert attentions(stored, [answers[0].prediction]) == ([], "this decoder has no attention")


def test_rollout_is_attention_where_nothing_is_mixed() -> None:
    random = np.random.default_rng(1)
    cross_LHTS = shares(random.random((1, 2, 3, 4)))
    none_LHSS, none_LHTT = np.zeros((0, 2, 4, 4)), np.zeros((0, 2, 3, 3))
    np.testing.assert_allclose(rollout(none_LHSS, none_LHTT, cross_LHTS), cross_LHTS.mean((0, 1)))
    swap_HSS = np.eye(4)[[1, 0, 3, 2]][None]
    mixed = rollout(swap_HSS[None], none_LHTT, cross_LHTS)
    plain = cross_LHTS.mean((0, 1))
    np.testing.assert_allclose(mixed, (plain + plain[:, [1, 0, 3, 2]]) / 2)
    back_LHTT = np.tril(np.ones((1, 1, 3, 3)))
    back_LHTT /= back_LHTT.sum(-1, keepdims=True)
    np.testing.assert_allclose(rollout(none_LHSS, back_LHTT, cross_LHTS).sum(-1), 1)


def test_saliency_is_what_a_slightly_louder_place_changes(run: Path) -> None:
    model = load_run(TOY, RunFolder(run))
    record, tokens = Record("x", "abca"), [4, 6, 5]
    found_TS = gradient_x_input(model.model.double(), encoded(record, model.codecs, longest=9, copy=False), tokens)
    assert found_TS.shape == (4, 4)
    changes_TS = np.zeros_like(found_TS)
    for place in range(4):
        logp = [forced_with(model, record, tokens, place, 1 + size) for size in (1e-5, -1e-5)]
        changes_TS[:, place] = np.abs(logp[0] - logp[1])
    np.testing.assert_allclose(found_TS, shares(changes_TS), rtol=1e-4, atol=1e-6)


def forced_with(stored: Any, record: Record, tokens: list[int], place: int, factor: float) -> np.ndarray:
    """Log-probabilities of the tokens where what is read at one place is multiplied."""
    from core.data.batch import collate

    batch = collate([encoded(record, stored.codecs, longest=9, copy=False)], [tokens], [0])

    def louder(module: object, given: object, front: Any) -> Any:
        x_BSD = front[0].clone()
        x_BSD[:, place] *= factor
        return x_BSD, front[1]

    handle = stored.model.front.register_forward_hook(louder)
    with torch.no_grad():
        logp_BTV = distribution(stored.model, batch)
    handle.remove()
    return logp_BTV.gather(-1, batch.wanted_BT[..., None])[0, :, 0].numpy()


def test_opinions_agree_with_themselves_and_not_with_their_opposite() -> None:
    random = np.random.default_rng(2)
    one_TS = random.random((5, 7))
    assert agreement(one_TS, one_TS) == (1.0, pytest.approx(1.0))
    same, ranks = agreement(one_TS, -one_TS)
    assert same == 0.0
    assert ranks == pytest.approx(-1.0)


class Pieces:
    """A tokenizer whose tokens are given."""

    def __init__(self, *spelled: str) -> None:
        self.spelled = spelled

    def decode(self, ids: Any, extra: Any = ()) -> str:
        return "".join(self.spelled[token] for token in ids)


def test_tokens_are_put_together_to_words() -> None:
    source = words_of(Pieces("the", " cat", "fish", " ", "sits"), [0, 1, 2, 3, 4])  # pyright: ignore[reportArgumentType]
    assert source == (("the", "catfish", "sits"), [0, 1, 1, -1, 2])
    target = words_of(Pieces("der", " Wels", " sitzt"), [0, 1, 2])  # pyright: ignore[reportArgumentType]
    weight_TS = np.array([[0.9, 0.1, 0, 0, 0], [0.3, 0.3, 0.4, 0, 0], [0, 0, 0, 0.6, 0.4], [0, 0, 0, 0, 1.0]])
    found = aligned(weight_TS, source, target)
    assert str(found) == "0-0 1-1 2-2"
    np.testing.assert_allclose(found.weight_MN, [[0.9, 0.1, 0], [0.3, 0.7, 0], [0, 0, 0.4]])


def test_confidence_is_by_the_temperature_of_dev(run: Path, typed: Typed, tmp_path: Path) -> None:
    kept = json.loads((run / "calibration.json").read_text())
    assert kept["split"] == "dev"
    assert kept["n"] == json.loads((run / "metrics.json").read_text())["n"]
    (tmp_path / "inputs.txt").write_text("abc\n\nca\n")

    def answers() -> list[dict[str, Any]]:
        _, out, _ = typed("predict", run, tmp_path / "inputs.txt", "--format", "jsonl", "--n-best", "2")
        return [one for line in out.splitlines() for one in json.loads(line)["hypotheses"]]

    def at(temperature: float) -> list[dict[str, Any]]:
        (run / "calibration.json").write_text(json.dumps({**kept, "temperature": temperature}))
        return answers()

    for one in at(1.0):
        if one["tokens_logp"]:
            assert one["confidence"] == pytest.approx(np.exp(one["logp"]), rel=1e-4)
        else:
            assert "confidence" not in one, "a blank answer is no belief"
    sharp = at(0.05)
    model = load(run, task=TOY)
    (answer,) = model.predict(["abc"])
    assert answer.confidence == pytest.approx(sharp[0]["confidence"], rel=1e-5)
    (run / "calibration.json").unlink()
    assert all("confidence" not in one for one in answers())
    (run / "calibration.json").write_text(json.dumps(kept))


def test_a_notebook_sees_answers_and_gets_figures(run: Path) -> None:
    model = load(run, task=TOY)
    answers = model.predict(["abc", "<b>"], attention=True)
    assert answers.outputs == [one.output for one in model.predict(["abc", "<b>"])]
    assert answers[:1].outputs == answers.outputs[:1]
    first = next(one for one in answers if one.attention is not None)
    for how in ("mean", "max", "rollout", "saliency"):
        drawn = first.figure(how=how)
        assert len(drawn.axes) == 1
    head = first.figure(1, 0)
    assert "layer 2, head 1" in head.axes[0].get_title()
    shows = getattr(head, "_repr_png_", None)
    assert shows is not None, "a notebook in which nobody imported pyplot shows it too"
    assert shows()[:4] == b"\x89PNG"
    assert first.attention is not None
    assert first.attention._repr_html_().startswith("<svg")
    shown = answers._repr_html_()
    assert "&lt;b&gt;" in shown
    assert "<script" not in shown
    assert shown.count('class="example"') == 2
    assert "@scope" in shown, "its rules are its own, not the notebook's"
    with pytest.raises(ValueError, match="attention=True"):
        model.predict(["abc"])[0].figure()


def test_words_are_aligned_in_a_notebook_where_attention_was_asked_for() -> None:
    said = Prediction(Record("1", "<a> b"), (Hypothesis("c d", 0.0),))
    words = Aligned(("<a>", "b"), ("c", "d"), np.array([[0.9, 0.1], [0.2, 0.8]]))
    looks = Attention("1", np.full((1, 1, 2, 2), 0.5), ("<a>", "b"), ("c", "d"), words=words)
    shown = Answer(said, looks).html
    assert shown.count("<line ") == 3, "0.1 is not drawn"
    assert "<a>" not in shown
    assert "<line " not in Answer(said).html
    assert said.record.meta == {}


def test_what_beams_found_is_told_in_order(run: Path) -> None:
    stored = load_run(TOY, RunFolder(run), ("search.length_penalty=0.0",))
    records = [Record(str(n), text, text[::-1]) for n, text in enumerate(("ab", "cab", "bca", "acbc"))]
    metric = TOY.metrics(stored.config.task)[0]
    predictions = [Prediction(one, ()) for one in records]
    found = beams(stored, predictions, metric, 1e9)
    rows = found.rows
    assert (found.note, found.missing, found.no_exact) == ("", "", "")
    assert [one.beams for one in rows] == list(BEAMS)
    assert rows[-1].worse == 0.0
    assert rows[0].distinct == 1.0
    for one in rows:
        assert one.oracle >= max(one.metric, one.mode)
        assert one.score == pytest.approx(one.logp), "without a length penalty"
        assert one.probable == one.length
        assert one.below is not None
        assert one.worse + 1e-9 >= 0
    assert found.exact is not None
    assert list(found.exact.missed) == sorted(found.exact.missed, reverse=True), "wider beams miss less"
    few = beams(stored, predictions, metric, 0.0)
    assert [one.beams for one in few.rows] == [1]
    assert "Beams of 2, 4, 8, 16, 32 were not tried" in few.note


def test_measures_of_answers() -> None:
    found = tuple(Hypothesis(text, 0.0, tokens) for text, tokens in (("a b", (4, 5)), ("a c", (4, 6)), ("a b", (4, 5))))
    assert distinct(found) == pytest.approx(2 / 3)
    assert apart(found) == pytest.approx((0.5 + 0.0 + 0.5) / 3)
    assert apart(found[:1]) == 0.0
    pair = [
        Prediction(Record("1", "x a"), (Hypothesis("a b", 0.0),)),
        Prediction(Record("2", "b"), (Hypothesis("b", 0.0),)),
    ]
    assert copied(pair) == pytest.approx(2 / 3)
    metric = TASKS["roman"].metrics(TASKS["roman"].config())[0]
    several = [Prediction(Record("1", "s", "XI"), (Hypothesis("X", 0.0), Hypothesis("XI", -1.0)))]
    assert [one.output for one in oracle([*several, replace(several[0], hypotheses=())], metric)] == ["XI", ""]


def test_examples_are_the_best_the_median_the_worst_and_others_at_random() -> None:
    predictions = [Prediction(Record(str(n), ""), (Hypothesis("", -1.0, (4,), (-float(n),)),)) for n in range(20)]
    scores = [float(n // 2) for n in range(20)]
    found = choose(predictions, scores)
    assert list(found) == ["Best", "Median", "Worst", "At random"]
    assert [found[name] for name in ("Best", "Worst")] == [[18, 19, 16], [1, 0, 3]], (
        "of equals the surest, or the least sure"
    )
    assert {scores[row] for row in found["Median"]} <= {4.0, 5.0}
    rows = [row for some in found.values() for row in some]
    assert len(set(rows)) == len(rows) == 12
    other = predictions[5:] + predictions[:5]
    moved = choose(other, scores[5:] + scores[:5])["At random"]
    same = {predictions[row].record.key for row in found["At random"]}
    assert {other[row].record.key for row in moved} == same, "whatever the order of the records"
    assert choose(predictions[:2], scores[:2]) == {"Best": [0, 1]}


def test_attention_of_given_tokens_needs_no_search(run: Path) -> None:
    stored = load_run(TOY, RunFolder(run))
    found = attend_to(stored.model, stored.codecs, Record("1", "abc"), [4, 5], longest=9)
    assert found is not None
    assert not found.full
    with pytest.raises(ValueError, match="ask for it"):
        found.together("saliency")
