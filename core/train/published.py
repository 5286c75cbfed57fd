"""A published encoder into a model: weights of the shape of BERT from a safetensors file (`train.init_encoder`).

The file's names, `bert.` before them or not, and what they become here (D the encoder's width, n a layer):

    embeddings.word_embeddings                        the source's embeddings, divided by sqrt(D), row by row (below)
    embeddings.position_embeddings                    encoder.places, divided by sqrt(D)
    embeddings.token_type_embeddings                  front.segment, the first rows
    embeddings.LayerNorm                              encoder.norm
    encoder.layer.n.attention.self.query, key, value  encoder.blocks.n.query_key_value, one below the other
    encoder.layer.n.attention.output.dense            encoder.blocks.n.attention_output
    encoder.layer.n.attention.output.LayerNorm        encoder.blocks.n.attention_norm
    encoder.layer.n.intermediate.dense                encoder.blocks.n.inner
    encoder.layer.n.output.dense                      encoder.blocks.n.output
    encoder.layer.n.output.LayerNorm                  encoder.blocks.n.norm
    pooler.*, cls.*, embeddings.position_ids          left out: no part of the encoder

Any other name, one that is missing, and any other shape is an error. Where vocab.txt lies beside the file (a symbol a line) rows
are found by the symbol's label, [PAD], [CLS], [SEP] and [UNK] being our pad, beginning, end and unknown; symbols that it lacks
begin anew. Without it the vocabularies must be of one size, and rows are taken by number. Where config.json lies there, heads and
activation, which no shape tells, are compared with it.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from torch import Tensor, nn

from core.codec.types import SPECIALS, Codecs, Tokenizer
from core.errors import ConfigError, DataError
from core.model.bert import BertBlock, BertEncoder
from core.model.front import SymbolFront
from core.model.seq2seq import Seq2Seq

# V vocabulary, D width

LEFT_OUT = re.compile(r"pooler\.|cls\.|embeddings\.position_ids$")
LONGEST_HEADER = 1 << 20
"""Of a safetensors file: an encoder has some hundred tensors, each of which takes a line of it."""
OLD_NAMES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
OUR_SPECIALS = ("[PAD]", "[CLS]", "[SEP]", "[UNK]")
"""What the first ids are called in a vocab.txt, in the order of ours."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What was found, for run.json."""

    file: str
    sha256: str
    layers: int
    symbols: int
    """Of the source's vocabulary, so many have their embedding from the file."""
    fresh: tuple[str, ...]
    """Labels of the others."""

    def said(self, size: int) -> str:
        """For people."""
        line = f"encoder begun from {self.file}: {self.layers} layers, {self.symbols} of {size} symbols"
        few = ", ".join(map(repr, self.fresh[:4]))
        return line + (f"; anew: {few}{' ...' if len(self.fresh) > 4 else ''}" if self.fresh else "")


def take_encoder(model: Seq2Seq, codecs: Codecs, name: str) -> Taken:
    """Put the file's weights into the encoder and the source's embeddings."""
    key = f"train.init_encoder = {name!r}"
    if not isinstance(model.encoder, BertEncoder):
        raise ConfigError(f'{key}: such weights fit an encoder of their shape alone: set model.encoder = "bert"')
    if not isinstance(model.front, SymbolFront) or not isinstance(codecs.source, Tokenizer):
        raise ConfigError(f"{key}: this task's sources are frames; the file's encoder reads symbols")
    path = Path(name) / "model.safetensors" if Path(name).is_dir() else Path(name)
    held, sha256 = read(path, key)
    try:
        check_shape(model.encoder, held, beside(path, "config.json", key), key)
        row_V = rows(codecs.source, held["embeddings.word_embeddings.weight"], path, key)
        fill(dict(wanted(model.encoder, model.front)), held, key)
    except KeyError as error:
        raise DataError(f"{key}: it has no tensor {error.args[0]!r}; it is not of BERT's shape") from None
    known_V, table = row_V >= 0, model.front.table.weight
    with torch.no_grad():
        found = held["embeddings.word_embeddings.weight"][row_V[known_V]] / math.sqrt(table.shape[1])
        table[known_V.to(table.device)] = found.to(table)
    fresh = tuple(codecs.source.label(token) for token in (~known_V).nonzero()[:, 0].tolist())
    return Taken(name, sha256, len(model.encoder.blocks), int(known_V.sum()), fresh)


def say(taken: Taken, codecs: Codecs) -> dict[str, Any]:
    """On standard error; what run.json says of it."""
    size = codecs.source.size if isinstance(codecs.source, Tokenizer) else 0
    print(taken.said(size), file=sys.stderr)
    return {
        "file": taken.file,
        "sha256": taken.sha256,
        "layers": taken.layers,
        "symbols": taken.symbols,
        "fresh": len(taken.fresh),
    }


def read(path: Path, key: str) -> tuple[dict[str, Tensor], str]:
    """The tensors under their plain names, in float32, and the file's digest."""
    try:
        whole = path.read_bytes()
        if (header := int.from_bytes(whole[:8], "little")) > LONGEST_HEADER:
            raise DataError(f"{key}: {path}: a header of {header:,} bytes; at most {LONGEST_HEADER:,} are right")
        held = parse_tensors(whole)
    except (OSError, SafetensorError) as error:
        raise DataError(f"{key}: {' '.join(str(error).split())}") from None
    plain: dict[str, Tensor] = {}
    for name, tensor in held.items():
        for old, new in OLD_NAMES.items():
            name = name.replace(old, new)
        plain[name.removeprefix("bert.")] = tensor.to(torch.float32)
    kept = {name: tensor for name, tensor in plain.items() if not LEFT_OUT.match(name)}
    return kept, hashlib.sha256(whole).hexdigest()


