"""What the decoder is told about the prefix: which residues stand next, how they and theirs match, and where each move leads."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.codec.types import EOS, UNK
from core.model.features import TOLD
from core.model.said import Said
from core.model.state import Memory, State
from core.nn.layout import Layout
from core.nn.linear import matrix
from tasks.protein_alignment.codec import FIRST, LETTERS, PAIR, SECOND, SEPARATOR
from tasks.protein_alignment.lookahead import NEVER, ahead, skewed
from tasks.protein_alignment.needleman_wunsch import EXTEND, OPEN, blosum62
from tasks.protein_alignment.rule import counted, legal, lengths

# B batch, K hypotheses, T target, S source, D width, d width of comparisons, W cells of the window, G diagonals
# N residues of the first sequence and one more, M of the second and one more

WINDOW = tuple((step, step + side) for step in range(-1, 4) for side in range(-2, 3))
"""Cells (i, j) around the place that the prefix has come to: along the diagonal and two to each side of it."""
LEAST = -12.0
"""Log-probabilities of moves are told down to this."""
NATS = 0.3176
"""BLOSUM62's own scale: a score times this is a logarithm of odds (Karlin & Altschul, 1990)."""
GAIN = 4.0
"""What residues add in their places is learned so much faster than other weights."""
FOLLOWING = [EOS, UNK, PAIR, FIRST, SECOND]
FORBIDDEN = 20.0
"""So much lower are, to begin with, the logits of what cannot follow."""
QUIET = 0.05
"""The decoder's share in what is said, to begin with."""
PAD_CELLS = 5
"""Around the matrix, so that windows at its edges stay inside."""


class Prefix:
    """A recipe: each model makes its own."""

    def __init__(self, *, learned: bool) -> None:
        self.learned = learned

    def make(self, model_width: int) -> ToldPrefix:
        """With parameters for encoder states of this width."""
        return ToldPrefix(model_width, learned=self.learned)


