"""What an output may not be: the task's rule, a forced prefix and banned repeats, applied step by step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from core.codec.types import BOS, EOS, PAD, UNK
from core.data.batch import Batch
from core.decode.candidates import NEVER, Choice
from core.decode.phrases import Phrases
from core.decode.rules import Rule, RuleAtOnce
from core.model.state import State, keep_rows, select_rows

# B batch, K hypotheses, T target (so far), P prefix, N n-gram, V vocabulary

UNLIMITED = 1 << 30


class AllOf:
    """A token is legal where every one of these rules says so."""

    def __init__(self, *rules: Rule) -> None:
        self.rules = rules

    def start(self, batch: Batch, beams: int = 1) -> State:
        """The states of all, told apart by a number."""
        states = (rule.start(batch, beams) for rule in self.rules)
        return {f"{n}.{name}": x for n, state in enumerate(states) for name, x in state.items()}

    def step(self, state: State, token_BK: Tensor, remaining_BK: Tensor) -> tuple[State, Tensor]:
        """Step each; a rule with a smaller vocabulary does not judge the ids beyond it."""
        after: State = {}
        legal_BKV = token_BK.new_ones((*token_BK.shape, 0), dtype=torch.bool)
        for n, rule in enumerate(self.rules):
            own = {name.removeprefix(f"{n}."): x for name, x in state.items() if name.startswith(f"{n}.")}
            own, also_BKV = rule.step(own, token_BK, remaining_BK)
            after |= {f"{n}.{name}": x for name, x in own.items()}
            V = max(legal_BKV.shape[-1], also_BKV.shape[-1])
            legal_BKV = _widened(legal_BKV, V) & _widened(also_BKV, V)
        return after, legal_BKV


def _widened(legal_BKV: Tensor, V: int) -> Tensor:
    return F.pad(legal_BKV, (0, V - legal_BKV.shape[-1]), value=True)


def teacher_forced(rule: Rule, batch: Batch, limit_B: Tensor | None = None) -> Tensor:
    """The legal tokens after each of `batch.given_BT`, bool [B, T, V], as stepping finds them.

    Without `limit_B`, tokens in all, nothing has to close in time.
    """
    if limit_B is None and isinstance(rule, RuleAtOnce):
        return rule.teacher_forced(batch)
    state = rule.start(batch, 1)
    limit_B1 = batch.target.new_full((batch.size, 1), UNLIMITED) if limit_B is None else limit_B[:, None]
    steps: list[Tensor] = []
    for t, token_B in enumerate(batch.given_BT.unbind(1)):
        state, legal_B1V = rule.step(state, token_B[:, None], (limit_B1 - t).clamp(min=1))
        steps.append(legal_B1V[:, 0])
    return torch.stack(steps, 1)


class Constraints:
    """The rule's state and whatever else the ban on tokens rests on, for the live hypotheses of a search."""

    def __init__(
        self,
        batch: Batch,
        beams: int,
        limit_B: Tensor,
        *,
        rule: Rule | None,
        prefix: Sequence[Sequence[int]],
        no_repeat: int,
        least_B: Tensor | None = None,
        phrases: Phrases | None = None,
    ) -> None:
        self.least_B = least_B if least_B is not None and bool((least_B > 0).any()) else None
        self.rule, self.no_repeat, self.limit_B = rule, no_repeat, limit_B
        self.state: State = {} if rule is None else rule.start(batch, beams)
        self.phrases = phrases
        self.phrase_state: State = {} if phrases is None else phrases.start(batch, beams)
        self.said_BKT = limit_B.new_zeros((batch.size, beams, 0))
        self.prefix_BP = _rectangle(prefix, limit_B)
        self.prefix_top = max((max(ids, default=0) for ids in prefix), default=0)

    def apply(self, logp_BKV: Tensor, token_BK: Tensor, step: int, *, own: bool = False) -> Tensor:
        """A copy where what may not follow `token_BK` (the `step`th; 0 is BOS) is -inf; nothing is renormalised.

        `own`: no copy, for the log-probabilities are nobody else's and hold nothing that is no number.
        """
        if not own:
            logp_BKV = logp_BKV.nan_to_num(nan=NEVER, posinf=NEVER, neginf=NEVER)
        logp_BKV[..., : BOS + 1] = NEVER  # PAD and BOS
        logp_BKV[..., UNK : UNK + 1] = NEVER  # it stands for what cannot be said
        if self.least_B is not None:
            logp_BKV[..., EOS : EOS + 1].masked_fill_((step < self.least_B)[:, None, None], NEVER)
        if self.rule is not None or self.phrases is not None:
            remaining_BK = (self.limit_B[:, None] - step).clamp(min=1).expand_as(token_BK)
            if self.rule is not None:
                self.state, legal_BKV = self.rule.step(self.state, token_BK, remaining_BK)
                ban(logp_BKV, legal_BKV)
            if self.phrases is not None:
                self.phrase_state, legal_BKV = self.phrases.step(self.phrase_state, token_BK, remaining_BK)
                ban(logp_BKV, legal_BKV)
        if self.no_repeat and step:
            self.said_BKT = torch.cat([self.said_BKT, token_BK[..., None]], -1)
        if step >= self.prefix_BP.shape[1]:
            return ban_repeats(logp_BKV, self.said_BKT, self.no_repeat)
        if self.prefix_top >= logp_BKV.shape[-1]:
            raise ValueError(f"a prefix holds {self.prefix_top}; the model's ids end at {logp_BKV.shape[-1] - 1}")
        # A prefix may repeat itself, so its tokens are taken out before the ban. PAD stands after a prefix and is -inf.
        forced_BK1 = self.prefix_BP[:, step, None, None].expand(-1, logp_BKV.shape[1], 1)
        value_BK1 = logp_BKV.gather(-1, forced_BK1)
        ban_repeats(logp_BKV, self.said_BKT, self.no_repeat)
        return logp_BKV.masked_fill_(forced_BK1 != PAD, NEVER).scatter_(-1, forced_BK1, value_BK1)

    def candidates(self, choice: Choice, logp_BKV: Tensor, sum_BK: Tensor) -> Choice:
        """A beam's candidates, with a fair share for those that say more of what has to be said."""
        return choice if self.phrases is None else self.phrases.shared_out(choice, logp_BKV, sum_BK, self.phrase_state)

    def select(self, parent_BK: Tensor) -> None:
        """Reorder with the hypotheses."""
        self.state = select_rows(self.state, parent_BK)
        self.phrase_state = select_rows(self.phrase_state, parent_BK)
        if self.no_repeat:
            self.said_BKT = select_rows({"said": self.said_BKT}, parent_BK)["said"]

    def keep(self, rows_B: Tensor) -> None:
        """Only these sources go on."""
        self.state, self.phrase_state = keep_rows(self.state, rows_B), keep_rows(self.phrase_state, rows_B)
        self.said_BKT, self.limit_B = self.said_BKT[rows_B], self.limit_B[rows_B]
        self.prefix_BP = self.prefix_BP[rows_B]
        self.least_B = None if self.least_B is None else self.least_B[rows_B]


