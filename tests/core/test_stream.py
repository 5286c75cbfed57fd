"""The order of training data is a function of (seed, cursor): nothing is lost, doubled or moved by threads, ranks or restarts."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice, pairwise, permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.codec.types import BOS, PAD, Encoded
from core.data.batch import Batch, collate
from core.data.config import BatchConfig
from core.data.examples import Examples, Ragged
from core.data.order import mixed, permuted
from core.data.stream import Cursor, TrainBatches, cut, decoding_batches

SMALL = BatchConfig(tokens=60, window=40)
Pair = tuple[Encoded, list[int]]


def pairs(n: int, *, longest: int = 12, seed: int = 0) -> list[Pair]:
    """Sources and targets of random lengths, empty ones among them."""
    draw = np.random.default_rng(seed)
    ids = lambda: draw.integers(4, 50, draw.integers(0, longest + 1)).astype(np.int32)  # noqa: E731
    return [(Encoded(ids()), ids().tolist()) for _ in range(n)]


def stream(n: int = 150, cfg: BatchConfig = SMALL, *, seed: int = 7, rank: int = 0, world: int = 1) -> TrainBatches:
    return TrainBatches(Examples.build(pairs(n)), cfg, seed, rank=rank, world=world)


def taken(batches: TrainBatches, n: int, cursor: Cursor = Cursor()) -> list[tuple[Cursor, Batch]]:  # noqa: B008
    return list(islice(batches.batches(cursor), n))


def an_epoch(batches: TrainBatches, number: int = 0) -> list[Batch]:
    found: list[Batch] = []
    for after, batch in batches.batches(Cursor(number)):
        if after.epoch != number:
            break
        found.append(batch)
    return found


def places(found: Sequence[tuple[Cursor, Batch]]) -> list[tuple[Cursor, tuple[int, ...]]]:
    return [(cursor, batch.index) for cursor, batch in found]


def must_equal(one: Batch, other: Batch) -> None:
    assert one.source.dtype == other.source.dtype
    assert torch.equal(one.source, other.source)
    assert torch.equal(one.target, other.target)
    assert one.target.dtype == other.target.dtype
    assert torch.equal(one.layout.mask_BS, other.layout.mask_BS)
    for mine, yours in (
        (one.layout.position_BS, other.layout.position_BS),
        (one.layout.segment_BS, other.layout.segment_BS),
    ):
        assert (mine is None) == (yours is None)
        assert mine is None or yours is None or (torch.equal(mine, yours) and mine.dtype == yours.dtype)
    assert (one.index, one.tokens) == (other.index, other.tokens)


# --- the permutation -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [*range(1, 70), 127, 128, 129, 1000, 1023, 1024, 1025, 65_537, 300_001])
def test_a_permutation_for_every_size(size: int) -> None:
    for key in (0, 1, mixed(3, 1, 4)):
        assert np.array_equal(np.sort(permuted(np.arange(size), size, key)), np.arange(size))


@given(size=st.integers(1, 2**40), key=st.integers(0, 2**63 - 1), data=st.data())
@settings(deadline=None)
def test_any_part_of_the_permutation_alone(size: int, key: int, data: st.DataObject) -> None:
    some = np.array(data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=20)), dtype=np.int64)
    found = permuted(some, size, key)
    assert ((found >= 0) & (found < size)).all()
    assert len(set(found.tolist())) == len(set(some.tolist()))
    assert [permuted(some[n : n + 1], size, key)[0] for n in range(len(some))] == found.tolist()


def test_permutations_look_random() -> None:
    """Of few things all orders are about equally likely; of many, keys resemble neither each other nor no shuffle."""
    keys = 360
    seen = Counter(tuple(permuted(np.arange(4), 4, mixed(key, 1, 0)).tolist()) for key in range(keys))
    expected = keys / 24
    assert sum((seen[order] - expected) ** 2 / expected for order in permutations(range(4))) < 60  # p < 1e-4 above
    counts = np.zeros((10, 10))
    for key in range(keys):
        counts[np.arange(10), permuted(np.arange(10), 10, mixed(key, 1, 0))] += 1
    assert ((counts - keys / 10) ** 2 / (keys / 10)).sum() < 135  # 81 degrees of freedom: p < 2e-4 above
    one, other = (permuted(np.arange(5000), 5000, mixed(1, 1, epoch)) for epoch in (0, 1))
    assert (one == other).sum() < 12  # 1 expected
    assert abs(np.corrcoef(one, np.arange(5000))[0, 1]) < 0.06  # 4 standard deviations


def test_keys_differ_by_every_part_and_by_order() -> None:
    keys = {mixed(*parts) for parts in ((1, 2, 3), (1, 3, 2), (2, 1, 3), (1, 2, 4), (1, 2), (0, 1, 2, 3), (1, 2, 3, 0))}
    assert len(keys) == 7
    assert all(0 <= key < 2**63 for key in keys)


# --- batches -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 39, 40, 41, 150])
@pytest.mark.parametrize("cfg", [SMALL, BatchConfig(tokens=1, window=7), BatchConfig(tokens=500, most=4, window=64)])
def test_every_record_once_an_epoch_within_the_budget(n: int, cfg: BatchConfig) -> None:
    batches = stream(n, cfg)
    for epoch in range(3):
        found = an_epoch(batches, epoch)
        assert sorted(row for batch in found for row in batch.index) == list(range(n))
        for batch in found:
            cost = batch.size * max(batch.source.shape[1], batch.wanted_BT.shape[1])
            assert cost <= cfg.budget or batch.size == 1
            assert not cfg.most or batch.size <= cfg.most


def test_batches_are_full_and_pad_little() -> None:
    batches = stream(4000, BatchConfig(tokens=600, window=2000))
    found = an_epoch(batches)
    size_N = batches.size_N
    assert sum(size_N[list(batch.index)].max() * batch.size for batch in found) / size_N.sum() < 1.05
    assert len(found) < 1.15 * size_N.sum() / 600


@given(st.lists(st.integers(1, 30), min_size=1, max_size=60), st.integers(1, 90), st.integers(0, 5))
@settings(deadline=None)
def test_no_batch_could_take_the_next_record(sizes: list[int], budget: int, most: int) -> None:
    size = np.sort(np.array(sizes))
    found = cut(np.arange(len(size)), size, budget, most)
    assert np.concatenate(found).tolist() == list(range(len(size)))
    for one, after in pairwise(found):
        assert len(one) == most or size[after[0]] * (len(one) + 1) > budget


def test_the_order_follows_seed_and_epoch() -> None:
    one = places(taken(stream(), 30))
    assert one == places(taken(stream(), 30))
    assert one != places(taken(stream(seed=8), 30))
    batches = stream()
    first, second = ([batch.index for batch in an_epoch(batches, epoch)] for epoch in (0, 1))
    assert first != second
    assert sorted(map(sorted, first)) != sorted(map(sorted, second)), "only the order of batches changes between epochs"


def test_batches_do_not_come_by_length() -> None:
    longest = [batch.source.shape[1] for batch in an_epoch(stream(4000, BatchConfig(tokens=200, window=4000)))]
    assert abs(np.corrcoef(longest, np.arange(len(longest)))[0, 1]) < 0.2


def test_a_curriculum_goes_from_short_to_long_in_its_epochs_alone() -> None:
    """Every record once, windows of rising size, batches of a window mixed; then as without one."""
    cfg = replace(SMALL, easy_first=1)
    batches, plain = stream(150, cfg), stream(150)
    windows = [np.concatenate(batches.plan(0, window)) for window in range(batches.windows)]
    assert sorted(np.concatenate(windows).tolist()) == list(range(150))
    for one, after in pairwise(windows):
        assert batches.size_N[one].max() <= batches.size_N[after].min()
    first = [batches.size_N[rows].max() for rows in batches.plan(0, 0)]
    assert first != sorted(first)
    assert [batch.index for batch in an_epoch(batches, 1)] == [batch.index for batch in an_epoch(plain, 1)]
    assert places(taken(batches, 9, Cursor(0, 1, 2))) == places(taken(batches, 30))[len(batches.plan(0, 0)) + 2 :][:9]


@pytest.mark.parametrize("workers", [0, 3])
def test_resumed_from_any_cursor(workers: int) -> None:
    cfg = BatchConfig(tokens=60, window=40, workers=workers)
    whole = taken(stream(cfg=cfg), 75)  # more than two epochs
    assert whole[-1][0].epoch >= 2
    for place in range(0, 70, 1 if not workers else 9):
        rest = taken(stream(cfg=cfg), 5, whole[place][0])
        assert places(rest) == places(whole[place + 1 : place + 6])
        for (_, one), (_, other) in zip(rest, whole[place + 1 :], strict=False):
            must_equal(one, other)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_threads_change_nothing_and_end(workers: int) -> None:
    before = threading.active_count()
    many = stream(cfg=BatchConfig(tokens=60, window=40, workers=workers)).batches()
    for (after, batch), (expected, other) in zip(islice(many, 60), stream().batches(), strict=False):
        assert after == expected
        must_equal(batch, other)
    assert threading.active_count() > before
    many.close()
    assert threading.active_count() == before


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_share_each_batch(world: int) -> None:
    ranks = [  # one that has no share reads a record that does not count
        [batch.index if batch.tokens else () for _, batch in taken(stream(rank=rank, world=world), 40)]
        for rank in range(world)
    ]
    for (_, batch), *shares in zip(taken(stream(), 40), *ranks, strict=True):
        assert sorted(row for share in shares for row in share) == sorted(batch.index)


def test_resuming_far_out_costs_one_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is replayed: for record 6 million of two million a single window is planned."""
    size = 2_000_000
    ids = Ragged(np.full(size, 5, np.int32), np.arange(size + 1))
    batches = TrainBatches(Examples(ids, ids), BatchConfig(tokens=4096, window=8192), 1)
    drawn, planned = batches.drawn, list[tuple[int, int]]()
    monkeypatch.setattr(batches, "drawn", lambda epoch, window: planned.append((epoch, window)) or drawn(epoch, window))
    after, batch = next(batches.batches(Cursor(3, 200, 2)))
    assert planned == [(3, 200)]
    assert after == Cursor(3, 200, 3)
    assert batch.index == tuple(drawn(3, 200)[2][0].tolist())


