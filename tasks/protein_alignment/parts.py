"""What is made of the task's config: the rule, and what the decoder is told. Torch is imported when they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.codec.types import Codecs
from tasks.protein_alignment.config import AlignmentConfig

if TYPE_CHECKING:
    from core.decode.rules import Rule
    from core.model.features import LearnedFeatures


def rule(cfg: AlignmentConfig, codecs: Codecs) -> Rule:
    """Only moves that spell the two sequences."""
    from tasks.protein_alignment.rule import LegalMoves

    return LegalMoves()


def features(cfg: AlignmentConfig, codecs: Codecs) -> LearnedFeatures:
    """What stands next, and where each move leads."""
    from tasks.protein_alignment.features import Prefix

    return Prefix(learned=cfg.lookahead == "learned")
