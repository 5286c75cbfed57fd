"""The rule that makes every hypothesis an alignment of its two sequences: tokens consume residues, and only what is left."""

from __future__ import annotations

import torch
from torch import Tensor

from core.codec.types import EOS, SPECIALS
from core.data.batch import Batch
from core.model.state import State
from core.nn.layout import Layout
from tasks.protein_alignment.codec import FIRST, MOVES, PAIR, SECOND, SEPARATOR

# B batch, K hypotheses, S source, T target, V vocabulary

SIZE = len(SPECIALS) + len(MOVES)


def lengths(source_BS: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
    """Residues of each of the two sequences, [B]; of a source that was cut short, those that are left."""
    separator_BS = (source_BS == SEPARATOR) & layout.mask_BS
    last_B = (layout.lengths - 1).clamp(min=0)
    first_B = torch.where(separator_BS.any(1), separator_BS.int().argmax(1), last_B)
    return first_B, (last_B - first_B - 1).clamp(min=0)


def counted(token: Tensor) -> tuple[Tensor, Tensor]:
    """What a token consumes of each sequence: 0 or 1."""
    pair = token == PAIR
    return (pair | (token == FIRST)).long(), (pair | (token == SECOND)).long()


class LegalMoves:
    """Residue pair, residue over gap, gap over residue, each only while residues are left; the end once none is.

    Of neighbouring columns with a gap, the first sequence's residues come first: after SECOND there is no FIRST, and no
    SECOND that would leave nothing else. So every alignment has one spelling.
    """

    def start(self, batch: Batch, beams: int = 1) -> State:
        """Nothing consumed."""
        first_B, second_B = lengths(batch.source, batch.layout)
        left = {"first": first_B, "second": second_B}
        state = {name: x[:, None].expand(-1, beams).contiguous() for name, x in left.items()}
        return state | {"after": torch.zeros_like(state["first"], dtype=torch.bool)}

    def step(self, state: State, token_BK: Tensor, remaining_BK: Tensor) -> tuple[State, Tensor]:
        """`remaining_BK` allows for the end: pairs only, where gaps would leave no room to finish."""
        one_BK, other_BK = counted(token_BK)
        first_BK = (state["first"] - one_BK).clamp(min=0)
        second_BK = (state["second"] - other_BK).clamp(min=0)
        after_BK = torch.where(one_BK + other_BK > 0, token_BK == SECOND, state["after"])
        legal_BKV = legal(first_BK, second_BK, after_BK)
        spare_BK = remaining_BK - 1 - torch.maximum(first_BK, second_BK)  # columns more than the fewest that finish
        tight_BK = spare_BK <= 0
        both_BK = (first_BK > 0) & (second_BK > 0)
        legal_BKV[..., FIRST] &= ~(tight_BK & both_BK & (first_BK <= second_BK))
        legal_BKV[..., SECOND] &= ~(tight_BK & both_BK & (second_BK <= first_BK))
        return {"first": first_BK, "second": second_BK, "after": after_BK}, legal_BKV

    def teacher_forced(self, batch: Batch) -> Tensor:
        """All steps at once, bool [B, T, V], without a limit."""
        first_B, second_B = lengths(batch.source, batch.layout)
        one_BT, other_BT = counted(batch.given_BT)
        first_BT = (first_B[:, None] - one_BT.cumsum(1)).clamp(min=0)
        second_BT = (second_B[:, None] - other_BT.cumsum(1)).clamp(min=0)
        return legal(first_BT, second_BT, batch.given_BT == SECOND)


def legal(first: Tensor, second: Tensor, after: Tensor) -> Tensor:
    """Which tokens may follow, [..., V], where so much is left and the last column was (not) one of the second alone."""
    allowed = torch.zeros((*first.shape, SIZE), dtype=torch.bool, device=first.device)
    allowed[..., PAIR] = (first > 0) & (second > 0)
    allowed[..., FIRST] = (first > 0) & ~after
    allowed[..., SECOND] = (second > 0) & ((first == 0) | (second > 1))
    allowed[..., EOS] = (first == 0) & (second == 0)
    return allowed