# --- augmentation --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 3])
def test_variants_are_keyed_by_epoch_and_record(workers: int) -> None:
    raw = pairs(60)

    def encode(row: int, random: np.random.Generator) -> tuple[Encoded, list[int]]:
        source, target = raw[row]
        return Encoded(random.permutation(source.values)), [*target, int(random.integers(4, 50))]

    def variants(epoch: int, *, seed: int = 7, window: int = 40) -> dict[int, list[int]]:
        cfg = BatchConfig(tokens=60, window=window, workers=workers)
        batches = TrainBatches(Examples.build(raw), cfg, seed, encode=encode)
        return {
            row: target
            for batch in an_epoch(batches, epoch)
            for row, target in zip(batch.index, batch.target.tolist(), strict=True)
        }

    def last(tree: dict[int, list[int]]) -> dict[int, int]:
        return {row: [token for token in target if token != PAD][-2] for row, target in tree.items()}

    assert variants(0) == variants(0)
    assert last(variants(0)) == last(variants(0, window=17)), "a variant depends on the company of its record"
    assert last(variants(0)) != last(variants(1))
    assert last(variants(0)) != last(variants(0, seed=8))


# --- examples ------------------------------------------------------------------------------------------------------


def frames(n: int) -> list[Pair]:
    draw = np.random.default_rng(1)
    return [
        (Encoded(draw.normal(size=(draw.integers(1, 9), 5)).astype(np.float32)), draw.integers(4, 9, 3).tolist())
        for _ in range(n)
    ]


