"""The loop: what an update is, when the loop ends, and that breaking it off anywhere changes not one bit."""

from __future__ import annotations

import math
import threading
from contextlib import nullcontext
from dataclasses import replace
from itertools import islice, pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from core.codec.types import EOS
from core.data.batch import Batch
from core.data.config import BatchConfig
from core.data.examples import Examples
from core.data.stream import Cursor, TrainBatches
from core.decode.constraints import teacher_forced
from core.errors import Diverged
from core.model.build import build
from core.model.config import ModelConfig, RNNConfig, TransformerConfig
from core.model.seq2seq import Seq2Seq
from core.model.state import State
from core.testing.tiny import batch_of, tiny_codecs, tiny_pairs
from core.train.average import Average
from core.train.checkpoint import put_weights, weights_of
from core.train.config import TrainConfig
from core.train.finite import NoNumber, Watch, said
from core.train.schedule import learning_rate
from core.train.trainer import Trainer, choose_precision

CPU = torch.device("cpu")
CODECS = tiny_codecs()
PAIRS = tiny_pairs(CODECS, 40)
TRANSFORMER = TransformerConfig(width=8, heads=2, encoder_layers=1, decoder_layers=1, inner=12, dropout=0.2)
RNN = RNNConfig(width=8, dropout=0.2)
CFG = TrainConfig(steps=20, warmup=5, lr=0.01, evaluate_every=1000, log_every=1000, precision="fp32")
BATCH = BatchConfig(tokens=50, window=16)


def trainer_of(
    cfg: TrainConfig = CFG, model: Seq2Seq | ModelConfig = TRANSFORMER, batch: BatchConfig = BATCH, **options: Any
) -> Trainer:
    made = model if isinstance(model, Seq2Seq) else build(model, CODECS, seed=3)
    return Trainer(made, TrainBatches(Examples.build(PAIRS), batch, 5), cfg, seed=5, device=CPU, **options)


def some(trainer: Trainer, n: int) -> list[Batch]:
    return [batch for _, batch in islice(trainer.batches.batches(), n)]


def ignore(*given: object) -> None:
    """For what a test does not look at."""


def fit(trainer: Trainer, **callbacks: Any) -> str:
    defaults: dict[str, Any] = {"log": ignore, "evaluate": lambda trainer: 0.0, "save": ignore, "save_every": 1000}
    return trainer.fit(**{**defaults, "stop": lambda: None, **callbacks}).reason


def moments(trainer: Trainer) -> dict[str, Tensor]:
    """First moments: after one update, (1 - beta1) times the gradient that was applied."""
    return {name: x.clone() for name, x in trainer.state()[0].items() if name.endswith("exp_avg")}