def beside(path: Path, name: str, key: str) -> Mapping[str, Any]:
    """A JSON file in the same folder; empty where there is none."""
    try:
        tree = json.loads((path.parent / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{key}: {path.parent / name}: {error}") from None
    if not isinstance(tree, dict):
        raise DataError(f"{key}: {path.parent / name}: not a JSON object")
    return tree


def check_shape(encoder: BertEncoder, held: Mapping[str, Tensor], cfg: Mapping[str, Any], key: str) -> None:
    """The sizes that a config can set, told by the names of its keys."""
    places, width = held["embeddings.position_embeddings.weight"].shape
    layers = 1 + max((int(name.split(".")[2]) for name in held if name.startswith("encoder.layer.")), default=-1)
    inner = held["encoder.layer.0.intermediate.dense.weight"].shape[0]
    first = encoder.blocks[0]
    assert isinstance(first, BertBlock)
    sizes = {
        "encoder_width": (width, encoder.places.embedding_dim),
        "encoder_layers": (layers, len(encoder.blocks)),
        "encoder_inner": (inner, first.inner.out_features),
        "learned_positions": (places, encoder.places.num_embeddings),
        "encoder_heads": (cfg.get("num_attention_heads", first.heads), first.heads),
    }
    wrong = [f"model.{name} = {theirs}, not {ours}" for name, (theirs, ours) in sizes.items() if theirs != ours]
    if wrong:
        raise ConfigError(f"{key}: it needs {', '.join(wrong)}")
    if cfg.get("hidden_act", "gelu") != "gelu":
        raise ConfigError(f"{key}: its activation is {cfg['hidden_act']!r}; only an exact 'gelu' is here")


def wanted(encoder: BertEncoder, front: SymbolFront) -> Iterator[tuple[str, tuple[Tensor, float]]]:
    """The file's names but that of words -> a piece of ours, and what is divided by."""
    scale = math.sqrt(encoder.places.embedding_dim)
    yield "embeddings.position_embeddings.weight", (encoder.places.weight, scale)
    yield "embeddings.token_type_embeddings.weight", (front.segment.weight, 1.0)
    yield from named("embeddings.LayerNorm", encoder.norm)
    for n, block in enumerate(encoder.blocks):
        assert isinstance(block, BertBlock)
        layer = f"encoder.layer.{n}."
        weights = block.query_key_value.weight.chunk(3), block.query_key_value.bias.chunk(3)
        for part, weight, bias in zip(("query", "key", "value"), *weights, strict=True):
            yield f"{layer}attention.self.{part}.weight", (weight, 1.0)
            yield f"{layer}attention.self.{part}.bias", (bias, 1.0)
        yield from named(f"{layer}attention.output.dense", block.attention_output)
        yield from named(f"{layer}attention.output.LayerNorm", block.attention_norm)
        yield from named(f"{layer}intermediate.dense", block.inner)
        yield from named(f"{layer}output.dense", block.output)
        yield from named(f"{layer}output.LayerNorm", block.norm)


def named(name: str, module: nn.Linear | nn.LayerNorm) -> Iterator[tuple[str, tuple[Tensor, float]]]:
    """A weight and a bias."""
    yield f"{name}.weight", (module.weight, 1.0)
    yield f"{name}.bias", (module.bias, 1.0)


def fill(pieces: Mapping[str, tuple[Tensor, float]], held: Mapping[str, Tensor], key: str) -> None:
    """All of them, and nothing else, may be there."""
    words = "embeddings.word_embeddings.weight"
    if missing := [name for name in (*pieces, words) if name not in held]:
        raise DataError(
            f"{key}: it has no tensor {missing[0]!r}" + (f" and lacks {len(missing) - 1} more" * (len(missing) > 1))
        )
    if strange := [name for name in held if name not in pieces and name != words]:
        raise DataError(
            f"{key}: nothing here is like its tensor {strange[0]!r}; the names that are known: docs/heads.md"
        )
    parts = "embeddings.token_type_embeddings.weight"
    for name, (ours, _) in pieces.items():
        shape, own = tuple(held[name].shape), tuple(ours.shape)
        fits = shape[1:] == own[1:] and shape[0] <= own[0] if name == parts else shape == own
        if not fits:
            raise DataError(f"{key}: its tensor {name!r} is {list(shape)}, and {list(own)} is needed")
    with torch.no_grad():
        for name, (ours, scale) in pieces.items():
            theirs = held[name]
            ours[: len(theirs)] = (theirs / scale).to(ours)


def rows(source: Tokenizer, table_VD: Tensor, path: Path, key: str) -> Tensor:
    """The file's row of each of our symbols, [V]; -1 where it has none."""
    size, listed = len(table_VD), path.parent / "vocab.txt"
    if not listed.is_file():
        if size != source.size:
            reason = f"it has {size} symbols and this task's sources {source.size}: put its vocab.txt beside it"
            raise DataError(f"{key}: {reason}")
        return torch.arange(size)
    symbols = listed.read_text(encoding="utf-8").splitlines()
    if len(symbols) > size:
        raise DataError(f"{listed}:{size + 1}: {len(symbols)} symbols, and {path.name} has embeddings of {size}")
    known = {symbol: number for number, symbol in enumerate(symbols)}
    labels = [*OUR_SPECIALS, *(source.label(token) for token in range(len(SPECIALS), source.size))]
    row_V = torch.tensor([known.get(label, -1) for label in labels])
    if not (row_V[len(SPECIALS) :] >= 0).any():
        raise DataError(f"{listed}: none of this task's symbols is in it; the first is {labels[len(SPECIALS)]!r}")
    return row_V
