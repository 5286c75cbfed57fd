"""A Transformer's decoder whose step is one call of decoder.cpp, and a head that is another; all else is the model's own.

The state is a tree as in core/model/transformer.py, but a hypothesis knows the slots of its ancestors, so that attention costs what
the hypothesis has said and not what all have. Slots are written once; when a buffer is full, those in use move to a new one. A
state that somebody has gone on from gets a buffer of its own when it is gone on from again.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn

from core.model.seq2seq import Seq2Seq
from core.model.state import Memory, State
from core.model.transformer import TransformerDecoder, TransformerEncoder
from core.native.build import CannotBuild, library
from core.native.encoder import NativeEncoder, NativeLinear, Scratch, knows, shape_of, widest
from core.native.packed import LinearMap, Packer, Precision, QuantisedRows, StepOf
from core.nn.embedding import embed
from core.nn.layout import Layout
from core.nn.loss import FIRST
from core.nn.output import Head, Remembered
from core.nn.places import Places
from core.nn.positions import rotation, sinusoids
from core.nn.transformer import DecoderBlock, Looks

# B batch, K hypotheses, S source, T said by one, N slots of a source, D width, L layers, E 2 x keys of a token, V vocabulary

ROOM = 32
"""Steps that a new buffer has room for."""


def native(model: Seq2Seq, precision: Precision = "float32") -> Seq2Seq:
    """The same model for decoding: weights are packed as they are now. Raises CannotBuild; `refusal` says what else has to be."""
    if reason := refusal(model):
        raise CannotBuild(reason)
    functions = library()
    plain = type(model.head) is Head
    kind = ChoosingSeq2Seq if plain else Seq2Seq
    made = kind.__new__(kind)
    made.__dict__.update(model.__dict__)
    made._modules = dict(model._modules)  # pyright: ignore[reportPrivateUsage]
    if knows(model.encoder):
        made.encoder = NativeEncoder(cast(TransformerEncoder, model.encoder), functions, precision)
    made.decoder = NativeDecoder(cast(TransformerDecoder, model.decoder), functions, precision)
    if plain:
        made.head = NativeHead(model.head, functions, precision)
    return made


class ChoosingSeq2Seq(Seq2Seq):
    """One whose log-probabilities are nobody else's and hold nothing that is no number, and that chooses among them itself."""

    def choose(self, logp_BKV: Tensor, sum_BK: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """As `core.decode.candidates.best_candidates`."""
        return candidates(logp_BKV.float().contiguous(), sum_BK.double().contiguous())


def candidates(logp_BKV: Tensor, sum_BK: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Of candidates.hpp: sums, parents, tokens and log-probabilities [B, C], and who is stuck [B, K]."""
    B, K, V = logp_BKV.shape
    each = min(2 * K, V) if K > 1 else 1
    C = min(2 * K, K * each) if K > 1 else 1
    total_BC, logp_BC = sum_BK.new_empty((2, B, C))
    parent_BC, token_BC = torch.empty((2, B, C), dtype=torch.int64)
    stuck_BK = torch.empty((B, K), dtype=torch.bool)
    library().best_candidates(
        ctypes.c_void_p(logp_BKV.data_ptr()),
        ctypes.c_void_p(sum_BK.data_ptr()),
        *(ctypes.c_int64(n) for n in (B, K, V, each, C)),
        *(ctypes.c_void_p(x.data_ptr()) for x in (total_BC, parent_BC, token_BC, logp_BC, stuck_BK)),
    )
    return total_BC, parent_BC, token_BC, logp_BC, stuck_BK


def refusal(model: Seq2Seq) -> str:
    """Why this model has no native step; nothing where it has."""
    decoder = model.decoder
    if not isinstance(decoder, TransformerDecoder):
        return "only a Transformer's decoder has a native step"
    if decoder.places.kind in ("relative", "alibi"):
        return f"the native step knows no positions of kind {decoder.places.kind!r}"
    weight = next(decoder.parameters())
    if weight.device.type != "cpu" or weight.dtype != torch.float32:
        return "the native step is for float32 weights on a CPU"
    if any(isinstance(one, nn.Linear) and type(one) is not nn.Linear for one in decoder.modules()):
        return "the native step knows no adapters: merge them first"
    return ""


class NativeDecoder(nn.Module):
    """In place of a TransformerDecoder, for steps only."""

    def __init__(self, decoder: TransformerDecoder, functions: ctypes.CDLL, precision: Precision) -> None:
        super().__init__()
        blocks = list(cast(Iterable[DecoderBlock], decoder.blocks))
        first = blocks[0]
        heads, groups, _ = first.attention.heads
        self.function = functions.decoder_step
        self.places = decoder.places
        self.layers, self.width = len(blocks), decoder.places.width
        self.token = 2 * groups * first.attention.size
        packer = Packer(precision)
        self.maps = [NativeLinear(block.cross.memory, functions, packer) for block in blocks]
        self.shape = shape_of(blocks, decoder.norm, decoder.places, packer)
        self.most = widest(blocks)
        self.packer, self.heads, self.size = packer, heads, first.attention.size
        self.tables = tables(self.places, 64)
        self.scratch = Scratch()

    def cache(self, memory_BSD: Tensor, layout: Layout) -> dict[str, Tensor]:
        """Each layer's keys and values of the memory, side by side."""
        made = {f"{n}.both": one(memory_BSD) for n, one in enumerate(self.maps)}
        return made | {"lengths": layout.lengths.to(torch.int32)}

    def start(self, memory: Memory, beams: int) -> State:
        """Nothing said yet."""
        B = len(memory.cache["lengths"])
        none_B = torch.zeros(B, dtype=torch.int64)
        return {
            "tree": torch.empty((B, self.layers, ROOM * beams, self.token)),
            "ancestor": torch.empty((B, beams, 0), dtype=torch.int32),
            "said": none_B,
            "used": none_B,
            "filled": none_B.clone(),
        }

    def step(self, x_BKD: Tensor, memory: Memory, state: State, *, across: Looks | None = None) -> tuple[Tensor, State]:
        """One more token of each hypothesis."""
        if across is not None:
            raise NotImplementedError("the native step does not say where it looks")
        B, K, _ = x_BKD.shape
        said, used = int(state["said"][0]), int(state["used"][0])
        if used + K > state["tree"].shape[2] or int(state["filled"][0]) != used:
            state = roomy(state, K, said)
            used = int(state["used"][0])
        tree_BLNE, ancestor_BKT = state["tree"], state["ancestor"]
        if K > 1:
            slot_1K1 = torch.arange(used, used + K, dtype=torch.int32)[None, :, None]
            ancestor_BKT = torch.cat([ancestor_BKT, slot_1K1.expand(B, K, 1)], 2)
        if said >= len(self.tables[0]):
            self.tables = tables(self.places, 2 * said)
        places = self.tables  # held here: another thread may have put greater ones in their place
        turning = self.places.kind == "rotary"
        x_BKD = x_BKD.clone(memory_format=torch.contiguous_format) if turning else x_BKD + places[0][said]
        S = memory.cache["0.both"].shape[1]
        scratch, bytes_, scales = self._scratch(B * K, max(S, said + 1))
        known = (ctypes.c_void_p * self.layers)(*(memory.cache[f"{n}.both"].data_ptr() for n in range(self.layers)))
        turn = [x[said].data_ptr() for x in places] if turning else [None, None]
        step = StepOf(
            B,
            K,
            said,
            tree_BLNE.shape[2],
            S,
            used,
            x_BKD.data_ptr(),
            tree_BLNE.data_ptr(),
            ancestor_BKT.data_ptr() if K > 1 else None,
            ctypes.addressof(known),
            memory.cache["lengths"].data_ptr(),
            *turn,
            scratch.data_ptr(),
            self.most,
            QuantisedRows(bytes_.data_ptr(), scales.data_ptr()),
        )
        self.function(ctypes.byref(self.shape), ctypes.byref(step))
        state["filled"].fill_(used + K)
        grown = {"tree": tree_BLNE, "ancestor": ancestor_BKT, "filled": state["filled"]}
        return x_BKD, grown | {"said": state["said"] + 1, "used": state["used"] + K}

    def select(self, state: State, parent_BK: Tensor) -> State:
        """The new hypothesis descends from what its parent descended from."""
        ancestor_BKT = state["ancestor"]
        if parent_BK.shape[1] == 1:
            return state
        index_BKT = parent_BK[..., None].expand(-1, -1, ancestor_BKT.shape[2])
        return {**state, "ancestor": ancestor_BKT.gather(1, index_BKT)}

    def _scratch(self, rows: int, longest: int) -> tuple[Tensor, Tensor, Tensor]:
        return self.scratch(3 * rows * self.most + self.heads * longest, rows * (self.most + 3), rows)


def roomy(state: State, beams: int, said: int) -> State:
    """The same with room for more: what no hypothesis descends from stays behind, the rest keeps its order."""
    tree_BLNE, ancestor_BKT = state["tree"], state["ancestor"]
    if beams == 1:
        kept_BLME = tree_BLNE[:, :, :said]
    else:
        alive_BN = torch.zeros((len(tree_BLNE), max(int(state["used"][0]), 1)), dtype=torch.bool)
        index_BX = ancestor_BKT.flatten(1).long()
        alive_BN.scatter_(1, index_BX, torch.ones_like(index_BX, dtype=torch.bool))
        most = int(alive_BN.sum(1).max())
        index_BM = alive_BN.to(torch.uint8).sort(dim=1, descending=True, stable=True).indices[:, :most]
        _, layers, _, width = tree_BLNE.shape
        kept_BLME = tree_BLNE.gather(2, index_BM[:, None, :, None].expand(-1, layers, -1, width))
        place_BN = alive_BN.cumsum(1, dtype=torch.int32) - 1
        ancestor_BKT = place_BN.gather(1, index_BX).view(ancestor_BKT.shape)
    B, L, M, E = kept_BLME.shape
    tree_BLNE = torch.empty((B, L, M + max(M, ROOM * beams), E))
    tree_BLNE[:, :, :M] = kept_BLME
    used_B = torch.full((B,), M)
    return {
        "tree": tree_BLNE,
        "ancestor": ancestor_BKT,
        "said": state["said"],
        "used": used_B,
        "filled": used_B.clone(),
    }


def tables(places: Places, rows: int) -> tuple[Tensor, ...]:
    """What is added to the words at each place [rows, D], or the cosines and sines of their rotation."""
    position_1T = torch.arange(rows)[None]
    match places.kind:
        case "rotary":
            cosine, sine = rotation(position_1T, places.width // places.heads, torch.float32)
            return cosine[0, 0].contiguous(), sine[0, 0].contiguous()
        case "sinusoidal":
            return (sinusoids(position_1T, places.width, torch.float32)[0],)
        case "learned":
            last = places.learned.num_embeddings - 1
            return (embed(position_1T.clamp(max=last), places.learned).detach()[0],)
        case _:
            raise NotImplementedError(places.kind)


class NativeHead(Head):
    """Log-probabilities of the plain head."""

    def __init__(self, head: Head, functions: ctypes.CDLL, precision: Precision) -> None:
        nn.Module.__init__(self)
        self.borrowed, self.bias, self.function = head.borrowed, head.bias, functions.head_logp
        if head.borrowed is None:
            self.matrix = head.matrix
        self.packer = Packer(precision)
        self.map: LinearMap = self.packer.linear(head.weight, head.bias)
        self.scratch = threading.local()

    def logp(self, hidden: Tensor, memory: Remembered) -> Tensor:
        """As there."""
        hidden = hidden.contiguous()
        rows = hidden.numel() // hidden.shape[-1]
        held: tuple[Tensor, Tensor] | None = getattr(self.scratch, "held", None)
        if held is None or len(held[1]) < rows:
            held = (torch.empty(rows * (hidden.shape[-1] + 3), dtype=torch.uint8), torch.empty(rows))
            self.scratch.held = held
        out = torch.empty((*hidden.shape[:-1], self.map.outputs))
        quantised = QuantisedRows(held[0].data_ptr(), held[1].data_ptr())
        self.function(
            ctypes.byref(self.map),
            ctypes.c_void_p(hidden.data_ptr()),
            ctypes.c_int64(rows),
            ctypes.c_int64(FIRST),
            ctypes.byref(quantised),
            ctypes.c_void_p(out.data_ptr()),
        )
        return out
