"""What the switches of [train] do to the loss, each held against its formula."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from core.codec.types import BOS, PAD, UNK
from core.config import Impossible
from core.data.batch import Batch
from core.model.build import build
from core.model.config import ConvConfig, ModelConfig, RNNConfig, TransformerConfig
from core.model.seq2seq import Seq2Seq
from core.testing.markov import Brackets
from core.testing.tiny import NextSourceFeatures, batch_of, forced_logp, small, tiny_codecs, tiny_pairs
from core.train.adversarial import Pushes
from core.train.agreement import among_legal, divergence, taught
from core.train.config import TrainConfig
from core.train.forcing import read_twice, share_of_truth, walk
from core.train.hiding import hidden_given, hidden_source
from core.train.objective import Objective

# B batch, T target, V vocabulary

CODECS = tiny_codecs(shared=True)
PAIRS = tiny_pairs(CODECS, 8)
MODELS: dict[str, ModelConfig] = {
    "transformer": small(TransformerConfig()),
    "rnn": small(RNNConfig(decoder_layers=2)),
    "conv": small(ConvConfig()),
    "copying": small(TransformerConfig(copy=True)),
}
OFF = TrainConfig(label_smoothing=0.0, steps=100)


def made(name: str, dropout: float = 0.0, seed: int = 3) -> Seq2Seq:
    return build(replace(MODELS[name], dropout=dropout), CODECS, seed=seed).double().train()


def batch_for(name: str) -> Batch:
    copying = name == "copying"
    return batch_of(tiny_pairs(CODECS, 8, copy=copying) if copying else PAIRS)


def loss_of(model: Seq2Seq, batch: Batch, step: int = 0, seed: int = 1, **switches: Any) -> Tensor:
    teacher = switches.pop("by", None)
    torch.manual_seed(seed)
    return Objective(model, replace(OFF, **switches), teacher=teacher)(batch, step)


def plain(model: Seq2Seq, batch: Batch) -> Tensor:
    return model.loss(batch)


@pytest.mark.parametrize("kind", ["linear", "exponential", "inverse-sigmoid"])
def test_the_share_of_true_words_falls_from_one_to_the_floor(kind: str) -> None:
    for steps, floor in ((100, 0.25), (100_000, 0.5), (7, 0.9), (50, 0.0)):
        shares = [share_of_truth(step, kind=kind, floor=floor, steps=steps) for step in range(0, steps + 1)]
        assert shares[0] == pytest.approx(1.0, abs=0.16)  # an inverse sigmoid begins at k / (k + 1)
        assert shares[-1] == pytest.approx(floor, abs=2e-3)
        assert all(later <= earlier for earlier, later in pairwise(shares))
        assert share_of_truth(3 * steps, kind=kind, floor=floor, steps=steps) <= shares[-1] + 1e-12


def test_the_named_decays_have_the_papers_forms() -> None:
    assert share_of_truth(25, kind="linear", floor=0.2, steps=100) == pytest.approx(0.8)
    assert share_of_truth(50, kind="exponential", floor=0.25, steps=100) == pytest.approx(0.5)
    halfway = [share_of_truth(step, kind="inverse-sigmoid", floor=0.01, steps=1000) for step in (200, 500, 800)]
    k = next(
        k / 10 for k in range(10, 5000) if abs(k / 10 / (k / 10 + math.exp(min(1000 / (k / 10), 700))) - 0.01) < 2e-4
    )
    assert halfway == pytest.approx([k / (k + math.exp(step / k)) for step in (200, 500, 800)], abs=0.01)
    assert share_of_truth(0, kind="constant", floor=0.3, steps=9) == 0.3
    assert share_of_truth(8, kind="always", floor=0.3, steps=9) == 1.0


@pytest.mark.parametrize("name", MODELS)
def test_switches_that_do_nothing_leave_the_loss_alone(name: str) -> None:
    """True words throughout, read one by one or again, two equal readings, and a teacher of no weight."""
    model, batch = made(name), batch_for(name)
    expected = plain(model, batch)
    for switches in (
        {"forcing": "constant", "forcing_floor": 1.0},
        {"r_drop": 3.0},
        {"by": made(name, seed=4), "teacher_weight": 0.0},
    ):
        assert loss_of(model, batch, **switches).item() == pytest.approx(expected.item(), rel=1e-9)
    memory = model.encode(batch)
    assert torch.equal(read_twice(model, batch, memory, truth=1.0), batch.given_BT)
    hidden_BTD = walk(model, batch, memory, truth=1.0)
    real_BT = batch.wanted_BT != PAD
    torch.testing.assert_close(hidden_BTD[real_BT], model(batch, memory)[real_BT])


@pytest.mark.parametrize("name", MODELS)
def test_every_switch_changes_the_loss_and_reaches_all_weights(name: str) -> None:
    batch = batch_for(name)
    for switches in (
        {"forcing": "constant", "forcing_floor": 0.0},
        {"word_dropout": 0.5},
        {"target_word_dropout": 0.5},
        {"r_drop": 3.0},
        {"by": made(name, seed=4)},
    ):
        model = made(name, dropout=0.2 if "r_drop" in switches else 0.0)
        torch.manual_seed(1)
        before = plain(model, batch).item()
        loss = loss_of(model, batch, **switches)
        assert math.isfinite(loss.item()), switches
        assert abs(loss.item() - before) > 1e-6, switches
        loss.backward()
        for weight, parameter in model.named_parameters():
            if "segment" not in weight:
                assert parameter.grad is not None, (switches, weight)
                assert parameter.grad.isfinite().all(), (switches, weight)


@pytest.mark.parametrize("name", MODELS)
def test_own_words_come_from_the_model_and_begin_and_pads_stay(name: str) -> None:
    model, batch = made(name), batch_for(name)
    torch.manual_seed(0)
    with torch.no_grad():
        memory = model.encode(batch)
        mixed_BT = read_twice(model, batch, memory, truth=0.0)
    true_BT = batch.given_BT
    assert (mixed_BT[:, 0] == BOS).all()
    assert torch.equal(mixed_BT == PAD, true_BT == PAD)
    assert (mixed_BT != true_BT).any()
    logp_BTV = forced_logp(model, batch)
    drawn_BT, real_BT = mixed_BT[:, 1:], true_BT[:, 1:] != PAD
    assert logp_BTV[:, :-1].gather(-1, drawn_BT[..., None])[..., 0][real_BT].isfinite().all()
    half_BT = torch.cat([read_twice(model, batch, memory, truth=0.5)[:, 1:][real_BT] for _ in range(20)])
    own = (half_BT != true_BT[:, 1:][real_BT].repeat(20)).double().mean()
    assert 0.3 < own < 0.5  # half are drawn, and some of these are right by chance


def test_divergence_and_teaching_are_their_formulas() -> None:
    generator = torch.Generator().manual_seed(2)
    p_BTV, q_BTV = (
        torch.randn(2, 3, 6, generator=generator, dtype=torch.float64).index_fill(-1, torch.tensor([0, 1]), -torch.inf)
        for _ in range(2)
    )
    p_BTV, q_BTV = p_BTV.log_softmax(-1), q_BTV.log_softmax(-1)
    wanted_BT = torch.tensor([[3, 4, PAD], [5, PAD, PAD]])
    kl, crossed = 0.0, 0.0
    for row, place in ((0, 0), (0, 1), (1, 0)):
        p, q = p_BTV[row, place, 2:], q_BTV[row, place, 2:]
        kl += 0.5 * ((p.exp() * (p - q)).sum() + (q.exp() * (q - p)).sum()).item()
        soft_p, soft_q = (p / 2).log_softmax(-1), (q / 2).log_softmax(-1)
        crossed -= 4 * (soft_q.exp() * soft_p).sum().item()
    assert divergence(p_BTV, q_BTV, wanted_BT).item() == pytest.approx(kl)
    assert taught(p_BTV, q_BTV, wanted_BT, 2.0).item() == pytest.approx(crossed)


def test_a_teacher_is_matched_where_the_model_is_the_teacher() -> None:
    """The gradient of the cross-entropy is zero there, and the teacher gets none."""
    model, teacher = made("copying"), made("copying")
    loss_of(model, batch_for("copying"), by=teacher, teacher_weight=1.0).backward()
    assert max(one.grad.abs().max().item() for one in model.parameters() if one.grad is not None) < 1e-9
    assert all(one.grad is None for one in teacher.parameters())


def test_legal_words_alone_share_the_probability() -> None:
    logp_BTV = torch.randn(1, 2, 5, dtype=torch.float64).log_softmax(-1)
    legal_BTV = torch.tensor([[[True, False, True, False], [False, True, True, True]]])
    found_BTV = among_legal(logp_BTV, legal_BTV)
    torch.testing.assert_close(found_BTV.exp().sum(-1), torch.ones(1, 2, dtype=torch.float64))
    assert torch.equal(found_BTV.isfinite()[..., :4], legal_BTV)
    assert found_BTV.isfinite()[..., 4].all()


def test_hidden_words_are_unknown_at_the_rate_and_nothing_else_changes() -> None:
    torch.manual_seed(3)
    batch = batch_of(tiny_pairs(CODECS, 400))
    hidden = hidden_source(batch, 0.25)
    changed_BS = hidden.source != batch.source
    real = batch.layout.mask_BS
    assert (hidden.source[changed_BS] == UNK).all()
    assert not changed_BS[~real].any()
    assert changed_BS[real].double().mean().item() == pytest.approx(0.25, abs=0.03)
    given_BT = hidden_given(batch.given_BT, 0.25)
    assert (given_BT[:, 0] == BOS).all()
    assert torch.equal(given_BT == PAD, batch.given_BT == PAD)
    words = (batch.given_BT != PAD) & (batch.given_BT != BOS)
    assert (given_BT == UNK)[words].double().mean().item() == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("name", MODELS)
def test_a_push_has_its_length_and_hurts_more_than_any_other_way(name: str) -> None:
    """To first order the loss rises by epsilon times the norm of the gradient; a push back lowers it by as much."""
    model, batch, epsilon = made(name), batch_for(name), 1e-4
    pushes = Pushes(epsilon)
    with pushes.watching(model):
        loss = plain(model, batch)
    loss.backward()
    assert len(pushes.seen) == 2
    assert pushes.seen[0].grad is not None
    norms = sum(x.grad.flatten(1).norm(dim=1).sum().item() for x in pushes.seen if x.grad is not None)
    for x in pushes.seen:
        length_B = pushes.push(x).flatten(1).norm(dim=1)
        assert ((length_B - epsilon).abs() < 1e-12).logical_or(length_B == 0).all()
    with torch.no_grad(), pushes.pushing(model):
        hurt = plain(model, batch)
    assert (hurt - loss).item() == pytest.approx(epsilon * norms, rel=0.05)
    assert plain(model, batch).item() == loss.item(), "a push stays where it was"


def test_what_cannot_be_is_refused_with_the_reason() -> None:
    features = build(MODELS["transformer"], CODECS, features=NextSourceFeatures(), seed=3)
    with pytest.raises(Impossible, match="follow the true answer"):
        Objective(features, replace(OFF, forcing="linear"))
    with pytest.raises(Impossible, match="follow the true answer"):
        Objective(made("rnn"), replace(OFF, forcing="linear"), rule=Brackets(CODECS.target.size))
    with pytest.raises(Impossible, match="must not be hidden"):
        Objective(features, replace(OFF, target_word_dropout=0.1))
