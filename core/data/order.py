"""A keyed permutation of a counter: element i of a shuffle that nobody holds (a Feistel network with cycle walking)."""

from __future__ import annotations

import numpy as np

ROUNDS = 8
LEAST = 3
"""Bits of a half at least: with fewer, or with four rounds, the orders of a few things are visibly not equally likely."""
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def mixed(*parts: int) -> int:
    """One 63-bit key from several numbers (splitmix64 steps)."""
    key = 0x9E3779B97F4A7C15  # not 0, which a leading 0 would leave as it is
    for part in parts:
        key = (key ^ part) * 0x9E3779B97F4A7C15 & (2**64 - 1)
        key = (key ^ (key >> 30)) * 0xBF58476D1CE4E5B9 & (2**64 - 1)
        key = (key ^ (key >> 27)) * 0x94D049BB133111EB & (2**64 - 1)
        key ^= key >> 31
    return key >> 1


def permuted(places: np.ndarray, size: int, key: int) -> np.ndarray:
    """Where the shuffle of `size` things by `key` puts each place; a permutation of range(size)."""
    half = max((max(size - 1, 1).bit_length() + 1) // 2, LEAST)
    mask = np.uint64((1 << half) - 1)
    keys = [np.uint64(mixed(key, number)) for number in range(ROUNDS)]
    found = np.asarray(places, dtype=np.uint64).copy()
    walking = np.ones(found.shape, dtype=bool)
    while walking.any():
        left, right = found[walking] >> np.uint64(half), found[walking] & mask
        for one in keys:
            scrambled = (right ^ one) * MULTIPLIER
            scrambled ^= scrambled >> np.uint64(29)
            scrambled *= np.uint64(0xBF58476D1CE4E5B9)
            left, right = right, left ^ ((scrambled >> np.uint64(32)) & mask)
        found[walking] = (left << np.uint64(half)) | right
        walking = found >= np.uint64(size)
    return found.astype(np.int64)