# --- an update -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [TRANSFORMER, RNN], ids=["transformer", "rnn"])
@pytest.mark.parametrize("cuts", [[4, 8], [1, 2, 3, 11], [11]], ids=str)
@pytest.mark.parametrize("clip", [0.0, 0.1])
def test_micro_batches_are_one_batch(model: ModelConfig, cuts: list[int], clip: float) -> None:
    """In float64 and without dropout, however unequal the parts are."""
    still = replace(model, dropout=0.0)
    one, many = (trainer_of(replace(CFG, clip=clip), build(still, CODECS, seed=3).double()) for _ in range(2))
    pairs = sorted(PAIRS[:12], key=lambda pair: len(pair[1]))
    ends = [0, *cuts, 12]
    micro = [batch_of(pairs[begin:end], range(begin, end)) for begin, end in pairwise(ends)]
    assert len({batch.tokens / batch.size for batch in micro}) > len(micro) // 2
    one.train_step([batch_of(pairs)])
    many.train_step(micro)
    for name, expected in moments(one).items():
        torch.testing.assert_close(moments(many)[name], expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(one.norm, many.norm, rtol=1e-10, atol=0)
    assert one.stats().loss == pytest.approx(many.stats().loss, rel=1e-6)  # summed in float32
    norm = math.sqrt(sum(float(x.square().sum()) for x in moments(one).values())) / (1 - CFG.beta1)
    assert norm == pytest.approx(min(clip or math.inf, float(one.norm)), rel=1e-4)


def test_every_token_weighs_the_same_and_pads_nothing() -> None:
    trainer = trainer_of(replace(CFG, accumulate=3), replace(TRANSFORMER, dropout=0.0))
    micro = some(trainer, 3)
    with torch.no_grad():
        total = sum(float(trainer.model.loss(batch, smoothing=CFG.label_smoothing)) for batch in micro)
    trainer.train_step(micro)
    stats = trainer.stats()
    wanted = [ids for batch in micro for ids in batch.index]
    tokens = sum(len(PAIRS[row][1]) + 1 for row in wanted)
    assert stats.loss == pytest.approx(total / tokens, rel=1e-5)
    symbols = tokens + sum(len(PAIRS[row][0].values) for row in wanted)
    places = sum(batch.size * (batch.source.shape[1] + batch.wanted_BT.shape[1]) for batch in micro)
    assert stats.padding == pytest.approx(1 - symbols / places)
    assert stats.tokens_per_second > 0


def test_dropout_is_keyed_by_step_and_micro_batch_and_nothing_else() -> None:
    def after(noise: int, seed: int = 5, step: int = 0) -> dict[str, Tensor]:
        trainer = trainer_of()
        trainer.seed, trainer.step = seed, step
        batch = some(trainer, 1)[0]
        torch.manual_seed(noise)
        trainer.train_step([batch, batch])
        return moments(trainer)

    def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
        return all(torch.equal(one[name], other[name]) for name in one)

    assert equal(after(1), after(2))
    assert not equal(after(1), after(1, seed=6))
    assert not equal(after(1), after(1, step=1))
    single, double = trainer_of(), trainer_of()
    batch = some(single, 1)[0]
    single.train_step([batch])
    double.train_step([batch, batch])
    assert not equal(moments(single), moments(double)), "both micro-batches had the same dropout"


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_the_rate_follows_the_schedule_and_only_matrices_decay(optimizer: str) -> None:
    trainer = trainer_of(replace(CFG, optimizer=optimizer, weight_decay=0.3))
    groups = [group for one in trainer.optimizers for group in one.param_groups]
    decays = {id(one): group["weight_decay"] for group in groups for one in group["params"]}
    for name, one in trainer.model.named_parameters():
        assert decays[id(one)] == (0.3 if one.ndim >= 2 else 0.0), name
    for step in range(1, 9):
        trainer.train_step(some(trainer, 1))
        expected = learning_rate(step, peak=0.01, warmup=5, steps=20, kind="inverse-sqrt")
        assert [group["lr"] for group in groups] == [expected] * len(groups)


class NoLetter:
    """Forbids one token, which no target has."""

    def __init__(self, token: int, vocabulary: int) -> None:
        self.legal_V = torch.ones(vocabulary, dtype=torch.bool).index_fill(0, torch.tensor(token), value=False)

    def start(self, batch: Batch, beams: int = 1) -> State:
        return {"said": torch.zeros((batch.size, beams), dtype=torch.int64)}

    def step(self, state: State, token_BK: Tensor, remaining_BK: Tensor) -> tuple[State, Tensor]:
        return state, self.legal_V.expand(*token_BK.shape, -1)


def test_with_a_rule_the_loss_runs_over_legal_tokens() -> None:
    model = replace(TRANSFORMER, dropout=0.0)
    rule = NoLetter(3, CODECS.target.size)
    bound, free = trainer_of(model=model, rule=rule), trainer_of(model=model)
    batch = some(free, 1)[0]
    with torch.no_grad():
        expected = bound.model.loss(batch, smoothing=CFG.label_smoothing, legal_BTV=teacher_forced(rule, batch))
    for trainer in (bound, free):
        trainer.train_step([batch])
    assert float(bound.tally.loss) == pytest.approx(float(expected), rel=1e-6)
    assert float(bound.tally.loss) < float(free.tally.loss) - 0.1


def test_precision() -> None:
    assert choose_precision("bf16", CPU) == "bf16"
    expected = "bf16" if torch.cpu._is_amx_tile_supported() else "fp32"  # pyright: ignore[reportPrivateUsage]
    assert choose_precision("auto", CPU) == expected
    trainer = trainer_of(replace(CFG, precision="bf16"))
    trainer.train_step(some(trainer, 1))
    assert all(one.dtype == torch.float32 for one in trainer.model.parameters())
    assert math.isfinite(trainer.stats().loss)


# --- what is no number ---------------------------------------------------------------------------------------------


def test_a_gradient_that_is_no_number_is_not_applied_and_its_records_are_named() -> None:
    trainer = trainer_of()
    batches = some(trainer, 3)
    trainer.train_step(batches[:1])
    with torch.no_grad():
        trainer.model.embedding.weight[4] = math.nan
    before = weights_of(trainer.model)
    with pytest.raises(Diverged) as caught:
        trainer.train_step(batches[1:])
    rows = [row for batch in batches[1:] for row in batch.index]
    assert str(caught.value).startswith(
        "step 2: the loss per token is nan, the gradient's norm nan, first in the weight embedding.weight; training records"
    )
    assert str(caught.value).split(": ")[-1].split(" and ")[0] == ", ".join(map(str, rows[:20]))
    for name, one in weights_of(trainer.model).items():
        assert torch.equal(one.nan_to_num(7.0), before[name].nan_to_num(7.0)), name
    assert trainer.step == 1


def test_an_illegal_target_is_found_though_its_gradient_is_finite() -> None:
    trainer = trainer_of(rule=NoLetter(EOS, CODECS.target.size))
    with pytest.raises(Diverged, match=r"step 1: the loss per token is (inf|nan)"):
        trainer.train_step(some(trainer, 1))


@pytest.mark.parametrize("wrong", [(math.nan, 1.0), (1.0, math.inf)])
def test_a_device_that_is_waited_for_is_asked_only_before_anything_is_kept(wrong: tuple[float, float]) -> None:
    watch = Watch(torch.device("cuda"))  # the numbers lie on the CPU here; what counts is when they are read
    for step, (loss, norm) in enumerate([(2.0, 1.0), wrong, (math.nan, math.nan)], start=1):
        watch.note(step, loss=torch.tensor(loss), norm=torch.tensor(norm), rows=range(100 * step, 100 * step + 30))
    with pytest.raises(NoNumber) as caught:
        watch.look()
    assert (caught.value.step, list(caught.value.rows)) == (2, list(range(200, 230)))
    assert said(caught.value, list(map(str, caught.value.rows)), "").endswith(
        ": 200, 201, 202, 203, 204, 205, 206, 207,"
        " 208, 209, 210, 211, 212, 213, 214, 215, 216, 217, 218, 219 and 10 more"
    )
    watch.look()
    impatient = Watch(torch.device("cuda"), at_once=True)
    with pytest.raises(NoNumber):
        impatient.note(1, loss=torch.tensor(wrong[0]), norm=torch.tensor(wrong[1]), rows=[1])


@pytest.mark.parametrize("event", ["log", "evaluate", "save", "stop"])
def test_nothing_is_logged_scored_or_saved_of_weights_that_are_no_numbers(event: str) -> None:
    every = {"log": 1000, "evaluate": 1000, "save": 1000, event: 3}
    trainer = trainer_of(replace(CFG, log_every=every["log"], evaluate_every=every["evaluate"]))
    trainer.watch = Watch(torch.device("cuda"))
    poisoned: list[int] = []

    def stop() -> int | None:
        if trainer.step == 2 and not poisoned:
            with torch.no_grad():
                trainer.model.embedding.weight.fill_(math.nan)
            poisoned.append(2)
        return 15 if event == "stop" and trainer.step == 3 else None

    def refuse(*given: object) -> float:
        raise AssertionError(f"{event} saw weights that are no numbers")

    with pytest.raises(Diverged, match="step 3"):
        fit(trainer, log=refuse, evaluate=refuse, save=refuse, save_every=every["save"], stop=stop)


# --- averages ------------------------------------------------------------------------------------------------------


def test_the_moving_average_is_the_formula_and_is_swapped_out_again() -> None:
    trainer = trainer_of(replace(CFG, average="ema", ema=0.7))
    expected = {name: x.detach().clone() for name, x in trainer.model.named_parameters()}
    for step in range(1, 12):
        trainer.train_step(some(trainer, 1))
        decay = min(0.7, (1 + step) / (10 + step))
        for name, x in trainer.model.named_parameters():
            expected[name] = decay * expected[name] + (1 - decay) * x.detach()
    raw = weights_of(trainer.model)

    def inside() -> None:
        with trainer.averaged():
            for name, x in trainer.model.named_parameters():
                torch.testing.assert_close(x.detach(), expected[name])
                assert not torch.equal(x, raw[name])
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        inside()
    assert all(torch.equal(x, raw[name]) for name, x in weights_of(trainer.model).items())


def test_the_mean_of_the_last_evaluations() -> None:
    model = torch.nn.Linear(2, 2)
    average = Average(model, "last", decay=0.9, last=3)
    assert average.weights() is None
    for value in range(6):
        torch.nn.init.constant_(model.weight, value)
        average.snapshot()
        with average.swapped_in():
            assert torch.equal(
                model.weight, torch.full((2, 2), sum(range(max(0, value - 2), value + 1)) / min(3, value + 1))
            )
    assert torch.equal(model.weight, torch.full((2, 2), 5.0))


def test_no_average_is_the_weights_themselves() -> None:
    trainer = trainer_of(replace(CFG, average="none"))
    trainer.train_step(some(trainer, 1))
    raw = weights_of(trainer.model)
    with trainer.averaged():
        assert all(torch.equal(x, raw[name]) for name, x in weights_of(trainer.model).items())
    assert not any(name.startswith(("ema", "snapshot")) for name in trainer.state()[0])


# --- when things happen --------------------------------------------------------------------------------------------


def test_when_it_logs_evaluates_and_saves() -> None:
    trainer = trainer_of(replace(CFG, steps=20, log_every=6, evaluate_every=8))
    seen: list[tuple[str, int]] = []
    reason = fit(
        trainer,
        log=lambda stats: seen.append(("log", stats.step)),
        evaluate=lambda trainer: (seen.append(("evaluate", trainer.step)), 1.0)[1],
        save=lambda trainer: seen.append(("save", trainer.step)),
        save_every=5,
    )
    assert reason == "all 20 steps"
    assert [step for event, step in seen if event == "log"] == [6, 12, 18, 20]
    assert [step for event, step in seen if event == "evaluate"] == [8, 16, 20]
    assert [step for event, step in seen if event == "save"] == [5, 8, 10, 15, 16, 20]
    assert fit(trainer, evaluate=lambda trainer: pytest.fail("evaluated twice")) == "all 20 steps"


def test_patience_counts_evaluations_without_a_better_score() -> None:
    trainer = trainer_of(replace(CFG, steps=500, evaluate_every=2, patience=3))
    scores = iter([0.1, 0.3, 0.2, 0.3, 0.5, math.nan, 0.5, 0.4, 0.9])
    reason = fit(trainer, evaluate=lambda trainer: next(scores))
    assert reason == "no better for 3 evaluations"
    assert (trainer.step, trainer.best, trainer.best_step) == (16, 0.5, 14)  # as good, and trained for longer


def test_minutes_hold_across_restarts_and_the_end_is_evaluated() -> None:
    evaluated: list[int] = []
    trainer = trainer_of(replace(CFG, steps=10_000, minutes=2.0))
    trainer.train_step(some(trainer, 1))
    tensors, facts = trainer.state()
    again = trainer_of(replace(CFG, steps=10_000, minutes=2.0))
    again.restore(tensors, {**facts, "seconds": 119.999})
    reason = fit(again, evaluate=lambda trainer: (evaluated.append(trainer.step), 0.0)[1])
    assert reason == "2 minutes"
    assert evaluated == [again.step]
    assert 2 <= again.step < 1000


@pytest.mark.parametrize("ending", ["done", "error"])
def test_threads_end_with_the_loop(ending: str) -> None:
    before = threading.active_count()
    trainer = trainer_of(batch=replace(BATCH, workers=2))

    def evaluate(trainer: Trainer) -> float:
        assert threading.active_count() > before
        if ending == "error":
            raise RuntimeError("out of luck")
        return 1.0

    with pytest.raises(RuntimeError, match="out of luck") if ending == "error" else nullcontext():
        fit(trainer, evaluate=evaluate)
    assert threading.active_count() == before


# --- its state ------------------------------------------------------------------------------------------------------


def test_a_state_goes_into_a_new_trainer_which_then_lives_alone() -> None:
    one = trainer_of()
    one.train_step(some(one, 1))
    tensors, facts = one.state()
    other = trainer_of()
    put_weights(other.model, weights_of(one.model), "here")
    other.restore(tensors, facts)
    kept = {name: x.clone() for name, x in other.state()[0].items()}
    one.train_step(some(one, 1))
    assert all(torch.equal(x, kept[name]) for name, x in other.state()[0].items())
    other.train_step(some(other, 1))
    for name, x in one.state()[0].items():
        assert torch.equal(other.state()[0][name], x), name
    assert all(torch.equal(x, weights_of(other.model)[name]) for name, x in weights_of(one.model).items())


def test_the_cursor_is_that_of_the_last_batch_used() -> None:
    """Not of the last one that threads have prepared."""
    trainer = trainer_of(replace(CFG, steps=3, accumulate=2), batch=replace(BATCH, workers=4))
    fit(trainer)
    expected = [cursor for cursor, _ in islice(trainer.batches.batches(Cursor()), 6)][-1]
    assert trainer.cursor == expected
