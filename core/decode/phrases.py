"""Phrases that an output must say, and phrases that it must not: exact for every strategy, and well placed by beams.

No output ends before it has said what it must, and no token is legal after which there would not be room for what is missing
(phrases that could share tokens are counted apart). So that a beam does not put them off until then, its places are shared
out evenly among hypotheses that have said as much of their phrases (dynamic beam allocation: Post and Vilar, 2018; deviation:
shares are not moved from one number of tokens to another by size, the best of each come first, then the second best of each,
and so on).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from core.codec.types import EOS, PAD
from core.data.batch import Batch
from core.decode.candidates import NEVER, Choice
from core.model.state import State

# B batch, K hypotheses, P phrases, L tokens of the longest, V vocabulary, C candidates

Said = Sequence[Sequence[int]]
"""Phrases, as ids."""


class Phrases:
    """Of every source by its number (`Batch.index`): what its outputs say, and what they do not."""

    def __init__(self, include: Sequence[Said], exclude: Sequence[Said], vocabulary: int) -> None:
        """One entry a source in each; ids from `vocabulary` on (copied words) are never forced nor banned."""
        self.include, self.exclude, self.vocabulary = include, exclude, vocabulary
        self.most = max((len(some) for some in include), default=0), max((len(some) for some in exclude), default=0)
        self.longest = max((len(one) for some in (*include, *exclude) for one in some), default=1)

    def needed(self, index: int) -> int:
        """Tokens that the phrases of a source take at most."""
        return sum(map(len, self.include[index]))

    def start(self, batch: Batch, beams: int = 1) -> State:
        """Nothing said."""
        device, K, L = batch.source.device, beams, self.longest
        state: State = {"tail": torch.full((batch.size, K, L), PAD, device=device)}
        for name, sets, most in (("in", self.include, self.most[0]), ("out", self.exclude, self.most[1])):
            rows = [[*sets[n], *[()] * (most - len(sets[n]))] for n in batch.index]
            ids = [[[*one, *[PAD] * (L - len(one))] for one in some] for some in rows]
            state[name] = torch.tensor(ids, device=device).view(batch.size, 1, most, L).repeat(1, K, 1, 1)
        state["done"] = (state["in"] == PAD).all(-1)
        return state

    def step(self, state: State, token_BK: Tensor, remaining_BK: Tensor) -> tuple[State, Tensor]:
        """Read one token (BOS first); then which may follow, bool [B, K, V]."""
        tail_BKL = torch.cat([state["tail"][..., 1:], token_BK[..., None]], -1)
        size_BKP = (state["in"] != PAD).sum(-1)
        said_BKP = matched(tail_BKL, state["in"])
        done_BKP = state["done"] | (said_BKP == size_BKP)
        state = {**state, "tail": tail_BKL, "done": done_BKP}
        legal_BKV = torch.ones((*token_BK.shape, self.vocabulary), dtype=torch.bool, device=token_BK.device)
        if self.most[1]:
            legal_BKV = self._without_excluded(legal_BKV, state)
        if not self.most[0]:
            return state, legal_BKV
        legal_BKV[..., EOS] &= done_BKP.all(-1)
        return state, legal_BKV & self._in_time(state, remaining_BK)

    def _in_time(self, state: State, remaining_BK: Tensor) -> Tensor:
        """Tokens after which all that is missing can still be said: the phrase that most was said of, then the others whole."""
        in_BKPL, done_BKP = state["in"], state["done"]
        size_BKP = (in_BKPL != PAD).sum(-1)
        missing_BK = (size_BKP * ~done_BKP).sum(-1)
        legal_BKV = (missing_BK + 2 <= remaining_BK)[..., None].repeat(1, 1, self.vocabulary)
        legal_BKV[..., EOS] = True
        token_BKN = in_BKPL.flatten(-2)  # all others begin no phrase
        tail_BKNL = torch.cat([state["tail"][..., None, 1:].expand(*token_BKN.shape, -1), token_BKN[..., None]], -1)
        phrase_BKNPL = in_BKPL[:, :, None].expand(*token_BKN.shape, -1, -1)
        said_BKNP = matched(tail_BKNL, phrase_BKNPL)
        done_BKNP = done_BKP[:, :, None] | (said_BKNP == size_BKP[:, :, None])
        further_BKN = said_BKNP.masked_fill(done_BKNP, 0).amax(-1)
        need_BKN = (size_BKP[:, :, None] * ~done_BKNP).sum(-1) - further_BKN
        # Equal tokens have equal needs, so it does not matter which of them is written.
        return legal_BKV.scatter(-1, token_BKN, need_BKN + 2 <= remaining_BK[..., None])

    def _without_excluded(self, legal_BKV: Tensor, state: State) -> Tensor:
        out_BKPL = state["out"]
        size_BKP = (out_BKPL != PAD).sum(-1)
        last_BKP = out_BKPL.gather(-1, (size_BKP - 1).clamp(min=0)[..., None])[..., 0]
        begun_BKP = suffix(state["tail"], out_BKPL, size_BKP - 1)
        banned_BKP = torch.where(begun_BKP & (size_BKP > 0), last_BKP, PAD)  # PAD is banned anyway
        return legal_BKV.scatter(-1, banned_BKP, False)

    def _coming(self, state: State, said_BKP: Tensor) -> Tensor:
        """The next token of every phrase, [B, K, P]; PAD where it is done."""
        at_BKP1 = said_BKP.clamp(max=self.longest - 1)[..., None]
        return state["in"].gather(-1, at_BKP1)[..., 0].masked_fill(state["done"], PAD)

    def shared_out(self, choice: Choice, logp_BKV: Tensor, sum_BK: Tensor, state: State) -> Choice:
        """A beam's candidates, and those that say more of a phrase: the best of each number of tokens said come first."""
        if not self.most[0]:
            return choice
        V, P = logp_BKV.shape[-1], self.most[0]
        next_BKP = self._coming(state, matched(state["tail"], state["in"]))
        logp_BKP = logp_BKV.gather(-1, next_BKP).to(sum_BK.dtype).clamp(max=0)
        total_BN, token_BN = (sum_BK[..., None] + logp_BKP).flatten(1), next_BKP.flatten(1)
        parent_BN = torch.arange(sum_BK.shape[1], device=sum_BK.device).repeat_interleave(P).expand_as(token_BN)
        flat_BC, flat_BN = choice.parent_BC * V + choice.token_BC, parent_BN * V + token_BN
        twice_BN = (flat_BN[..., None] == flat_BC[:, None]).any(-1)
        twice_BN |= (flat_BN[..., None] == flat_BN[:, None]).tril(-1).any(-1)
        flat_BC = torch.cat([flat_BC, flat_BN], 1)
        total_BC = torch.cat([choice.total_BC, total_BN.masked_fill(twice_BN, NEVER)], 1)
        logp_BC = torch.cat([choice.logp_BC, logp_BKP.flatten(1)], 1)
        order_BC = flat_BC.sort(dim=1, stable=True).indices
        order_BC = order_BC.gather(1, total_BC.gather(1, order_BC).sort(dim=1, descending=True, stable=True).indices)
        flat_BC, total_BC, logp_BC = (x.gather(1, order_BC) for x in (flat_BC, total_BC, logp_BC))
        said_BC = self._progress(state, flat_BC // V, flat_BC % V)
        same_BCC = (said_BC[..., None] == said_BC[:, None]).tril(-1)
        rank_BC = same_BCC.sum(-1).masked_fill(total_BC == NEVER, flat_BC.shape[1])
        order_BC = rank_BC.sort(dim=1, stable=True).indices
        flat_BC, total_BC, logp_BC = (x.gather(1, order_BC) for x in (flat_BC, total_BC, logp_BC))
        return Choice(total_BC, flat_BC // V, flat_BC % V, logp_BC, choice.stuck_BK)

    def _progress(self, state: State, parent_BC: Tensor, token_BC: Tensor) -> Tensor:
        """Tokens of phrases that each candidate would have said, [B, C]."""
        row_B1 = torch.arange(len(parent_BC), device=parent_BC.device)[:, None]
        in_BCPL, tail_BCL = state["in"][row_B1, parent_BC], state["tail"][row_B1, parent_BC]
        tail_BCL = torch.cat([tail_BCL[..., 1:], token_BC[..., None]], -1)
        size_BCP = (in_BCPL != PAD).sum(-1)
        said_BCP = torch.where(state["done"][row_B1, parent_BC], size_BCP, matched(tail_BCL, in_BCPL))
        return said_BCP.sum(-1)


def matched(tail_BKL: Tensor, phrase_BKPL: Tensor) -> Tensor:
    """How much of each phrase's beginning the last tokens are, [B, K, P]."""
    size_BKP = (phrase_BKPL != PAD).sum(-1)
    said_BKP = torch.zeros_like(size_BKP)
    for n in range(1, phrase_BKPL.shape[-1] + 1):
        length_BKP = torch.full_like(size_BKP, n)
        fits_BKP = suffix(tail_BKL, phrase_BKPL, length_BKP) & (size_BKP >= n)
        said_BKP = torch.where(fits_BKP, length_BKP, said_BKP)
    return said_BKP


def suffix(tail_BKL: Tensor, phrase_BKPL: Tensor, length_BKP: Tensor) -> Tensor:
    """Whether the last `length` tokens are as many first ones of the phrase; of none, they are."""
    L = tail_BKL.shape[-1]
    place_L = torch.arange(L, device=tail_BKL.device)
    at_BKPL = (place_L + L - length_BKP[..., None]).clamp(max=L - 1)
    said_BKPL = tail_BKL[..., None, :].expand_as(phrase_BKPL).gather(-1, at_BKPL.clamp(min=0))
    return ((said_BKPL == phrase_BKPL) | (place_L >= length_BKP[..., None])).all(-1)
