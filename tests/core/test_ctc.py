"""CTC held against its definition: the sum over all paths, counted one by one."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
import pytest
import torch
from torch import Tensor

from core.codec.types import BOS, EOS, UNK, Codecs, Encoded
from core.config import Impossible
from core.data.alignable import too_short
from core.data.batch import Batch, collate
from core.data.examples import Examples
from core.decode.answers import answers, best_paths
from core.decode.config import SearchConfig
from core.decode.ctc_lattice import Lattice
from core.decode.ctc_prefix import CtcPrefixes
from core.decode.joint import Joint
from core.decode.predict import predict_records
from core.decode.search import search
from core.errors import ConfigError
from core.model.build import build
from core.model.config import ModelConfig, RNNConfig, TransformerConfig
from core.model.seq2seq import Seq2Seq
from core.nn.ctc import BLANK, CtcHead
from core.nn.layout import Padded
from core.record import Record
from core.testing.search_laws import Among
from core.testing.tiny import padded, stir, tiny_codecs

# B batch, S frames, V vocabulary, F features, T target

WIDTH = 4
LETTERS = tiny_codecs("ab").target
SIZE = LETTERS.size
MODELS: dict[str, ModelConfig] = {
    "transformer": TransformerConfig(width=8, heads=2, encoder_layers=1, decoder_layers=1, inner=12, ctc=0.3),
    "transformer, subsampled": TransformerConfig(
        width=8, heads=2, encoder_layers=1, decoder_layers=1, inner=12, ctc=0.5, subsample=2
    ),
    "gru, subsampled": RNNConfig(width=8, ctc=0.3, subsample=4),
}


@dataclass(frozen=True)
class Frames:
    """Sources that are frames already."""

    kind: ClassVar[str] = "frames"
    width: int = WIDTH
    said: dict[str, Any] = field(default_factory=dict[str, Any])

    def encode(self, value: Any) -> Encoded:
        return Encoded(np.asarray(value, dtype=np.float32))

    def dump(self) -> dict[str, Any]:
        return {}

    @classmethod
    def load(cls, tree: dict[str, Any]) -> Self:
        return cls()


CODECS = Codecs(source=Frames(), target=LETTERS)


def made(name: str) -> Seq2Seq:
    model = build(replace(MODELS[name], dropout=0.0), CODECS, seed=3).double().eval()
    stir(model, 0.5)
    return model


def sources(*lengths: int) -> list[np.ndarray]:
    random = np.random.default_rng(4)
    return [random.normal(size=(n, WIDTH)).astype(np.float32) for n in lengths]


def batch_of(values: Sequence[np.ndarray], targets: Sequence[Sequence[int]] | None = None) -> Batch:
    batch = collate([Encoded(one) for one in values], targets, range(len(values)))
    return replace(batch, source=batch.source.double())


def spelled(path: Sequence[int]) -> tuple[int, ...]:
    return tuple(symbol for symbol, _ in itertools.groupby(path) if symbol != BLANK)


def all_paths(logp_SV: Tensor) -> dict[tuple[int, ...], float]:
    """What is spelled -> its probability."""
    logp_SV = logp_SV.detach()
    S, V = logp_SV.shape
    symbols = [v for v in range(V) if v not in (BOS, EOS)]
    rows = logp_SV.tolist()
    found: dict[tuple[int, ...], float] = {}
    for path in itertools.product(symbols, repeat=S):
        p = math.exp(sum(rows[s][v] for s, v in enumerate(path)))
        found[spelled(path)] = found.get(spelled(path), 0.0) + p
    return found


def begins(found: dict[tuple[int, ...], float], prefix: tuple[int, ...]) -> float:
    """The probability of all that begins so."""
    return math.fsum(p for said, p in found.items() if said[: len(prefix)] == prefix)


def logp_of(S: int, seed: int = 0) -> tuple[CtcHead, Tensor]:
    torch.manual_seed(seed)
    head = CtcHead(WIDTH, SIZE).double()
    hidden = 2 * torch.randn(1, S, WIDTH, dtype=torch.float64)
    return head, hidden


def test_the_loss_is_the_sum_over_all_paths() -> None:
    head, hidden = logp_of(5)
    found = all_paths(head.logp(hidden)[0])
    assert math.fsum(found.values()) == pytest.approx(1)
    layout = Padded(torch.ones(1, 5, dtype=torch.bool))
    for target in ((), (4,), (4, 4), (4, 5, 4), (5, 4, 5, 4)):
        wanted_BT = torch.tensor([[*target, EOS, 0, 0]])
        assert head.loss(hidden, layout, wanted_BT).item() == pytest.approx(-math.log(found[target]))
    assert head.loss(hidden, layout, torch.tensor([[4, 4, 4, 4, EOS]])).item() == 0, "seven frames would be needed"


def test_pads_and_company_change_no_loss_and_gradients_are_numbers() -> None:
    for name in MODELS:
        model = made(name)
        values, targets = sources(9, 13, 8), [[4, 5], [5], [4, 4]]
        whole = model.loss(batch_of(values, targets))
        alone = sum(model.loss(batch_of([one], [target])) for one, target in zip(values, targets, strict=True))
        assert whole.item() == pytest.approx(float(torch.as_tensor(alone).detach()), abs=1e-9)
        assert model.loss(padded(batch_of(values, targets), source=5, target=2)).item() == pytest.approx(whole.item())
        whole.backward()
        assert all(one.grad is None or one.grad.isfinite().all() for one in model.parameters())
        assert model.ctc is not None
        assert model.ctc.project.weight.grad is not None
        assert model.ctc.project.weight.grad.any()


def joint(model: Seq2Seq, weight: float) -> Joint:
    assert model.ctc is not None
    return Joint(model, 1 - weight, (CtcPrefixes(model.ctc), weight))


@torch.no_grad()
def walked(steps: Joint, batch: Batch, tokens: Sequence[int]) -> tuple[Tensor, dict[str, Tensor]]:
    """Joint log-probabilities after these tokens, and the state."""
    memory = steps.encode(batch)
    state = steps.start(memory, 1)
    logp_BKV = torch.empty(0)
    for token in (BOS, *tokens):
        logp_BKV, state = steps.step(torch.full((batch.size, 1), token), memory, state)
    return logp_BKV[:, 0], state


@pytest.mark.parametrize("prefix", [(), (4,), (4, 4), (5, 4), (4, 5, 5)], ids=str)
def test_prefix_probabilities_are_sums_over_all_paths(prefix: tuple[int, ...]) -> None:
    model = made("transformer")
    assert model.ctc is not None
    batch = batch_of(sources(6, 4))
    logp_BSV = model.ctc.logp(model.encode(batch).hidden_BSD)
    joint_BV, state = walked(joint(model, 1.0), batch, prefix)
    for row, S in enumerate((6, 4)):
        found = all_paths(logp_BSV[row, :S])

        own = begins(found, prefix)
        if own == 0:
            continue
        assert float(state["ctc.prefix"][row, 0].exp()) == pytest.approx(own)
        for token in (3, 4, 5):
            assert float(joint_BV[row, token].exp()) == pytest.approx(begins(found, (*prefix, token)) / own, abs=1e-12)
        assert float(joint_BV[row, EOS].exp()) == pytest.approx(found.get(prefix, 0.0) / own, abs=1e-12)
        assert float(joint_BV[row].exp().sum()) == pytest.approx(1)


@pytest.mark.parametrize("name", MODELS)
def test_joint_search_is_alone_as_in_company_and_reports_its_own_score(name: str) -> None:
    model = made(name)
    steps = joint(model, 0.4)
    cfg = SearchConfig(beams=3, n_best=3, length_ratio=0.3, length_extra=3)
    values = sources(8, 5, 11)
    together = search(steps, batch_of(values), cfg)
    wide = padded(batch_of(values), source=7, target=0)
    for other in (search(steps, wide, cfg), search(steps, batch_of(values), cfg, early_stop=False)):
        assert [[one.tokens for one in found] for found in other] == [
            [one.tokens for one in found] for found in together
        ]
    for value, found in zip(values, together, strict=True):
        (alone,) = search(steps, batch_of([value]), cfg)
        assert [one.tokens for one in alone] == [one.tokens for one in found]
        assert [one.score for one in alone] == pytest.approx([one.score for one in found], abs=1e-9)
        for one in found:
            ids = (*one.tokens, EOS) if one.finish == "end" else one.tokens
            forced = [float(walked(steps, batch_of([value]), ids[:n])[0][0, token]) for n, token in enumerate(ids)]
            assert list(one.logp) == pytest.approx(forced, abs=1e-9)


def test_a_wide_joint_beam_finds_what_trying_everything_finds() -> None:
    model = made("transformer")
    steps, batch = joint(model, 0.5), batch_of(sources(5))
    cfg = SearchConfig(beams=60, length_penalty=0.0, length_ratio=0.0, length_extra=4)
    (found,) = search(steps, batch, cfg)
    begun: dict[tuple[int, ...], float] = {(): 0.0}
    scores: dict[tuple[int, ...], float] = {}
    for length in range(4):
        for tokens in itertools.product((3, 4, 5), repeat=length):
            logp_V = walked(steps, batch, tokens)[0][0].tolist()
            scores[tokens] = begun[tokens] + logp_V[EOS]
            begun |= {(*tokens, token): begun[tokens] + logp_V[token] for token in (3, 4, 5)}
    best = max(scores, key=scores.__getitem__)
    assert found[0].tokens == best
    assert found[0].score == pytest.approx(scores[best])


def test_the_best_path_spells_its_answer_whose_probability_is_that_of_all_paths() -> None:
    model = made("transformer, subsampled")
    assert model.ctc is not None
    values = sources(14, 9, 1)
    memory = model.encode(batch_of(values))
    whole = best_paths(model.ctc, memory, [99, 99, 99])
    for value, (one,), (cut,) in zip(values, whole, best_paths(model.ctc, memory, [2, 2, 2]), strict=True):
        logp_SV = model.ctc.logp(model.encode(batch_of([value])).hidden_BSD)[0]
        sayable_SV = logp_SV.detach().clone()
        sayable_SV[:, UNK] = -math.inf
        assert one.tokens == spelled(sayable_SV.argmax(-1).tolist())
        found = all_paths(logp_SV)
        assert one.finish == "end"
        assert one.score == one.total == pytest.approx(math.log(found[one.tokens]))
        begun = [1.0, *(begins(found, one.tokens[: n + 1]) for n in range(len(one.tokens))), found[one.tokens]]
        assert list(one.logp) == pytest.approx([math.log(b / a) for a, b in itertools.pairwise(begun)])
        assert cut.tokens == one.tokens[:2]
        if len(one.tokens) > 1:
            assert cut.finish == "length"
            assert list(cut.logp) == pytest.approx(list(one.logp[:2]))


@pytest.mark.parametrize("beams", [1, 60])
def test_a_beam_of_prefixes_finds_the_likeliest_outputs(beams: int) -> None:
    """With a wide beam: the most probable outputs, by the sums over all their paths; whatever the length penalty."""
    model = made("transformer")
    assert model.ctc is not None
    values = sources(5, 3)
    cfg = SearchConfig(
        strategy="ctc", beams=beams, n_best=min(beams, 7), length_penalty=3.0, length_ratio=0.0, length_extra=6
    )
    found, _ = answers(model, batch_of(values), cfg)
    for value, some in zip(values, found, strict=True):
        every = all_paths(model.ctc.logp(model.encode(batch_of([value])).hidden_BSD)[0])
        best = sorted((one for one in every if UNK not in one), key=lambda tokens: -every[tokens])
        if beams > 1:
            assert [one.tokens for one in some] == best[:7]
        assert [one.score for one in some] == pytest.approx([math.log(every[one.tokens]) for one in some])


def test_alignment_is_the_likeliest_path_that_spells_the_tokens() -> None:
    head, hidden = logp_of(6, seed=2)
    logp_SV = head.logp(hidden)[0].detach().numpy()
    outputs = [(4,), (4, 5), (4, 4), (5, 4, 5), (4, 4, 4, 4), ()]
    wide_RSV = np.concatenate([np.tile(logp_SV, (6, 1, 1)), np.full((6, 2, SIZE), 9.0)], 1)  # beyond the end: nonsense
    lattice = Lattice(wide_RSV, np.full(6, 6), outputs)
    found, every = lattice.spans(), all_paths(torch.from_numpy(logp_SV))
    for row, tokens in enumerate(outputs[:4]):
        paths = [p for p in itertools.product((0, 3, 4, 5), repeat=6) if spelled(p) == tokens]
        best = max(paths, key=lambda path: sum(logp_SV[s, v] for s, v in enumerate(path)))
        runs: list[tuple[int, int]] = []
        at = 0
        for symbol, run in itertools.groupby(best):
            length = len(list(run))
            if symbol != BLANK:
                runs.append((at, at + length))
            at += length
        assert found[row] == tuple(runs)
        assert sum(lattice.logp()[row]) == pytest.approx(math.log(every[tokens]))
    assert found[4] == found[5] == ()
    assert lattice.logp()[4][-1] == -math.inf, "seven frames would be needed"
    assert lattice.logp()[5] == pytest.approx((math.log(every[()]),))


def test_predictions_say_where_each_token_was_heard() -> None:
    model = made("gru, subsampled").float()
    records = [Record(str(n), value.tolist()) for n, value in enumerate(sources(40, 33))]
    for strategy in ("beam", "ctc", "greedy"):
        cfg = SearchConfig(strategy=strategy, align=True, length_ratio=0.1, length_extra=1)
        for one in predict_records(model, CODECS, records, cfg, longest=100):
            best = one.hypotheses[0]
            assert len(best.frames) == len(best.tokens)
            flat = [end for span in best.frames for end in span]
            assert flat == sorted(flat)
            assert not flat or flat[-1] <= len(one.record.source)
            assert all(begin % 4 == 0 for begin, _ in best.frames)


def test_without_a_weight_the_search_is_the_decoders_own() -> None:
    model = made("transformer")
    records = [Record(str(n), value.tolist()) for n, value in enumerate(sources(10, 7))]
    cfg = SearchConfig(ctc_weight=0.0, length_ratio=0.5, length_extra=2)
    plain = search(model, batch_of(sources(10, 7)), cfg)
    found = predict_records(model.float(), CODECS, records, cfg, longest=100)
    assert [one.hypotheses[0].tokens for one in found] == [answers[0].tokens for answers in plain]


def test_what_cannot_be_is_refused() -> None:
    letters = tiny_codecs("ab")
    with pytest.raises(Impossible, match="only frames can be subsampled"):
        build(TransformerConfig(subsample=4), letters)
    with pytest.raises(Impossible, match="it cannot copy"):
        build(TransformerConfig(ctc=0.3, copy=True), letters)
    plain = build(replace(MODELS["transformer"], ctc=0.0), CODECS)
    records = [Record("1", sources(5)[0].tolist())]
    for cfg in (SearchConfig(strategy="ctc"), SearchConfig(align=True)):
        with pytest.raises(ConfigError, match="CTC head"):
            predict_records(plain, CODECS, records, cfg, longest=100)
    alone = build(replace(MODELS["transformer"], ctc=1.0), CODECS)
    with pytest.raises(ConfigError, match="untrained"):
        predict_records(alone, CODECS, records, SearchConfig(), longest=100)
    assert len(predict_records(alone, CODECS, records, SearchConfig(strategy="ctc"), longest=100)) == 1


def test_sources_too_short_for_their_targets_are_counted() -> None:
    """As many frames as tokens and repeats are enough, one fewer is not; with one fewer CTC has no loss."""
    draw = random.Random(0)
    targets = [[draw.choice((4, 5)) for _ in range(draw.randint(0, 6))] for _ in range(60)]
    need = [len(ids) + sum(a == b for a, b in itertools.pairwise(ids)) for ids in targets]
    for factor, less in itertools.product((1, 2, 4), (0, 1)):
        frames = [max(factor * (n - less), 1) for n in need]
        pairs = [(Encoded(np.zeros((n, WIDTH), np.float32)), ids) for n, ids in zip(frames, targets, strict=True)]
        expected = [-(-n // factor) < least for n, least in zip(frames, need, strict=True)]
        assert too_short(Examples.build(pairs), factor).tolist() == expected
        assert any(expected) == bool(less)
        head = CtcHead(WIDTH, SIZE)
        for (source, ids), short in zip(pairs, expected, strict=True):
            S = -(-len(source.values) // factor)
            loss = head.loss(
                torch.randn(1, S, WIDTH), Padded(torch.ones(1, S, dtype=torch.bool)), torch.tensor([[*ids, EOS]])
            )
            assert (loss.item() == 0) == short
    assert not too_short(Examples.build([(Encoded(np.zeros((1, WIDTH), np.float32)), None)]), 4).any()
    assert too_short(Examples.build([(Encoded(np.zeros((1, WIDTH), np.float32)), [])]), 4).tolist() == [False]


def test_nothing_to_hear() -> None:
    """A source without a frame says nothing, and spells only the empty output."""
    model = made("transformer")
    batch = batch_of([np.zeros((0, WIDTH), np.float32), *sources(6)], [[4, 5], [4]])
    model.loss(batch).backward()
    assert all(one.grad is None or one.grad.isfinite().all() for one in model.parameters())
    for cfg in (
        SearchConfig(strategy="ctc", beams=1, align=True),
        SearchConfig(strategy="ctc"),
        SearchConfig(ctc_weight=0.5),
    ):
        (found, *_), _ = answers(model, batch, cfg)
        assert (found[0].tokens, found[0].finish) == ((), "end")


def test_a_rule_is_kept_by_the_ctc_head_alone() -> None:
    model = made("transformer")
    rule = Among([5], SIZE)
    for beams in (1, 4):
        cfg = SearchConfig(strategy="ctc", beams=beams, n_best=beams, length_ratio=0.0, length_extra=6)
        found, _ = answers(model, batch_of(sources(9, 12)), cfg, rule=rule)
        free, _ = answers(model, batch_of(sources(9, 12)), cfg)
        assert all(set(one.tokens) <= {5} for some in found for one in some)
        assert any(set(one.tokens) - {5} for some in free for one in some)
