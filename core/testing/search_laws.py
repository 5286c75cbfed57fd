"""What the search keeps, with any model and any rule: exact where it can be, its scores true, its answers its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import product

import torch
from torch import Tensor

from core.codec.types import BOS, EOS, PAD, UNK
from core.data.batch import Batch, CopyMap, collate
from core.decode.config import SearchConfig
from core.decode.constraints import AllOf, teacher_forced
from core.decode.rules import Rule
from core.decode.search import Found, limits, search
from core.model.seq2seq import Seq2Seq
from core.model.state import State
from core.testing.tiny import ModelCase, Pair, batch_of, forced_logp, widened

# B batch, K hypotheses, T target, N outputs, V vocabulary

WORDS = 3
"""Size of the vocabulary on which every output is tried."""
LIMIT = 4
"""Tokens of the longest of them, the end symbol included."""
BEAM = SearchConfig(beams=4, n_best=4, length_ratio=1.0, length_extra=4, length_penalty=0.7)
STRATEGIES = (
    BEAM,
    SearchConfig(strategy="greedy", length_ratio=1.0, length_extra=4),
    SearchConfig(strategy="sample", beams=3, n_best=3, length_ratio=1.0, length_extra=4, temperature=1.5),
)


class Among:
    """Only these tokens and the end."""

    def __init__(self, tokens: Sequence[int], vocabulary: int) -> None:
        self.legal_V = torch.zeros(vocabulary, dtype=torch.bool)
        self.legal_V[[EOS, *tokens]] = True

    def start(self, batch: Batch, beams: int = 1) -> State:
        """Nothing to remember."""
        return {"none": torch.zeros((batch.size, beams, 1))}

    def step(self, state: State, token_BK: Tensor, remaining_BK: Tensor) -> tuple[State, Tensor]:
        """Always the same."""
        return state, self.legal_V.expand(*token_BK.shape, -1)


def wide_beam_is_exhaustive_search(case: ModelCase) -> None:
    """With as many beams as there are prefixes, the answers are all outputs by score; tried on few words."""
    model, batch = case.make(), batch_of(few(case.pairs))
    vocabulary = vocabulary_of(model, batch)
    words = some_words(case, WORDS)
    few_words = Among(words, vocabulary)
    rule = few_words if case.rule is None else AllOf(few_words, case.rule)
    every = [tokens for length in range(LIMIT) for tokens in product(words, repeat=length)]
    for penalty in (0.0, 1.0):
        beams = len(words) ** LIMIT
        cfg = SearchConfig(
            beams=beams, n_best=min(8, beams), length_ratio=0.0, length_extra=LIMIT, length_penalty=penalty
        )
        for row, found in enumerate(search(model, batch, cfg, rule=rule)):
            totals = forced(model, batch, row, every, case.rule, LIMIT)
            scored = [
                (total / (len(tokens) + 1) ** penalty, tokens) for total, tokens in zip(totals, every, strict=True)
            ]
            best = sorted((one for one in scored if one[0] > -math.inf), reverse=True)[: cfg.n_best]
            ended = [one for one in found if one.finish == "end"]
            expected, actual = [tokens for _, tokens in best], [one.tokens for one in ended]
            assert actual == expected, (
                f"source {row}, length penalty {penalty}: found {actual}, the best are {expected}"
            )
            same(ended, [score for score, _ in best], f"source {row}, length penalty {penalty}")


def one_beam_is_argmax(case: ModelCase) -> None:
    """Greedy search, a beam of one, and sampling at temperature 0 each take the likeliest legal token."""
    model, batch = case.make(), batch_of(case.pairs)
    greedy = SearchConfig(strategy="greedy", length_ratio=1.0, length_extra=4)
    expected = [
        argmax(model, case, [pair], limit) for pair, limit in zip(case.pairs, limit_of(batch, greedy), strict=True)
    ]
    for cfg in (
        greedy,
        replace(greedy, strategy="beam", beams=1),
        replace(greedy, strategy="sample", beams=1, temperature=0.0),
    ):
        for row, found in enumerate(search(model, batch, cfg, rule=case.rule)):
            assert len(found) == 1, f"{cfg.strategy}: {len(found)} answers where one is asked for"
            assert found[0].tokens == expected[row], (
                f"{cfg.strategy}, source {row}: {found[0].tokens}, the likeliest tokens are {expected[row]}"
            )


def reported_scores_are_those_of_forced_decoding(case: ModelCase) -> None:
    """Reading an answer to the model gives the log-probabilities that the search reports; the score follows from them."""
    model, batch = case.make(), batch_of(case.pairs)
    for cfg, row, one in answers(model, batch, case.rule):
        said = [*one.tokens, EOS] if one.finish == "end" else list(one.tokens)
        with torch.no_grad():
            logp_TV = forced_logp(model, batch_of([(case.pairs[row][0], list(one.tokens))]))[0]
        true = [logp_TV[t, token].item() for t, token in enumerate(said)]
        where = f"{cfg.strategy}, source {row}, {one.tokens}"
        assert len(one.logp) == len(said), f"{where}: {len(one.logp)} log-probabilities for {len(said)} tokens"
        assert all(map(near, one.logp, true)), f"{where}: reported {one.logp}, the model says {true}"
        if said:
            score = math.fsum(true) / len(said) ** cfg.length_penalty
            assert near(one.score, score), f"{where}: score {one.score}, by its formula {score}"


def answers_are_best_first(case: ModelCase) -> None:
    """Those that ended by themselves before those that did not, by falling score, none twice, and not more than asked for."""
    model, batch = case.make(), batch_of(case.pairs)
    for cfg in STRATEGIES:
        for row, found in enumerate(search(model, batch, cfg, rule=case.rule)):
            assert 1 <= len(found) <= cfg.n_best, f"{cfg.strategy}, source {row}: {len(found)} answers"
            order = [(("end", "length", "rule").index(one.finish), -one.score) for one in found]
            assert order == sorted(order), f"{cfg.strategy}, source {row}: not best first: {order}"
            outputs = [(one.tokens, one.finish) for one in found]
            twice = cfg.strategy != "sample" and len(set(outputs)) < len(outputs)
            assert not twice, f"{cfg.strategy}, source {row}: an answer twice: {outputs}"
            longest = limit_of(batch, cfg)[row]
            for one in found:
                size = len(one.tokens) + (one.finish == "end")
                assert size <= longest, f"{cfg.strategy}, source {row}: {size} tokens, the limit is {longest}"
                assert not {PAD, BOS, EOS, UNK} & {*one.tokens}, f"{cfg.strategy}, source {row}: {one.tokens}"


def decoding_alone_is_decoding_in_company(case: ModelCase) -> None:
    """A source's answers are the same alone, in batches of any size and in any order; samples too."""
    model = case.make()
    order = torch.randperm(len(case.pairs), generator=torch.Generator().manual_seed(3)).tolist()
    for cfg in STRATEGIES:
        alone = [
            search(model, batch_of([pair], [n]), cfg, rule=case.rule, seed=9)[0] for n, pair in enumerate(case.pairs)
        ]
        together = search(model, batch_of(case.pairs), cfg, rule=case.rule, seed=9)
        half = len(order) // 2
        shuffled = [
            one
            for part in (order[:half], order[half:])
            for one in search(model, batch_of([case.pairs[n] for n in part], part), cfg, rule=case.rule, seed=9)
        ]
        for n, found in [*enumerate(together), *zip(order, shuffled, strict=True)]:
            tokens, expected = [one.tokens for one in found], [one.tokens for one in alone[n]]
            assert tokens == expected, f"{cfg.strategy}, source {n}: {tokens} in company, {expected} alone"
            same(found, [one.score for one in alone[n]], f"{cfg.strategy}, source {n}, in company")