class ToldPrefix(nn.Module):
    """The moves' log-probabilities under a pair model; or (not learned) what stands next and how alike it is.

    Told both, a model learns the families of its training by what stands next, and is worse than an untrained one on others.
    """

    def __init__(self, width: int, *, learned: bool) -> None:
        super().__init__()
        self.learned, self.compared = learned, max(width // 2, 8)
        self.substitution = nn.Parameter(scores() * NATS)
        """Similarity of residues by themselves; begins as BLOSUM62."""
        self.compare = matrix(width, self.compared)
        """Similarity of residues where they stand: the product of what this makes of two encoder states."""
        nn.init.normal_(self.compare.weight, std=0.25 * width**-0.5)
        self.own = matrix(width, 5 if learned else 1)
        """What a residue adds to its similarities; and to the costs (opened, extended) of leaving it alone, and of a gap
        that stands before it."""
        nn.init.zeros_(self.own.weight)
        if learned:
            self.gaps = nn.Parameter(torch.tensor([OPEN, EXTEND], dtype=torch.float32) * NATS)

    def width(self, model_width: int) -> int:
        """What cannot follow, and the moves; or two states, the window, and progress."""
        return len(FOLLOWING) + (6 if self.learned else 2 * model_width + len(WINDOW) + 3)

    def cache(self, hidden_BSD: Tensor, layout: Layout, source: Tensor) -> dict[str, Tensor]:
        """Similarities of all pairs of residues, and how good the ways ahead are from every cell."""
        with torch.autocast(hidden_BSD.device.type, enabled=False):
            hidden_BSD = hidden_BSD.to(torch.promote_types(hidden_BSD.dtype, torch.float32))
            n_B, m_B = lengths(source, layout)
            place_BN, place_BM = places(n_B, m_B, source.shape[1])
            inside_BN = torch.arange(place_BN.shape[1], device=n_B.device) < n_B[:, None]
            inside_BM = torch.arange(place_BM.shape[1], device=n_B.device) < m_B[:, None]
            first_BND, second_BMD = rows(hidden_BSD, place_BN), rows(hidden_BSD, place_BM)
            own_BN5, own_BM5 = GAIN * self.own(first_BND), GAIN * self.own(second_BMD)
            one_BNd, other_BMd = self.compare(first_BND) / math.sqrt(self.compared), self.compare(second_BMD)
            letter_BNV = self.substitution[source.gather(1, place_BN)]
            letter_BMV = F.one_hot(source.gather(1, place_BM), letter_BNV.shape[2]).to(letter_BNV.dtype)
            bias_BN1, bias_BM1 = own_BN5[..., :1], own_BM5[..., :1]
            similar_BNM = torch.baddbmm(
                bias_BN1 + bias_BM1.transpose(1, 2),
                torch.cat([one_BNd, letter_BNV], -1),
                torch.cat([other_BMd, letter_BMV], -1).transpose(1, 2),
            )
            pair_BNM = inside_BN[:, :, None] & inside_BM[:, None]
            found = {"first": n_B, "second": m_B, "similar": F.pad(similar_BNM * pair_BNM, (PAD_CELLS,) * 4)}
            if self.learned:
                cost_BN4 = self.costs(own_BN5, inside_BN)
                cost_BM4 = self.costs(own_BM5, inside_BM)
                pair = skewed(similar_BNM.masked_fill(~pair_BNM, NEVER))
                ends = list(zip(n_B.tolist(), m_B.tolist(), strict=True))
                tables = zip(("pair", *"MDI"), (pair, *ahead(pair, cost_BN4, cost_BM4, ends)), strict=True)
                found |= {name: table.transpose(0, 1).flatten(1) for name, table in tables}
                found |= {"cost": cost_BN4.flatten(1), "cost.too": cost_BM4.flatten(1)}
            return found

    def costs(self, own_BN5: Tensor, inside_BN: Tensor) -> Tensor:
        """Of leaving each residue alone, opened and extended, and of a gap before it, the two added, [B, N, 4]."""
        leave_BN2 = (self.gaps + own_BN5[..., 1:3]).masked_fill(~inside_BN[..., None], -NEVER)
        return torch.cat([leave_BN2, own_BN5[..., 3:]], -1)

    @torch.no_grad()
    def begin(self, said: Said, word_VD: Tensor) -> None:
        """The moves' log-probabilities go straight to their logits: before it learns, it is a soft Needleman-Wunsch.

        So does what cannot follow, since a loss over the legal tokens alone says nothing about others.
        """
        logit_DV = torch.linalg.pinv(word_VD)
        said.past.weight[:, : len(FOLLOWING)] = FORBIDDEN * logit_DV[:, FOLLOWING]
        if self.learned:
            said.past.weight[:, -6:-3] = logit_DV[:, [PAIR, FIRST, SECOND]]
            said.share_D.fill_(QUIET)

    def start(self, memory: Memory, beams: int) -> State:
        """Nothing consumed; as after a pair."""
        none_BK = memory.source.new_zeros((memory.source.shape[0], beams), dtype=torch.int64)
        return {"i": none_BK, "j": none_BK, "last": none_BK}

    def step(self, state: State, token_BK: Tensor, memory: Memory) -> tuple[State, Tensor]:
        """One column further."""
        one_BK, other_BK = counted(token_BK)
        i_BK = torch.minimum(state["i"] + one_BK, memory.cache[TOLD + "first"][:, None])
        j_BK = torch.minimum(state["j"] + other_BK, memory.cache[TOLD + "second"][:, None])
        last_BK = kind(token_BK)
        return {"i": i_BK, "j": j_BK, "last": last_BK}, self.at(i_BK, j_BK, last_BK, memory)

    def teacher_forced(self, given_BT: Tensor, memory: Memory) -> Tensor:
        """Counts are sums."""
        one_BT, other_BT = counted(given_BT)
        i_BT = torch.minimum(one_BT.cumsum(1), memory.cache[TOLD + "first"][:, None])
        j_BT = torch.minimum(other_BT.cumsum(1), memory.cache[TOLD + "second"][:, None])
        return self.at(i_BT, j_BT, kind(given_BT), memory)

    def at(self, i_BT: Tensor, j_BT: Tensor, last_BT: Tensor, memory: Memory) -> Tensor:
        """What is told where so much is consumed."""
        hidden, cache = memory.hidden_BSD, memory.cache
        n_B1, m_B1, similar = cache[TOLD + "first"][:, None], cache[TOLD + "second"][:, None], cache[TOLD + "similar"]
        possible = legal(n_B1 - i_BT, m_B1 - j_BT, last_BT == 2)[..., FOLLOWING]
        told = [possible.to(similar.dtype) - 1]
        if self.learned:
            told.append(self.moves(i_BT, j_BT, last_BT, cache))
        else:
            told += [rows(hidden, i_BT), rows(hidden, (n_B1 + 1 + j_BT).clamp(max=hidden.shape[1] - 1))]
            told += [window(similar, i_BT, j_BT), progress(i_BT, j_BT, n_B1, m_B1).to(similar.dtype)]
        return torch.cat([one.to(hidden.dtype) for one in told], -1)

    def moves(self, i_BT: Tensor, j_BT: Tensor, last_BT: Tensor, cache: dict[str, Tensor]) -> Tensor:
        """The log-probabilities of pair, first alone and second alone after a prefix, and the probabilities, [B, T, 6]."""
        N, M = (size - 2 * PAD_CELLS for size in cache[TOLD + "similar"].shape[1:])
        last_diagonal = N + M - 2

        def cell(name: str, i: Tensor, j: Tensor) -> Tensor:
            beyond = (i >= N) | (i + j > last_diagonal)
            place = (i + j).clamp(max=last_diagonal) * N + i.clamp(max=N - 1)
            return cache[TOLD + name].gather(1, place).masked_fill(beyond, NEVER)

        own_BT = torch.stack([cell(name, i_BT, j_BT) for name in "MDI"], -1).gather(-1, last_BT[..., None])[..., 0]
        first_BT, second_BT = last_BT == 1, last_BT == 2
        cost_BN, cost_BM = cache[TOLD + "cost"], cache[TOLD + "cost.too"]
        first_cost_BT = cost_BN.gather(1, 4 * i_BT + first_BT) + cost_BM.gather(1, 4 * j_BT + 2 + first_BT)
        second_cost_BT = cost_BM.gather(1, 4 * j_BT + second_BT) + cost_BN.gather(1, 4 * i_BT + 2 + second_BT)
        ways = (
            cell("pair", i_BT, j_BT) + cell("M", i_BT + 1, j_BT + 1),
            (cell("D", i_BT + 1, j_BT) - first_cost_BT).masked_fill(second_BT, NEVER),
            cell("I", i_BT, j_BT + 1) - second_cost_BT,
        )
        logp_BT3 = torch.stack([(way - own_BT).clamp(LEAST, 0.0) for way in ways], -1)
        return torch.cat([logp_BT3, logp_BT3.exp()], -1)


def scores() -> Tensor:
    """BLOSUM62 by the ids of residues; 0 for what is none."""
    given, begin = blosum62(), SEPARATOR + 1
    table = torch.zeros(begin + len(LETTERS), begin + len(LETTERS))
    table[begin:, begin:] = torch.tensor([[float(given[one, other]) for other in LETTERS] for one in LETTERS])
    return table


def window(similar_BNM: Tensor, i_BT: Tensor, j_BT: Tensor) -> Tensor:
    """The similarities around a cell, [B, T, W]."""
    step_W, side_W = torch.tensor(WINDOW, device=i_BT.device).unbind(1)
    row_BTW, column_BTW = i_BT[..., None] + step_W + PAD_CELLS, j_BT[..., None] + side_W + PAD_CELLS
    cell_BTW = row_BTW * similar_BNM.shape[2] + column_BTW
    return similar_BNM.flatten(1).gather(1, cell_BTW.flatten(1)).view(cell_BTW.shape)


def progress(i_BT: Tensor, j_BT: Tensor, n_B1: Tensor, m_B1: Tensor) -> Tensor:
    """The shares that are consumed, and which sequence has more left, [B, T, 3]."""
    ahead_BT = (((n_B1 - i_BT) - (m_B1 - j_BT)) / 8).tanh()
    return torch.stack([i_BT / n_B1.clamp(min=1), j_BT / m_B1.clamp(min=1), ahead_BT], -1)


def places(n_B: Tensor, m_B: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Where the residues of each sequence stand in the source, and its separator after them, [B, N] and [B, M]."""
    ahead_N, ahead_M = (torch.arange(int(x_B.max()) + 1, device=x_B.device) for x_B in (n_B, m_B))
    second_BM = n_B[:, None] + 1 + torch.minimum(ahead_M, m_B[:, None])
    return torch.minimum(ahead_N, n_B[:, None]), second_BM.clamp(max=most - 1)


def rows(x_BSD: Tensor, place_BT: Tensor) -> Tensor:
    """The vectors that stand there."""
    return x_BSD.gather(1, place_BT[..., None].expand(-1, -1, x_BSD.shape[2]))


def kind(token: Tensor) -> Tensor:
    """M, D or I as 0, 1 or 2; what is no column counts as M."""
    return (token == FIRST).long() + 2 * (token == SECOND).long()
