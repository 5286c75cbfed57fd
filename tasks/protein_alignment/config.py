"""The [task] table."""

from __future__ import annotations

from typing import Literal

from core.config import AtLeast0, AtLeast1, Impossible, NotNegative, Share, config


@config
class AlignmentConfig:
    """The [task] table."""

    lookahead: Literal["learned", "none"] = "learned"
    """What the decoder is told: the log-probabilities of the three moves under a pair model (a soft Needleman-Wunsch whose
    similarities and gap costs are learned, by place), or only which residues stand next and how alike they are."""
    simulated: AtLeast0 = 12_000
    """Training pairs simulated by msasim (for `vgenes`, beside the real ones)."""
    pairs: AtLeast1 = 12_000
    """`vgenes`: training pairs of real V genes."""
    shortest: AtLeast1 = 40
    """Residues of the shortest simulated ancestors."""
    longest: AtLeast1 = 160
    """Residues of the longest simulated ancestors."""
    nearest: NotNegative = 0.2
    """Simulated training pairs are at least so many substitutions per site apart."""
    farthest: NotNegative = 2.2
    """And at most so many."""
    indels: NotNegative = 0.03
    """Insertions, and as many deletions, per substitution."""
    mutate: Share = 0.0
    """This share of the residues of a training pair is replaced, anew each epoch, by others or by X."""
    piece: AtLeast1 = 900
    """Pairs with more residues than this, both sequences together, are aligned in pieces."""
    fasta: Literal["all", "pairs"] = "all"
    """A FASTA file holds sequences that are aligned together, or one pair after the other."""

    def __post_init__(self) -> None:
        if self.shortest > self.longest:
            raise Impossible("shortest", f"{self.shortest} is more than task.longest = {self.longest}")
        if self.nearest > self.farthest:
            raise Impossible("nearest", f"{self.nearest} is more than task.farthest = {self.farthest}")
