"""Pairs with their true alignment from msasim: LG substitutions with gamma rates, insertions and deletions of Zipf lengths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from core.data.config import DataConfig
from core.errors import ConfigError
from core.record import Record, Split
from tasks.protein_alignment.alignment import identity, spelled, text_of, without_empty_columns
from tasks.protein_alignment.config import AlignmentConfig

STREAM: dict[Split, int] = {"train": 1, "dev": 2, "test": 3}
"""Seeds of different splits never meet."""
DISTANCES = (0.3, 0.7, 1.2, 2.0)
"""Dev and test have as many pairs at each, substitutions per site."""
HELD_OUT: dict[str, int] = {"dev": 400, "test": 800}
ZIPF, LONGEST_GAP = 1.7, 50
GAMMA, CATEGORIES = 1.0, 4


def simulated(cfg: AlignmentConfig, data: DataConfig, split: Split) -> Iterator[Record]:
    """A finite pool: number k of a split is always the same pair, whatever the size of the pool."""
    count = cfg.simulated if split == "train" else HELD_OUT[split]
    return (pair(cfg, split, number) for number in range(count))


def pair(cfg: AlignmentConfig, split: Split, number: int) -> Record:
    """Two sequences, each half the distance from their ancestor."""
    draw = np.random.default_rng([STREAM[split], number])
    residues = int(draw.integers(cfg.shortest, cfg.longest + 1))
    distance = float(draw.uniform(cfg.nearest, cfg.farthest))
    if split != "train":
        distance = DISTANCES[number % len(DISTANCES)]
    rows = evolved(residues, distance, cfg.indels, seed=1_000_000 * STREAM[split] + number)
    meta = {"distance": f"{distance:.1f}" if split != "train" else "", "set": "simulated", "identity": identity(rows)}
    return Record(f"msasim-{split}-{number}", tuple(map(spelled, rows)), text_of(rows), meta)


def evolved(residues: int, distance: float, indels: float, *, seed: int) -> tuple[str, ...]:
    """Two rows."""
    msasim = library()
    lengths = msasim.ZipfDistribution(ZIPF, LONGEST_GAP)
    protocol = msasim.SimProtocol(
        msasim.Tree(f"(a:{distance / 2},b:{distance / 2});"),
        root_seq_size=residues,
        minimum_seq_size=min(10, residues),
        insertion_rate=indels,
        deletion_rate=indels,
        insertion_dist=lengths,
        deletion_dist=lengths,
        seed=seed,
    )
    model = msasim.ReplacementModelSpec(
        model=msasim.MODEL_CODES.LG,
        alphabet=msasim.ALPHABET_CODES.PROTEIN,
        site_rate_model=msasim.SiteRateModelSpec(gamma_alpha=GAMMA, gamma_categories=CATEGORIES),
    )
    found = msasim.Simulator(protocol, replacement_model=model)()
    return without_empty_columns([found.get_msa_row(row).split("\n")[1] for row in range(2)])


def library() -> Any:
    """msasim, or a plain message."""
    try:
        import msasim
    except ImportError:
        raise ConfigError("simulated pairs need msasim: pip install 'transduce[protein_alignment]'") from None
    return msasim