def neither_early_stop_nor_n_best_changes_answers(case: ModelCase) -> None:
    """Fewer answers are the first of more, at equal beam; and going on where a source is done finds nothing else."""
    model, batch = case.make(), batch_of(case.pairs)
    full = search(model, batch, BEAM, rule=case.rule, early_stop=False)
    for n_best in (1, BEAM.n_best):
        found = search(model, batch, replace(BEAM, n_best=n_best), rule=case.rule)
        for row, (some, all_) in enumerate(zip(found, full, strict=True)):
            tokens, expected = [one.tokens for one in some], [one.tokens for one in all_[:n_best]]
            assert tokens == expected, f"source {row}, n_best {n_best}: {tokens}, in full {expected}"
            same(some, [one.score for one in all_[:n_best]], f"source {row}, n_best {n_best}")


def outputs_obey_the_rule(case: ModelCase) -> None:
    """Every token of every answer, and its end, was legal where it was said; a forced prefix is what answers begin with."""
    model, batch = case.make(), batch_of(case.pairs)
    for cfg, row, one in answers(model, batch, case.rule):
        if case.rule is None or one.finish == "rule":
            continue
        legal = lawful(case.rule, case.pairs[row], one.tokens, limit_of(batch, cfg)[row])
        legal = legal if one.finish == "end" else legal[:-1]
        assert all(legal), (
            f"{cfg.strategy}, source {row}: {one.tokens} ({one.finish}) breaks the rule at {legal.index(False)}"
        )
    if case.rule is not None:  # a prefix is forced even where a rule forbids it, and then nothing can be promised
        return
    prefix = [[token for token in target[: n % 3] if token != UNK] for n, (_, target) in enumerate(case.pairs)]
    for cfg in STRATEGIES:
        for row, found in enumerate(search(model, batch, cfg, prefix=prefix)):
            for one in found:
                begins = list(one.tokens[: len(prefix[row])])
                assert begins == prefix[row], (
                    f"{cfg.strategy}, source {row}: begins with {begins}, forced {prefix[row]}"
                )


def few(pairs: Sequence[Pair]) -> Sequence[Pair]:
    """Three of them, of different lengths."""
    return pairs[:3]


