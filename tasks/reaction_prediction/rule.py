"""Brackets, rings and branches that close: an automaton beside the search. Valences are not its business."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from core.codec.types import EOS, SPECIALS
from core.data.batch import Batch
from core.model.state import State
from tasks.reaction_prediction.brackets import automaton

if TYPE_CHECKING:
    from tasks.reaction_prediction.codec import SmilesTokenizer

# B batch, K hypotheses, V vocabulary, P places, R ring numbers, D depth of branches

ATOMS = ("B", "C", "N", "O", "P", "S", "F", "Cl", "Br", "I", "b", "c", "n", "o", "p", "s", "*")
BONDS = ("-", "=", "#", "$", ":", "/", "\\", "~", "->", "<-")
RINGS = 100
DEPTH = 64
"""Branches within branches; a deeper one is not opened."""
NONE = -1
"""A ring that is not open; the parent of an atom that has none is one less."""


class Place(IntEnum):
    """What was read last, outside of brackets; numbers from INSIDE on are states of the automaton within."""

    START = 0
    ATOM = 1
    CLOSED = 2
    OPENED = 3
    RING_BOND = 4  # a bond after an atom: it may belong to a ring digit
    BOND = 5  # after a branch, or at its beginning
    DOT = 6
    INSIDE = 7


class Kind(IntEnum):
    """Of a token outside of brackets."""

    OTHER = 0
    ATOM = 1
    BOND = 2
    OPEN = 3
    CLOSE = 4
    DOT = 5
    LEFT = 6
    RING = 7
    END = 8


STARTS = (Place.START, Place.ATOM, Place.CLOSED, Place.OPENED, Place.RING_BOND, Place.BOND, Place.DOT)
"""Where an atom may stand."""
FOLLOWS: dict[Kind, dict[Place, Place]] = {
    Kind.ATOM: dict.fromkeys(STARTS, Place.ATOM),
    Kind.LEFT: dict.fromkeys(STARTS, Place.INSIDE),
    Kind.BOND: {Place.ATOM: Place.RING_BOND, Place.CLOSED: Place.BOND, Place.OPENED: Place.BOND},
    Kind.RING: {Place.ATOM: Place.ATOM, Place.RING_BOND: Place.ATOM},
    Kind.OPEN: {Place.ATOM: Place.OPENED, Place.CLOSED: Place.OPENED},
    Kind.CLOSE: {Place.ATOM: Place.CLOSED, Place.CLOSED: Place.CLOSED},
    Kind.DOT: {Place.ATOM: Place.DOT, Place.CLOSED: Place.DOT},
    Kind.END: {Place.ATOM: Place.ATOM, Place.CLOSED: Place.CLOSED},
}


class Tables(NamedTuple):
    """What does not depend on the hypothesis."""

    kind_V: Tensor
    ring_V: Tensor
    """The number of a ring token, else 0."""
    ring_token_R: Tensor
    next_PV: Tensor
    """The place after; the same one where the token is not legal."""
    legal_PV: Tensor
    inside_PV: Tensor
    """Characters that are still to come within brackets after a token; 0 outside."""


def tables(symbols: tuple[str, ...]) -> Tables:
    """Of a vocabulary."""
    bracket = automaton()
    V, P = len(SPECIALS) + len(symbols), Place.INSIDE + len(bracket.moves)
    kind, ring = [Kind.OTHER] * V, [0] * V
    kind[EOS] = Kind.END
    ids = {symbol: number for number, symbol in enumerate(symbols, start=len(SPECIALS))}
    for symbol, number in ids.items():
        kind[number] = kind_of(symbol)
        if kind[number] == Kind.RING:
            ring[number] = int(symbol.removeprefix("%"))
    next_PV = torch.arange(P)[:, None].repeat(1, V)
    legal_PV = torch.zeros(P, V, dtype=torch.bool)
    inside_PV = torch.zeros(P, V, dtype=torch.int64)
    for number, one in enumerate(kind):
        for before, after in FOLLOWS.get(one, {}).items():
            legal_PV[before, number], next_PV[before, number] = True, after
            if after == Place.INSIDE:
                inside_PV[before, number] = bracket.left[0]
    for state, row in enumerate(bracket.moves):
        for character, after in row.items():
            place, number = Place.INSIDE + state, ids[character]
            legal_PV[place, number] = True
            next_PV[place, number] = Place.ATOM if after < 0 else Place.INSIDE + after
            inside_PV[place, number] = 0 if after < 0 else bracket.left[after]
    token_R = [ids[str(number) if number < 10 else f"%{number}"] for number in range(RINGS)]
    return Tables(
        torch.tensor([int(one) for one in kind]),
        torch.tensor(ring),
        torch.tensor(token_R),
        next_PV,
        legal_PV,
        inside_PV,
    )


def kind_of(symbol: str) -> Kind:
    """Of one symbol, as it is outside of brackets."""
    if symbol in ATOMS or (len(symbol) > 1 and symbol[0] == "["):
        return Kind.ATOM
    if symbol in BONDS:
        return Kind.BOND
    if symbol.isdigit() or (symbol[0] == "%" and len(symbol) == 3):
        return Kind.RING
    return {"(": Kind.OPEN, ")": Kind.CLOSE, ".": Kind.DOT, "[": Kind.LEFT}.get(symbol, Kind.OTHER)


class SmilesRule:
    """Every answer that ends by itself is SMILES that can be parsed, and there is always time to close what is open.

    A ring closes on neither its own atom nor a neighbour of it, and no two between the same atoms. Stricter than the
    language: no ring digit after a branch, no dot within one or while a ring is open.
    """

    def __init__(self, codec: SmilesTokenizer) -> None:
        self.tables = tables(codec.symbols)

    def start(self, batch: Batch, beams: int = 1) -> State:
        """Nothing said, nothing open."""
        device = batch.source.device
        if self.tables.kind_V.device != device:
            self.tables = Tables(*(one.to(device) for one in self.tables))
        zero_BK = torch.zeros(batch.size, beams, dtype=torch.int64, device=device)
        return {
            "place": zero_BK + Place.START,
            "atoms": zero_BK,
            "atom": zero_BK - 2,
            "depth": zero_BK,
            "branch": zero_BK[..., None].expand(-1, -1, DEPTH).clone(),
            "opener": (zero_BK + NONE)[..., None].expand(-1, -1, RINGS).clone(),
            "barred": zero_BK[..., None].expand(-1, -1, RINGS) > 0,
        }

    def step(self, state: State, token_BK: Tensor, remaining_BK: Tensor) -> tuple[State, Tensor]:
        """Read a token, then say which may follow."""
        after = self.read(state, token_BK)
        return after, self.legal(after, remaining_BK)

    def read(self, state: State, token_BK: Tensor) -> State:
        """The state after one more token; a token that is not legal changes nothing of consequence."""
        place_BK, atoms_BK, atom_BK, depth_BK = (state[name] for name in ("place", "atoms", "atom", "depth"))
        branch_BKD, opener_BKR, barred_BKR = state["branch"], state["opener"], state["barred"]
        token_BK = token_BK.clamp(max=len(self.tables.kind_V) - 1)
        kind_BK = self.tables.kind_V[token_BK].masked_fill(place_BK >= Place.INSIDE, Kind.OTHER)
        kind_BK = kind_BK.masked_fill(~self.tables.legal_PV[place_BK, token_BK], Kind.OTHER)

        new_BK = (kind_BK == Kind.ATOM) | (kind_BK == Kind.LEFT)
        parent_BK = atom_BK.masked_fill(place_BK == Place.DOT, NONE - 1)
        barred_BKR = torch.where(new_BK[..., None], opener_BKR == parent_BK[..., None], barred_BKR)
        atom_BK, atoms_BK = torch.where(new_BK, atoms_BK, atom_BK), atoms_BK + new_BK

        # A ring digit opens, or closes and bars the other rings that the same atom opened.
        here_BKR = torch.arange(RINGS, device=token_BK.device) == self.tables.ring_V[token_BK][..., None]
        here_BKR = here_BKR & (kind_BK == Kind.RING)[..., None]
        open_BKR = opener_BKR != NONE
        partner_BK1 = opener_BKR.masked_fill(~(here_BKR & open_BKR), NONE - 1).amax(-1, keepdim=True)
        barred_BKR = barred_BKR | (here_BKR & ~open_BKR) | (opener_BKR == partner_BK1)
        opener_BKR = torch.where(
            here_BKR, torch.where(open_BKR, torch.full_like(opener_BKR, NONE), atom_BK[..., None]), opener_BKR
        )

        level_BKD = torch.arange(DEPTH, device=token_BK.device) == depth_BK[..., None]
        opens_BK, closes_BK = kind_BK == Kind.OPEN, kind_BK == Kind.CLOSE
        branch_BKD = torch.where(level_BKD & opens_BK[..., None], atom_BK[..., None], branch_BKD)
        atom_BK = torch.where(closes_BK, top(branch_BKD, depth_BK), atom_BK)
        return {
            "place": self.tables.next_PV[place_BK, token_BK],
            "atoms": atoms_BK,
            "atom": atom_BK,
            "depth": (depth_BK + opens_BK.long() - closes_BK.long()).clamp(0, DEPTH),
            "branch": branch_BKD,
            "opener": opener_BKR,
            "barred": barred_BKR,
        }

    def legal(self, state: State, remaining_BK: Tensor) -> Tensor:
        """Which tokens may follow, bool [B, K, V]: those after which there is still time to close everything."""
        place_BK, atom_BK, depth_BK = state["place"], state["atom"], state["depth"]
        opener_BKR, barred_BKR = state["opener"], state["barred"]
        open_BKR = opener_BKR != NONE
        legal_BKV = self.tables.legal_PV[place_BK]
        outside_BK = place_BK < Place.INSIDE
        ring_R = self.tables.ring_token_R
        legal_BKV[..., ring_R] &= ~(open_BKR & barred_BKR) | ~outside_BK[..., None]

        need_BKV = self.needed(state, place_BK, atom_BK, depth_BK, open_BKR)
        kind_V = self.tables.kind_V
        whole_BK = (depth_BK == 0) & ~open_BKR.any(-1)
        legal_BKV &= whole_BK[..., None] | ~((kind_V == Kind.END) | (kind_V == Kind.DOT))
        legal_BKV &= (depth_BK > 0)[..., None] | (kind_V != Kind.CLOSE)
        legal_BKV &= (depth_BK < DEPTH)[..., None] | (kind_V != Kind.OPEN)
        return legal_BKV & (need_BKV < remaining_BK[..., None])

    def needed(self, state: State, place_BK: Tensor, atom_BK: Tensor, depth_BK: Tensor, open_BKR: Tensor) -> Tensor:
        """How many more tokens would end it after each token, EOS included [B, K, V]; enough, and never rising by closing.

        With n rings open: a digit each, an atom between two digits, and atoms before the first one as long as all are
        barred: those opened by this atom and its parent. Rings opened by the present atom cost one atom more.
        """
        opener_BKR, barred_BKR = state["opener"], state["barred"]
        n_BK = open_BKR.sum(-1)
        some_BK, free_BK = n_BK > 0, (open_BKR & ~barred_BKR).any(-1)
        own_BK = (open_BKR & (opener_BKR == atom_BK[..., None])).sum(-1)
        elsewhere_BK = own_BK < n_BK
        base_BK = depth_BK + 1
        # At an atom that follows the present one.
        next_BK = torch.where(some_BK, 2 * n_BK - elsewhere_BK.long(), n_BK)
        above_BK = top(state["branch"], depth_BK)
        left_BK = (open_BKR & (opener_BKR != above_BK[..., None])).any(-1)
        closed_BK = torch.where(some_BK, 2 * n_BK + 1 - left_BK.long(), n_BK)
        opening_BK = 2 * n_BK + 2 + (~free_BK & ~elsewhere_BK).long()
        closing_BK = 2 * (n_BK - 1) + ((own_BK == n_BK - 1) & (n_BK > 1)).long()
        within_BK = torch.where(some_BK, 2 * n_BK - free_BK.long(), n_BK)
        zero_BK = torch.zeros_like(n_BK)
        by_kind = {
            Kind.OTHER: zero_BK,
            Kind.ATOM: next_BK + base_BK,
            Kind.BOND: next_BK + base_BK + 1,
            Kind.OPEN: next_BK + base_BK + 2,
            Kind.CLOSE: closed_BK + base_BK - 1,
            Kind.DOT: base_BK + 1,
            Kind.LEFT: next_BK + base_BK,
            Kind.RING: opening_BK + base_BK,
            Kind.END: zero_BK,
        }
        need_BKV = torch.stack([by_kind[kind] for kind in Kind], -1)[..., self.tables.kind_V]
        closing_BKR = (closing_BK + base_BK)[..., None].expand_as(open_BKR)
        ring_R = self.tables.ring_token_R
        need_BKV[..., ring_R] = torch.where(open_BKR, closing_BKR, need_BKV[..., ring_R])
        inside_BK1 = (place_BK >= Place.INSIDE)[..., None]
        need_BKV = torch.where(inside_BK1, (within_BK + base_BK)[..., None], need_BKV)
        return need_BKV + self.tables.inside_PV[place_BK]


def top(branch_BKD: Tensor, depth_BK: Tensor) -> Tensor:
    """The atom at which the innermost branch began."""
    return branch_BKD.gather(-1, (depth_BK - 1).clamp(min=0)[..., None])[..., 0]
