"""The [model] table: a Transformer or a recurrent encoder-decoder, told apart by `kind`."""

from __future__ import annotations

from typing import Literal

from core.config import AtLeast0, AtLeast1, Dropout, Impossible, config


@config
class TransformerConfig:
    kind: Literal["transformer"] = "transformer"
    width: AtLeast1 = 256
    heads: AtLeast1 = 4
    """Must divide the width."""
    encoder_layers: AtLeast1 = 3
    decoder_layers: AtLeast1 = 3
    inner: AtLeast1 = 1024
    """Width inside the feed-forward blocks."""
    activation: Literal["relu", "gelu", "swiglu"] = "relu"
    norm: Literal["layer", "rms"] = "layer"
    positions: Literal["sinusoidal", "rotary"] = "rotary"
    dropout: Dropout = 0.1
    """On embeddings and on every block's output; attention weights keep theirs (as Marian does)."""
    tie: Literal["auto", "all", "target", "none"] = "auto"
    """Share matrices between source embedding, target embedding and output: `auto` is `all` where the vocabulary is shared, else `target`."""

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise Impossible("heads", f"{self.heads} heads do not divide a width of {self.width}")
        if self.positions == "rotary" and (self.width // self.heads) % 2:
            raise Impossible("heads", f"rotary positions need an even width per head, not {self.width // self.heads}")


@config
class RNNConfig:
    kind: Literal["rnn"] = "rnn"
    cell: Literal["gru", "lstm"] = "gru"
    width: AtLeast1 = 256
    """Of embeddings, states and attention; the bidirectional encoder gives half of it to each direction."""
    encoder_layers: AtLeast1 = 1
    decoder_layers: AtLeast1 = 1
    attention: Literal["additive"] = "additive"
    dropout: Dropout = 0.1
    tie: Literal["auto", "all", "target", "none"] = "auto"

    def __post_init__(self) -> None:
        if self.width % 2:
            raise Impossible("width", f"{self.width} cannot be halved between the two directions of the encoder")


ModelConfig = TransformerConfig | RNNConfig