def ban(logp_BKV: Tensor, legal_BKV: Tensor) -> None:
    """In place; ids beyond what is judged are copied words, which nobody forbids."""
    V = min(legal_BKV.shape[-1], logp_BKV.shape[-1])
    logp_BKV[..., :V].masked_fill_(~legal_BKV[..., :V], NEVER)


def ban_repeats(logp_BKV: Tensor, said_BKT: Tensor, size: int) -> Tensor:
    """In place: no token that would complete an n-gram of this size that was said before."""
    if not size or said_BKT.shape[-1] < size:
        return logp_BKV
    gram_BKTN = said_BKT.unfold(-1, size, 1)
    tail_BK1N = said_BKT[..., None, said_BKT.shape[-1] - size + 1 :]
    same_BKT = (gram_BKTN[..., :-1] == tail_BK1N).all(-1)
    return logp_BKV.scatter_(-1, torch.where(same_BKT, gram_BKTN[..., -1], PAD), NEVER)  # PAD is banned anyway


def _rectangle(prefix: Sequence[Sequence[int]], limit_B: Tensor) -> Tensor:
    for row, ids in enumerate(prefix):
        if wrong := [i for i in ids if i <= UNK]:
            raise ValueError(f"the prefix of source {row} holds {wrong[0]}; only ids above {UNK} can be forced")
    P = max(map(len, prefix), default=0)
    return limit_B.new_tensor([[*ids, *[PAD] * (P - len(ids))] for ids in prefix]).view(len(prefix), P)
