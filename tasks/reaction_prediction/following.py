"""Where in the source an answer has arrived: most of it is copied from there, and the decoder is told what would come next."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.codec.types import BOS, EOS
from core.model.features import TOLD
from core.model.said import Said
from core.model.state import Memory, State
from core.nn.layout import Layout

# B batch, K hypotheses, S source, E source and its end, T target, D width, F features, V vocabulary, N counted up to

SURE = 3
"""So many tokens in a row must be the same elsewhere in the source for the reading place to go there."""
COUNTED = 8
"""Tokens in a row that are told apart, of those that were followed and of those that were not."""
SAID = 2.0
"""Logits of the next symbols, to begin with."""


class Following:
    """A recipe: each model makes its own."""

    def __init__(self, vocabulary: int) -> None:
        self.vocabulary = vocabulary

    def make(self, model_width: int) -> FollowedSource:
        """With an embedding of the symbols that come next."""
        return FollowedSource(self.vocabulary, model_width)


class Place(NamedTuple):
    """Of each hypothesis."""

    near_BK: Tensor
    """The symbol that comes next where the source is being followed."""
    best_BK: Tensor
    """The one after the longest run that ends the answer so far."""
    run_BK: Tensor
    """How long that run is."""
    lost_BK: Tensor
    """Tokens since the source was last followed."""


class FollowedSource(nn.Module):
    """Encoder states and symbols at two places of the source, which the answer so far determines, and how sure they are.

    One place moves on with each token that is the source's own, waits while others come, and goes where SURE tokens in a
    row lead; the other is after the longest run of the source's tokens that the answer ends with, the nearest of equals.
    """

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.word = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.word.weight, std=width**-0.5)

    def width(self, model_width: int) -> int:
        """Two states, two symbols, two counts."""
        return 4 * model_width + 2 * COUNTED

    def begin(self, said: Said, word_VD: Tensor) -> None:
        """The symbols at both places are likelier from the first step on."""
        with torch.no_grad():
            D = word_VD.shape[1]
            self.word.weight.copy_(torch.linalg.pinv(word_VD.detach()).T * SAID)
            said.past.weight[:, 2 * D : 3 * D] = torch.eye(D)
            said.past.weight[:, 3 * D : 4 * D] = torch.eye(D)

    def cache(self, hidden_BSD: Tensor, layout: Layout, source: Tensor) -> dict[str, Tensor]:
        """Symbols and states with an end behind the last; pads are ends too."""
        real_BS = layout.mask_BS
        ids_BE = F.pad(source.masked_fill(~real_BS, EOS), (0, 1), value=EOS)
        return {
            "ids": ids_BE,
            "states": F.pad(hidden_BSD * real_BS[..., None], (0, 0, 0, 1)),
            "length": real_BS.sum(-1),
        }

    def start(self, memory: Memory, beams: int) -> State:
        """At the beginning."""
        ids_BE = memory.cache[TOLD + "ids"]
        zero_BK = ids_BE.new_zeros((ids_BE.shape[0], beams))
        return {"near": zero_BK, "lost": zero_BK, "runs": zero_BK[..., None].expand(-1, -1, ids_BE.shape[1]).clone()}

    def step(self, state: State, token_BK: Tensor, memory: Memory) -> tuple[State, Tensor]:
        """One token further."""
        state, place = moved(state, token_BK, memory.cache[TOLD + "ids"], memory.cache[TOLD + "length"])
        return state, self.at(place, memory)

    def teacher_forced(self, given_BT: Tensor, memory: Memory) -> Tensor:
        """As stepping finds them, looked up all at once."""
        state, places = self.start(memory, 1), list[Place]()
        for token_B in given_BT.unbind(1):
            state, place = moved(state, token_B[:, None], memory.cache[TOLD + "ids"], memory.cache[TOLD + "length"])
            places.append(place)
        return self.at(Place(*(torch.cat(parts, 1) for parts in zip(*places, strict=True))), memory)

    def at(self, place: Place, memory: Memory) -> Tensor:
        """The features of places [B, K] (or [B, T])."""
        ids_BE, states_BED = memory.cache[TOLD + "ids"], memory.cache[TOLD + "states"]
        row_B1 = torch.arange(ids_BE.shape[0], device=ids_BE.device)[:, None]
        counts = (F.one_hot(count.clamp(max=COUNTED - 1), COUNTED) for count in (place.run_BK, place.lost_BK))
        known = [
            states_BED[row_B1, place.near_BK],
            states_BED[row_B1, place.best_BK],
            self.word(ids_BE[row_B1, place.near_BK]),
            self.word(ids_BE[row_B1, place.best_BK]),
        ]
        return torch.cat([*known, *(count.to(known[0].dtype) for count in counts)], -1)


def moved(state: State, token_BK: Tensor, ids_BE: Tensor, length_B: Tensor) -> tuple[State, Place]:
    """The places after one more token."""
    near_BK, runs_BKE = state["near"], state["runs"]
    ids_B1E = ids_BE[:, None]
    runs_BKE = (F.pad(runs_BKE[..., :-1], (1, 0)) + 1) * (ids_B1E == token_BK[..., None])
    longest_BK = runs_BKE.amax(-1)

    after_E = torch.arange(1, ids_BE.shape[1] + 1, device=ids_BE.device)
    ahead_BKE = after_E - near_BK[..., None]
    far_BKE = 2 * ahead_BKE.abs() + (ahead_BKE < 0)
    far_BKE = far_BKE.masked_fill(runs_BKE < longest_BK[..., None], 4 * ids_BE.shape[1])
    best_BK = torch.where(longest_BK > 0, far_BKE.argmin(-1) + 1, near_BK)

    row_B1 = torch.arange(ids_BE.shape[0], device=ids_BE.device)[:, None]
    followed_BK = ids_BE[row_B1, near_BK] == token_BK
    near_BK = torch.where(followed_BK, near_BK + 1, torch.where(longest_BK >= SURE, best_BK, near_BK))
    near_BK, best_BK = torch.minimum(near_BK, length_B[:, None]), torch.minimum(best_BK, length_B[:, None])
    begun_BK = followed_BK | (longest_BK >= SURE) | (token_BK == BOS)
    lost_BK = (state["lost"] + 1).masked_fill(begun_BK, 0)
    return {"near": near_BK, "lost": lost_BK, "runs": runs_BKE}, Place(near_BK, best_BK, longest_BK, lost_BK)
