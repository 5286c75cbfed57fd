"""The decoder's step in C++ against the one in torch, and its int8 against whole numbers."""

from __future__ import annotations

import ctypes
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from core.config import Impossible
from core.decode.candidates import Choice, best_candidates
from core.decode.config import SearchConfig
from core.decode.engine import engaged
from core.decode.search import search
from core.errors import ConfigError
from core.model.config import ModelConfig
from core.model.seq2seq import Seq2Seq
from core.native import build
from core.native.decoder import candidates, native
from core.native.encoder import NativeEncoder
from core.native.packed import Packer, QuantisedRows, quantised
from core.testing.tiny import (
    batch_of,
    close,
    model_case,
    random_tokens,
    read,
    tiny_codecs,
    tiny_models,
    tiny_pairs,
)

# B batch, K hypotheses, T target, V vocabulary, O outputs, I inputs, R rows

CODECS = tiny_codecs(shared=True)
PAIRS = tiny_pairs(CODECS, 7)


def known(name: str, cfg: ModelConfig) -> bool:
    return name.startswith("transformer") and getattr(cfg, "positions", "") not in ("relative", "alibi")


MODELS = {name: cfg for name, cfg in tiny_models().items() if known(name, cfg)}


@pytest.fixture(scope="module", autouse=True)
def functions() -> ctypes.CDLL:
    try:
        return build.library()
    except build.CannotBuild as error:
        pytest.skip(f"no native step here: {error}")


def made(name: str) -> Seq2Seq:
    return model_case(name, MODELS[name], CODECS, PAIRS).make().float().eval()


@pytest.mark.parametrize("beams", [1, 2, 5])
@pytest.mark.parametrize("words", [3, 9, 64, 65, 1000])
def test_candidates_are_those_of_torch_to_the_last_tie(beams: int, words: int) -> None:
    """With few different values, so that ties are everywhere, also at the edge; with hypotheses that are dead or stuck."""
    generator = torch.Generator().manual_seed(words + beams)
    for levels in (2, 5, 10_000):
        logp_BKV = -torch.randint(0, levels, (7, beams, words), generator=generator).float() / levels
        logp_BKV[torch.rand(logp_BKV.shape, generator=generator) < 0.2] = -torch.inf
        logp_BKV[1, 0] = -torch.inf
        logp_BKV[2, 0, 0] = 1e-6  # rounding puts a probability above one
        sum_BK = -torch.randint(0, 3, (7, beams), generator=generator).double()
        sum_BK[3, -1] = sum_BK[4] = -torch.inf
        wanted, found = best_candidates(logp_BKV, sum_BK), Choice(*candidates(logp_BKV, sum_BK))
        there = wanted.total_BC > -torch.inf
        assert torch.equal(found.total_BC, wanted.total_BC)
        assert torch.equal(found.stuck_BK, wanted.stuck_BK)
        for name in ("parent_BC", "token_BC", "logp_BC"):
            assert torch.equal(getattr(found, name)[there], getattr(wanted, name)[there]), name


