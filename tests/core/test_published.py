"""Published encoders: random weights in their format, read into ours, against a plain forward pass by the file's own names."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from core.codec.types import Codecs, Encoded, Tokenizer
from core.codec.wordpiece import NAMES, WordPieceTokenizer
from core.codec.words import WordTokenizer
from core.config import Impossible
from core.config_toml import load
from core.data.batch import Batch, collate
from core.errors import ConfigError, DataError
from core.model.build import build
from core.model.config import TransformerConfig
from core.model.front import SymbolFront
from core.model.seq2seq import Seq2Seq
from core.run.folder import RunFolder, read_json
from core.run.training import train
from core.settings import run_config
from core.testing.toys import TOY
from core.train.config import TrainConfig
from core.train.published import take_encoder

# B batch, S source, D width, H heads, d width of a head

WIDTH, HEADS, INNER, LAYERS, PLACES = 24, 3, 40, 2, 12
PIECES = ("[PAD]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "un", "##able", "walk", "##ing", "a", "b", "c")
MODEL = TransformerConfig(
    encoder="bert",
    width=16,
    heads=2,
    inner=20,
    decoder_layers=1,
    encoder_width=WIDTH,
    encoder_heads=HEADS,
    encoder_inner=INNER,
    encoder_layers=LAYERS,
    learned_positions=PLACES,
    dropout=0.1,
)


def published(symbols: int = len(PIECES)) -> dict[str, Tensor]:
    """Weights of the format's names and shapes, with the parts that are no encoder, all random."""
    generator = torch.Generator().manual_seed(1)
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (symbols, WIDTH),
        "embeddings.position_embeddings.weight": (PLACES, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
        "pooler.dense.weight": (WIDTH, WIDTH),
        "pooler.dense.bias": (WIDTH,),
    }
    norms = ["embeddings.LayerNorm"]
    for n in range(LAYERS):
        layer = f"encoder.layer.{n}."
        maps = {f"attention.self.{part}": (WIDTH, WIDTH) for part in ("query", "key", "value")}
        maps |= {"attention.output.dense": (WIDTH, WIDTH), "intermediate.dense": (INNER, WIDTH)}
        maps |= {"output.dense": (WIDTH, INNER)}
        for name, shape in maps.items():
            shapes |= {f"{layer}{name}.weight": shape, f"{layer}{name}.bias": shape[:1]}
        norms += [f"{layer}attention.output.LayerNorm", f"{layer}output.LayerNorm"]
    shapes |= {f"{name}.{part}": (WIDTH,) for name in norms for part in ("weight", "bias")}
    return {name: torch.randn(shape, generator=generator) * 0.3 for name, shape in shapes.items()}


def put(folder: Path, tensors: dict[str, Tensor], *, vocabulary: bool = True, **facts: Any) -> str:
    """A folder as such encoders are published."""
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / "model.safetensors")
    if vocabulary:
        (folder / "vocab.txt").write_text("".join(piece + "\n" for piece in PIECES))
    if facts:
        (folder / "config.json").write_text(json.dumps(facts))
    return str(folder / "model.safetensors")


