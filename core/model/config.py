"""The [model] table: a Transformer or a recurrent encoder-decoder, told apart by `kind`."""

from __future__ import annotations

from typing import Literal

from core.config import AtLeast1, Dropout, Impossible, Share, config


@config
class TransformerConfig:
    """An encoder-decoder of attention blocks (Vaswani et al., 2017), pre-norm."""

    kind: Literal["transformer"] = "transformer"
    width: AtLeast1 = 256
    """Of embeddings and hidden states."""
    heads: AtLeast1 = 4
    """Must divide the width."""
    encoder_layers: AtLeast1 = 3
    """Blocks that read the source."""
    decoder_layers: AtLeast1 = 3
    """Blocks that write the target."""
    inner: AtLeast1 = 1024
    """Width inside the feed-forward blocks."""
    activation: Literal["relu", "gelu", "swiglu"] = "relu"
    """Inside the feed-forward blocks; `swiglu` has a gate, and so a third matrix."""
    norm: Literal["layer", "rms"] = "layer"
    """LayerNorm or RMSNorm, before each block and at the end."""
    positions: Literal["sinusoidal", "rotary"] = "rotary"
    """Added to the embeddings, or turned into queries and keys."""
    dropout: Dropout = 0.1
    """On embeddings and on every block's output; attention weights keep theirs (as Marian does)."""
    tie: Literal["auto", "all", "target", "none"] = "auto"
    """Share matrices between source embedding, target embedding and output: `auto` is `all`
    where the vocabulary is shared, else `target`."""
    subsample: Literal[1, 2, 4, 8] = 1
    """Frames as source: so many become one, by convolutions before the encoder."""
    ctc: Share = 0.0
    """Weight of a CTC head on the encoder in the loss, the decoder's weight being the rest (Watanabe et al., 2017); 0: none."""
    copy: bool = False
    """Say words of the source, unknown ones too, by pointing at them (a pointer-generator head)."""

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise Impossible("heads", f"{self.heads} heads do not divide a width of {self.width}")
        if self.positions == "rotary" and (self.width // self.heads) % 2:
            raise Impossible("heads", f"rotary positions need an even width per head, not {self.width // self.heads}")


@config
class RNNConfig:
    """A recurrent encoder-decoder with attention (Bahdanau et al., 2015)."""

    kind: Literal["rnn"] = "rnn"
    cell: Literal["gru", "lstm"] = "gru"
    """The recurrent unit, of encoder and decoder alike."""
    width: AtLeast1 = 256
    """Of embeddings, states and attention; the bidirectional encoder gives half of it to each direction."""
    encoder_layers: AtLeast1 = 1
    """Bidirectional layers that read the source."""
    decoder_layers: AtLeast1 = 1
    """Layers of cells that write the target."""
    attention: Literal["additive"] = "additive"
    """How the decoder looks at the source."""
    dropout: Dropout = 0.1
    """On embeddings, between layers and before the output."""
    tie: Literal["auto", "all", "target", "none"] = "auto"
    """Share matrices between source embedding, target embedding and output, as for the Transformer."""
    subsample: Literal[1, 2, 4, 8] = 1
    """Frames as source: so many become one, by convolutions before the encoder."""
    ctc: Share = 0.0
    """Weight of a CTC head on the encoder in the loss, the decoder's weight being the rest (Watanabe et al., 2017); 0: none."""
    copy: bool = False
    """Say words of the source, unknown ones too, by pointing at them (a pointer-generator head)."""

    def __post_init__(self) -> None:
        if self.width % 2:
            raise Impossible("width", f"{self.width} cannot be halved between the two directions of the encoder")


ModelConfig = TransformerConfig | RNNConfig
