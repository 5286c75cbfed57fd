"""Which split a record belongs to: a hash of its key, so that it never moves when others come or go."""

from __future__ import annotations

from hashlib import blake2b

from core.record import Split


def hashed_share(key: str) -> float:
    """A number in [0, 1), the same on every machine, evenly spread over keys."""
    return int.from_bytes(blake2b(key.encode("utf-8", "surrogatepass"), digest_size=6).digest()) / 2**48


def split_of(key: str, dev: float = 0.05, test: float = 0.05) -> Split:
    """`test` has the lowest shares, `dev` the next: a change of `dev` never moves a record into or out of test."""
    share = hashed_share(key)
    return "test" if share < test else "dev" if share < test + dev else "train"