def some_words(case: ModelCase, n: int) -> list[int]:
    """The first n different tokens of the targets that can be answered."""
    words = list(dict.fromkeys(token for _, target in case.pairs for token in target if token != UNK))
    return sorted(words[:n])


def vocabulary_of(model: Seq2Seq, batch: Batch) -> int:
    """The width of the head."""
    with torch.no_grad():
        memory = model.encode(batch)
        token_BK = batch.target[:, :1]
        return model.step(token_BK, memory, model.start(memory, 1))[0].shape[-1]


def limit_of(batch: Batch, cfg: SearchConfig) -> list[int]:
    """Tokens of the longest output of each source."""
    return limits(batch, cfg, [()] * batch.size)


def answers(model: Seq2Seq, batch: Batch, rule: Rule | None) -> Iterator[tuple[SearchConfig, int, Found]]:
    """All answers of all strategies."""
    for cfg in STRATEGIES:
        for row, found in enumerate(search(model, batch, cfg, rule=rule, seed=1)):
            for one in found:
                yield cfg, row, one


def forced(
    model: Seq2Seq, batch: Batch, row: int, outputs: Sequence[tuple[int, ...]], rule: Rule | None, limit: int
) -> list[float]:
    """Summed log-probability of each output for one source, its end included; -inf if the rule forbids it."""
    one = batch.layout.rows(torch.tensor([row]))
    rows_N = torch.zeros(len(outputs), dtype=torch.int64)
    targets = collate_targets(outputs)
    many = Batch(batch.source[row : row + 1][rows_N], one.rows(rows_N), targets, tuple(range(len(outputs))))
    if batch.copy is not None:
        words = (batch.copy.words[row],) * len(outputs)
        many = replace(many, copy=CopyMap(batch.copy.extended_BS[row : row + 1][rows_N], words))
    with torch.no_grad():
        logp_NTV = forced_logp(model, many)
    logp_NTV = widened(logp_NTV, max(logp_NTV.shape[-1], int(targets.max()) + 1))
    said_NT = many.wanted_BT != PAD
    if rule is not None:
        legal_NTV = teacher_forced(rule, many, torch.full((len(outputs),), limit))
        V = legal_NTV.shape[-1]
        logp_NTV[..., :V] = logp_NTV[..., :V].masked_fill(~legal_NTV, float("-inf"))
    token_NT = logp_NTV.gather(-1, many.wanted_BT[..., None])[..., 0]
    return token_NT.where(said_NT, 0.0).sum(-1).tolist()


def collate_targets(outputs: Sequence[tuple[int, ...]]) -> Tensor:
    """As a batch has them: BOS first, EOS last, then pads."""
    longest = max(map(len, outputs))
    return torch.tensor([[BOS, *tokens, EOS, *[PAD] * (longest - len(tokens))] for tokens in outputs])


def argmax(model: Seq2Seq, case: ModelCase, pairs: list[Pair], limit: int) -> tuple[int, ...]:
    """The likeliest legal token after each, by forced decoding, until the end or the limit."""
    tokens: list[int] = []
    state = None if case.rule is None else case.rule.start(batch_of(pairs), 1)
    for step in range(limit):
        batch = batch_of([(pairs[0][0], tokens)])
        with torch.no_grad():
            logp_V = forced_logp(model, batch)[0, len(tokens)].clone()
        logp_V[UNK] = float("-inf")  # no answer says it
        if case.rule is not None and state is not None:
            read_11 = batch.given_BT[:, -1:]
            state, legal_11V = case.rule.step(state, read_11, torch.full_like(read_11, limit - step))
            legal_V = legal_11V[0, 0, : len(logp_V)]
            logp_V[: len(legal_V)][~legal_V] = float("-inf")
        if logp_V.max() == float("-inf") or (token := int(logp_V.argmax())) == EOS:
            break
        tokens.append(token)
    return tuple(tokens)


def lawful(rule: Rule, pair: Pair, tokens: Sequence[int], limit: int) -> list[bool]:
    """Whether each token, and the end after them, is legal; copied words are not the rule's to judge."""
    batch = collate([pair[0]], [list(tokens)], [0])
    legal_TV = teacher_forced(rule, batch, torch.tensor([limit]))[0]
    wanted = [*tokens, EOS]
    return [token >= legal_TV.shape[-1] or bool(legal_TV[t, token]) for t, token in enumerate(wanted)]


def near(one: float, other: float) -> bool:
    """Up to rounding in float64."""
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)


def same(found: Sequence[Found], scores: Sequence[float], where: str) -> None:
    """The answers have these scores."""
    actual = [one.score for one in found]
    assert len(actual) == len(scores) and all(map(near, actual, scores)), f"{where}: scores {actual}, expected {scores}"


SEARCH_LAWS: tuple[Callable[[ModelCase], None], ...] = (
    wide_beam_is_exhaustive_search,
    one_beam_is_argmax,
    reported_scores_are_those_of_forced_decoding,
    answers_are_best_first,
    decoding_alone_is_decoding_in_company,
    neither_early_stop_nor_n_best_changes_answers,
    outputs_obey_the_rule,
)
