"""Laws of models that hear frames, held against broken ones: each must be caught."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from core.codec.types import Codecs
from core.decode import answers, ctc_prefix
from core.decode.ctc_lattice import Lattice
from core.decode.joint import Joint, Scorer
from core.decode.search import Steps
from core.model.seq2seq import Seq2Seq
from core.model.state import Memory, State
from core.nn.layout import Layout
from core.testing import ctc_laws, model_laws
from core.testing.tiny import ModelCase, TinyFrames, frame_models, law_name, model_case, tiny_codecs, tiny_pairs

# B batch, K hypotheses, S frames, T target, D width, V vocabulary


def pads_are_convolved(model: Any) -> None:
    right = model.front.subsampling.forward

    def forward(source: Tensor, layout: Layout) -> tuple[Tensor, Layout]:
        all_real = dataclasses.replace(layout, mask_BS=torch.ones_like(layout.mask_BS))
        return right(source, all_real)[0], right(source, layout)[1]

    model.front.subsampling.forward = forward


def a_frame_too_many_stays(model: Any) -> None:
    right = model.front.subsampling.forward

    def forward(source: Tensor, layout: Layout) -> tuple[Tensor, Layout]:
        x_BSD, layout = right(source, layout)
        return x_BSD, dataclasses.replace(layout, mask_BS=layout.mask_BS | layout.mask_BS.roll(1, 1))

    model.front.subsampling.forward = forward


def ctc_hears_pads(model: Any) -> None:
    right = model.ctc.loss

    def loss(hidden_BSD: Tensor, layout: Layout, wanted_BT: Tensor) -> Tensor:
        return right(hidden_BSD, dataclasses.replace(layout, mask_BS=torch.ones_like(layout.mask_BS)), wanted_BT)

    model.ctc.loss = loss


def ctc_is_a_mean(model: Any) -> None:
    right = model.ctc.loss
    model.ctc.loss = lambda hidden_BSD, layout, wanted_BT: right(hidden_BSD, layout, wanted_BT) / len(wanted_BT)


def ctc_knows_its_company(model: Any) -> None:
    right = model.ctc.logp
    model.ctc.logp = lambda hidden_BSD, **options: right(hidden_BSD + 0.1 * hidden_BSD.mean(0), **options)


LOST = [
    (pads_are_convolved, model_laws.alone_is_in_company),
    (pads_are_convolved, model_laws.micro_batches_are_one_batch),
    (a_frame_too_many_stays, model_laws.alone_is_in_company),
    (ctc_hears_pads, model_laws.loss_is_minus_the_sum_of_logp),
    (ctc_hears_pads, model_laws.micro_batches_are_one_batch),
    (ctc_is_a_mean, model_laws.micro_batches_are_one_batch),
    (ctc_knows_its_company, ctc_laws.deciding_together_is_the_same_in_company),
]


def case_of(name: str) -> ModelCase:
    # Odd numbers of frames: with even ones no convolution would reach a pad.
    codecs = Codecs(source=TinyFrames(stretch=5), target=tiny_codecs("abc").target)
    return model_case(name, frame_models()[name], codecs, tiny_pairs(codecs, 5, longest=4, letters="abc", seed=3))


@pytest.mark.parametrize("name", ["transformer-ctc-subsampled", "rnn-ctc-subsampled"])
@pytest.mark.parametrize(("spoil", "law"), LOST, ids=[f"{law_name(spoil)}: {law_name(law)}" for spoil, law in LOST])
def test_a_broken_model_is_caught(name: str, spoil: Callable[[Any], None], law: Callable[[ModelCase], None]) -> None:
    case = case_of(name)
    law(case)

    def make() -> Seq2Seq:
        model = case.make()
        spoil(model)
        return model

    with pytest.raises(AssertionError):
        law(dataclasses.replace(case, make=make))


def repeats_need_no_blank(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ctc_prefix, "_before", lambda said_BKS, blank_BKS, again_BK: torch.logaddexp(said_BKS, blank_BKS))


def the_same_token_is_expected_without_a_blank(patch: pytest.MonkeyPatch) -> None:
    right = ctc_prefix._ahead  # pyright: ignore[reportPrivateUsage]

    def ahead(logp_BSV: Tensor, p_BSV: Tensor, state: State) -> Tensor:
        last_BK1 = state["last"][..., None]
        either_BKS = torch.logaddexp(state["said"], state["blank"])
        again_BKV = right(logp_BSV, p_BSV, {**state, "blank": either_BKS})
        return right(logp_BSV, p_BSV, state).scatter(-1, last_BK1, again_BKV.gather(-1, last_BK1))

    patch.setattr(ctc_prefix, "_ahead", ahead)


def no_token_begins_in_the_first_frame(patch: pytest.MonkeyPatch) -> None:
    def shifted(x_BKS: Tensor, last_BK: Tensor) -> Tensor:
        return torch.cat([torch.full_like(x_BKS[..., :1], -torch.inf), x_BKS[..., :-1]], -1)

    patch.setattr(ctc_prefix, "_shifted", shifted)


def the_scorer_hears_pads(patch: pytest.MonkeyPatch) -> None:
    right = ctc_prefix.CtcPrefixes.cache

    def cache(self: ctc_prefix.CtcPrefixes, memory: Memory) -> dict[str, Tensor]:
        mask_BS = torch.ones_like(memory.layout.mask_BS)
        return right(self, dataclasses.replace(memory, layout=dataclasses.replace(memory.layout, mask_BS=mask_BS)))

    patch.setattr(ctc_prefix.CtcPrefixes, "cache", cache)


def the_state_stays_behind(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("core.decode.joint.select_rows", lambda state, parent_BK: state)


def the_decoder_has_all_the_weight(patch: pytest.MonkeyPatch) -> None:
    class Overheard(Joint):
        def __init__(self, model: Steps, own: float, *scorers: tuple[Scorer, float]) -> None:
            super().__init__(model, min(2 * own, 1.0), *scorers)

    patch.setattr(answers, "Joint", Overheard)


def spans_begin_a_frame_late(patch: pytest.MonkeyPatch) -> None:
    right = Lattice.spans
    patch.setattr(Lattice, "spans", lambda self: [tuple((a + 1, b + 1) for a, b in one) for one in right(self)])


MISHEARD = [
    (repeats_need_no_blank, ctc_laws.deciding_together_is_a_weighed_sum),
    (the_same_token_is_expected_without_a_blank, ctc_laws.what_ctc_expects_sums_to_one),
    (no_token_begins_in_the_first_frame, ctc_laws.what_ctc_expects_sums_to_one),
    (the_scorer_hears_pads, ctc_laws.deciding_together_is_the_same_in_company),
    (the_state_stays_behind, ctc_laws.deciding_together_is_a_weighed_sum),
    (the_decoder_has_all_the_weight, ctc_laws.deciding_together_is_a_weighed_sum),
    (spans_begin_a_frame_late, ctc_laws.tokens_are_heard_in_order),
]


@pytest.mark.parametrize(
    ("spoil", "law"), MISHEARD, ids=[f"{law_name(spoil)}: {law_name(law)}" for spoil, law in MISHEARD]
)
def test_a_broken_search_is_caught(
    spoil: Callable[[pytest.MonkeyPatch], None], law: Callable[[ModelCase], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    case = case_of("transformer-ctc")
    law(case)
    spoil(monkeypatch)
    with pytest.raises(AssertionError):
        law(case)
