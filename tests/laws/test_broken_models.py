"""A law that nothing can break says nothing: each is tried on a model that breaks it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from core.codec.types import BOS, PAD
from core.data.batch import Batch
from core.decode.hypotheses import Hypotheses
from core.model.seq2seq import Seq2Seq
from core.model.state import Memory, State
from core.testing import model_laws, search_laws
from core.testing.markov import Brackets
from core.testing.tiny import ModelCase, law_name, model_case, tiny_codecs, tiny_models, tiny_pairs

# B batch, K hypotheses, S source, T target, D width, V vocabulary

Break = Callable[[Any], None]
"""Spoils a model in place, by putting something else where a method stood."""


def select_does_nothing(model: Any) -> None:
    model.select = lambda state, parent_BK: state


def select_turns_the_batch(model: Any) -> None:
    right = model.select
    model.select = lambda state, parent_BK: right(state, parent_BK.flip(0))


def select_forgets_one_tensor(model: Any) -> None:
    right = model.select

    def select(state: State, parent_BK: Tensor) -> State:
        name = next(name for name in ("decoder.ancestor", "decoder.context") if name in state)
        return {**right(state, parent_BK), name: state[name]}

    model.select = select


def keep_leaves_the_state(model: Any) -> None:
    def keep(memory: Memory, state: State, rows_B: Tensor) -> tuple[Memory, State]:
        first = {name: x[: len(rows_B)] for name, x in state.items()}
        return memory.rows(rows_B), first

    model.keep = keep


def the_encoder_reads_pads(model: Any) -> None:
    right = model.encode

    def encode(batch: Batch) -> Memory:
        layout = dataclasses.replace(batch.layout, mask_BS=torch.ones_like(batch.layout.mask_BS))
        return dataclasses.replace(right(dataclasses.replace(batch, layout=layout)), layout=batch.layout)

    model.encode = encode


def attention_reads_pads(model: Any) -> None:
    right = model.encode

    def encode(batch: Batch) -> Memory:
        memory = right(batch)
        mask_BS = torch.ones_like(memory.layout.mask_BS)
        return dataclasses.replace(memory, layout=dataclasses.replace(memory.layout, mask_BS=mask_BS))

    model.encode = encode


def the_batch_is_averaged(model: Any) -> None:
    right = model.head.logp
    model.head.logp = lambda hidden, memory: right(hidden - hidden.mean(0, keepdim=True), memory)


def stepping_writes_into_memory(model: Any) -> None:
    right = model.step

    def step(token_BK: Tensor, memory: Memory, state: State) -> tuple[Tensor, State]:
        memory.hidden_BSD.add_(1e-3)
        return right(token_BK, memory, state)

    model.step = step


def a_step_forgets_its_token(model: Any) -> None:
    right = model.step
    model.step = lambda token_BK, memory, state: right(torch.full_like(token_BK, BOS), memory, state)


def hypotheses_are_mixed(model: Any) -> None:
    right = model.step
    model.step = lambda token_BK, memory, state: right(token_BK.sort(-1).values, memory, state)


def pads_can_be_said(model: Any) -> None:
    right = model.head.logp

    def logp(hidden: Tensor, memory: Memory) -> Tensor:
        found = right(hidden, memory).clone()
        found[..., PAD] = -3.0
        return found.log_softmax(-1)

    model.head.logp = logp


def the_future_is_read(model: Any) -> None:
    right = model.forward
    model.forward = lambda batch, memory=None: (
        right(batch, memory) + 1e-3 * model.embedding(batch.given_BT).cumsum(1).flip(1).cumsum(1).flip(1)
    )


def pads_are_counted(model: Any) -> None:
    right = model.loss
    model.loss = lambda batch, **options: right(batch, **options) + 1e-3 * (batch.wanted_BT == PAD).sum()


def the_loss_is_a_mean(model: Any) -> None:
    right = model.loss
    model.loss = lambda batch, **options: right(batch, **options) / batch.tokens


def smoothing_counts_the_impossible(model: Any) -> None:
    right = model.loss

    def loss(batch: Batch, *, smoothing: float = 0.0, legal_BTV: Tensor | None = None) -> Tensor:
        V = model.head.weight.shape[0]
        return right(batch, smoothing=smoothing * (V - 2) / V, legal_BTV=legal_BTV)

    model.loss = loss


def pads_are_copied(model: Any) -> None:
    right = model.encode

    def encode(batch: Batch) -> Memory:
        layout = dataclasses.replace(batch.layout, mask_BS=torch.ones_like(batch.layout.mask_BS))
        memory = right(batch)
        words = batch.copy.extended_BS if batch.copy else None
        return dataclasses.replace(
            memory, cache=memory.cache | model.head.cache(memory.hidden_BSD, layout, batch.source, words)
        )

    model.encode = encode


def a_word_counts_at_its_last_place_only(model: Any) -> None:
    right = model.head.logp

    def logp(hidden: Tensor, memory: Memory) -> Tensor:
        places = torch.arange(memory.source.shape[1]).expand_as(memory.source)
        return right(hidden, dataclasses.replace(memory, cache=memory.cache | {"copy.first": places}))

    model.head.logp = logp


def the_gate_is_open_both_ways(model: Any) -> None:
    right = model.head.logp

    def logp(hidden: Tensor, memory: Memory) -> Tensor:
        said = right(hidden, memory)
        look = torch.zeros_like(said).scatter_add(-1, memory.cache["copy.extended"][:, None].expand(-1, said.shape[1], -1),
            model.head.look(hidden, memory)[1].softmax(-1))  # fmt: skip
        return torch.logaddexp(said, look.log())

    model.head.logp = logp


def other_rows_words_are_copied(model: Any) -> None:
    right = model.encode

    def encode(batch: Batch) -> Memory:
        memory = right(batch)
        extended_BS = memory.cache["copy.extended"]
        turned = torch.where(extended_BS >= model.embedding.num_embeddings, extended_BS.max(), extended_BS)
        return dataclasses.replace(memory, cache=memory.cache | {"copy.extended": turned})

    model.encode = encode


def the_copy_map_stays_behind(model: Any) -> None:
    def keep(memory: Memory, state: State, rows_B: Tensor) -> tuple[Memory, State]:
        fewer, after = right(memory, state, rows_B)
        stays = {name: memory.cache[name][: len(rows_B)] for name in ("copy.extended", "copy.first")}
        return dataclasses.replace(fewer, cache=fewer.cache | stays), after

    right = model.keep
    model.keep = keep


def a_parameter_is_left_out(model: Any) -> None:
    model.left_out = torch.nn.Parameter(torch.zeros(3))


CAUGHT: list[tuple[Break, Callable[[ModelCase], None]]] = [
    (select_does_nothing, model_laws.selecting_and_stepping_commute),
    (select_turns_the_batch, model_laws.selecting_and_stepping_commute),
    (select_forgets_one_tensor, model_laws.selecting_and_stepping_commute),
    (select_does_nothing, search_laws.reported_scores_are_those_of_forced_decoding),
    (select_does_nothing, search_laws.wide_beam_is_exhaustive_search),
    (keep_leaves_the_state, model_laws.keeping_and_stepping_commute),
    (the_encoder_reads_pads, model_laws.alone_is_in_company),
    (the_encoder_reads_pads, search_laws.decoding_alone_is_decoding_in_company),
    (attention_reads_pads, model_laws.alone_is_in_company),
    (attention_reads_pads, model_laws.micro_batches_are_one_batch),
    (the_batch_is_averaged, model_laws.alone_is_in_company),
    (stepping_writes_into_memory, model_laws.memory_is_only_read),
    (a_step_forgets_its_token, model_laws.stepping_is_teacher_forcing),
    (a_step_forgets_its_token, search_laws.one_beam_is_argmax),
    (hypotheses_are_mixed, model_laws.hypotheses_are_strangers),
    (pads_can_be_said, model_laws.probabilities_sum_to_one),
    (the_future_is_read, model_laws.no_gradient_from_the_future),
    (the_future_is_read, model_laws.changing_the_future_changes_nothing),
    (pads_are_counted, model_laws.loss_is_minus_the_sum_of_logp),
    (pads_are_counted, model_laws.smoothing_is_over_possible_tokens),
    (smoothing_counts_the_impossible, model_laws.smoothing_is_over_possible_tokens),
    (the_loss_is_a_mean, model_laws.micro_batches_are_one_batch),
    (a_parameter_is_left_out, model_laws.every_parameter_learns),
]


CAUGHT_COPYING: list[tuple[Break, Callable[[ModelCase], None]]] = [
    (pads_are_copied, model_laws.alone_is_in_company),
    (a_word_counts_at_its_last_place_only, model_laws.probabilities_sum_to_one),
    (a_word_counts_at_its_last_place_only, model_laws.loss_is_minus_the_sum_of_logp),
    (the_gate_is_open_both_ways, model_laws.probabilities_sum_to_one),
    (the_gate_is_open_both_ways, model_laws.smoothing_is_over_possible_tokens),
    (other_rows_words_are_copied, model_laws.alone_is_in_company),
    (other_rows_words_are_copied, search_laws.decoding_alone_is_decoding_in_company),
    (the_copy_map_stays_behind, model_laws.keeping_and_stepping_commute),
]


@pytest.mark.parametrize("name", ["transformer-copy", "rnn-copy"])
@pytest.mark.parametrize(
    ("spoil", "law"), CAUGHT_COPYING, ids=[f"{law_name(spoil)}: {law_name(law)}" for spoil, law in CAUGHT_COPYING]
)
def test_broken_copying_is_caught(name: str, spoil: Break, law: Callable[[ModelCase], None]) -> None:
    codecs = tiny_codecs()
    must_catch(law, spoil, model_case(name, tiny_models()[name], codecs, tiny_pairs(codecs, copy=True)))


@pytest.mark.parametrize("name", ["transformer-rms-rotary-swiglu", "rnn-gru-2"])
@pytest.mark.parametrize(("spoil", "law"), CAUGHT, ids=[f"{law_name(spoil)}: {law_name(law)}" for spoil, law in CAUGHT])
def test_a_broken_model_is_caught(name: str, spoil: Break, law: Callable[[ModelCase], None]) -> None:
    codecs = tiny_codecs(shared=True)
    must_catch(law, spoil, model_case(name, tiny_models()[name], codecs, tiny_pairs(codecs)))


def must_catch(law: Callable[[ModelCase], None], spoil: Break, case: ModelCase) -> None:
    """The law holds, and not for the spoilt model."""
    law(case)

    def make() -> Seq2Seq:
        model = case.make()
        spoil(model)
        return model

    with pytest.raises(AssertionError):
        law(dataclasses.replace(case, make=make))


class Forgetful(Brackets):
    """Brackets that only a single hypothesis has to balance."""

    def step(self, state: State, token_BK: Tensor, remaining_BK: Tensor) -> tuple[State, Tensor]:
        state, legal_BKV = super().step(state, token_BK, remaining_BK)
        return state, legal_BKV if token_BK.shape[1] == 1 else torch.ones_like(legal_BKV)


def test_a_rule_that_beams_do_not_feel_is_caught() -> None:
    codecs = tiny_codecs()
    case = model_case("rnn", tiny_models()["rnn-gru-1"], codecs, tiny_pairs(codecs), rule=Brackets(codecs.target.size))
    search_laws.outputs_obey_the_rule(case)
    with pytest.raises(AssertionError, match="breaks the rule"):
        search_laws.outputs_obey_the_rule(dataclasses.replace(case, rule=Forgetful(codecs.target.size)))


def test_a_search_that_cannot_wait_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    codecs = tiny_codecs()
    case = model_case("rnn", tiny_models()["rnn-gru-1"], codecs, tiny_pairs(codecs))
    search_laws.neither_early_stop_nor_n_best_changes_answers(case)
    right = Hypotheses.done

    def impatient(self: Hypotheses, n_best: int, *, early_stop: bool) -> Tensor:
        over_B = right(self, n_best, early_stop=False)
        return over_B | (self.finished_BKE[:, n_best - 1, 0] == 0) if early_stop else over_B

    monkeypatch.setattr(Hypotheses, "done", impatient)
    with pytest.raises(AssertionError, match="in full"):
        search_laws.neither_early_stop_nor_n_best_changes_answers(case)
