"""Minimum-risk training (Shen et al., 2016): the expected cost of what the model itself would say, by the task's own metric.

For each source some answers are drawn; with the true one, and each only once, they share a probability
Q(y) ~ exp(mean log p(y)) (by length, as Edunov et al., 2018), and the loss is the sum of Q(y) cost(y), which is between 0 and 1,
times the words of the true answer, so that it weighs what a likelihood of the same record would. Drawing has no gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from core.codec.types import BOS, EOS, PAD
from core.data.batch import Batch
from core.decode.config import SearchConfig
from core.decode.rules import Rule
from core.decode.search import search
from core.model.seq2seq import Seq2Seq
from core.model.state import Memory

# B batch, N answers of all sources, T target, V vocabulary

Answers = Sequence[tuple[int, ...]]
"""Of one source, as ids without ends."""
Cost = Callable[[int, Answers, Sequence[str]], Sequence[float]]
"""(row of the training records, answers, words that only the source has) -> costs between 0 and 1."""


class Risk:
    """What to draw with, and what it costs."""

    def __init__(self, cost: Cost, cfg: SearchConfig, samples: int, rule: Rule | None) -> None:
        """`cfg` has the limits of length; all else of it is for answering."""
        self.cost, self.rule = cost, rule
        self.cfg = SearchConfig(
            strategy="sample",
            beams=samples,
            n_best=samples,
            length_ratio=cfg.length_ratio,
            length_extra=cfg.length_extra,
        )

    def __call__(self, model: Seq2Seq, batch: Batch, memory: Memory) -> Tensor:
        """Summed over the batch."""
        answers = self.draw(model, batch)
        words = batch.copy.words if batch.copy else [()] * batch.size
        costs = [self.cost(row, some, word) for row, some, word in zip(batch.index, answers, words, strict=True)]
        return expected(model, batch, memory, answers, costs)

    def draw(self, model: Seq2Seq, batch: Batch) -> list[Answers]:
        """Different ones of each source, the true one first."""
        seed = int(torch.randint(2**31, ()))
        training = model.training
        model.eval()
        found = search(model, batch, self.cfg, rule=self.rule, seed=seed)
        model.train(training)
        true_BT = [tuple(token for token in row if token not in (PAD, EOS)) for row in batch.wanted_BT.tolist()]
        return [
            tuple(dict.fromkeys((true, *(one.tokens for one in some))))
            for true, some in zip(true_BT, found, strict=True)
        ]


def expected(
    model: Seq2Seq, batch: Batch, memory: Memory, answers: Sequence[Answers], costs: Sequence[Sequence[float]]
) -> Tensor:
    """The sum over sources of the words of the true answer times the expected cost."""
    device = memory.hidden_BSD.device
    rows = [row for row, some in enumerate(answers) for _ in some]
    longest = max(len(one) for some in answers for one in some)
    target_NT = torch.full((len(rows), longest + 2), PAD, dtype=torch.int64)
    target_NT[:, 0] = BOS
    for number, one in enumerate(one for some in answers for one in some):
        target_NT[number, 1 : 1 + len(one)] = torch.tensor(one, dtype=torch.int64)
        target_NT[number, 1 + len(one)] = EOS
    target_NT = target_NT.to(device)
    row_N = torch.tensor(rows, device=device)
    known, wanted_NT = memory.rows(row_N), target_NT[:, 1:]
    logp_NTV = model.head.logp(model(batch, known, target_NT[:, :-1]), known)
    logp_NT = logp_NTV.gather(-1, wanted_NT[..., None])[..., 0].masked_fill(wanted_NT == PAD, 0)
    mean_N = logp_NT.sum(1) / (wanted_NT != PAD).sum(1)
    most = max(len(some) for some in answers)
    place_N = torch.tensor([place for some in answers for place in range(len(some))], device=device)
    mean_BC = mean_N.new_full((len(answers), most), -torch.inf).index_put((row_N, place_N), mean_N)
    flat = torch.tensor([cost for some in costs for cost in some], dtype=mean_N.dtype, device=device)
    cost_BC = torch.zeros_like(mean_BC).index_put((row_N, place_N), flat)
    words_B = (batch.wanted_BT != PAD).sum(1)
    return ((mean_BC.softmax(-1) * cost_BC).sum(-1) * words_B).sum()