def placed(n: int) -> list[Pair]:
    found: list[Pair] = []
    for source, target in pairs(n):
        count = np.arange(len(source.values), dtype=np.int32)
        found.append((Encoded(source.values, count % 3, count // 3), target))
    return found


@pytest.mark.parametrize("made", [pairs(30), frames(30), placed(30)], ids=["ids", "frames", "positions and segments"])
def test_taking_is_collating(made: list[Pair]) -> None:
    examples = Examples.build(made)
    assert len(examples) == 30
    for rows in ([3], [0, 1, 2], [29, 4, 4, 11], list(range(30))):
        expected = collate([made[row][0] for row in rows], [made[row][1] for row in rows], rows)
        must_equal(examples.take(np.array(rows)), expected)


def test_taking_only_empty_ones_is_collating() -> None:
    empty = [(Encoded(np.zeros(0, np.int32)), list[int]())] * 2
    must_equal(Examples.build(empty).take(np.array([0, 1])), collate([empty[0][0]] * 2, [[], []], [0, 1]))


def test_taking_without_targets_is_collating() -> None:
    made = pairs(5)
    examples = Examples.build((source, None) for source, _ in made)
    batch = examples.take(np.arange(5))
    must_equal(batch, collate([source for source, _ in made], None, range(5)))
    assert batch.target.tolist() == [[BOS]] * 5
    assert batch.tokens == 0
    with pytest.raises(ValueError, match="all or none"):
        Examples.build([made[0], (made[1][0], None)])


def test_the_size_of_a_record_counts_the_end_symbol() -> None:
    source = Encoded(np.arange(4, 8, dtype=np.int32))
    assert Examples.build([(source, [5]), (source, [5, 6, 7, 8]), (source, [])]).size_N.tolist() == [4, 5, 4]


# --- the largest -----------------------------------------------------------------------------------------------------


@given(
    seed=st.integers(0, 10**6),
    tokens=st.integers(1, 400),
    most=st.sampled_from([0, 1, 5]),
    short=st.sampled_from(["", "source", "target"]),
)
@settings(max_examples=25)
def test_no_batch_takes_more_than_the_largest(seed: int, tokens: int, most: int, short: str) -> None:
    """Where all stand in one window, some are taken; elsewhere none takes more."""
    made = pairs(60, longest=20, seed=seed)
    few = np.zeros(2, np.int32)
    made = [(Encoded(few) if short == "source" else one, [5, 6] if short == "target" else two) for one, two in made]
    batches = TrainBatches(Examples.build(made), BatchConfig(tokens=tokens, most=most, window=30), 7)
    largest = batches.largest()
    assert 1 <= len(largest) <= 3
    for cost in (attended, covered, worded):
        assert max(map(cost, largest)) >= max(map(cost, an_epoch(batches)))
    assert all(one.size <= (most or 30) for one in largest)
    assert all(covered(one) <= tokens or one.size == 1 for one in largest)


def attended(batch: Batch) -> int:
    return batch.size * max(batch.source.shape[1], batch.wanted_BT.shape[1]) ** 2


def covered(batch: Batch) -> int:
    return batch.size * max(batch.source.shape[1], batch.wanted_BT.shape[1])


def worded(batch: Batch) -> int:
    return batch.wanted_BT.numel()


def test_the_largest_is_shared_as_any_other() -> None:
    whole = stream().largest()
    ranks = [stream(rank=rank, world=3).largest() for rank in range(3)]
    for number, batch in enumerate(whole):
        assert sorted(row for rank in ranks for row in rank[number].index) == sorted(batch.index)


# --- decoding ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("beams", [1, 5])
def test_decoding_batches(beams: int) -> None:
    made = pairs(80)
    batches = list(decoding_batches(Examples.build((source, None) for source, _ in made), 120, beams))
    assert sorted(row for batch in batches for row in batch.index) == list(range(80))
    widths = [batch.source.shape[1] for batch in batches]
    assert widths == sorted(widths, reverse=True)
    assert all(batch.size * batch.source.shape[1] * beams <= 120 or batch.size == 1 for batch in batches)
    with_targets = list(decoding_batches(Examples.build(made), 120, beams))
    assert [batch.index for batch in with_targets] == [batch.index for batch in batches]
    assert list(decoding_batches(Examples.build([]), 120, beams)) == []
