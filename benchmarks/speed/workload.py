"""What is decoded to measure speed: models of two sizes with random weights, sources of mixed lengths, outputs of a forced length.

Sources have log-normal lengths (median 20, sigma 0.45: a mean of 22). Every batch is made to say as many tokens as its longest
source has, so that all engines do the same work: the end symbol, the unknown one and the last of the vocabulary, which
CTranslate2's converter takes for a pad, are made impossible by the model itself, and no engine needs an option for it. As in
Marian's models outputs begin with a vector of zeros.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

import torch

from benchmarks.marian import SHAPE, marian_shaped
from core.codec.regex import RegexTokenizer
from core.codec.types import BOS, EOS, UNK, Codecs
from core.model.config import TransformerConfig
from core.model.seq2seq import Seq2Seq

VOCABULARY = 8000
SIZES: dict[str, TransformerConfig] = {
    "S": replace(SHAPE, width=256, inner=1024, heads=8, encoder_layers=3, decoder_layers=3),
    "B": replace(SHAPE, width=512, inner=2048, heads=8, encoder_layers=6, decoder_layers=6),
    "tiny": replace(SHAPE, width=32, inner=64, heads=4, encoder_layers=1, decoder_layers=2),
}
"""Those of the anchors, and one for tests."""
NEVER = -1e4
"""On a logit; finite, for not every engine's quantisation bears an infinite one."""
LONGEST = 1024
"""Places that peers keep a table for."""


@dataclass(frozen=True, slots=True)
class Work:
    """Some batches, decoded one after the other in each turn."""

    beams: int
    sources: list[list[list[int]]]
    """Ids of each source of each batch, the end symbol last."""
    lengths: list[int]
    """Tokens that every output of a batch has."""

    @property
    def tokens(self) -> int:
        """That a turn gives out."""
        return sum(len(rows) * length for rows, length in zip(self.sources, self.lengths, strict=True))


def model(size: str, *, seed: int = 1) -> Seq2Seq:
    """The weights that all engines share."""
    words = VOCABULARY - UNK - 1
    codec = RegexTokenizer.fit([" ".join(f"w{n}" for n in range(words - 1))] * 2, r"\w+|\s")
    made = marian_shaped(SIZES[size], Codecs(source=codec, target=codec), seed=seed, end=0.0)
    with torch.no_grad():
        made.embedding.weight[BOS] = 0
        for token in (EOS, UNK, -1):
            made.head.bias[token] = NEVER
    return made


def work(beams: int, batch: int, *, batches: int, length: int = 0, symbols: int = 0, seed: int = 0) -> Work:
    """Sources are sorted within a batch, longest first; `length` tokens are said, or as many as the longest has.

    Where `symbols` is given, all sources have so many.
    """
    draw = random.Random(f"{seed} {batch}")
    sources = [
        sorted(
            ([draw.randrange(UNK + 1, VOCABULARY - 1) for _ in range(symbols or _length(draw))] for _ in range(batch)),
            key=len,
        )
        for _ in range(batches)
    ]
    sources = [[[*ids, EOS] for ids in reversed(rows)] for rows in sources]
    return Work(beams, sources, [length or len(rows[0]) for rows in sources])


def _length(draw: random.Random) -> int:
    return min(max(round(20 * draw.lognormvariate(0.0, 0.45)), 3), 250)