@pytest.mark.parametrize("name", MODELS)
@torch.inference_mode()
def test_a_source_is_read_as_in_torch_and_alike_in_any_company(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where sources are read in several groups; where a native encoder knows this kind, company changes no bit."""
    monkeypatch.setattr("core.native.encoder.GROUP", 5)
    model = made(name)
    batch, own = batch_of(PAIRS), native(model)
    wanted, found = model.encode(batch).hidden_BSD, own.encode(batch).hidden_BSD
    mask_BS = batch.layout.mask_BS
    close(found[mask_BS], wanted[mask_BS], "native encoder", 2e-5)
    if isinstance(own.encoder, NativeEncoder):
        for n, pair in enumerate(PAIRS):
            alone_SD = own.encode(batch_of([pair])).hidden_BSD[0]
            assert torch.equal(alone_SD, found[n, : len(alone_SD)])


@pytest.mark.parametrize("name", MODELS)
@torch.inference_mode()
def test_a_step_says_what_torch_says(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through reordering, sources that leave, and buffers that are too small."""
    monkeypatch.setattr("core.native.decoder.ROOM", 3)
    model, K = made(name), 3
    own, batch = native(model), batch_of(PAIRS)
    token_BKT = random_tokens(PAIRS, (batch.size, K, 12))
    memories = [one.encode(batch) for one in (model, own)]
    states = [one.start(memory, K) for one, memory in zip((model, own), memories, strict=True)]
    generator = torch.Generator().manual_seed(1)
    for t in range(12):
        parent_BK = torch.randint(0, K, token_BKT.shape[:2], generator=generator)
        said = []
        for n, one in enumerate((model, own)):
            logp_BKV, state = one.step(token_BKT[..., t], memories[n], states[n])
            said.append(logp_BKV)
            states[n] = one.select(state, parent_BK)
        close(said[1], said[0], f"native, step {t}", 2e-5)
        if t == 5:
            rows_B = torch.arange(1, len(token_BKT))
            kept = [one.keep(memories[n], states[n], rows_B) for n, one in enumerate((model, own))]
            memories, states, token_BKT = [one for one, _ in kept], [one for _, one in kept], token_BKT[1:]


@pytest.mark.parametrize("precision", ["float32", "int8"])
@torch.inference_mode()
def test_company_changes_not_a_bit(precision: str) -> None:
    """Of a step; what encodes is torch's."""
    model = native(made("transformer-layer-rotary-gelu"), precision)  # pyright: ignore[reportArgumentType]
    batch, K = batch_of(PAIRS), 2
    memory = model.encode(batch)
    token_BKT = random_tokens(PAIRS, (batch.size, K, 5))
    together, _ = read(model, memory, model.start(memory, K), token_BKT)
    for row in range(batch.size):
        own = memory.rows(torch.tensor([row]))
        alone, _ = read(model, own, model.start(own, K), token_BKT[row : row + 1])
        assert torch.equal(alone[0], together[row])


@torch.inference_mode()
def test_a_state_can_be_gone_on_from_twice() -> None:
    model = native(made("transformer-layer-sinusoidal-relu"))
    batch = batch_of(PAIRS)
    memory = model.encode(batch)
    token_BKT = random_tokens(PAIRS, (batch.size, 2, 6))
    _, state = read(model, memory, model.start(memory, 2), token_BKT[..., :3])
    first, _ = read(model, memory, state, token_BKT[..., 3:])
    read(model, memory, state, token_BKT.flip(-1)[..., :2])
    again, _ = read(model, memory, state, token_BKT[..., 3:])
    assert torch.equal(first, again)


@pytest.mark.parametrize("beams", [1, 4])
@pytest.mark.parametrize(
    "name", ["transformer-learned-post-grouped", "transformer-rms-rotary-swiglu", "transformer-copy"]
)
def test_a_search_says_the_same(name: str, beams: int) -> None:
    model, batch = made(name), batch_of(PAIRS)
    cfg = SearchConfig(beams=beams, n_best=beams, length_ratio=3.0, length_extra=30)
    whole, own = (search(one, batch, cfg) for one in (model, engaged(model, replace(cfg, engine="native"))))
    for some, others in zip(whole, own, strict=True):
        assert [one.tokens for one in some] == [one.tokens for one in others]
        assert [one.score for one in some] == pytest.approx([one.score for one in others], abs=1e-5)


@pytest.mark.parametrize(
    ("rows", "inputs", "outputs"), [(1, 8, 70), (2, 30, 50), (3, 33, 40), (5, 64, 16), (13, 300, 35)]
)
@pytest.mark.parametrize("bias", [True, False])
def test_a_linear_map(functions: ctypes.CDLL, rows: int, inputs: int, outputs: int, bias: bool) -> None:
    """float32 as torch has it; int8 as whole numbers have it, for the sums are exact."""
    generator = torch.Generator().manual_seed(rows)
    x_RI, w_OI = torch.randn(rows, inputs, generator=generator), torch.randn(outputs, inputs, generator=generator)
    x_RI[0] = 0
    b_O = torch.randn(outputs, generator=generator) if bias else None
    close(mapped(functions, x_RI, w_OI, b_O, "float32"), nn.functional.linear(x_RI, w_OI, b_O), "float32", 1e-4)

    q_OI, scale_O = quantised(w_OI)
    most_R = x_RI.abs().amax(1)
    step_R = torch.where(most_R > 0, most_R / 63, 1.0)
    u_RI = (x_RI * torch.where(most_R > 0, 63 / most_R, 0.0)[:, None] + 64.5).to(torch.int64) - 64
    exact_RO = (u_RI @ q_OI.long().T).float() * (step_R[:, None] * scale_O)
    found_RO = mapped(functions, x_RI, w_OI, b_O, "int8")
    close(found_RO, exact_RO if b_O is None else exact_RO + b_O, "int8", 1e-4)
    assert float((found_RO - nn.functional.linear(x_RI, w_OI, b_O)).abs().max()) < 0.05 * inputs**0.5


def mapped(
    functions: ctypes.CDLL, x_RI: torch.Tensor, w_OI: torch.Tensor, b_O: torch.Tensor | None, precision: str
) -> torch.Tensor:
    packer = Packer(precision)  # pyright: ignore[reportArgumentType]
    own = packer.linear(w_OI, b_O)
    out_RO = torch.full((len(x_RI), len(w_OI)), torch.nan)
    bytes_, scale_R = torch.empty(len(x_RI) * (x_RI.shape[1] + 3), dtype=torch.uint8), torch.empty(len(x_RI))
    functions.linear_rows(
        ctypes.byref(own),
        ctypes.c_void_p(x_RI.data_ptr()),
        ctypes.c_int64(len(x_RI)),
        ctypes.byref(QuantisedRows(bytes_.data_ptr(), scale_R.data_ptr())),
        ctypes.c_void_p(out_RO.data_ptr()),
    )
    return out_RO


def test_extreme_values_do_not_saturate(functions: ctypes.CDLL) -> None:
    """Where a pair of products stays within 16 bits on every machine."""
    x_RI, w_OI = torch.ones(2, 64), torch.ones(16, 64)
    x_RI[1] = -1
    found_RO = mapped(functions, x_RI, w_OI, None, "int8")
    assert found_RO.tolist() == pytest.approx(np.array([[64.0] * 16, [-64.0] * 16]), rel=1e-6)


def test_what_has_no_native_step_is_refused() -> None:
    cfg = SearchConfig(engine="native")
    for name in ("transformer-relative-post-wider-encoder", "rnn-gru-1"):
        model = model_case(name, tiny_models()[name], CODECS, PAIRS).make().float().eval()
        with pytest.raises(ConfigError, match=r"search\.engine"):
            engaged(model, cfg)
    with pytest.raises(ConfigError, match="float32"):
        engaged(made("transformer-copy").double(), cfg)
    for wrong in ({"precision": "int8", "engine": "torch"}, {"draft": 2, "strategy": "greedy"}, {"coverage": 0.2}):
        with pytest.raises(Impossible):
            replace(cfg, **wrong)  # pyright: ignore[reportArgumentType]


def test_without_a_compiler_torch_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    build.library.cache_clear()
    try:
        model = made("transformer-copy")
        assert engaged(model, SearchConfig(engine="native")) is model
        assert "no C++ compiler" in capfd.readouterr().err
        with pytest.raises(ConfigError, match="no C\\+\\+ compiler"):
            engaged(model, SearchConfig(engine="native", precision="int8"))
    finally:
        build.library.cache_clear()


def test_a_compiler_that_fails_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(build, "FLAGS", ("-not-a-flag",))
    build.library.cache_clear()
    try:
        with pytest.raises(build.CannotBuild, match="not-a-flag"):
            build.library()
        assert list((tmp_path / "transduce" / "native").iterdir()) == []
    finally:
        build.library.cache_clear()