def reference(held: dict[str, Tensor], ids_BS: Tensor, part_BS: Tensor, mask_BS: Tensor) -> Tensor:
    """The published forward pass, by its names and nothing of ours; `ids_BS` are rows of the file."""

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ held[f"{name}.weight"].T + held[f"{name}.bias"]

    def norm(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, (WIDTH,), held[f"{name}.weight"], held[f"{name}.bias"], eps=1e-12)

    def heads(x_BSD: Tensor) -> Tensor:
        return x_BSD.view(*x_BSD.shape[:2], HEADS, WIDTH // HEADS).transpose(1, 2)

    tables = {name: held[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")}
    x = tables["word"][ids_BS] + tables["position"][: ids_BS.shape[1]] + tables["token_type"][part_BS]
    x = norm(x, "embeddings.LayerNorm")
    for n in range(LAYERS):
        layer = f"encoder.layer.{n}."
        query, key, value = (heads(linear(x, f"{layer}attention.self.{part}")) for part in ("query", "key", "value"))
        score = query @ key.transpose(-1, -2) / math.sqrt(WIDTH // HEADS)
        look = score.masked_fill(~mask_BS[:, None, None], -torch.inf).softmax(-1)
        seen = (look @ value).transpose(1, 2).reshape(x.shape)
        x = norm(x + linear(seen, f"{layer}attention.output.dense"), f"{layer}attention.output.LayerNorm")
        inner = F.gelu(linear(x, f"{layer}intermediate.dense"))
        x = norm(x + linear(inner, f"{layer}output.dense"), f"{layer}output.LayerNorm")
    return x


def pieces() -> Codecs:
    own = tuple(piece for piece in PIECES if piece not in NAMES)
    return Codecs(WordPieceTokenizer(own), WordTokenizer(("yes", "no")))


def two_parts(codecs: Codecs, *texts: str) -> Batch:
    """Sources whose last three symbols are a second part."""
    found: list[Encoded] = []
    for text in texts:
        ids = np.asarray(codecs.source.encode(text), np.int32)
        found.append(Encoded(ids, segment=(np.arange(len(ids)) >= len(ids) - 3).astype(np.int32)))
    return collate(found, [[4]] * len(found), range(len(found)))


def reader(codecs: Codecs) -> Tokenizer:
    assert isinstance(codecs.source, Tokenizer)
    return codecs.source


def table(model: Seq2Seq) -> Tensor:
    """Embeddings of the source, as they are read."""
    assert isinstance(model.front, SymbolFront)
    return model.front.table.weight.detach() * math.sqrt(WIDTH)


def expected(held: dict[str, Tensor], codecs: Codecs, batch: Batch) -> Tensor:
    """Of what stands in each place, as rows of the file."""
    label, part_BS = reader(codecs).label, batch.layout.segment_BS
    assert part_BS is not None
    ids_BS = torch.tensor([[PIECES.index(label(int(one))) for one in row] for row in batch.source])
    return reference(held, ids_BS, part_BS, batch.layout.mask_BS)


@pytest.mark.parametrize("old_names", [False, True])
@torch.no_grad()
def test_the_encoder_is_the_published_one(tmp_path: Path, old_names: bool) -> None:
    codecs, held = pieces(), published()
    named = {f"bert.{name}": tensor for name, tensor in held.items()} if old_names else held
    if old_names:
        ends = (("LayerNorm.weight", "LayerNorm.gamma"), ("LayerNorm.bias", "LayerNorm.beta"))
        named = {name.replace(*ends[0]).replace(*ends[1]): tensor for name, tensor in named.items()}
        named["cls.predictions.bias"] = torch.zeros(len(PIECES))
    model = build(replace(MODEL, width=WIDTH, heads=HEADS), codecs).eval()
    taken = take_encoder(model, codecs, put(tmp_path, named, num_attention_heads=HEADS, hidden_act="gelu"))
    assert (taken.layers, taken.symbols, taken.fresh) == (LAYERS, reader(codecs).size, ())
    batch = two_parts(codecs, "walking a b unable", "c", "b xyz a")
    x_BSD, layout = model.front(batch.source, batch.layout)
    real_BS = batch.layout.mask_BS
    found, right = model.encoder(x_BSD, layout), expected(held, codecs, batch)
    torch.testing.assert_close(found[real_BS], right[real_BS], rtol=1e-5, atol=1e-5)
    moved = {name: tensor.clone() for name, tensor in held.items()}
    moved["encoder.layer.1.output.dense.bias"][0] += 0.01
    wrong = expected(moved, codecs, batch)
    assert not torch.allclose(found[real_BS], wrong[real_BS], rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_symbols_are_found_by_their_spelling_else_by_their_number(tmp_path: Path) -> None:
    words = Codecs(WordTokenizer(("b", "walk", "zebra")), WordTokenizer(("yes", "no")))
    model, held = build(MODEL, words), published()
    before = table(model)
    taken = take_encoder(model, words, put(tmp_path / "one", held))
    assert taken.fresh == ("zebra",)
    for token, piece in enumerate(("[PAD]", "[CLS]", "[SEP]", "[UNK]", "b", "walk")):
        torch.testing.assert_close(table(model)[token], held["embeddings.word_embeddings.weight"][PIECES.index(piece)])
    assert torch.equal(table(model)[6], before[6])
    numbered = published(reader(words).size)
    take_encoder(model, words, put(tmp_path / "two", numbered, vocabulary=False))
    torch.testing.assert_close(table(model), numbered["embeddings.word_embeddings.weight"])


def lacking(held: dict[str, Tensor]) -> None:
    del held["encoder.layer.1.attention.self.key.bias"]


def strange(held: dict[str, Tensor]) -> None:
    held["encoder.layer.0.crossattention.self.query.weight"] = torch.zeros(2, 2)


def another_shape(held: dict[str, Tensor]) -> None:
    held["encoder.layer.1.output.LayerNorm.bias"] = torch.zeros(5)


def another_family(held: dict[str, Tensor]) -> None:
    del held["embeddings.position_embeddings.weight"]


def another_vocabulary(held: dict[str, Tensor]) -> None:
    held["embeddings.word_embeddings.weight"] = torch.zeros(3, WIDTH)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lacking, r"it has no tensor 'encoder\.layer\.1\.attention\.self\.key\.bias'"),
        (strange, r"nothing here is like its tensor 'encoder\.layer\.0\.crossattention"),
        (another_shape, r"its tensor 'encoder\.layer\.1\.output\.LayerNorm\.bias' is \[5\], and \[24\] is needed"),
        (another_family, r"it has no tensor 'embeddings\.position_embeddings\.weight'; it is not of BERT's shape"),
        (another_vocabulary, r"vocab\.txt:4: 12 symbols, and model\.safetensors has embeddings of 3"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, spoil: Callable[[dict[str, Tensor]], None], said: str) -> None:
    held = published()
    spoil(held)
    model = build(MODEL, pieces())
    before = {name: tensor.clone() for name, tensor in model.state_dict().items() if "encoder" in name}
    with pytest.raises(DataError, match=said):
        take_encoder(model, pieces(), put(tmp_path, held))
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in before.items())


def test_sizes_are_told_by_the_keys_that_set_them(tmp_path: Path) -> None:
    path = put(tmp_path, published(), num_attention_heads=4)
    other = replace(MODEL, encoder_layers=1, learned_positions=8)
    said = r"model\.encoder_layers = 2, not 1, model\.learned_positions = 12, not 8, model\.encoder_heads = 4, not 3"
    with pytest.raises(ConfigError, match=said):
        take_encoder(build(other, pieces()), pieces(), path)
    with pytest.raises(ConfigError, match=r'set model\.encoder = "bert"'):
        take_encoder(build(TransformerConfig(width=16, heads=2), pieces()), pieces(), path)
    put(tmp_path, published(), num_attention_heads=HEADS, hidden_act="relu")
    with pytest.raises(ConfigError, match="activation is 'relu'"):
        take_encoder(build(MODEL, pieces()), pieces(), path)
    with pytest.raises(DataError, match="nowhere"):
        take_encoder(build(MODEL, pieces()), pieces(), str(tmp_path / "nowhere.safetensors"))
    (tmp_path / "model.safetensors").write_bytes(b"no such thing")
    with pytest.raises(DataError, match=r"train\.init_encoder = .*model\.safetensors"):
        take_encoder(build(MODEL, pieces()), pieces(), path)
    with pytest.raises(Impossible, match="init_encoder"):
        TrainConfig(init_from="run", init_encoder="file")


def test_a_whole_run_begins_from_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the encoder held fast it ends with the file's weights; run.json knows the file."""
    from core.cli import TrainArguments

    path = put(tmp_path / "published", published())
    settings = (
        "task.letters=3",
        "task.longest=3",
        "task.train=30",
        "task.held_out=10",
        "model.encoder=bert",
        *(f"model.{key}={getattr(MODEL, key)}" for key in ("width", "heads", "inner", "decoder_layers")),
        *(f"model.encoder_{key}={getattr(MODEL, 'encoder_' + key)}" for key in ("width", "heads", "inner", "layers")),
        f"model.learned_positions={PLACES}",
        f"train.init_encoder={path}",
        'train.freeze=["encoder"]',
        *("train.steps=2", "train.evaluate_every=2", "train.report=false", "train.device=cpu", "train.precision=fp32"),
    )
    cfg = load(run_config(TOY.config), None, settings)
    arguments = TrainArguments(cfg, tmp_path / "run", resume=False, show=False, dry_run=False, config_path=None)
    train(TOY, arguments)
    assert "2 layers, 7 of 7 symbols" in capsys.readouterr().err
    run = RunFolder(tmp_path / "run")
    assert read_json(run.facts)["encoder_from"]["symbols"] == 7
    weights = load_file(next(run.last.glob("weights*.safetensors")))
    held = published()
    stacked = torch.cat([held[f"encoder.layer.1.attention.self.{part}.weight"] for part in ("query", "key", "value")])
    assert torch.equal(weights["encoder.blocks.1.query_key_value.weight"], stacked)


TEXTS = (
    *("Unable, walking!", "unwalkable a-b", "ÀB\u0301 c", "中b文", "a" * 101, "", "walkin'", "\u200bab\tc\u00a0b", "x"),
    *("[CLS] a", "b\ufffdc", "ﬁne A1", "c++ <b>"),
)


def test_pieces_are_cut_as_the_published_tokenizer_cuts() -> None:
    tokenizers = pytest.importorskip("tokenizers")
    letters = [chr(n) for n in range(97, 123)]
    listed = [*PIECES[:-3], *letters, *(f"##{one}" for one in letters), *"中文,!-'+<>[]1", "##1"]
    ours = WordPieceTokenizer(tuple(one for one in listed if one not in NAMES))
    model = tokenizers.models.WordPiece({one: n for n, one in enumerate(listed)}, unk_token="[UNK]")
    theirs = tokenizers.Tokenizer(model)
    theirs.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True)
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    for text in TEXTS:
        cut = [ours.label(one) for one in ours.encode(text)]
        assert cut == ["[CLS]", *theirs.encode(text).tokens, "[SEP]"], text
    assert ours.decode(ours.encode("Unable, walking!")) == "unable , walking !"
    assert WordPieceTokenizer.load(ours.dump()) == ours


def test_a_vocabulary_without_its_specials_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    path.write_text("[PAD]\n[UNK]\n[CLS]\na\n")
    with pytest.raises(DataError, match=r"no line is \[SEP\]"):
        WordPieceTokenizer.read(path)
    path.write_text("".join(piece + "\n" for piece in PIECES))
    assert WordPieceTokenizer.read(path).label(4) == "[unused1]"
