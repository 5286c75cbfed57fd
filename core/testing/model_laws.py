"""What every model keeps: the decode-state law, masks, causality, and a loss that is the sum of its log-probabilities."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from core.codec.types import BOS, EOS, PAD, UNK
from core.data.batch import Batch
from core.decode.constraints import teacher_forced
from core.model.seq2seq import Seq2Seq
from core.model.state import Memory
from core.testing.ctc_reference import with_ctc
from core.testing.heads import possible
from core.testing.tiny import (
    ModelCase,
    batch_of,
    close,
    forced_logp,
    gathered,
    padded,
    random_tokens,
    read,
    stepped_logp,
    widened,
)

# B batch, K hypotheses, S source, T target, V vocabulary

K = 3


def stepping_is_teacher_forcing(case: ModelCase) -> None:
    """Token by token gives what all at once gives."""
    model, batch = case.make(), batch_of(case.pairs)
    with torch.no_grad():
        said_BT = batch.wanted_BT != PAD
        close(stepped_logp(model, batch)[said_BT], forced_logp(model, batch)[said_BT], "stepped log-probabilities")


def hypotheses_are_strangers(case: ModelCase) -> None:
    """K hypotheses of a source, read side by side, each give what they give alone."""
    model, batch = case.make(), batch_of(case.pairs)
    with torch.no_grad():
        memory, tokens_BKT = model.encode(batch), given(case, batch, 4)
        together, _ = read(model, memory, model.start(memory, K), tokens_BKT)
        for k in range(K):
            alone, _ = read(model, memory, model.start(memory, 1), tokens_BKT[:, k : k + 1])
            close(together[:, k], alone[:, 0], f"hypothesis {k} of {K}")


def selecting_and_stepping_commute(case: ModelCase) -> None:
    """select then step == step then select, repeated parents and dropped ones included, and for what follows."""
    model, batch = case.make(), batch_of(case.pairs)
    with torch.no_grad():
        memory, tokens_BKT = model.encode(batch), given(case, batch, 6)
        parent_BK = torch.randint(K, (batch.size, K), generator=torch.Generator().manual_seed(2))
        parent_BK[0], parent_BK[-1] = torch.tensor([2, 0, 1]), torch.tensor([1, 1, 1])
        before_BKT, x_BK, rest_BKT = tokens_BKT[..., :3], tokens_BKT[..., 3], tokens_BKT[..., 4:]
        _, state = read(model, memory, model.start(memory, K), before_BKT)
        state = model.select(state, parent_BK)
        first, state = model.step(gathered(x_BK, parent_BK), memory, state)
        after, _ = read(model, memory, state, rest_BKT)

        _, state = read(model, memory, model.start(memory, K), before_BKT)
        first_too, state = model.step(x_BK, memory, state)
        after_too, _ = read(model, memory, model.select(state, parent_BK), rest_BKT)
        close(first, gathered(first_too, parent_BK), "the step after selecting")
        close(after, after_too, "the steps after selecting and stepping")


def keeping_and_stepping_commute(case: ModelCase) -> None:
    """keep then step == step then keep, whichever sources go on and in whatever order."""
    model, batch = case.make(), batch_of(case.pairs)
    with torch.no_grad():
        tokens_BKT = given(case, batch, 5)
        for rows_B in (torch.tensor([2, 0]), torch.arange(batch.size).flip(0)):
            memory = model.encode(batch)
            _, state = read(model, memory, model.start(memory, K), tokens_BKT[..., :2])
            fewer, state = model.keep(memory, state, rows_B)
            kept, _ = read(model, fewer, state, tokens_BKT[rows_B, :, 2:])

            memory = model.encode(batch)
            _, state = read(model, memory, model.start(memory, K), tokens_BKT[..., :3])
            fewer, state = model.keep(memory, state, rows_B)
            kept_too, _ = read(model, fewer, state, tokens_BKT[rows_B, :, 3:])
            full, _ = read(model, memory, model.start(memory, K), tokens_BKT)
            close(kept[:, :, 1:], kept_too, "the steps after keeping and stepping")
            close(kept, full[rows_B, :, 2:], "the steps after keeping")


def memory_is_only_read(case: ModelCase) -> None:
    """Stepping leaves the memory as it was: it is computed once and shared by all hypotheses."""
    model, batch = case.make(), batch_of(case.pairs)
    with torch.no_grad():
        memory = model.encode(batch)
        before = tensors(memory)
        copies = {name: x.clone() for name, x in before.items()}
        _, state = read(model, memory, model.start(memory, K), given(case, batch, 3))
        model.select(state, torch.zeros((batch.size, K), dtype=torch.int64))
        for name, x in tensors(memory).items():
            assert x.shape[0] == batch.size, f"memory {name} has {x.shape[0]} rows for {batch.size} sources"
            close(x, copies[name], f"memory {name} after stepping", 0.0)


def alone_is_in_company(case: ModelCase) -> None:
    """A pair has the same log-probabilities alone, in any batch, in any order, and with any pads, whatever these hold."""
    model = case.make()
    with torch.no_grad():
        alone = [forced_logp(model, batch_of([pair]))[0] for pair in case.pairs]
        order = torch.randperm(len(case.pairs), generator=torch.Generator().manual_seed(1)).tolist()
        plain, shuffled = batch_of(case.pairs), batch_of([case.pairs[n] for n in order])
        natural = list(range(len(case.pairs)))
        company = (
            ("in a batch", plain, natural),
            ("in another order", shuffled, order),
            ("with wide pads that hold symbols", padded(shuffled, source=3, target=2), order),
        )
        for how, batch, rows in company:
            for way, logp_BTV in (("", forced_logp(model, batch)), (", stepping", stepped_logp(model, batch))):
                for row, n in enumerate(rows):
                    T, W = len(alone[n]), max(logp_BTV.shape[-1], alone[n].shape[-1])
                    close(widened(logp_BTV[row, :T], W), widened(alone[n], W), f"pair {n} {how}{way}")


def probabilities_sum_to_one(case: ModelCase) -> None:
    """After every prefix; PAD and BOS are impossible, and so are other sources' copied words and what a head is not for;
    everything else is possible."""
    model, batch = case.make(), batch_of(case.pairs)
    with torch.no_grad():
        logp_BTV = forced_logp(model, batch)
        total_BT = logp_BTV.exp().sum(-1)
        close(total_BT, torch.ones_like(total_BT), "sums of probabilities")
        for token, name in ((PAD, "PAD"), (BOS, "BOS")):
            assert (logp_BTV[..., token] == float("-inf")).all(), f"{name} has a probability above zero"
        can_BTV = possible(model, batch, logp_BTV)
        assert (logp_BTV.isfinite() | ~can_BTV).all(), "a token other than PAD and BOS is impossible"
        assert not (logp_BTV.isfinite() & ~can_BTV).any(), (
            "what this head cannot say, or another source's word, can be said"
        )


def no_gradient_from_the_future(case: ModelCase) -> None:
    """What is said after token t owes nothing to the tokens after it, and something to token t.

    Of a model that reads no words nothing at all, which `changing_the_future_changes_nothing` shows.
    """
    if not case.make().reads_words:
        return
    long = [pair for pair in case.pairs if len(pair[1]) > 2] or list(case.pairs)
    model, batch = case.make(), batch_of(long)
    given_BT = batch.given_BT
    seen: list[Tensor] = []

    def catch(module: nn.Embedding, arguments: tuple[Tensor, ...], output: Tensor) -> None:
        read_BT = given_BT.masked_fill(given_BT >= module.num_embeddings, UNK)  # copied words
        if arguments[0].shape == read_BT.shape and torch.equal(arguments[0], read_BT):
            output.retain_grad()
            seen.append(output)

    for module in model.modules():
        if isinstance(module, nn.Embedding):
            module.register_forward_hook(catch)
    logp_BTV = forced_logp(model, batch)
    assert seen, "no nn.Embedding read the target: the law looks at the gradient there"
    for t in range(given_BT.shape[1]):
        can_BV = possible(model, batch, logp_BTV)[:, t]
        (gradient_BTD,) = torch.autograd.grad(logp_BTV[:, t][can_BV].square().sum(), seen[-1], retain_graph=True)
        future, present = gradient_BTD[:, t + 1 :], gradient_BTD[:, t]
        assert not future.any(), f"what is said after token {t} depends on tokens after it: {future.abs().max():.2e}"
        assert present.any(), f"what is said after token {t} does not depend on token {t}"


def changing_the_future_changes_nothing(case: ModelCase) -> None:
    """With other tokens from some place on, all before it stays, prefix features included."""
    model, batch = case.make(), batch_of(case.pairs)
    with torch.no_grad():
        logp_BTV = forced_logp(model, batch)
        other_BT = random_tokens(case.pairs, tuple(batch.target.shape), seed=4)
        if not model.reads_words:
            close(
                forced_logp(model, replace_target(batch, other_BT)),
                logp_BTV,
                "log-probabilities after other words",
                0.0,
            )
        for t in range(1, batch.given_BT.shape[1]):
            target = torch.cat([batch.target[:, :t], other_BT[:, t:]], 1)
            changed = forced_logp(model, replace_target(batch, target))
            close(
                changed[:, :t], logp_BTV[:, :t], f"log-probabilities before token {t}, when later tokens change", 1e-12
            )


def loss_is_minus_the_sum_of_logp(case: ModelCase) -> None:
    """Of the wanted tokens, EOS counted and pads not; with a rule, of probabilities over its legal tokens; with CTC, weighed."""
    model, batch = case.make(), batch_of(case.pairs)
    with torch.no_grad():
        logp_BTV, said_BT = forced_logp(model, batch), batch.wanted_BT != PAD
        assert int(said_BT.sum()) == batch.tokens, f"batch.tokens is {batch.tokens}, {int(said_BT.sum())} count"
        expected = with_ctc(model, batch, summed(logp_BTV, batch))
        close(model.loss(batch), expected, "the loss")
        wide = padded(batch, source=2, target=3)
        close(model.loss(wide), expected, "the loss with more pads")
        for legal_BTV in legal_tokens(case, batch, logp_BTV.shape[-1]):
            among_BTV = logp_BTV.masked_fill(~widened_legal(legal_BTV, logp_BTV), float("-inf")).log_softmax(-1)
            expected = with_ctc(model, batch, summed(among_BTV, batch))
            close(model.loss(batch, legal_BTV=legal_BTV), expected, "the loss over legal tokens")


def smoothing_is_over_possible_tokens(case: ModelCase) -> None:
    """Label smoothing e: (1 - e) of the weight on the wanted token, e spread evenly over what could be said there."""
    model, batch = case.make(), batch_of(case.pairs)
    with torch.no_grad():
        logp_BTV, smoothing = forced_logp(model, batch), 0.3
        possible_BTV = possible(model, batch, logp_BTV)
        for legal_BTV in (None, *legal_tokens(case, batch, logp_BTV.shape[-1])):
            among_BTV = possible_BTV if legal_BTV is None else possible_BTV & widened_legal(legal_BTV, possible_BTV)
            own_BTV = logp_BTV.masked_fill(~among_BTV, float("-inf")).log_softmax(-1)
            mean_BT = own_BTV.masked_fill(~among_BTV, 0).sum(-1) / among_BTV.sum(-1).clamp(min=1)
            even = -mean_BT[batch.wanted_BT != PAD].sum()
            expected = with_ctc(model, batch, (1 - smoothing) * summed(own_BTV, batch) + smoothing * even)
            close(model.loss(batch, smoothing=smoothing, legal_BTV=legal_BTV), expected, "the smoothed loss")


def micro_batches_are_one_batch(case: ModelCase) -> None:
    """Losses and gradients of parts, of whatever lengths, add up to those of the whole."""
    model = case.make()
    whole = gradients(model, [batch_of(case.pairs)])
    cuts = (
        [[n] for n in range(len(case.pairs))],
        [list(range(0, len(case.pairs), 2)), list(range(1, len(case.pairs), 2))],
    )
    for rows in cuts:
        parts = gradients(model, [batch_of([case.pairs[n] for n in part]) for part in rows])
        for name, gradient in whole.items():
            size = gradient.abs().max().clamp(min=1e-3)
            close(parts[name] / size, gradient / size, f"gradient of {name} in {len(rows)} micro-batches", 1e-10)


def every_parameter_learns(case: ModelCase) -> None:
    """None is left without a gradient (but that of segments, where sources have none), and every gradient is a number."""
    model, batch = case.make(), batch_of(case.pairs)
    model.loss(batch).backward()
    for name, parameter in model.named_parameters():
        if batch.layout.segment_BS is None and name.endswith("segment"):
            continue
        assert parameter.grad is not None, f"{name} has no gradient"
        assert parameter.grad.isfinite().all(), f"the gradient of {name} is no number"


def given(case: ModelCase, batch: Batch, steps: int) -> Tensor:
    """BOS and random words, int64 [B, K, steps]."""
    tokens_BKT = random_tokens(case.pairs, (batch.size, K, steps), seed=7)
    tokens_BKT[..., 0] = BOS
    return tokens_BKT


def tensors(memory: Memory) -> dict[str, Tensor]:
    """All that a memory holds."""
    own = {"hidden": memory.hidden_BSD, "mask": memory.layout.mask_BS, "source": memory.source}
    return own | {f"cache {name}": x for name, x in memory.cache.items()}


def replace_target(batch: Batch, target: Tensor) -> Batch:
    """The same sources with other targets; `tokens` is left as it was."""
    return Batch(batch.source, batch.layout, target, batch.index, batch.tokens, batch.copy)


def summed(logp_BTV: Tensor, batch: Batch) -> Tensor:
    """Minus the log-probability of all wanted tokens."""
    wanted_BT = batch.wanted_BT
    return -logp_BTV.gather(-1, wanted_BT[..., None])[..., 0][wanted_BT != PAD].sum()


def legal_tokens(case: ModelCase, batch: Batch, V: int) -> list[Tensor]:
    """Legal tokens to try a loss on: a random half and the wanted ones; the case's rule, where it has one that admits the targets."""
    random_BTV = torch.rand((*batch.wanted_BT.shape, V), generator=torch.Generator().manual_seed(8)) < 0.5
    random_BTV[..., : BOS + 1] = False
    random_BTV.scatter_(-1, batch.wanted_BT[..., None], True)
    random_BTV[..., PAD] = False
    random_BTV[..., EOS] |= batch.wanted_BT == PAD
    if case.rule is None:
        return [random_BTV]
    ruled_BTV = teacher_forced(case.rule, batch)
    said_BT = batch.wanted_BT != PAD
    admitted = widened_legal(ruled_BTV, random_BTV).gather(-1, batch.wanted_BT[..., None])[..., 0]
    ruled_BTV = ruled_BTV.clone()
    ruled_BTV[..., : BOS + 1] = False
    return [random_BTV, ruled_BTV] if bool(admitted[said_BT].all()) else [random_BTV]


def widened_legal(legal_BTV: Tensor, like: Tensor) -> Tensor:
    """Copied words are not the rule's to judge."""
    return nn.functional.pad(legal_BTV, (0, like.shape[-1] - legal_BTV.shape[-1]), value=True)


def gradients(model: Seq2Seq, batches: list[Batch]) -> dict[str, Tensor]:
    """Summed over the batches."""
    model.zero_grad(set_to_none=True)
    for batch in batches:
        model.loss(batch, smoothing=0.1).backward()
    return {name: x.grad.clone() for name, x in model.named_parameters() if x.grad is not None}


MODEL_LAWS: tuple[Callable[[ModelCase], None], ...] = (
    stepping_is_teacher_forcing,
    hypotheses_are_strangers,
    selecting_and_stepping_commute,
    keeping_and_stepping_commute,
    memory_is_only_read,
    alone_is_in_company,
    probabilities_sum_to_one,
    no_gradient_from_the_future,
    changing_the_future_changes_nothing,
    loss_is_minus_the_sum_of_logp,
    smoothing_is_over_possible_tokens,
    micro_batches_are_one_batch,
    every_parameter_learns,
)
