"""What is particular to these models; the laws that every model keeps are in core/testing and run in tests/laws."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.codec.types import BOS, EOS, PAD, UNK, Codecs, Encoded, as_encoded
from core.config import Impossible
from core.data.batch import Batch, collate
from core.model.build import build
from core.model.config import ModelConfig, RNNConfig, TransformerConfig
from core.model.front import SymbolFront
from core.model.seq2seq import Seq2Seq
from core.nn.layout import Padded
from core.nn.recurrent import Cell, Kind, RecurrentEncoder, gates
from core.testing.tiny import NextSourceFeatures, batch_of, forced_logp, stepped_logp, stir, tiny_codecs, tiny_pairs

# B batch, K hypotheses, S source, T target, H heads, L layers, D width

TRANSFORMER = TransformerConfig(width=16, heads=2, encoder_layers=2, decoder_layers=2, inner=24, dropout=0.0)
RNN = RNNConfig(width=16, encoder_layers=2, decoder_layers=2, dropout=0.0)
FAMILIES = pytest.mark.parametrize(
    "cfg",
    [
        TRANSFORMER,
        replace(TRANSFORMER, positions="sinusoidal", norm="rms", activation="swiglu"),
        RNN,
        replace(RNN, cell="lstm"),
    ],
    ids=["rotary", "sinusoidal", "gru", "lstm"],
)
CODECS = tiny_codecs()
PAIRS = tiny_pairs(CODECS)


def made(cfg: ModelConfig, codecs: Codecs = CODECS, **features: NextSourceFeatures) -> Seq2Seq:
    """In float32, with nothing left at zero."""
    model = build(cfg, codecs, seed=3, **features).eval()
    stir(model)
    return model


@FAMILIES
@torch.no_grad()
def test_stepping_is_teacher_forcing_in_float32(cfg: ModelConfig) -> None:
    model, batch = made(cfg), batch_of(PAIRS)
    real_BT = batch.wanted_BT != PAD
    torch.testing.assert_close(
        stepped_logp(model, batch)[real_BT], forced_logp(model, batch)[real_BT], rtol=1e-5, atol=1e-5
    )


@FAMILIES
@torch.no_grad()
def test_prefix_features_step_as_they_are_forced(cfg: ModelConfig) -> None:
    model, batch = made(cfg, features=NextSourceFeatures()), batch_of(PAIRS)
    told, untold = forced_logp(model, batch), forced_logp(made(cfg), batch)
    torch.testing.assert_close(stepped_logp(model, batch), told, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(told, untold)
    memory = model.encode(batch)
    state = model.start(memory, 3)
    _, state = model.step(torch.full((batch.size, 3), BOS), memory, state)
    parent_BK = torch.tensor([[2, 2, 0]]).expand(batch.size, 3)
    assert {name for name in state if name.startswith("features.")} == {"features.read"}
    assert model.select(state, parent_BK)["features.read"].shape == (batch.size, 3)


@FAMILIES
def test_an_empty_source_gives_finite_output_and_gradients(cfg: ModelConfig) -> None:
    model, batch = made(cfg), collate([as_encoded([]), as_encoded([4, 5])], [[4], [5, 6, 7]], [0, 1])
    alone = collate([as_encoded([])], [[4]], [0])
    assert not batch.layout.mask_BS[0].any()
    model.loss(batch).backward()
    assert all(x.grad is not None and x.grad.isfinite().all() for x in model.parameters())
    with torch.no_grad():
        logp_BTV = forced_logp(model, batch)
        assert logp_BTV[..., EOS:].isfinite().all()
        torch.testing.assert_close(logp_BTV[0, :2], forced_logp(model, alone)[0], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(stepped_logp(model, batch), logp_BTV, rtol=1e-5, atol=1e-5)


@FAMILIES
def test_equal_seeds_give_equal_weights_and_leave_the_generator_alone(cfg: ModelConfig) -> None:
    torch.manual_seed(11)
    state = torch.get_rng_state()
    one, same, other = (build(cfg, CODECS, seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def front_table(model: Seq2Seq) -> nn.Embedding:
    """The embedding of the source."""
    assert isinstance(model.front, SymbolFront)
    return model.front.table


class TestTying:
    @pytest.mark.parametrize("cfg", [TRANSFORMER, RNN], ids=["transformer", "rnn"])
    @pytest.mark.parametrize(
        ("tie", "shared", "matrices"),
        [
            ("auto", True, 1),
            ("auto", False, 2),
            ("all", True, 1),
            ("target", True, 2),
            ("none", True, 3),
            ("none", False, 3),
        ],
    )
    def test_so_many_matrices_of_vocabulary_size(
        self, cfg: TransformerConfig | RNNConfig, tie: str, shared: bool, matrices: int
    ) -> None:
        model = build(replace(cfg, tie=tie), codecs := tiny_codecs(shared=shared))
        names = [name for name, x in model.named_parameters() if x.shape == (codecs.target.size, cfg.width)]
        assert len(names) == matrices
        state = model.state_dict()
        assert set(state) == {name for name, _ in model.named_parameters()}, "a matrix is in the file twice"
        pointers = [x.data_ptr() for x in state.values()]
        assert len(pointers) == len(set(pointers))
        build(replace(cfg, tie=tie), codecs, seed=9).load_state_dict(state, strict=True)

    def test_all_needs_one_vocabulary(self) -> None:
        with pytest.raises(Impossible, match="tie"):
            build(replace(TRANSFORMER, tie="all"), tiny_codecs(shared=False))

    def test_ties_outlive_copies_and_casts(self) -> None:
        model = copy.deepcopy(build(TRANSFORMER, tiny_codecs(shared=True))).double()
        assert isinstance(model.head.weight, nn.Parameter)
        assert model.head.weight is model.embedding.weight
        with torch.no_grad():
            model.embedding.weight.zero_()
        assert not front_table(model).weight.any()

    def test_a_tied_matrix_has_the_gradient_of_all_its_uses(self) -> None:
        codecs = tiny_codecs(shared=True)
        batch = batch_of(tiny_pairs(codecs))
        tied, untied = build(replace(TRANSFORMER, tie="all"), codecs), build(replace(TRANSFORMER, tie="none"), codecs)
        untied.load_state_dict(tied.state_dict(), strict=False)
        with torch.no_grad():
            for matrix in (front_table(untied).weight, untied.head.weight):
                matrix.copy_(tied.embedding.weight)
        tied.loss(batch).backward()
        untied.loss(batch).backward()
        parts = [untied.embedding.weight.grad, front_table(untied).weight.grad, untied.head.weight.grad]
        total = sum((part for part in parts if part is not None), torch.zeros(()))
        assert all(part is not None and part.any() for part in parts)
        torch.testing.assert_close(tied.embedding.weight.grad, total, rtol=1e-4, atol=1e-5)


class TestSource:
    def batch(self, position: list[int] | None, segment: list[int] | None) -> Batch:
        """One source of four symbols with these places."""
        arrays = (None if x is None else np.array(x, dtype=np.int32) for x in (position, segment))
        return collate([Encoded(np.array([4, 5, 6, 7], dtype=np.int32), *arrays)], [[4, 5]], [0])

    @torch.no_grad()
    def test_positions_and_segments_are_read(self) -> None:
        for cfg in (TRANSFORMER, replace(TRANSFORMER, positions="sinusoidal")):
            model = made(cfg)
            plain = forced_logp(model, self.batch(None, None))
            torch.testing.assert_close(forced_logp(model, self.batch([0, 1, 2, 3], [0, 0, 0, 0])), plain)
            assert not torch.allclose(forced_logp(model, self.batch([0, 1, 0, 1], None)), plain, atol=1e-4)
            assert not torch.allclose(forced_logp(model, self.batch(None, [0, 0, 1, 1])), plain, atol=1e-4)
            last = forced_logp(model, self.batch(None, [0, 0, 7, 7]))
            torch.testing.assert_close(forced_logp(model, self.batch(None, [0, 0, 9, 9])), last)

    @torch.no_grad()
    def test_with_rotations_only_distances_count(self) -> None:
        model = made(TRANSFORMER)
        near, far = self.batch([0, 1, 5, 6], None), self.batch([20, 21, 25, 26], None)
        torch.testing.assert_close(forced_logp(model, near), forced_logp(model, far), rtol=1e-4, atol=1e-4)

    @torch.no_grad()
    def test_copied_words_are_read_as_unknown(self) -> None:
        model, batch = made(TRANSFORMER), self.batch(None, None)
        size = model.embedding.num_embeddings
        copied, unknown = (replace(batch, target=torch.tensor([[BOS, 4, x, EOS]])) for x in (size + 3, UNK))
        torch.testing.assert_close(model(copied), model(unknown), rtol=0, atol=0)


@FAMILIES
def test_attention_is_where_the_decoder_looks(cfg: ModelConfig) -> None:
    model, batch = made(cfg), batch_of(PAIRS)
    (B, S), T = batch.source.shape, batch.given_BT.shape[1]
    weight_LBHTS = model.attention(batch)
    assert weight_LBHTS.shape == ((2, B, 2, T, S) if isinstance(cfg, TransformerConfig) else (1, B, 1, T, S))
    torch.testing.assert_close(weight_LBHTS.sum(-1), torch.ones(weight_LBHTS.shape[:-1]))
    assert not weight_LBHTS.permute(1, 4, 0, 2, 3)[~batch.layout.mask_BS].any()


@FAMILIES
def test_bf16_autocast_trains_and_decodes(cfg: ModelConfig) -> None:
    model, batch = made(cfg), collate([as_encoded([4, 5]), as_encoded([6])], [[5], [7]], [0, 1])
    with torch.no_grad():
        exact = model.loss(batch)
    with torch.autocast("cpu", torch.bfloat16):
        loss = model.loss(batch, smoothing=0.0)
        with torch.no_grad():
            stepped = stepped_logp(model, batch)
    loss.backward()
    assert loss.dtype == stepped.dtype == torch.float32
    assert abs(loss.item() / exact.item() - 1) < 0.05
    assert all(x.grad is not None and x.grad.dtype == torch.float32 for x in model.parameters())
    torch.testing.assert_close(stepped.exp().sum(-1), torch.ones(stepped.shape[:-1]))


@FAMILIES
def test_dropout_is_on_in_training_only_and_follows_the_seed(cfg: ModelConfig) -> None:
    model, batch = build(replace(cfg, dropout=0.3), CODECS), batch_of(PAIRS)

    def loss(seed: int) -> float:
        torch.manual_seed(seed)
        return model.loss(batch).item()

    model.train()
    assert loss(1) == loss(1) != loss(2)
    model.eval()
    assert loss(1) == loss(2)


@FAMILIES
@torch.no_grad()
def test_decoding_asks_nothing_of_memory_but_to_be_read(cfg: ModelConfig) -> None:
    """Memory is [B, ...] however many hypotheses there are, and only the state knows K."""
    model, batch = made(cfg), batch_of(PAIRS)
    memory = model.encode(batch)
    for K in (1, 4):
        hidden_BKD, state = model.advance(torch.full((batch.size, K), BOS), memory, model.start(memory, K))
        assert hidden_BKD.shape == (batch.size, K, cfg.width)
        assert all(x.shape[0] == batch.size for x in state.values())
    fewer, state = model.keep(memory, state, torch.tensor([3, 1]))
    assert all(x.shape[0] == 2 for x in (*state.values(), *fewer.cache.values(), fewer.hidden_BSD))


class TestRecurrentLayers:
    @pytest.mark.parametrize("kind", ["gru", "lstm"])
    def test_a_cell_is_torchs(self, kind: Kind) -> None:
        cell, read = Cell(kind, 6).double(), gates(kind, 5, 6).double()
        theirs = (nn.GRUCell if kind == "gru" else nn.LSTMCell)(5, 6).double()
        with torch.no_grad():
            for ours, name in ((read, "ih"), (cell.recurrent, "hh")):
                ours.bias.uniform_(-1, 1)
                theirs.get_parameter(f"weight_{name}").copy_(ours.weight)
                theirs.get_parameter(f"bias_{name}").copy_(ours.bias)
        x, hidden, carried = (torch.randn(4, n, dtype=torch.float64) for n in (5, 6, 6))
        if kind == "gru":
            (new,) = cell(read(x), (hidden,))
            torch.testing.assert_close(new, theirs(x, hidden), rtol=1e-12, atol=1e-12)
        else:
            new = cell(read(x), (hidden, carried))
            torch.testing.assert_close(new, theirs(x, (hidden, carried)), rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize("kind", ["gru", "lstm"])
    def test_the_encoder_is_torchs_bidirectional_layer_on_packed_sequences(self, kind: Kind) -> None:
        encoder = RecurrentEncoder(kind, 8, 2, 0.0, out=8).double()
        theirs = (nn.GRU if kind == "gru" else nn.LSTM)(8, 4, 2, batch_first=True, bidirectional=True).double()
        for layer in range(2):
            for ours, suffix in ((encoder.forwards[layer], ""), (encoder.backwards[layer], "_reverse")):
                for name, x in ours.named_parameters():
                    theirs.get_parameter(name.replace("_l0", f"_l{layer}{suffix}")).data.copy_(x)
        x_BSD, lengths = torch.randn(3, 6, 8, dtype=torch.float64), torch.tensor([4, 6, 1])
        packed = nn.utils.rnn.pack_padded_sequence(x_BSD, lengths, batch_first=True, enforce_sorted=False)
        expected, _ = nn.utils.rnn.pad_packed_sequence(theirs(packed)[0], batch_first=True)
        layout = Padded(torch.arange(6) < lengths[:, None])
        torch.testing.assert_close(encoder(x_BSD, layout), expected, rtol=1e-12, atol=1e-12)

    def test_pads_are_never_read(self) -> None:
        """Not even where they are no numbers, but for the zeros that they become."""
        encoder = RecurrentEncoder("gru", 8, 2, 0.0, out=8)
        x_BSD, layout = torch.randn(2, 5, 8), Padded(torch.arange(5) < torch.tensor([[2], [5]]))
        clean: Tensor = encoder(x_BSD, layout)
        x_BSD[0, 2:] = 1e4
        torch.testing.assert_close(encoder(x_BSD, layout), clean, rtol=0, atol=0)
