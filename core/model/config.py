"""The [model] table: a Transformer, a recurrent or a convolutional encoder-decoder, told apart by `kind`.

What stands on the encoder is the same for all: see heads.py for what goes together.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

from core.config import AtLeast0, AtLeast1, Dropout, Impossible, Share, config
from core.data.answerable import Head
from core.data.copying import Copying
from core.model.heads import check_heads, copying


@config
class TransformerConfig:
    """An encoder-decoder of attention blocks (Vaswani et al., 2017)."""

    LACKS: ClassVar[dict[str, str]] = {
        **dict.fromkeys(("attention", "attention_heads", "attention_window"), "every block has attention: model.heads"),
        **dict.fromkeys(("cell", "bridge", "feeding", "bidirectional", "reverse_source"), "it has no cells"),
    }
    """Keys of other kinds, and why they are none of this one."""

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
    encoder: Literal["transformer", "conformer", "bert"] = "transformer"
    """Blocks of the encoder; a Conformer's have a convolution and two half feed-forward steps as well (Gulati et al., 2020). `bert`
    is of the shape of published ones (Devlin et al., 2019; train.init_encoder): post-norm, learned positions, GELU, biases."""
    kernel: AtLeast1 = 15
    """Symbols or frames that a Conformer's convolution sees; odd."""
    encoder_width: AtLeast0 = 0
    """Of source embeddings and inside the encoder, whose states are then mapped to `width`; 0: as `width`."""
    encoder_heads: AtLeast0 = 0
    """Must divide the encoder's width; 0: as `heads`."""
    encoder_inner: AtLeast0 = 0
    """Inside the encoder's feed-forward blocks; 0: as `inner`."""
    kv_heads: AtLeast0 = 0
    """Heads of keys and values, each for as many heads of queries: 1 is multi-query (Shazeer, 2019), between is
    grouped-query attention (Ainslie et al., 2023); 0: as `heads`."""
    encoder_window: AtLeast0 = 0
    """Symbols of the source see others at most so many places away, at a cost linear in its length (Beltagy et al., 2020); 0: all."""
    global_symbols: AtLeast0 = 0
    """With a window: so many symbols at the source's beginning see all and are seen by all."""
    norm: Literal["layer", "rms"] = "layer"
    """LayerNorm (Ba et al., 2016) or RMSNorm (Zhang & Sennrich, 2019)."""
    norm_place: Literal["pre", "post"] = "pre"
    """Before each part of a block and at the end (Xiong et al., 2020), or after each sum (Vaswani et al., 2017)."""
    positions: Literal["sinusoidal", "learned", "rotary", "relative", "alibi"] = "rotary"
    """Added to the embeddings, computed or learned; turned into queries and keys (Su et al., 2021); or a bias on the scores,
    learned by distance (Raffel et al., 2020) or linear in it (Press et al., 2022; here in both directions on the source)."""
    learned_positions: AtLeast1 = 1024
    """Places that `learned` tells apart; those further on are taken for the last."""
    dropout: Dropout = 0.1
    """On embeddings and on every block's output; attention weights keep theirs (as Marian does)."""
    layer_drop: Dropout = 0.0
    """Probability by which training leaves out a block, for a whole batch (Fan et al., 2020)."""
    tie: Literal["auto", "all", "target", "embeddings", "none"] = "auto"
    """Matrices that are one: source embedding, target embedding and output (`all`), target embedding and output (`target`) or
    both embeddings. `auto` is `all` where there is one vocabulary and one width, else `target`."""
    subsample: Literal[1, 2, 4, 8] = 1
    """Frames as source: so many become one, by convolutions before the encoder."""
    ctc: Share = 0.0
    """Weight of a CTC head on the encoder in the loss, the decoder's weight being the rest (Watanabe et al., 2017); 0: none."""
    copy: bool = False
    """Say words of the source, unknown ones too, by pointing at them (a pointer-generator head)."""
    head: Head = "words"
    """What stands on the encoder (docs/heads.md): a decoder that says `words`, or points at places of the source (`pointer`;
    Vinyals et al., 2015); no decoder but one `class` of the whole source, or one tag for each of its symbols (`tags`); or all
    words at once (`parallel`), none of them knowing of the others. For CTC alone set ctc = 1."""
    queries: AtLeast1 = 64
    """`parallel`: so many places have a learned query each; what stands further on is read off the last."""
    coverage: bool = False
    """Attention knows how much it has looked at each place so far (See et al., 2017): a recurrent decoder's, and that of copying
    or pointing."""

    def __post_init__(self) -> None:
        check_heads(self, looks=False)
        if self.kernel % 2 == 0:
            raise Impossible("kernel", f"{self.kernel} has no middle; use {self.kernel + 1}")
        if self.encoder == "conformer" and self.norm_place == "post":
            raise Impossible("norm_place", "a Conformer's blocks have their norms before each part: use 'pre'")
        if self.encoder == "bert" and (self.encoder_window or self.kv_heads):
            key = "encoder_window" if self.encoder_window else "kv_heads"
            raise Impossible(
                key, "an encoder of BERT's shape has full attention and as many heads of keys as of queries: use 0"
            )
        if self.global_symbols and not self.encoder_window:
            raise Impossible("global_symbols", "all symbols see all others already: they are for an encoder_window")
        own = self.encoder_width or self.width, self.encoder_heads or self.heads
        sides = (("heads", self.width, self.heads), ("encoder_heads" if self.encoder_heads else "heads", *own))
        for key, width, heads in sides:
            if width % heads:
                raise Impossible(key, f"{heads} heads do not divide a width of {width}")
            if self.positions == "rotary" and (width // heads) % 2:
                raise Impossible(key, f"rotary positions need an even width per head, not {width // heads}")
            if self.kv_heads and heads % self.kv_heads:
                raise Impossible("kv_heads", f"{self.kv_heads} heads of keys cannot serve {heads} heads evenly")

    @property
    def copies(self) -> Copying:
        """What batches are to tell of the source's words."""
        return copying(self)

    @property
    def groups(self) -> int:
        """Heads of keys and values."""
        return self.kv_heads or self.heads

    def of_encoder(self) -> TransformerConfig:
        """With the encoder's sizes as the model's."""
        heads, inner = self.encoder_heads or self.heads, self.encoder_inner or self.inner
        return replace(self, width=self.encoder_width or self.width, heads=heads, inner=inner)


@config
class RNNConfig:
    """A recurrent encoder-decoder (Cho et al., 2014; Sutskever et al., 2014), with attention (Bahdanau et al., 2015) or without."""

    LACKS: ClassVar[dict[str, str]] = {
        **dict.fromkeys(("positions", "learned_positions"), "cells know a place by what they have read before it"),
        **dict.fromkeys(("encoder_window", "global_symbols", "kv_heads"), "its encoder has no attention to change"),
        **dict.fromkeys(
            ("heads", "encoder_heads"), "its attention has heads only as multi_head: model.attention_heads"
        ),
        **dict.fromkeys(("norm", "norm_place"), "its layers are cells without norms"),
        **dict.fromkeys(("inner", "encoder_inner", "activation"), "its layers have no feed-forward blocks"),
        **dict.fromkeys(("encoder", "kernel"), "its encoder is made of cells"),
        "layer_drop": "what a cell carries goes through every layer",
    }
    """Keys of other kinds, and why they are none of this one."""

    kind: Literal["rnn"] = "rnn"
    cell: Literal["gru", "lstm", "rnn"] = "gru"
    """The recurrent unit, of encoder and decoder alike: gated (Cho et al., 2014), with a memory cell (Hochreiter & Schmidhuber,
    1997), or plain (Elman, 1990)."""
    width: AtLeast1 = 256
    """Of embeddings, states and attention; the bidirectional encoder gives half of it to each direction."""
    encoder_width: AtLeast0 = 0
    """Of source embeddings and inside the encoder, whose states are then mapped to `width`; 0: as `width`."""
    encoder_layers: AtLeast1 = 1
    """Layers that read the source."""
    bidirectional: bool = True
    """Read the source from both ends (Schuster & Paliwal, 1997)."""
    reverse_source: bool = False
    """Read the source from its end (Sutskever et al., 2014); for one direction only."""
    decoder_layers: AtLeast1 = 1
    """Layers of cells that write the target."""
    attention: Literal["none", "additive", "dot", "general", "scaled_dot", "multi_head"] = "additive"
    """How the decoder compares its state with the source (Bahdanau et al., 2015; Luong et al., 2015; Vaswani et al., 2017);
    `none`: one vector of the whole source is all it gets, the same at every step (Cho et al., 2014)."""
    attention_heads: AtLeast1 = 4
    """Of `multi_head`; must divide the width."""
    attention_window: AtLeast0 = 0
    """Look no further than so many places from where the last look was, and never go back (after Chorowski et al., 2015); 0: anywhere."""
    feeding: Literal["context", "output", "none"] = "context"
    """What the cells read beside the last word: what attention found last (Bahdanau et al., 2015), the last output vector
    (Luong et al., 2015: input feeding), or nothing; with `attention = "none"` this leaves the first state alone to tell of the
    source (Sutskever et al., 2014)."""
    bridge: Literal["mean", "last", "zero"] = "mean"
    """The first state: a layer's map of the mean of the encoder's states, or of its last ones (of both directions); or zeros."""
    dropout: Dropout = 0.1
    """On embeddings, between layers and before the output."""
    tie: Literal["auto", "all", "target", "embeddings", "none"] = "auto"
    """Matrices that are one among source embedding, target embedding and output, as for the Transformer."""
    subsample: Literal[1, 2, 4, 8] = 1
    """Frames as source: so many become one, by convolutions before the encoder."""
    ctc: Share = 0.0
    """Weight of a CTC head on the encoder in the loss, the decoder's weight being the rest (Watanabe et al., 2017); 0: none."""
    copy: bool = False
    """Say words of the source, unknown ones too, by pointing at them (a pointer-generator head)."""
    head: Head = "words"
    """What stands on the encoder (docs/heads.md): a decoder that says `words`, or points at places of the source (`pointer`;
    Vinyals et al., 2015); no decoder but one `class` of the whole source, or one tag for each of its symbols (`tags`); or all
    words at once (`parallel`), none of them knowing of the others. For CTC alone set ctc = 1."""
    queries: AtLeast1 = 64
    """`parallel`: so many places have a learned query each; what stands further on is read off the last."""
    coverage: bool = False
    """Attention knows how much it has looked at each place so far (See et al., 2017): a recurrent decoder's, and that of copying
    or pointing."""

    def __post_init__(self) -> None:
        if self.attention == "none" and (self.copy or self.head == "pointer"):
            key = "copy" if self.copy else "head"
            raise Impossible(key, "pointing at the source is attention, and attention = 'none' has none: choose one")
        check_heads(self, looks=self.attention != "none")
        if self.head == "parallel" and self.width % self.attention_heads:
            raise Impossible("attention_heads", f"{self.attention_heads} heads do not divide a width of {self.width}")
        key = "encoder_width" if self.encoder_width else "width"
        if self.bidirectional and self.reverse_source:
            raise Impossible("reverse_source", "both directions are read anyway: set bidirectional = false as well")
        if self.attention == "none" and self.attention_window:
            raise Impossible("attention_window", "there is no attention to narrow: choose one, or set the window to 0")
        if self.attention == "none" and self.feeding == "none" and self.bridge == "zero":
            raise Impossible(
                "bridge",
                "'zero' without attention and feeding: nothing tells the decoder of the source; use 'mean' or 'last'",
            )
        if self.attention == "multi_head" and self.width % self.attention_heads:
            raise Impossible("attention_heads", f"{self.attention_heads} heads do not divide a width of {self.width}")
        if self.bridge == "last" and self.encoder_width not in (0, self.width):
            raise Impossible("bridge", f"'last' needs an encoder as wide as the decoder: {self.width}; use 'mean'")
        if self.bidirectional and (self.encoder_width or self.width) % 2:
            raise Impossible(key, f"{getattr(self, key)} cannot be halved between the two directions of the encoder")

    @property
    def copies(self) -> Copying:
        """What batches are to tell of the source's words."""
        return copying(self)


@config
class ConvConfig:
    """A convolutional encoder-decoder with attention in every layer of the decoder (Gehring et al., 2017)."""

    LACKS: ClassVar[dict[str, str]] = {
        **dict.fromkeys(("encoder_window", "global_symbols"), "its encoder sees a window as it is: model.kernel"),
        **dict.fromkeys(("attention", "attention_heads", "attention_window"), "each of its layers has one attention"),
        **dict.fromkeys(("cell", "bridge", "feeding", "bidirectional", "reverse_source"), "it has no cells"),
        **dict.fromkeys(("norm", "norm_place"), "its layers have gates in place of norms"),
        **dict.fromkeys(("inner", "encoder_inner", "activation"), "its layers have no feed-forward blocks"),
    }
    """Keys of other kinds, and why they are none of this one."""

    kind: Literal["conv"] = "conv"
    width: AtLeast1 = 256
    """Of embeddings and hidden states."""
    kernel: AtLeast1 = 3
    """Symbols that a layer's window sees: around a place of the source, up to a place of the target; odd."""
    encoder_layers: AtLeast1 = 4
    """Convolutions that read the source: together they see `encoder_layers * (kernel - 1) + 1` symbols."""
    decoder_layers: AtLeast1 = 3
    """Convolutions that write the target, each with a look into the source."""
    heads: AtLeast1 = 1
    """Of the decoder's attention; must divide the width."""
    encoder_width: AtLeast0 = 0
    """Of source embeddings and inside the encoder, whose states are then mapped to `width`; 0: as `width`."""
    positions: Literal["sinusoidal", "learned", "none"] = "sinusoidal"
    """Added to the embeddings, computed or learned; without any a place is known by its neighbours alone."""
    learned_positions: AtLeast1 = 1024
    """Places that `learned` tells apart; those further on are taken for the last."""
    dropout: Dropout = 0.1
    """On embeddings and on the output of each convolution and each look."""
    tie: Literal["auto", "all", "target", "embeddings", "none"] = "auto"
    """Matrices that are one among source embedding, target embedding and output, as for the Transformer."""
    subsample: Literal[1, 2, 4, 8] = 1
    """Frames as source: so many become one, by convolutions before the encoder."""
    ctc: Share = 0.0
    """Weight of a CTC head on the encoder in the loss, the decoder's weight being the rest (Watanabe et al., 2017); 0: none."""
    copy: bool = False
    """Say words of the source, unknown ones too, by pointing at them (a pointer-generator head)."""
    head: Head = "words"
    """What stands on the encoder (docs/heads.md): a decoder that says `words`, or points at places of the source (`pointer`;
    Vinyals et al., 2015); no decoder but one `class` of the whole source, or one tag for each of its symbols (`tags`); or all
    words at once (`parallel`), none of them knowing of the others. For CTC alone set ctc = 1."""
    queries: AtLeast1 = 64
    """`parallel`: so many places have a learned query each; what stands further on is read off the last."""
    coverage: bool = False
    """Attention knows how much it has looked at each place so far (See et al., 2017): a recurrent decoder's, and that of copying
    or pointing."""

    def __post_init__(self) -> None:
        check_heads(self, looks=False)
        if self.kernel % 2 == 0:
            raise Impossible("kernel", f"{self.kernel} has no middle; use {self.kernel + 1}")
        if self.kernel == 1:
            raise Impossible("kernel", "a window of 1 sees no neighbours; use 3")
        if self.width % self.heads:
            raise Impossible("heads", f"{self.heads} heads do not divide a width of {self.width}")

    @property
    def copies(self) -> Copying:
        """What batches are to tell of the source's words."""
        return copying(self)


ModelConfig = TransformerConfig | RNNConfig | ConvConfig
